# SPDX-License-Identifier: MIT
"""
The records of the domain: frozen, storage-independent, safe to share between threads.

Moments are aware UTC datetimes with millisecond precision; money is integer minor
units. Secrets are never part of a record: a learner's token is kept as its hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Generic, TypeVar

import attrs

from .money import Money
from .payment_records import (
    CheckoutSession,
    Dispute,
    DisputeStatus,
    ExpireOutcome,
    Fact,
    PaymentEvent,
    PaymentStatus,
    Refund,
    RefundStatus,
    SessionOrder,
    SessionStatus,
)


#: The payment records may be imported from here too.
__all__ = (
    "CheckoutSession",
    "Dispute",
    "DisputeStatus",
    "ExpireOutcome",
    "Fact",
    "PaymentEvent",
    "PaymentStatus",
    "Refund",
    "RefundStatus",
    "SessionOrder",
    "SessionStatus",
)

T = TypeVar("T")


class Status(StrEnum):
    """Where an enrollment stands; ``states.py`` holds the allowed transitions."""

    PENDING = "pending"
    AWAITING_PAYMENT = "awaiting_payment"
    CONFIRMED = "confirmed"
    ENROLLED = "enrolled"
    REVOKED = "revoked"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"
    ON_HOLD = "on_hold"


class Kind(StrEnum):
    """What entitles the learner."""

    PAID = "paid"
    FULL_GRANT = "full_grant"
    PARTIAL_GRANT = "partial_grant"
    FREE = "free"


class LMSStatus(StrEnum):
    """How far the LMS follows the enrollment."""

    PENDING = "pending"
    SYNCED = "synced"
    RETRYING = "retrying"
    DEAD = "dead"


class Override(StrEnum):
    """An operator's audited word, which stands above the facts."""

    REVOKED = "revoked"
    ACCEPTED = "accepted"
    DISMISSED = "dismissed"
    REINSTATED = "reinstated"


class SeatState(StrEnum):
    """A coupon's seat: held (may lapse), bound to a checkout session, or redeemed."""

    HELD = "held"
    BOUND = "bound"
    REDEEMED = "redeemed"


class ReserveOutcome(StrEnum):
    """Answer of `CouponStore.reserve`."""

    RESERVED = "reserved"
    HELD = "held"
    EXHAUSTED = "exhausted"


class ReleaseOutcome(StrEnum):
    """Answer of `CouponStore.release`."""

    RELEASED = "released"
    REDEEMED = "redeemed"
    NOT_HELD = "not_held"


class JobState(StrEnum):
    """
    State of a job or of a stored payment event.

    An event calls them received, claimed, done and failed; quarantined and ignored
    are ends that only events have.
    """

    DUE = "due"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"
    IGNORED = "ignored"


@attrs.frozen(kw_only=True)
class Page(Generic[T]):
    """
    One page of a list.

    Attributes:
        items: The records, in the list's order.
        next_cursor: Opaque text that continues the list, or None at its end.
    """

    items: tuple[T, ...]
    next_cursor: str | None = None


@attrs.frozen(kw_only=True)
class Course:
    """
    A course as the LMS (or the host's `get_course` hook) tells it.

    Attributes:
        id: The LMS's own spelling of the name.
        title: Text for people.
        price: What it costs; None when the course is not for sale.
        published: Whether learners may see it.
        url: Where the learner goes after enrolling, or None.
    """

    id: str
    title: str
    price: Money | None = None
    published: bool = True
    url: str | None = None


@attrs.frozen(kw_only=True)
class Learner:
    """
    A user of the LMS (Frappe: User; an enrolment's `member`).

    Attributes:
        name: The LMS's own spelling (Frappe: the lower-cased e-mail address).
        email: E-mail address.
        full_name: Name for people, or None.
        enabled: False for a disabled account.
    """

    name: str
    email: str = attrs.field(repr=False)
    full_name: str | None = attrs.field(default=None, repr=False)
    enabled: bool = True


@attrs.frozen(kw_only=True)
class LMSEnrollment:
    """
    A row of the LMS (Frappe: LMS Enrollment).

    Attributes:
        name: The row's name in the LMS.
        learner: The row's `member`.
        course_id: The row's `course`.
        creation: The LMS's own time stamp as text: good for ordering only.
        progress: Percent of the course that the learner has done.
        member_type: "Student", "Mentor" or "Staff".
        batch: Batch that made the row, or None.
        certificate: Certificate that hangs on the row, or None.
    """

    name: str
    learner: str
    course_id: str
    creation: str = ""
    progress: float = 0.0
    member_type: str = "Student"
    batch: str | None = None
    certificate: str | None = None

    @property
    def removable(self) -> bool:
        """Whether the row is a plain student's, without batch or certificate."""
        return self.member_type == "Student" and not self.batch and not self.certificate


