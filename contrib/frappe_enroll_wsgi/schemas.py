# SPDX-License-Identifier: MIT
"""The JSON schemas of requests and answers: validation and OpenAPI read the same."""

from __future__ import annotations

from typing import Any

from frappe_enroll_sdk.models import JobState, Kind, LMSStatus, Status

from .schema_parts import (
    CODE_TEXT,
    COUNT,
    CURRENCY,
    EMAIL_TEXT,
    MAYBE_MOMENT,
    MAYBE_TEXT,
    MOMENT,
    MONEY,
    PRICES,
    TEXT,
    Schema,
    maybe,
    record,
    request,
    text,
    words,
)
from .schemas_admin import ADMIN_SCHEMAS
from .schemas_business import BUSINESS_SCHEMAS


_PROBLEM = {
    "type": "object",
    "properties": {
        "type": TEXT,
        "title": TEXT,
        "status": {"type": "integer"},
        "code": TEXT,
        "retryable": {"type": "boolean"},
        "field": TEXT,
        "errors": {
            "type": "array",
            "items": record({"path": TEXT, "problem": TEXT}),
        },
    },
    "required": ["type", "title", "status", "code", "retryable"],
    "additionalProperties": False,
}
_ENROLLMENT = {
    "id": TEXT,
    "course_id": TEXT,
    "kind": words(Kind),
    "status": words(Status),
    "lms_status": words(LMSStatus),
    "price": MONEY,
    "discount": MONEY,
    "amount": MONEY,
    "created_at": MOMENT,
    "updated_at": MOMENT,
}
SCHEMAS: dict[str, Schema] = {
    "Money": record(
        {
            "amount_minor": {"type": "integer", "minimum": 0},
            "currency": CURRENCY,
        }
    ),
    "Problem": _PROBLEM,
    "CheckoutRequest": request(
        {
            "course_id": text(),
            "email": EMAIL_TEXT,
            "full_name": maybe(text()),
            "coupon_code": maybe(CODE_TEXT),
            "affiliate": maybe(text()),
            "success_url": maybe(text(2000)),
            "cancel_url": maybe(text(2000)),
        },
        "course_id",
        "email",
    ),
    "Checkout": record(
        {
            "enrollment_id": TEXT,
            "token": MAYBE_TEXT,
            "status": words(
                (Status.AWAITING_PAYMENT, Status.CONFIRMED, Status.ENROLLED)
            ),
            "payment_url": MAYBE_TEXT,
            "next_url": MAYBE_TEXT,
            "expires_at": MAYBE_MOMENT,
            **PRICES,
        }
    ),
    "PreviewRequest": request(
        {
            "code": CODE_TEXT,
            "course_id": text(),
            "email": EMAIL_TEXT,
        },
        "code",
        "course_id",
        "email",
    ),
    "Preview": record({"kind": words(Kind), **PRICES}),
    "Enrollment": record(_ENROLLMENT),
    "AccountRequest": request({"email": EMAIL_TEXT}, "email"),
    "Account": record({"exists": {"type": "boolean"}}),
    "Webhook": record(
        {
            "outcome": words(
                ("processed", "duplicate", "ignored", "queued", "quarantined")
            ),
            "event_id": TEXT,
        }
    ),
    "Pass": record(
        dict.fromkeys(
            ("claimed", "succeeded", "retried", "dead", "deferred", "due_left"), COUNT
        )
    ),
    "Alive": record({"status": words(("ok",))}),
    "Ready": record(
        {
            "status": words(("ok", "unavailable")),
            "checks": {
                "type": "object",
                "additionalProperties": words(
                    ("ok", "down", "degraded", "unknown", "untrusted")
                ),
            },
        }
    ),
    **ADMIN_SCHEMAS,
    **BUSINESS_SCHEMAS,
    "OpenAPI": {"type": "object", "required": ["openapi", "info", "paths"]},
}

STATUS_QUERY = words(Status)
LMS_STATUS_QUERY = words(LMSStatus)
STATE_QUERY = words(JobState)


def resolved(name: str) -> Schema:
    """Return a schema with its references filled in, for a validator."""
    found = _fill(SCHEMAS[name])
    return dict(found)


def _fill(node: Any) -> Any:
    if isinstance(node, dict):
        if "$ref" in node:
            return _fill(SCHEMAS[node["$ref"].rpartition("/")[2]])
        return {key: _fill(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill(item) for item in node]
    return node
