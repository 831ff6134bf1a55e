# SPDX-License-Identifier: MIT
"""The JSON schemas of grants, affiliates and coupons in bulk."""

from __future__ import annotations

from frappe_enroll_sdk.models import GrantStatus, RowKind
from frappe_enroll_sdk.services.validate import MOST_WHOLE

from .schema_parts import (
    COUNT,
    CURRENCY,
    EMAIL_TEXT,
    MAYBE_MOMENT,
    MAYBE_TEXT,
    MOMENT,
    PRINTABLE,
    TEXT,
    Schema,
    maybe,
    page,
    record,
    ref,
    request,
    text,
    words,
)


_REASON: Schema = text(500)
_PERCENT: Schema = {"type": "number", "exclusiveMinimum": 0, "maximum": 100}
_MINOR: Schema = {"type": "integer"}
_SEATS: Schema = {"type": "integer", "minimum": 1, "maximum": 10_000_000}
#: Lines and tabs may stand in an answer; nothing else that steers.
_ANSWER = {
    "type": ["string", "integer", "boolean", "null"],
    "maxLength": 4000,
    "minimum": -MOST_WHOLE,
    "maximum": MOST_WHOLE,
    "pattern": r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]*$",
}
#: Terms that many coupons may share.
SHARED_TERMS: dict[str, Schema] = {
    "percent_off": _PERCENT,
    "course_id": text(),
    "email": EMAIL_TEXT,
    "max_redemptions": _SEATS,
    "per_learner": _SEATS,
    "starts_at": MOMENT,
    "expires_at": MOMENT,
}
_USAGE = (
    *("coupons", "disabled", "expired", "used_up", "unused"),
    *("seats", "reserved", "redeemed"),
)
_TOTALS = {
    "currency": TEXT,
    "held_minor": _MINOR,
    "available_minor": _MINOR,
    "paid_minor": _MINOR,
}
_AFFILIATE = {
    "code": TEXT,
    "email": TEXT,
    "full_name": MAYBE_TEXT,
    "percent": TEXT,
    "suspended": {"type": "boolean"},
    "created_at": MOMENT,
}

BUSINESS_SCHEMAS: dict[str, Schema] = {
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
        {"percent_off": _PERCENT, "expires_at": MOMENT, "reason": _REASON},
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
            "percent_off": _PERCENT,
            "reason": _REASON,
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
    "Affiliate": record(_AFFILIATE),
    "AffiliatePage": page("Affiliate"),
    "AffiliateShown": record(
        {
            "affiliate": ref("Affiliate"),
            "totals": {"type": "array", "items": record(_TOTALS)},
            "courses": {
                "type": "array",
                "items": record(
                    {
                        "course_id": TEXT,
                        "currency": TEXT,
                        "sales": COUNT,
                        "earned_minor": _MINOR,
                    }
                ),
            },
            "courses_at": MOMENT,
        }
    ),
    "LedgerRow": record(
        {
            "n": COUNT,
            "at": MOMENT,
            "kind": words(RowKind),
            "enrollment_id": TEXT,
            "version": COUNT,
            "course_id": TEXT,
            "currency": TEXT,
            "held_minor": _MINOR,
            "available_minor": _MINOR,
            "paid_minor": _MINOR,
            "totals": {"type": "array", "items": record(_TOTALS)},
        }
    ),
    "LedgerPage": page("LedgerRow"),
    "AffiliateRequest": request(
        {
            "email": EMAIL_TEXT,
            "full_name": text(),
            "code": {
                "type": "string",
                "maxLength": 40,
                "pattern": "^[a-z0-9][a-z0-9-]{1,39}$",
            },
            "percent": {"type": "number", "minimum": 0, "maximum": 100},
            "reason": _REASON,
        },
        "email",
        "reason",
    ),
    "SuspendRequest": request(
        {"suspended": {"type": "boolean"}, "reason": _REASON}, "reason"
    ),
    "PayoutRequest": request(
        {
            "currency": CURRENCY,
            "amount_minor": {
                "type": "integer",
                "minimum": 1,
                "maximum": MOST_WHOLE,
            },
            "payout_id": text(),
            "reason": _REASON,
        },
        "currency",
        "reason",
    ),
    "CouponBatchRequest": request(
        {
            **SHARED_TERMS,
            "count": {"type": "integer", "minimum": 1, "maximum": 10_000},
            "prefix": {
                "type": "string",
                "maxLength": 40,
                "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$",
            },
            # So many blanks that nobody finds one of ten thousand codes by guessing.
            "pattern": {
                "type": "string",
                "maxLength": 23,
                "pattern": "^[A-Za-z0-9._-]*(#[A-Za-z0-9._-]*){7,}$",
            },
            "reason": _REASON,
        },
        "count",
        "percent_off",
        "reason",
    ),
    "CouponBatch": record({"codes": {"type": "array", "items": TEXT}}),
    "CouponUsage": record(dict.fromkeys(_USAGE, COUNT)),
    "ImportRequest": request(
        {
            "csv": {"type": "string", "minLength": 1},
            "all_or_nothing": {"type": "boolean"},
            "reason": _REASON,
        },
        "csv",
        "reason",
    ),
    "Imported": record(
        {
            "created": COUNT,
            "known": COUNT,
            "bad": COUNT,
            "problems": {
                "type": "array",
                "items": record({"line": COUNT, "field": TEXT, "text": TEXT}),
            },
        }
    ),
}