@attrs.frozen(kw_only=True)
class Sale:
    """
    What an enrolment was sold for, for an LMS that wants to know (`LMS.sells`).

    Attributes:
        enrollment_id: Ours.
        full_name: Name of the learner, or None.
        amount: What was paid; zero for a full grant.
        payment_id: The provider's payment, or None where nothing was paid.
        affiliate: Who referred the learner, or None.
    """

    enrollment_id: str
    full_name: str | None = attrs.field(default=None, repr=False)
    amount: Money
    payment_id: str | None = None
    affiliate: str | None = None

    @property
    def paid(self) -> bool:
        """Whether money moved."""
        return self.payment_id is not None and bool(self.amount)


@attrs.frozen(kw_only=True)
class Coupon:
    """
    The terms of a code.

    Attributes:
        code: What is typed, upper-case.
        percent_off: Above 0, at most 100.
        course_id: The one course it is good for; None = any course.
        email: The one learner it is good for, lower-case; None = anyone.
        max_redemptions: Seats.
        per_learner: Seats that one learner may have, or None (as many as there are).
        starts_at: First moment at which it may be reserved, or None.
        expires_at: First moment at which it may no longer be reserved, or None.
        disabled: True once an operator has disabled it.
        created_at: When it was created.
        reserved: Seats that are held or bound now (filled in by the store).
        redeemed: Seats that are redeemed (filled in by the store).
    """

    code: str
    percent_off: Decimal
    course_id: str | None = None
    email: str | None = attrs.field(default=None, repr=False)
    max_redemptions: int = 1
    per_learner: int | None = None
    starts_at: datetime | None = None
    expires_at: datetime | None = None
    disabled: bool = False
    created_at: datetime
    reserved: int = 0
    redeemed: int = 0


@attrs.frozen(kw_only=True)
class Seat:
    """
    One holder's seat on a coupon.

    Attributes:
        code: The coupon's code.
        holder: The enrollment's id.
        state: held, bound or redeemed.
        reserved_at: When the holder first got the seat.
        until: When a held seat lapses (a bound one never lapses by time alone).
    """

    code: str
    holder: str
    state: SeatState
    reserved_at: datetime
    until: datetime


@attrs.frozen(kw_only=True)
class Reservation:
    """
    Answer of `CouponStore.reserve`.

    Attributes:
        outcome: reserved = the holder has a seat (now or from before); held = no seat
            is free, but one that is not redeemed may become free; exhausted = nothing
            to be had (all redeemed, disabled, outside its window, unknown).
        seat: The holder's own seat when reserved, or None.
        blocker: When held: the seat that has waited longest, whose holder may be
            settled for a takeover.
    """

    outcome: ReserveOutcome
    seat: Seat | None = None
    blocker: Seat | None = None


