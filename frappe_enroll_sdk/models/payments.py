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
from .words import ForeignWord


class SessionStatus(ForeignWord):
    """Status of a checkout session (Stripe API, Checkout Session object)."""

    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"


class PaymentStatus(ForeignWord):
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

    refunded and disputed mean that the money has changed: settle lists both again.
    flagged is a warning about a payment; noted goes into the audit trail and changes
    nothing.
    """

    PAID = "paid"
    PROCESSING = "processing"
    FAILED = "failed"
    EXPIRED = "expired"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    FLAGGED = "flagged"
    NOTED = "noted"


class DisputeStatus(ForeignWord):
    """Status of a dispute (Stripe API, Dispute object)."""

    WARNING_NEEDS_RESPONSE = "warning_needs_response"
    WARNING_UNDER_REVIEW = "warning_under_review"
    WARNING_CLOSED = "warning_closed"
    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    APPEAL_NEEDS_RESPONSE = "appeal_needs_response"
    APPEAL_UNDER_REVIEW = "appeal_under_review"
    WON = "won"
    LOST = "lost"
    PREVENTED = "prevented"

    @property
    def is_open(self) -> bool:
        """Whether the money is withdrawn for now (an inquiry withdraws none)."""
        return self in _OPEN_DISPUTES


_OPEN_DISPUTES = frozenset(
    {
        DisputeStatus.NEEDS_RESPONSE,
        DisputeStatus.UNDER_REVIEW,
        DisputeStatus.APPEAL_NEEDS_RESPONSE,
        DisputeStatus.APPEAL_UNDER_REVIEW,
    }
)


class RefundStatus(ForeignWord):
    """Status of a refund (Stripe API, Refund object)."""

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


@attrs.frozen(kw_only=True)
class SessionTerms:
    """
    Terms of the enrollment that are kept in its session's metadata.

    If a store is restored from a backup older than the enrollment, it is reopened from
    these, and from the amount and the address, which a session has anyway.

    Attributes:
        course_id: The LMS's name for the course.
        discount_minor: The coupon's discount, in minor units.
        coupon_code: The code whose seat it has, or None.
        affiliate: Who referred the learner, or None.
        tax_behavior: Whether the amount includes taxes: "inclusive" or "exclusive".
    """

    course_id: str
    discount_minor: int = 0
    coupon_code: str | None = attrs.field(default=None, repr=False)
    affiliate: str | None = attrs.field(default=None, repr=False)
    tax_behavior: str = "inclusive"


@attrs.frozen(kw_only=True)
class SessionOrder:
    """
    Everything needed to create a checkout session.

    Attributes:
        enrollment_id: Ours.
        try_number: Number of the enrollment's create request, from 1.
        amount: Amount to pay.
        terms: Terms of the enrollment to keep in the metadata.
        course_title: The line item that the learner sees.
        email: Prefilled on the payment page.
        success_url: Contains the provider's `session_blank` in place of the session's
            id.
        cancel_url: Where "back" on the payment page leads.
        expires_at: When the session is to lapse.
        metadata: Further metadata, from plugins.
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
        """The idempotency key of the create call; each try has its own."""
        if self.try_number == 1:
            return self.enrollment_id
        return f"{self.enrollment_id}:{self.try_number}"


@attrs.frozen(kw_only=True)
class PaymentTraits:
    """
    Provider-specific values, as opposed to our own rules.

    Attributes:
        session_blank: The placeholder in the success URL that the provider replaces
            with the session's id; "" = none.
        session_prefix: Prefix of its checkout session ids; "" = any.
        payment_prefix: Prefix of its payment ids; "" = any.
        event_prefix: Prefix of its event ids; "" = any.
        events_kept: How long it keeps its events.
        minimums: Minimum charge by currency, in minor units; no minimum for other
            currencies.
    """

    session_blank: str = ""
    session_prefix: str = ""
    payment_prefix: str = ""
    event_prefix: str = ""
    events_kept: timedelta = timedelta(days=30)
    minimums: Mapping[str, int] = attrs.field(factory=dict, repr=False)

    def minimum_charge(self, currency: str) -> int:
        """Return the smallest amount that can be charged, in minor units."""
        return self.minimums.get(currency, charge_step(currency))


