# SPDX-License-Identifier: MIT
"""JSON schemas of coupons."""

from __future__ import annotations

from frappe_enroll_sdk.models import Kind

from .parts import (
    CODE_TEXT,
    COUNT,
    EMAIL_TEXT,
    MAYBE_MOMENT,
    MAYBE_TEXT,
    MOMENT,
    PERCENT,
    PRICES,
    REASON,
    SEATS,
    TEXT,
    Schema,
    page,
    record,
    request,
    text,
    words,
)


#: Terms that coupons made together share.
_SHARED_TERMS: dict[str, Schema] = {
    "percent_off": PERCENT,
    "course_id": text(),
    "email": EMAIL_TEXT,
    "max_redemptions": SEATS,
    "per_learner": SEATS,
    "starts_at": MOMENT,
    "expires_at": MOMENT,
}
_USAGE = (
    *("coupons", "disabled", "expired", "used_up", "unused"),
    *("seats", "reserved", "redeemed"),
)
SCHEMAS: dict[str, Schema] = {
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
    "Coupon": record(
        {
            "code": TEXT,
            "percent_off": TEXT,
            "course_id": MAYBE_TEXT,
            "email": MAYBE_TEXT,
            "max_redemptions": COUNT,
            "per_learner": {"type": ["integer", "null"], "minimum": 1},
            "starts_at": MAYBE_MOMENT,
            "expires_at": MAYBE_MOMENT,
            "disabled": {"type": "boolean"},
            "created_at": MOMENT,
            "reserved": COUNT,
            "redeemed": COUNT,
        },
        closed=False,
    ),
    "CouponPage": page("Coupon"),
    "CodeRequest": request({"code": CODE_TEXT}, "code"),
    "DisableRequest": request(
        {"code": CODE_TEXT, "reason": REASON},
        "code",
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
            "code": CODE_TEXT,
            "email": EMAIL_TEXT,
            "max_redemptions": {"type": "integer", "minimum": 1, "maximum": 10_000_000},
            "per_learner": {"type": "integer", "minimum": 1, "maximum": 10_000_000},
            "starts_at": MOMENT,
            "expires_at": MOMENT,
            "reason": REASON,
        },
        "percent_off",
        "reason",
    ),
    "CouponBatchRequest": request(
        {
            **_SHARED_TERMS,
            "count": {"type": "integer", "minimum": 1, "maximum": 10_000},
            "prefix": {
                "type": "string",
                "maxLength": 40,
                "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$",
            },
            # Enough random characters that nobody can guess one of ten thousand codes.
            "pattern": {
                "type": "string",
                "maxLength": 23,
                "pattern": "^[A-Za-z0-9._-]*(#[A-Za-z0-9._-]*){7,}$",
            },
            "reason": REASON,
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
            "reason": REASON,
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
