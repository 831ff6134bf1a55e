# SPDX-License-Identifier: MIT
"""JSON schemas of checkout and the account check."""

from __future__ import annotations

from frappe_enroll_sdk.models import Status

from .parts import (
    CODE_TEXT,
    EMAIL_TEXT,
    MAYBE_MOMENT,
    MAYBE_TEXT,
    PRICES,
    TEXT,
    Schema,
    maybe,
    record,
    request,
    text,
    words,
)


SCHEMAS: dict[str, Schema] = {
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
    "AccountRequest": request({"email": EMAIL_TEXT}, "email"),
    "Account": record({"exists": {"type": "boolean"}}),
}
