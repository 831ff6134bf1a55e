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
#: Text that a person reads: something in it, nothing that steers a terminal.
_STEERS = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
PRINTABLE = rf"^[^{_STEERS}]*[^\s{_STEERS}][^{_STEERS}]*$"
#: A name of ours, or of the provider, in a path.
NAME = r"^[A-Za-z0-9:._@-]+$"
CODE = r"^[A-Za-z0-9][A-Za-z0-9._-]{2,63}$"


def text(most: int = 140, **more: Any) -> Schema:
    """Return the schema of a text."""
    words = {"minLength": 1, "maxLength": most, "pattern": PRINTABLE}
    return {"type": "string", **words, **more}


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

_DAYS: Schema = {"type": "integer", "minimum": 1, "maximum": 3650}
_ADMIN_ENROLLMENT: dict[str, Schema] = {
    "id": _TEXT,
    "email": _TEXT,
    "full_name": _MAYBE_TEXT,
    "learner": _TEXT,
    "course_id": _TEXT,
    "course_title": _TEXT,
    "kind": words(Kind),
    "status": words(Status),
    "lms_status": words(LMSStatus),
    "reason": _MAYBE_TEXT,
    "override": _MAYBE_TEXT,
    **_PRICES,
    "refunded_minor": _COUNT,
    "coupon_code": _MAYBE_TEXT,
    "affiliate": _MAYBE_TEXT,
    "session_id": _MAYBE_TEXT,
    "payment_id": _MAYBE_TEXT,
    "lms_enrollment_id": _MAYBE_TEXT,
    "due_at": _MAYBE_MOMENT,
    "tries": _COUNT,
    "version": _COUNT,
    "created_at": _MOMENT,
    "updated_at": _MOMENT,
}
_ADMIN_JOB: dict[str, Schema] = {
    "key": _TEXT,
    "kind": _TEXT,
    "type": _MAYBE_TEXT,
    "state": words(JobState),
    "outcome": _MAYBE_TEXT,
    "tries": _COUNT,
    "due_at": _MOMENT,
    "deliveries": _COUNT,
    "owner": _MAYBE_TEXT,
    "errors": {"type": "array", "items": {"type": "object"}},
    "created_at": _MOMENT,
    "updated_at": _MOMENT,
}
_REASON: Schema = text(500)
_MAYBE_OBJECT: Schema = {"type": ["object", "null"]}
ADMIN_SCHEMAS: dict[str, Schema] = {
    "Stats": {
        "type": "object",
        "required": ["jobs", "events", "gates"],
        "additionalProperties": True,
    },
    "AdminEnrollment": record(_ADMIN_ENROLLMENT),
    "EnrollmentPage": page("AdminEnrollment"),
    "JobSummary": record(_ADMIN_JOB),
    "JobPage": page("JobSummary"),
    "Job": record({**_ADMIN_JOB, "payload": _MAYBE_OBJECT}),
    "Timeline": record(
        {
            "enrollment": ref("AdminEnrollment"),
            "moments": {
                "type": "array",
                "items": record(
                    {
                        "at": _MOMENT,
                        "kind": words(("status", "event", "try", "audit")),
                        "title": _TEXT,
                        "subject": _TEXT,
                        "text": _TEXT,
                        "detail": {"type": "object"},
                    }
                ),
            },
            "coupon": _MAYBE_OBJECT,
            "seat": _MAYBE_OBJECT,
            "jobs": {"type": "array", "items": ref("JobSummary")},
            "events": {"type": "array", "items": ref("JobSummary")},
        }
    ),
    "Coupon": record(
        {
            "code": _TEXT,
            "percent_off": _TEXT,
            "course_id": _MAYBE_TEXT,
            "email": _MAYBE_TEXT,
            "max_redemptions": _COUNT,
            "starts_at": _MAYBE_MOMENT,
            "expires_at": _MAYBE_MOMENT,
            "disabled": {"type": "boolean"},
            "created_at": _MOMENT,
            "reserved": _COUNT,
            "redeemed": _COUNT,
        },
        closed=False,
    ),
    "CouponPage": page("Coupon"),
    "AuditPage": page("AuditEntry"),
    "AuditEntry": record(
        {
            "id": _TEXT,
            "at": _MOMENT,
            "actor": _TEXT,
            "action": _TEXT,
            "subject": _TEXT,
            "reason": _TEXT,
            "detail": {"type": "object"},
        }
    ),
    "Items": record({"items": {"type": "array", "items": {"type": "object"}}}),
    "SearchRequest": request(
        {
            "q": text(255),
            "email": _EMAIL,
            "coupon_code": {"type": "string", "pattern": CODE},
            "course_id": text(),
            "status": words(Status),
            "lms_status": words(LMSStatus),
            "limit": {"type": "integer", "minimum": 1, "maximum": 200},
            "cursor": text(500),
        }
    ),
    "CodeRequest": request({"code": {"type": "string", "pattern": CODE}}, "code"),
    "DisableRequest": request(
        {"code": {"type": "string", "pattern": CODE}, "reason": _REASON},
        "code",
        "reason",
    ),
    "Reason": request({"reason": _REASON}, "reason"),
    "RequeueRequest": request(
        {
            "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
            "kind": text(),
            "reason": _REASON,
        },
        "reason",
    ),
    "CouponRequest": request(
        {
            "percent_off": {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 100,
            },
            "course_id": text(),
            "code": {"type": "string", "pattern": CODE},
            "email": _EMAIL,
            "max_redemptions": {"type": "integer", "minimum": 1, "maximum": 10_000_000},
            "starts_at": _MOMENT,
            "expires_at": _MOMENT,
            "reason": _REASON,
        },
        "percent_off",
        "reason",
    ),
    "RetentionRequest": request(
        {"events_days": _DAYS, "jobs_days": _DAYS, "reason": _REASON}, "reason"
    ),
    "ReconcileRequest": request(
        {
            "repair": {"type": "boolean"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 200},
            "cursor": text(500),
            "reason": _REASON,
        },
        "reason",
    ),
    "Reconciled": record(
        {
            "findings": {"type": "array", "items": {"type": "object"}},
            "checked": {"type": "object", "additionalProperties": _COUNT},
            "next_cursor": _MAYBE_TEXT,
        }
    ),
    "Due": record({"due": {"type": "boolean"}}),
    "Requeued": record({"requeued": _COUNT}),
    "Pruned": record({"events": _COUNT, "jobs": _COUNT}),
    "Gate": record({"backend": _TEXT, "open": {"type": "boolean"}}),
}

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
    **ADMIN_SCHEMAS,
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
