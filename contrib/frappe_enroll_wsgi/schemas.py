# SPDX-License-Identifier: MIT
"""The JSON schemas of requests and answers: validation and OpenAPI read the same."""

from __future__ import annotations

from typing import Any

from frappe_enroll_sdk.models import JobState, Kind, LMSStatus, Status


Schema = dict[str, Any]

EMAIL = (
    r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$"
)
CODE = r"^[A-Za-z0-9][A-Za-z0-9._-]{2,63}$"


def text(most: int = 140, **more: Any) -> Schema:
    """Return the schema of a text."""
    return {"type": "string", "minLength": 1, "maxLength": most, **more}


def maybe(schema: Schema) -> Schema:
    """Return a schema that takes null too."""
    return {**schema, "type": [schema["type"], "null"]}


def words(kind: Any) -> Schema:
    """Return the schema of an enumeration."""
    return {"type": "string", "enum": [str(word) for word in kind]}


def ref(name: str) -> Schema:
    """Return a reference to a schema of this module."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(properties: dict[str, Schema], *, closed: bool = True) -> Schema:
    """Return the schema of an object whose properties are all there."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": not closed,
    }


def request(properties: dict[str, Schema], *required: str) -> Schema:
    """Return the schema of a request body: unknown names are refused."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def page(name: str) -> Schema:
    """Return the schema of a page of records."""
    return record(
        {"items": {"type": "array", "items": ref(name)}, "next_cursor": _MAYBE_TEXT}
    )


_TEXT: Schema = {"type": "string"}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_MAYBE_MOMENT: Schema = {"type": ["string", "null"], "format": "date-time"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_EMAIL: Schema = {"type": "string", "maxLength": 140, "pattern": EMAIL}
_MONEY = ref("Money")
_PROBLEM = {
    "type": "object",
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "code": _TEXT,
        "retryable": {"type": "boolean"},
        "field": _TEXT,
        "errors": {
            "type": "array",
            "items": record({"path": _TEXT, "problem": _TEXT}),
        },
    },
    "required": ["type", "title", "status", "code", "retryable"],
    "additionalProperties": False,
}
_ENROLLMENT = {
    "id": _TEXT,
    "course_id": _TEXT,
    "kind": words(Kind),
    "status": words(Status),
    "lms_status": words(LMSStatus),
    "price": _MONEY,
    "discount": _MONEY,
    "amount": _MONEY,
    "created_at": _MOMENT,
    "updated_at": _MOMENT,
}
_PRICES = {"price": _MONEY, "discount": _MONEY, "amount": _MONEY}

SCHEMAS: dict[str, Schema] = {
    "Money": record(
        {
            "amount_minor": {"type": "integer", "minimum": 0},
            "currency": {"type": "string", "pattern": "^[a-z]{3}$"},
        }
    ),
    "Problem": _PROBLEM,
    "CheckoutRequest": request(
        {
            "course_id": text(),
            "email": _EMAIL,
            "full_name": maybe(text()),
            "coupon_code": maybe({"type": "string", "pattern": CODE}),
            "affiliate": maybe(text()),
            "success_url": maybe(text(2000)),
            "cancel_url": maybe(text(2000)),
        },
        "course_id",
        "email",
    ),
    "Checkout": record(
        {
            "enrollment_id": _TEXT,
            "token": _MAYBE_TEXT,
            "status": words(
                (Status.AWAITING_PAYMENT, Status.CONFIRMED, Status.ENROLLED)
            ),
            "payment_url": _MAYBE_TEXT,
            "next_url": _MAYBE_TEXT,
            "expires_at": _MAYBE_MOMENT,
            **_PRICES,
        }
    ),
    "PreviewRequest": request(
        {
            "code": {"type": "string", "pattern": CODE},
            "course_id": text(),
            "email": _EMAIL,
        },
        "code",
        "course_id",
        "email",
    ),
    "Preview": record({"kind": words(Kind), **_PRICES}),
    "Enrollment": record(_ENROLLMENT),
    "AccountRequest": request({"email": _EMAIL}, "email"),
    "Account": record({"exists": {"type": "boolean"}}),
    "Webhook": record(
        {
            "outcome": words(
                ("processed", "duplicate", "ignored", "queued", "quarantined")
            ),
            "event_id": _TEXT,
        }
    ),
    "Pass": record(
        dict.fromkeys(
            ("claimed", "succeeded", "retried", "dead", "deferred", "due_left"), _COUNT
        )
    ),
    "Alive": record({"status": words(("ok",))}),
    "Ready": record(
        {
            "status": words(("ok", "unavailable")),
            "checks": {
                "type": "object",
                "additionalProperties": words(("ok", "down", "degraded")),
            },
        }
    ),
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