@attrs.frozen(kw_only=True)
class HistoryEntry:
    """
    One line of an enrollment's audit trail, written with the change that it tells.

    Attributes:
        at: When.
        version: The version that the write made.
        status: Status after the write.
        fact: What happened, a short stable word.
        op_id: Id of the write, so that a lost acknowledgement is recognised.
        detail: More, by name; nothing secret or personal.
    """

    at: datetime
    version: int
    status: Status
    fact: str
    op_id: str
    detail: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Enrollment:
    """
    One attempt of one learner at one course.

    Attributes:
        id: ``enr_…``; also the coupon's holder and the provider's idempotency key.
        email: Normalised (trimmed, lower-case) address of the learner.
        learner: The LMS's name of the learner.
        course_id: The LMS's name of the course.
        course_title: Text for people.
        full_name: Name of the learner, or None.
        kind: What entitles.
        status: Where it stands.
        version: Grows by one with each write; the compare-and-set token.
        price: Price of the course when it was opened.
        discount: What the coupon takes off.
        amount: What is to be paid; discount + amount = price, always.
        coupon_code: The code, or None.
        affiliate: Who referred the learner, or None.
        success_url: Where the payment page sends the learner, or None.
        cancel_url: Where the payment page sends a learner who gives up, or None.
        token_hash: Hash of the learner's token.
        idempotency_key: The caller's key, or None.
        terms: Fingerprint of what was asked for (course, coupon, amount, URLs).
        session_request: The complete create request as sent to the provider, or None.
        session_id: The checkout session, once known.
        payment_url: Where to pay, once known.
        session_expires_at: When the session lapses, once requested.
        payment_id: The provider's payment, once paid.
        lms_status: How far the LMS follows.
        lms_enrollment_id: The LMS's row, once known.
        lms_row_ours: Whether we inserted that row (only such a row may be removed).
        lms_progress: Progress kept when the row was removed, restored later.
        lms_verified: Whether checkout could ask the LMS for an existing enrolment.
        override: An operator's word, or None.
        reason: Why it is on hold, failed or revoked; a short stable word, or None.
        held_for: Why an operator has to decide (accept or dismiss), or None. Kept until
            the word is said, whatever the money does meanwhile.
        tax_behavior: Whether `amount` holds the taxes: "inclusive" or "exclusive".
        paid: What was charged, taxes included, or None.
        tax_minor: Minor units of it that were taxes.
        refunded_minor: Minor units given back so far (refunds that count).
        dispute: Gravest status of the payment's disputes, or None.
        moved_to: The enrollment that it was reassigned to, or None.
        holds_slot: Whether it is the live row of its learner and course.
        effects_owed: Whether the effects of the last write may still be missing.
        due_at: When settle owes it a look; None = nothing owed.
        tries: Claims of the owed look since it last went well.
        created_at: When it was opened.
        updated_at: When it was last written.
        history: The audit trail, oldest first.
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
    affiliate: str | None = attrs.field(default=None, repr=False)
    success_url: str | None = None
    cancel_url: str | None = None
    token_hash: str = attrs.field(default="", repr=False)
    idempotency_key: str | None = attrs.field(default=None, repr=False)
    terms: str = ""
    session_request: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    session_id: str | None = None
    payment_url: str | None = attrs.field(default=None, repr=False)
    session_expires_at: datetime | None = None
    payment_id: str | None = None
    lms_status: LMSStatus = LMSStatus.PENDING
    lms_enrollment_id: str | None = None
    lms_row_ours: bool = False
    lms_progress: float | None = None
    lms_verified: bool = True
    override: Override | None = None
    reason: str | None = None
    held_for: str | None = None
    tax_behavior: str = "inclusive"
    paid: Money | None = None
    tax_minor: int = 0
    refunded_minor: int = 0
    dispute: DisputeStatus | None = None
    moved_to: str | None = None
    holds_slot: bool = True
    effects_owed: bool = False
    due_at: datetime | None = None
    tries: int = 0
    created_at: datetime
    updated_at: datetime
    history: tuple[HistoryEntry, ...] = attrs.field(default=(), repr=False)

    @property
    def paid_net(self) -> Money:
        """What was paid without taxes: what a commission is reckoned from."""
        paid = self.paid or Money.zero(self.amount.currency)
        return Money(paid.amount_minor - self.tax_minor, paid.currency)


@attrs.frozen(kw_only=True)
class OpenResult:
    """
    Answer of `EnrollmentStore.open`.

    Attributes:
        enrollment: The row that stands: ours, or the one that was there.
        opened: Whether ours was written.
    """

    enrollment: Enrollment
    opened: bool


@attrs.frozen(kw_only=True)
class TryError:
    """
    What became of one try of a job.

    Attributes:
        at: When the try ended (or was recovered).
        try_number: Which try it was.
        code: Stable code of the error; "lease_lapsed" for a recovered try.
        cause: Words for an operator; nothing secret or personal.
        worker: Who ran it.
    """

    at: datetime
    try_number: int
    code: str
    cause: str
    worker: str = ""


@attrs.frozen(kw_only=True)
class Job:
    """
    A job, or a stored payment event (whose key is the event id).

    Attributes:
        key: Unique name.
        kind: Which handler runs it.
        payload: What the handler gets; None once pruned.
        data: What the handler keeps between tries.
        state: See `JobState`.
        seq: Grows with each `enqueue`; a completion with a stale one is not an end.
        due_at: When it may be claimed; the lease's end while it runs.
        tries: Claims that count.
        token: Fences the running claim.
        owner: Who claimed it last.
        errors: What became of tries: the first and the last ones.
        outcome: A short word about the end, or None.
        deliveries: How often a payment event was delivered; 0 for jobs.
        recovered: Whether this claim took the job from a lapsed lease.
        was_due_at: When a job just claimed had been due: its place, should it be put
            back unbegun. Never stored; None where the claim's answer was lost.
        created_at: When it was first enqueued.
        updated_at: When it was last written.
    """

    key: str
    kind: str
    payload: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    data: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    state: JobState = JobState.DUE
    seq: int = 1
    due_at: datetime
    tries: int = 0
    token: str | None = None
    owner: str | None = None
    errors: tuple[TryError, ...] = ()
    outcome: str | None = None
    deliveries: int = 0
    recovered: bool = False
    was_due_at: datetime | None = attrs.field(default=None, eq=False, repr=False)
    created_at: datetime
    updated_at: datetime


@attrs.frozen(kw_only=True)
class JobOrder:
    """
    One job of `JobStore.enqueue_many`.

    Attributes:
        key: Unique name.
        kind: Which handler runs it.
        payload: What the handler gets.
        due_at: When it may be claimed.
    """

    key: str
    kind: str
    payload: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    due_at: datetime


@attrs.frozen(kw_only=True)
class JobEnd:
    """
    One end of `JobStore.complete_many`.

    Attributes:
        token: The claim's token.
        seq: The job's `seq` as claimed.
        state: What it ends as.
        outcome: A short word about the end, or None.
    """

    token: str
    seq: int
    state: JobState = JobState.DONE
    outcome: str | None = None


@attrs.frozen(kw_only=True)
class Recorded:
    """
    Answer of `EventStore.record`.

    Attributes:
        event: The stored event.
        new: Whether this was its first delivery.
    """

    event: Job
    new: bool


@attrs.frozen(kw_only=True)
class JobStats:
    """
    Numbers of a queue; each is capped, so that counting never scans.

    Attributes:
        counts: Rows by state.
        due_now: Rows that may be claimed now.
        oldest_due_at: When the oldest of them fell due, or None.
        done_last_hour: Rows that were done within the last hour.
        cap: A count equal to this means "this many or more".
    """

    counts: Mapping[JobState, int]
    due_now: int
    oldest_due_at: datetime | None
    done_last_hour: int = 0
    cap: int


@attrs.frozen(kw_only=True)
class EnrollmentStats:
    """
    Numbers of the enrollments; each is capped, so that counting never scans.

    Attributes:
        counts: Rows by status.
        due_now: Rows that settle owes a look now.
        oldest_owed_at: When the oldest confirmed row that the LMS is still owed was
            opened, or None.
        cap: A count equal to this means "this many or more".
    """

    counts: Mapping[Status, int]
    due_now: int
    oldest_owed_at: datetime | None
    cap: int


@attrs.frozen(kw_only=True)
class WorkerSeen:
    """
    The last sign of life of a worker, or of the cron passes of a host.

    Attributes:
        name: Unique: one worker's, or one host's cron.
        kind: "worker" or "cron".
        started_at: When this worker (or this pass) began.
        seen_at: When it was last seen.
        detail: More, by name: version, concurrency, counters.
    """

    name: str
    kind: str
    started_at: datetime
    seen_at: datetime
    detail: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class GatePolicy:
    """
    How a backend's gate works.

    Attributes:
        closed_s: Seconds that a fault keeps the gate closed before a probe.
        rate_per_s: Jobs admitted per second, or None for no bound.
        burst: Jobs that may be admitted at once.
    """

    closed_s: float = 30.0
    rate_per_s: float | None = None
    burst: int = 10


@attrs.frozen(kw_only=True)
class Admission:
    """
    Answer of `GateStore.admit`.

    Attributes:
        admitted: How many of the asked jobs may run now.
        probe: Whether the caller must `ping` first and report (half-open).
        retry_at: When to ask again, where fewer than asked were admitted.
    """

    admitted: int
    probe: bool = False
    retry_at: datetime | None = None


@attrs.frozen(kw_only=True)
class AuditEntry:
    """
    One action of an operator, or of the SDK on its own.

    Attributes:
        id: Unique.
        at: When.
        actor: Who.
        action: A short stable word.
        subject: Id of what was acted on.
        reason: Why, in the actor's words.
        detail: More, by name.
    """

    id: str
    at: datetime
    actor: str
    action: str
    subject: str
    reason: str = ""
    detail: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Checkout:
    """
    Answer of `EnrollSDK.checkout`.

    Attributes:
        enrollment_id: Id of the enrollment.
        token: The learner's key to it; only in the answer to the call that opened it.
        status: "enrolled", "confirmed" (the LMS is still owed) or "awaiting_payment".
        payment_url: The payment page, or None.
        next_url: Where to send the learner now, or None.
        expires_at: When the payment page lapses, or None.
        price: Price of the course.
        discount: What the coupon takes off.
        amount: What is to be paid; discount + amount = price.
        resumed: Whether an earlier attempt goes on.
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
        enrollment_id: The enrollment that it named, or None.
    """

    outcome: str
    event_id: str
    enrollment_id: str | None = None


@attrs.frozen(kw_only=True)
class JobReport:
    """
    Answer of `EnrollSDK.run_jobs`.

    Attributes:
        claimed: Due enrollments, events and jobs that were taken.
        succeeded: Of these, done.
        retried: Of these, put back on the schedule.
        dead: Of these, ended as dead.
        deferred: Of these, put back without counting a try.
        due_left: What is still due, capped.
    """

    claimed: int = 0
    succeeded: int = 0
    retried: int = 0
    dead: int = 0
    deferred: int = 0
    due_left: int = 0
