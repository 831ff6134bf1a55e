# SPDX-License-Identifier: MIT
"""Enrollments and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import attrs

from ..money import Money
from .payments import (
    DisputeStatus,
)


class Status(StrEnum):
    """State of an enrollment; ``states.py`` holds the allowed transitions."""

    PENDING = "pending"
    AWAITING_PAYMENT = "awaiting_payment"
    CONFIRMED = "confirmed"
    ENROLLED = "enrolled"
    REVOKED = "revoked"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"
    ON_HOLD = "on_hold"


#: Statuses in which the learner is entitled to the course.
ENTITLED = frozenset({Status.CONFIRMED, Status.ENROLLED})


class Opener(StrEnum):
    """Who opened an attempt: how far the requester's identity is known."""

    #: Nobody has proved the address.
    ANYBODY = "anybody"
    #: The host vouches for the address.
    VOUCHED = "vouched"
    #: An operator or a repair opened it.
    OPERATOR = "operator"


class Kind(StrEnum):
    """What entitles the learner."""

    PAID = "paid"
    FULL_GRANT = "full_grant"
    PARTIAL_GRANT = "partial_grant"
    FREE = "free"


class LMSStatus(StrEnum):
    """How far the LMS is in step with the enrollment."""

    PENDING = "pending"
    SYNCED = "synced"
    RETRYING = "retrying"
    DEAD = "dead"


class Override(StrEnum):
    """An operator's audited decision, which overrides the facts."""

    REVOKED = "revoked"
    ACCEPTED = "accepted"
    DISMISSED = "dismissed"
    REINSTATED = "reinstated"


@attrs.frozen(kw_only=True)
class HistoryEntry:
    """
    One entry in an enrollment's history, written together with the change it records.

    Attributes:
        at: When.
        version: Version after the write.
        status: Status after the write.
        fact: What happened, as a short stable name.
        op_id: Id of the write, by which a write whose acknowledgement was lost is
            recognised.
        detail: Further details by name; nothing secret or personal.
    """

    at: datetime
    version: int
    status: Status
    fact: str
    op_id: str
    detail: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True, slots=False)  # (see ``evolve.py``)
