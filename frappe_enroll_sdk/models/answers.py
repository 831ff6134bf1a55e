# SPDX-License-Identifier: MIT
"""What `EnrollSDK` answers."""

from __future__ import annotations

from datetime import datetime

import attrs

from ..money import Money
from .enrollments import Status


@attrs.frozen(kw_only=True)
class Checkout:
    """
    Answer of `EnrollSDK.checkout`.

    Attributes:
        enrollment_id: Id of the enrollment.
        token: The learner's key to it; only in the answer to the call that opened it.
        status: "enrolled", "confirmed" (not yet in the LMS) or "awaiting_payment".
        payment_url: The payment page, or None (also while a payment made there is still
            being processed: a delayed method takes days).
        next_url: Where to send the learner now, or None.
        expires_at: When the payment page lapses, or None.
        price: Price of the course.
        discount: The coupon's discount.
        amount: Amount to pay; discount + amount = price.
        resumed: Whether this continues an earlier attempt.
    """

    enrollment_id: str
    token: str | None = attrs.field(default=None, repr=False)
    status: Status
    payment_url: str | None = attrs.field(default=None, repr=False)
    next_url: str | None = attrs.field(default=None, repr=False)
    expires_at: datetime | None = None
    price: Money
    discount: Money
    amount: Money
    resumed: bool = False


@attrs.frozen(kw_only=True)
class WebhookResult:
    """
    Answer of `EnrollSDK.handle_webhook`.

    Attributes:
        outcome: "processed", "duplicate", "ignored", "queued" or "quarantined".
        event_id: The event's id.
        enrollment_id: The enrollment it is about, or None.
    """

    outcome: str
    event_id: str
    enrollment_id: str | None = None


@attrs.frozen(kw_only=True)
class JobReport:
    """
    Answer of `EnrollSDK.run_jobs`.

    Attributes:
        claimed: Due enrollments, events and jobs that were claimed.
        succeeded: Of these, done.
        retried: Of these, put back on the schedule.
        dead: Of these, dead.
        deferred: Of these, put back without counting a try.
        due_left: What is still due, capped.
    """

    claimed: int = 0
    succeeded: int = 0
    retried: int = 0
    dead: int = 0
    deferred: int = 0
    due_left: int = 0
