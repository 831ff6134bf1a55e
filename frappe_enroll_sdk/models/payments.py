# SPDX-License-Identifier: MIT
"""
What a payment provider tells: sessions, refunds, disputes, events.

Frozen records, storage-independent like all of this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import attrs

from ..money import Money, charge_step


class SessionStatus(StrEnum):
    """Status of a checkout session (Stripe API, Checkout Session object)."""

    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"


class PaymentStatus(StrEnum):
    """Payment status of a checkout session (Stripe API, Checkout Session object)."""

    PAID = "paid"
    UNPAID = "unpaid"
    NO_PAYMENT_REQUIRED = "no_payment_required"


class ExpireOutcome(StrEnum):
    """Answer of `PaymentGateway.expire_session`."""

    EXPIRED = "expired"
    NOT_OPEN = "not_open"


class Fact(StrEnum):
    """
    What a payment event means.

    refunded and disputed are news of the money: settle lists both again. flagged is a
    warning about a payment, noted is written into the audit trail and changes nothing.
    """

    PAID = "paid"
    PROCESSING = "processing"
    FAILED = "failed"
    EXPIRED = "expired"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    FLAGGED = "flagged"
    NOTED = "noted"


class DisputeStatus(StrEnum):
    """Status of a dispute (Stripe API, Dispute object)."""

    WARNING_NEEDS_RESPONSE = "warning_needs_response"
    WARNING_UNDER_REVIEW = "warning_under_review"
    WARNING_CLOSED = "warning_closed"
    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"
    PREVENTED = "prevented"


class RefundStatus(StrEnum):
    """Status of a refund (Stripe API, Refund object)."""

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


@attrs.frozen(kw_only=True)
class SessionTerms:
    """
    What a session keeps of its enrollment, besides what it is paid with.

    Where a store was restored from a backup that is older than the enrollment, this
    opens it anew: with the amount and the address, which a session has anyway.

    Attributes:
        course_id: The LMS's name of the course.
        discount_minor: What the coupon took off, in minor units.
        coupon_code: The code whose seat it has, or None.
        affiliate: Who referred the learner, or None.
        tax_behavior: Whether the amount holds the taxes: "inclusive" or "exclusive".
    """

    course_id: str
    discount_minor: int = 0
    coupon_code: str | None = attrs.field(default=None, repr=False)
    affiliate: str | None = attrs.field(default=None, repr=False)
    tax_behavior: str = "inclusive"


@attrs.frozen(kw_only=True)
class SessionOrder:
    """
    What a checkout session is to be made of.

    Attributes:
        enrollment_id: Ours.
        try_number: Which create request of the enrollment it is, from 1.
        amount: What is to be paid.
        terms: What the metadata keeps of the enrollment.
        course_title: The line that the learner reads.
        email: Prefilled on the payment page.
        success_url: With the provider's `session_blank` where the id goes.
        cancel_url: Where "back" leads.
        expires_at: When the session is to lapse.
        metadata: More metadata, from plugins.
        parameters: Allow-listed session parameters, from plugins.
    """

    enrollment_id: str
    try_number: int = 1
    amount: Money
    terms: SessionTerms
    course_title: str
    email: str = attrs.field(repr=False)
    success_url: str
    cancel_url: str
    expires_at: datetime
    metadata: Mapping[str, str] = attrs.field(factory=dict)
    parameters: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def idempotency_key(self) -> str:
        """The key of the create call: each try has its own."""
        if self.try_number == 1:
            return self.enrollment_id
        return f"{self.enrollment_id}:{self.try_number}"


@attrs.frozen(kw_only=True)
class PaymentTraits:
    """
    What is a payment provider's own, and no rule of ours.

    Attributes:
        session_blank: What the provider replaces by the session's id in the URL to
            which it sends a learner who has paid; "" = nothing.
        session_prefix: How the ids of its checkout sessions begin; "" = anyhow.
        payment_prefix: The same of payments.
        event_prefix: The same of events.
        events_kept: For how long it lists its events.
        minimums: Least charge by currency, in minor units; anything elsewhere.
    """

    session_blank: str = ""
    session_prefix: str = ""
    payment_prefix: str = ""
    event_prefix: str = ""
    events_kept: timedelta = timedelta(days=30)
    minimums: Mapping[str, int] = attrs.field(factory=dict, repr=False)

    def minimum_charge(self, currency: str) -> int:
        """Return the least amount in minor units that can be charged."""
        return self.minimums.get(currency, charge_step(currency))


@attrs.frozen(kw_only=True)
class CheckoutSession:
    """
    A checkout session as the provider tells it.

    Attributes:
        id: The provider's.
        url: Where to pay, while it is open.
        status: open, complete or expired.
        payment_status: paid, unpaid or no_payment_required.
        payment_failed: Complete, unpaid, and the delayed payment has failed for good.
        amount: What the session charges with taxes, in the integration's currency
            (never in the one that Adaptive Pricing shows to the learner).
        tax_minor: Minor units of it that are taxes.
        livemode: Whether real money moves.
        payment_id: The payment, once there is one.
        enrollment_id: Our id in its metadata, or None. A hint only.
        try_number: Which try of the enrollment made it. A hint only.
        ours: Whether its metadata carries our application's mark. A hint only.
        expires_at: When it lapses.
        created_at: When it was made.
        email: The address that it was made for, or None.
        terms: What its metadata keeps of the enrollment, or None. A hint only.
    """

    id: str
    url: str | None = attrs.field(default=None, repr=False)
    status: SessionStatus
    payment_status: PaymentStatus
    payment_failed: bool = False
    amount: Money | None
    tax_minor: int = 0
    livemode: bool
    payment_id: str | None = None
    enrollment_id: str | None = None
    try_number: int = 1
    ours: bool = False
    expires_at: datetime | None = None
    created_at: datetime | None = None
    email: str | None = attrs.field(default=None, repr=False)
    terms: SessionTerms | None = None

    @property
    def paid(self) -> bool:
        """Whether the payment is complete (or none is required)."""
        return (
            self.status is SessionStatus.COMPLETE
            and self.payment_status is not PaymentStatus.UNPAID
        )


@attrs.frozen(kw_only=True)
class Refund:
    """
    A refund as the provider tells it.

    Attributes:
        id: ``re_…``.
        payment_id: The payment that it gives back.
        amount: How much.
        status: Where it stands.
        created_at: When it was made.
    """

    id: str
    payment_id: str
    amount: Money
    status: RefundStatus
    created_at: datetime

    @property
    def counts(self) -> bool:
        """Whether the money is, or is going, back."""
        return self.status not in {RefundStatus.FAILED, RefundStatus.CANCELED}


@attrs.frozen(kw_only=True)
class Dispute:
    """
    A dispute as the provider tells it.

    Attributes:
        id: ``dp_…``.
        payment_id: The payment that it is about.
        amount: How much.
        status: Where it stands; ``warning_…`` is an inquiry, no money has moved.
        reason: The bank's word for it.
        created_at: When it was opened.
    """

    id: str
    payment_id: str
    amount: Money
    status: DisputeStatus
    reason: str = ""
    created_at: datetime

    @property
    def open(self) -> bool:
        """Whether the money is taken back for now (an inquiry takes none)."""
        return self.status in {DisputeStatus.NEEDS_RESPONSE, DisputeStatus.UNDER_REVIEW}


@attrs.frozen(kw_only=True)
class PaymentEvent:
    """
    A verified payment event.

    Attributes:
        id: The id to dedupe by (``evt_…``; a thin event gives its snapshot's).
        type: The provider's type.
        created_at: The provider's time.
        livemode: Whether real money moves.
        account: Connected account that it belongs to, or None for our own.
        fact: What it means; None = nothing to us: stored and ignored.
        object_id: Id of the object that it is about.
        session_id: The checkout session, where the event names one.
        payment_id: The payment, where the event names one.
        enrollment_id: Our id in the metadata, or None. A hint only.
        session: The session as the signed body tells it, where it is about one.
        thin: A notification without the object: what it is about has to be fetched.
        detail: More for the audit trail, by name; nothing secret or personal.
    """

    id: str
    type: str
    created_at: datetime
    livemode: bool
    account: str | None = None
    fact: Fact | None = None
    object_id: str | None = None
    session_id: str | None = None
    payment_id: str | None = None
    enrollment_id: str | None = None
    session: CheckoutSession | None = None
    thin: bool = False
    detail: Mapping[str, Any] = attrs.field(factory=dict)