class Enrollment:
    """
    One attempt of one learner at one course.

    Attributes:
        id: ``enr_…``; also the holder of the coupon's seat, and the basis of the
            provider's idempotency keys.
        email: Normalised (trimmed, lower-case) address of the learner.
        learner: The LMS's name for the learner.
        course_id: The LMS's name for the course.
        course_title: Title for people.
        full_name: Name of the learner, or None.
        kind: What entitles the learner.
        status: See `Status`.
        version: Increases by one with each write; the compare-and-set token.
        price: Price of the course when it was opened.
        discount: The coupon's discount.
        amount: Amount to pay; always price - discount.
        coupon_code: The code, or None.
        is_limited: Whether the code limits how many seats one learner may have (this
            term never changes; True also stands for "unknown: look it up").
        affiliate: Who referred the learner, or None.
        success_url: Where the payment page sends the learner, or None.
        cancel_url: Where the payment page sends a learner who gives up, or None.
        opened_by: See `Opener`.
        token_hash: Hash of the learner's token.
        idempotency_key: Digest of the caller's key, the address and the course, or
            None.
        terms: Fingerprint of the checkout's terms.
        session_request: The complete create request as sent to the provider, or None.
        session_try: Number of that request, from 1; an unclear one is abandoned.
        session_id: The checkout session, once known.
        payment_url: Where to pay, once known.
        session_expires_at: When the session lapses, once known.
        session_account: Identifier of the provider's account that created the session
            ("" = unknown), once known.
        session_livemode: Whether it was created in live mode, once known.
        gone_at: Since when the provider no longer knows the session or the payment;
            None = it does.
        seat_lapsed: Whether the coupon's seat was released while the provider gave no
            answer about the session.
        payment_id: The provider's payment, once paid.
        lms_status: See `LMSStatus`.
        lms_enrollment_id: The LMS's row, once known.
        lms_row_ours: Whether we inserted that row (only such a row may be removed).
        lms_progress: Progress kept when the row was removed, restored later.
        lms_left: Why the LMS keeps its row although the learner is no longer entitled,
            or None. An operator decides about the row in the LMS.
        override: An operator's decision, or None.
        reason: Why it is on hold, failed or revoked; a short stable name, or None.
        held_for: Why an operator has to decide (accept or dismiss), or None. Kept until
            then, whatever the money does meanwhile.
        tax_behavior: Whether `amount` includes taxes: "inclusive" or "exclusive".
        paid: What was charged, taxes included, or None.
        tax_minor: The taxes in it, in minor units.
        refunded_minor: Minor units refunded so far (refunds that count).
        dispute: Most serious status among the payment's disputes, or None.
        refund_begun_at: When the last refund of a second payment was begun, or None.
        moved_to: The enrollment that it was reassigned to, or None.
        claims_slot: Whether it takes the slot while it is still pending: it is about to
            redeem a code, or to take over another enrollment's entitlement.
        effects_owed: Whether the effects of the last write may still be missing.
        due_at: When it is due to be settled; None = nothing owed.
        tries: Claims since settling last succeeded.
        created_at: When it was opened.
        updated_at: When it was last written.
        history: Everything that happened, oldest first.
    """

    id: str
    email: str = attrs.field(repr=False)
    learner: str = attrs.field(repr=False)
    course_id: str
    course_title: str = ""
    full_name: str | None = attrs.field(default=None, repr=False)
    kind: Kind
    status: Status = Status.PENDING
    version: int = 1
    price: Money
    discount: Money
    amount: Money
    coupon_code: str | None = attrs.field(default=None, repr=False)
    is_limited: bool = True
    affiliate: str | None = attrs.field(default=None, repr=False)
    success_url: str | None = None
    cancel_url: str | None = None
    opened_by: Opener = Opener.ANYBODY
    token_hash: str = attrs.field(default="", repr=False)
    idempotency_key: str | None = attrs.field(default=None, repr=False)
    terms: str = ""
    session_request: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    session_try: int = 1
    session_id: str | None = None
    payment_url: str | None = attrs.field(default=None, repr=False)
    session_expires_at: datetime | None = None
    session_account: str | None = None
    session_livemode: bool | None = None
    gone_at: datetime | None = None
    seat_lapsed: bool = False
    payment_id: str | None = None
    lms_status: LMSStatus = LMSStatus.PENDING
    lms_enrollment_id: str | None = None
    lms_row_ours: bool = False
    lms_progress: float | None = None
    lms_left: str | None = None
    override: Override | None = None
    reason: str | None = None
    held_for: str | None = None
    tax_behavior: str = "inclusive"
    paid: Money | None = None
    tax_minor: int = 0
    refunded_minor: int = 0
    dispute: DisputeStatus | None = None
    refund_begun_at: datetime | None = None
    moved_to: str | None = None
    claims_slot: bool = False
    effects_owed: bool = False
    due_at: datetime | None = None
    tries: int = 0
    created_at: datetime
    updated_at: datetime
    history: tuple[HistoryEntry, ...] = attrs.field(default=(), repr=False)

    @property
    def holds_slot(self) -> bool:
        """
        Whether it holds the slot for its learner and course: entitled, or claiming it.

        The stores ensure at most one such row per learner (by `email`) and course.
        """
        claims = self.claims_slot and self.status is Status.PENDING
        return claims or self.status in ENTITLED

    @property
    def is_full_grant(self) -> bool:
        """Whether its own coupon covers the price: redeeming it is what entitles."""
        return self.kind is Kind.FULL_GRANT and self.coupon_code is not None


@attrs.frozen(kw_only=True)
class OpenResult:
    """
    Answer of `EnrollmentStore.open`.

    Attributes:
        enrollment: The stored row: ours, or the one already there.
        opened: Whether ours was written.
    """

    enrollment: Enrollment
    opened: bool


@attrs.frozen
class SlotTaken:
    """
    Answer of `EnrollmentStore.transition`: nothing written, another holds the slot.

    Attributes:
        holder: The row that holds the slot for this learner and course.
    """

    holder: Enrollment


@attrs.frozen(kw_only=True)
class EnrollmentStats:
    """
    Counts of enrollments; each is capped, so that counting never scans.

    Attributes:
        counts: Rows by status.
        due_now: Rows that are due to be settled now.
        oldest_owed_at: When the oldest row confirmed but not yet in the LMS was opened,
            or None.
        cap: A count equal to this means "this many or more".
    """

    counts: Mapping[Status, int]
    due_now: int
    oldest_owed_at: datetime | None
    cap: int
