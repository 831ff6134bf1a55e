# SPDX-License-Identifier: MIT
"""JSON schemas of affiliates."""

from __future__ import annotations

from frappe_enroll_sdk.models import RowKind
from frappe_enroll_sdk.services.validate import MAX_WHOLE

from .parts import (
    COUNT,
    CURRENCY,
    EMAIL_TEXT,
    MAYBE_TEXT,
    MOMENT,
    REASON,
    TEXT,
    Schema,
    page,
    record,
    ref,
    request,
    text,
    words,
)


_MINOR: Schema = {"type": "integer"}
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
SCHEMAS: dict[str, Schema] = {
    "Totals": record(_TOTALS),
    "Affiliate": record(_AFFILIATE),
    "AffiliatePage": page("Affiliate"),
    "AffiliateShown": record(
        {
            "affiliate": ref("Affiliate"),
            "totals": {"type": "array", "items": ref("Totals")},
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
            "totals": {"type": "array", "items": ref("Totals")},
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
            "reason": REASON,
        },
        "email",
        "reason",
    ),
    "SuspendRequest": request(
        {"suspended": {"type": "boolean"}, "reason": REASON}, "reason"
    ),
    "PayoutRequest": request(
        {
            "currency": CURRENCY,
            "amount_minor": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_WHOLE,
            },
            "payout_id": text(),
            "reason": REASON,
        },
        "currency",
        "reason",
    ),
}