@attrs.frozen(kw_only=True)
class CheckoutSession:
    """
    A checkout session as the provider reports it.

    Attributes:
        id: The provider's id.
        url: Where to pay, while it is open.
        status: open, complete, expired, or a value unknown to this version.
        payment_status: paid, unpaid, no_payment_required, or an unknown value.
        payment_failed: Complete but unpaid, and the delayed payment has failed for
            good.
        amount: What the session charges, taxes included, in the integration's currency
            (never the one that Adaptive Pricing shows the learner).
        tax_minor: The taxes in it, in minor units.
        livemode: Whether real money moves.
        payment_id: The payment, once there is one.
        enrollment_id: Our id in its metadata, or None. A hint only.
        try_number: Which try of the enrollment created it. A hint only.
        ours: Whether its metadata carries our application's mark. A hint only.
        expires_at: When it lapses.
        created_at: When it was created.
        email: The address it was created for, or None.
        terms: The enrollment's terms in its metadata, or None. A hint only.
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
        done = {PaymentStatus.PAID, PaymentStatus.NO_PAYMENT_REQUIRED}
        return self.status is SessionStatus.COMPLETE and self.payment_status in done

    @property
    def unknown(self) -> str:
        """Its values unknown to this version, for an operator; "" = none."""
        words = (self.status, self.payment_status)
        return ", ".join(str(word) for word in words if not word.is_known)


@attrs.frozen(kw_only=True)
class Refund:
    """
    A refund as the provider reports it.

    Attributes:
        id: ``re_…``.
        payment_id: The payment it refunds.
        amount: Amount refunded; None = it can't be read.
        status: See `RefundStatus`.
        created_at: When it was created.
    """

    id: str
    payment_id: str
    amount: Money | None
    status: RefundStatus
    created_at: datetime

    @property
    def counts(self) -> bool:
        """Whether, as far as we know, the money is refunded or about to be."""
        over = {RefundStatus.FAILED, RefundStatus.CANCELED}
        return self.status.is_known and self.status not in over

    @property
    def is_clear(self) -> bool:
        """Whether it is clear how much it refunds, if anything."""
        known = self.status.is_known
        return known and (self.amount is not None or not self.counts)


@attrs.frozen(kw_only=True)
class Dispute:
    """
    A dispute as the provider reports it.

    Attributes:
        id: ``dp_…``.
        payment_id: The disputed payment.
        amount: Disputed amount; None = it can't be read.
        status: See `DisputeStatus`; ``warning_…`` is an inquiry, no money has moved.
        reason: The bank's reason.
        created_at: When it was opened.
    """

    id: str
    payment_id: str
    amount: Money | None
    status: DisputeStatus
    reason: str = ""
    created_at: datetime


@attrs.frozen(kw_only=True)
class PaymentEvent:
    """
    A verified payment event.

    Attributes:
        id: The id for deduplication (``evt_…``; for a thin event, its snapshot's).
        type: The provider's type.
        created_at: The provider's time.
        livemode: Whether real money moves.
        account: The connected account it belongs to, or None for our own.
        fact: What it means; None = irrelevant: stored and ignored.
        object_id: Id of the object it is about.
        session_id: The checkout session, if the event names one.
        payment_id: The payment, if the event names one.
        enrollment_id: Our id in the metadata, or None. A hint only.
        session: The session in the signed body, if the event is about one and it can be
            read.
        ours: Whether the session carries our application's mark. A hint only.
        unreadable: Why the body does not say what happened; "" = it does. Otherwise the
            event is only a hint.
        thin: A notification without its object, which has to be fetched.
        detail: Further details for the audit trail, by name; nothing secret or
            personal.
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
    ours: bool = False
    unreadable: str = ""
    thin: bool = False
    detail: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def is_ours(self) -> bool:
        """Whether it is about a session that carries our mark. A hint only."""
        return self.ours or (self.session is not None and self.session.ours)
