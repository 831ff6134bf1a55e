# SPDX-License-Identifier: MIT
"""JSON schemas of grants."""

from __future__ import annotations

from frappe_enroll_sdk.models import GrantStatus
from frappe_enroll_sdk.services.validate import MAX_WHOLE

from .parts import (
    COUNT,
    EMAIL_TEXT,
    MAYBE_MOMENT,
    MAYBE_TEXT,
    MOMENT,
    PERCENT,
    PRINTABLE,
    REASON,
    TEXT,
    Schema,
    maybe,
    page,
    record,
    request,
    text,
    words,
)


#: An answer may contain line breaks and tabs, but no other control characters.
_ANSWER = {
    "type": ["string", "integer", "boolean", "null"],
    "maxLength": 4000,
    "minimum": -MAX_WHOLE,
    "maximum": MAX_WHOLE,
    "pattern": r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]*$",
}
SCHEMAS: dict[str, Schema] = {
    "GrantRequest": request(
        {
            "course_id": text(),
            "email": EMAIL_TEXT,
            "full_name": maybe(text()),
            "answers": {
                "type": "object",
                "maxProperties": 40,
                "propertyNames": {"maxLength": 100, "pattern": PRINTABLE},
                "additionalProperties": _ANSWER,
            },
        },
        "course_id",
        "email",
    ),
    "Applied": record({"received": {"type": "boolean"}}),
    "GrantForm": record(
        {
            "fields": {
                "type": "array",
                "items": record(
                    {
                        "name": TEXT,
                        "label": TEXT,
                        "kind": words(("text", "number", "flag")),
                        "required": {"type": "boolean"},
                        "choices": {"type": "array", "items": TEXT},
                        "most": COUNT,
                    }
                ),
            }
        }
    ),
    "Grant": record(
        {
            "id": TEXT,
            "email": TEXT,
            "full_name": MAYBE_TEXT,
            "course_id": TEXT,
            "answers": {"type": "object"},
            "status": words(GrantStatus),
            "code": MAYBE_TEXT,
            "percent_off": MAYBE_TEXT,
            "expires_at": MAYBE_MOMENT,
            "actor": MAYBE_TEXT,
            "reason": TEXT,
            "created_at": MOMENT,
            "updated_at": MOMENT,
        }
    ),
    "GrantPage": page("Grant"),
    "ApproveRequest": request(
        {"percent_off": PERCENT, "expires_at": MOMENT, "reason": REASON},
        "percent_off",
        "reason",
    ),
    "ApproveManyRequest": request(
        {
            "grant_ids": {
                "type": "array",
                "items": text(),
                "minItems": 1,
                "maxItems": 200,
            },
            "percent_off": PERCENT,
            "reason": REASON,
        },
        "grant_ids",
        "percent_off",
        "reason",
    ),
    "Approved": record(
        {
            "items": {
                "type": "array",
                "items": record(
                    {"grant_id": TEXT, "code": MAYBE_TEXT, "error": MAYBE_TEXT}
                ),
            }
        }
    ),
}
