# SPDX-License-Identifier: MIT
"""
The three interfaces: storage, payments, LMS.

Every storage verb is **one conditional write on one document or row**, so that a
standalone MongoDB server, a replica set and SQLite keep the same promises. A yes that
promises something comes from a durable write. Ids, tokens and `now` come from the
caller; a store never reads a clock but in `Storage.now`. All verbs are safe to call
from many threads and processes. A driver's exception never leaves a store: it becomes
`StorageUnavailableError` (or `SchemaError`).

Public conformance suites for all three live in ``frappe_enroll_sdk.testing``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from .business import Affiliate, Grant, GrantStatus, LedgerRow
from .models import (
    Admission,
    AuditEntry,
    CheckoutSession,
    Coupon,
    Course,
    Dispute,
    Enrollment,
    EnrollmentStats,
    ExpireOutcome,
    GatePolicy,
    HistoryEntry,
    Job,
    JobEnd,
    JobOrder,
    JobState,
    JobStats,
    Learner,
    LMSEnrollment,
    LMSStatus,
    OpenResult,
    Page,
    PaymentEvent,
    Recorded,
    Refund,
    ReleaseOutcome,
    Reservation,
    Sale,
    Seat,
    SessionOrder,
    Status,
    TryError,
    WorkerSeen,
)
from .money import Money


class CouponStore(Protocol):
    """
    Coupons and their seats.

    A holder (an enrollment's id) never has two seats on one coupon, and never more
    than `max_redemptions` seats are taken. A held seat that has lapsed is free for
    anybody at once; a bound one never lapses by time alone; a redeemed one is never
    freed.
    """

    def create(self, coupon: Coupon) -> bool:
        """Write a new coupon; False when the code is taken."""
        ...

    def create_many(self, coupons: Sequence[Coupon]) -> tuple[bool, ...]:
        """
        Do `create` for each coupon; return its answer for each, in their order.

        As many conditional writes as there are coupons, sent at once where the store
        can: a code that is taken (or comes twice: the second one) keeps none of the
        others from being written. Not all or nothing: after an error any of them may
        have been written.
        """
        ...

    def find(self, code: str, *, counted: bool = True) -> Coupon | None:
        """
        Return the coupon, or None.

        Its counts are exact at some moment of the call; without `counted` they may stay
        0, where counting would cost a checkout time.
        """
        ...

    def list(
        self,
        *,
        course_id: str | None = None,
        email: str | None = None,
        prefix: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Coupon]:
        """Return coupons, by code; with `prefix`, those whose code begins so."""
        ...

    def readdress(self, code: str, email: str) -> bool:
        """Make the code good for this learner only; False when there is no such."""
        ...

    def disable(self, code: str) -> bool:
        """Disable the coupon (seats that are taken stay); False when unknown."""
        ...

    def reserve(
        self, code: str, holder: str, now: datetime, until: datetime
    ) -> Reservation:
        """
        Take a seat for the holder, or keep the one that it has.

        A holder that has a held seat gets it again until the later of the two ends;
        a bound or redeemed one is answered unchanged. The coupon must not be disabled
        and `now` must lie in its window, unless the holder already has a seat. Any
        number of callers may race: at most `max_redemptions` holders have a seat.
        """
        ...

    def bind(self, code: str, holder: str) -> bool:
        """
        Bind the holder's seat to its checkout session: it no longer lapses.

        True when the seat is now bound (or was bound or redeemed); False when the
        holder has no seat (lapsed and taken, or released).
        """
        ...

    def redeem(self, code: str, holder: str) -> bool:
        """
        Redeem the holder's seat for good: the point of no return.

        True when it is now redeemed (or was); False when the holder has no seat.
        """
        ...

    def release(self, code: str, holder: str) -> ReleaseOutcome:
        """Free a held or bound seat; a redeemed one stays and is answered so."""
        ...

    def find_seat(self, code: str, holder: str) -> Seat | None:
        """Return the holder's seat (a lapsed one too, while nobody took it)."""
        ...


class EnrollmentStore(Protocol):
    """
    Enrollments: one row each, changed by compare-and-set on `version`.

    A live row (see `states.LIVE`) normally holds the slot of its e-mail and course;
    a unique partial index lets only one row hold it.
    """

    def open(self, enrollment: Enrollment) -> OpenResult:
        """
        Write a new row if its slot and its idempotency key are free.

        Otherwise nothing is written and the row that stands in the way is answered
        (the one with the same id or idempotency key first). The new row's first
        history entry is written with it.
        """
        ...

    def find(self, enrollment_id: str) -> Enrollment | None:
        """Return the row, or None."""
        ...

    def find_by_session(self, session_id: str) -> Enrollment | None:
        """Return the row that stores this checkout session, or None."""
        ...

    def find_by_payment(self, payment_id: str) -> Enrollment | None:
        """Return the row that stores this payment, or None."""
        ...

    def find_by_idempotency_key(self, key: str) -> Enrollment | None:
        """Return the row that was opened with this key, or None."""
        ...

    def find_live(self, email: str, course_id: str) -> Enrollment | None:
        """Return the row that holds the slot, or None."""
        ...

    def list_for_sync(self, email: str, course_id: str) -> tuple[Enrollment, ...]:
        """Return the pair's rows that are entitled or know an LMS row, oldest first."""
        ...

    def transition(
        self,
        enrollment_id: str,
        version: int,
        to: Status,
        entry: HistoryEntry,
        due_at: datetime | None,
        changes: Mapping[str, Any],
    ) -> Enrollment | None:
        """
        Write the row where its version is still `version`, and return it.

        Status, `changes` (fields of `Enrollment` by name), the history entry, `due_at`,
        `updated_at` (the entry's `at`) and `version + 1` are one write; `tries` becomes
        0 and `effects_owed` true. A row that leaves `states.LIVE` gives its slot back;
        one that enters it takes the slot if it is free and otherwise goes on without.
        None = another version stands (and its last entry's `op_id` is not this entry's:
        a write whose acknowledgement was lost counts as ours).
        """
        ...

    def claim_due(
        self, now: datetime, lease_s: float, limit: int
    ) -> tuple[Enrollment, ...]:
        """
        Take due rows, oldest first, moving `due_at` to the lease's end.

        `tries` grows by one. Two callers never get the same row within a lease.
        """
        ...

    def clear_due(
        self,
        enrollment_id: str,
        version: int,
        due_at: datetime | None = None,
        *,
        ok: bool = True,
    ) -> bool:
        """
        Set when the next look is owed, where the version is still `version`.

        With `ok`, `tries` becomes 0 and `effects_owed` false. False = another version
        stands: it has its own.
        """
        ...

    def list(
        self,
        *,
        email: str | None = None,
        course_id: str | None = None,
        status: Status | None = None,
        lms_status: LMSStatus | None = None,
        coupon_code: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Enrollment]:
        """Return rows, newest first."""
        ...

    def stats(self, now: datetime, *, cap: int = 10_000) -> EnrollmentStats:
        """Return capped counts; never a scan of all rows."""
        ...


class JobStore(Protocol):
    """
    A queue of jobs by key.

    A claim moves `due_at` to the lease's end (visibility timeout), so that one index
    on (state, due_at) serves claims and recovery: a running job whose lease has lapsed
    is claimed like a due one, its lost try is written to `errors` (code
    ``lease_lapsed``) and counts. Every finish is fenced by the claim's token.

    A verb with ``_many`` is as many conditional writes as it has items: each is fenced
    by itself, none depends on another, and a store sends them at once where it can. It
    is not all or nothing: after an error any of them may have been written.
    """

    def enqueue(
        self,
        key: str,
        kind: str,
        payload: Mapping[str, Any],
        due_at: datetime,
        *,
        now: datetime,
        once: bool = False,
    ) -> Job:
        """
        Write a new job; on a known key `seq` grows and the payload is replaced.

        A finished job is revived (due at `due_at`, tries 0, errors and data kept); a
        due one becomes due at the earlier of the two times; a running one goes on.
        With `once`, a known key is left as it is.
        """
        ...

    def enqueue_many(
        self, orders: Sequence[JobOrder], *, now: datetime, once: bool = False
    ) -> int:
        """Do `enqueue` for each order; return how many keys were new."""
        ...

    def claim(
        self,
        owner: str,
        now: datetime,
        lease_s: float,
        limit: int,
        *,
        kinds: Collection[str] | None = None,
        not_kinds: Collection[str] = (),
    ) -> tuple[Job, ...]:
        """
        Take up to `limit` jobs that are due, oldest first; tries grows by one.

        With `kinds`, of these only; never of `not_kinds`. Each is a claim of its own,
        with a token of its own.
        """
        ...

    def claim_key(
        self, key: str, owner: str, now: datetime, lease_s: float
    ) -> Job | None:
        """Take this job if it is due now (or its lease has lapsed)."""
        ...

    def heartbeat(
        self,
        token: str,
        now: datetime,
        lease_s: float,
        *,
        data: Mapping[str, Any] | None = None,
    ) -> bool:
        """
        Extend the lease and, if given, replace `data`; False = the claim is lost.

        The lease ends at the later of its end and `now` + `lease_s`: a heartbeat never
        takes back what a longer one gave.
        """
        ...

    def heartbeat_many(
        self, tokens: Collection[str], now: datetime, lease_s: float
    ) -> frozenset[str]:
        """Do `heartbeat` for each token; return those whose claim still stands."""
        ...

    def complete(
        self,
        token: str,
        seq: int,
        now: datetime,
        *,
        state: JobState = JobState.DONE,
        outcome: str | None = None,
    ) -> JobState | None:
        """
        End the job, or put it back as due (tries 0) when `seq` has grown meanwhile.

        Either way `data` becomes empty: the work that it was kept for is done. Returns
        the state that now stands; None = the claim is lost.
        """
        ...

    def complete_many(
        self, ends: Sequence[JobEnd], now: datetime
    ) -> tuple[JobState | None, ...]:
        """Do `complete` for each end; return its answer for each, in their order."""
        ...

    def reschedule(
        self,
        token: str,
        due_at: datetime,
        now: datetime,
        *,
        error: TryError | None = None,
        counts: bool = True,
    ) -> bool:
        """
        Put the job back as due; without `counts`, the try is given back.

        False = the claim is lost.
        """
        ...

    def bury(self, token: str, seq: int, now: datetime, error: TryError) -> bool:
        """
        End the job as dead; when `seq` has grown, put it back as due (tries 0).

        False = claim lost.
        """
        ...

    def release(self, token: str, now: datetime) -> bool:
        """Give back a claim whose work has not begun: due at once, try given back."""
        ...

    def retry(self, key: str, now: datetime, *, due_at: datetime | None = None) -> bool:
        """
        Make a due or dead job due now (a dead one with tries 0); else False.

        With `due_at`, a dead one becomes due then, and a due one by then.
        """
        ...

    def bury_due(self, key: str, now: datetime, error: TryError) -> bool:
        """End a job that waits as dead, by an operator's word; False = it does not."""
        ...

    def empty(self, key: str) -> bool:
        """
        Empty payload and data of a job that is done, cancelled or ignored.

        Of an event `prune` tells what stays. False = it is none of these, or unknown.
        """
        ...

    def requeue(self, limit: int, now: datetime, *, kind: str | None = None) -> int:
        """Make up to `limit` dead jobs due now with tries 0, oldest first; count."""
        ...

    def find(self, key: str) -> Job | None:
        """Return the job, or None."""
        ...

    def list(
        self,
        *,
        state: JobState | None = None,
        kind: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Job]:
        """Return jobs: by `due_at` within a state, else newest first."""
        ...

    def stats(self, now: datetime, *, cap: int = 10_000) -> JobStats:
        """Return capped counts; never a scan of the whole queue."""
        ...

    def prune(self, before: datetime, limit: int) -> int:
        """
        Drop up to `limit` jobs that were done or cancelled before; count.

        An event store keeps the row (key, outcome) and, of the payload of events that
        are done or ignored, only ``type`` and ``object_id``.
        """
        ...


class EventStore(JobStore, Protocol):
    """
    Stored payment events: jobs of kind ``payment_event`` keyed by the event id.

    Beside them, of kind ``http_request``, the records of requests with an
    Idempotency-Key.
    """

    def forget(self, kind: str, before: datetime, limit: int) -> int:
        """Delete up to `limit` rows of a kind that were created before; count."""
        ...

    def record(
        self,
        key: str,
        payload: Mapping[str, Any],
        *,
        now: datetime,
        state: JobState = JobState.DUE,
        outcome: str | None = None,
    ) -> Recorded:
        """
        Store a delivery durably: the first one writes the event in `state`, due now.

        Every further one is a write too (deliveries += 1; a dead event becomes due
        again), so that "known" is as durable as "new".
        """
        ...


class GateStore(Protocol):
    """
    One document per backend: the breaker, the drain rate and the permits.

    Shared by all workers and cron passes through the store.
    """

    def admit(self, name: str, n: int, now: datetime, policy: GatePolicy) -> Admission:
        """
        Ask to start `n` jobs (n >= 1).

        Open: as many as the rate allows. Closed: none until `closed_s` have passed;
        then one caller becomes the probe (none admitted, `probe` true) and must ping
        and `report`; a probe that never reports lapses after `closed_s`.
        """
        ...

    def report(self, name: str, *, ok: bool, now: datetime, policy: GatePolicy) -> bool:
        """Open (ok) or close (fault) the gate; True when that changed it."""
        ...

    def is_open(self, name: str) -> bool:
        """Tell whether the gate is open (a gate that nobody has seen is)."""
        ...

    def hold(
        self, name: str, holder: str, k: int, now: datetime, until: datetime
    ) -> bool:
        """Take one of `k` permits until `until`; True if the holder has one."""
        ...

    def drop(self, name: str, holder: str) -> None:
        """Give the holder's permit back."""
        ...


class AuditStore(Protocol):
    """What operators did."""

    def append(self, entry: AuditEntry) -> None:
        """Write an entry; one with a known id is left as it is."""
        ...

    def list(
        self,
        *,
        subject: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[AuditEntry]:
        """Return entries, newest first."""
        ...


class GrantStore(Protocol):
    """
    Applications for grants: one row each, changed by compare-and-set on `version`.

    A pending or approved one holds the slot of its e-mail and course.
    """

    def open(self, grant: Grant) -> Grant:
        """Write it if its slot is free; return it, or the one that holds the slot."""
        ...

    def find(self, grant_id: str) -> Grant | None:
        """Return the grant, or None."""
        ...

    def replace(self, grant: Grant) -> bool:
        """
        Write the grant in the place of its `version` - 1; False = another one stands.

        Of callers that race for one version exactly one is answered True. A write whose
        acknowledgement was lost counts as ours, by `op_id`.
        """
        ...

    def list(
        self,
        *,
        email: str | None = None,
        course_id: str | None = None,
        status: GrantStatus | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Grant]:
        """Return grants, newest first."""
        ...


class AffiliateStore(Protocol):
    """Affiliates, and each one's ledger: a chain of rows that are never changed."""

    def register(self, affiliate: Affiliate) -> Affiliate:
        """Write it if code and e-mail are free; return it, or the one in the way."""
        ...

    def find(self, code: str) -> Affiliate | None:
        """Return the affiliate, or None."""
        ...

    def find_by_email(self, email: str) -> Affiliate | None:
        """Return the affiliate of this address, or None."""
        ...

    def replace(self, affiliate: Affiliate) -> bool:
        """See `GrantStore.replace`."""
        ...

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Affiliate]:
        """Return affiliates, by code."""
        ...

    def append(self, row: LedgerRow) -> LedgerRow | None:
        """
        Write the row at the end of its chain; return the row that states its fact.

        That is this one, or an earlier one (same affiliate and `fact_key`: nothing is
        written). None = its `n` is taken: read the last row and begin anew. Of callers
        that race for one `n`, or for one fact, exactly one writes.
        """
        ...

    def last(self, code: str) -> LedgerRow | None:
        """Return the last row of the affiliate's chain, or None."""
        ...

    def rows_of(self, code: str, enrollment_id: str) -> tuple[LedgerRow, ...]:
        """Return the chain's rows of one enrollment (or payout), in their order."""
        ...

    def list_rows(
        self, code: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[LedgerRow]:
        """Return the chain's rows, the first one first."""
        ...


class WorkerStore(Protocol):
    """Signs of life: one document per worker, one per host that runs cron passes."""

    def seen(self, worker: WorkerSeen) -> None:
        """Write the sign of life in the place of an earlier one of that name."""
        ...

    def list(self, *, limit: int = 50) -> tuple[WorkerSeen, ...]:
        """Return the signs of life, the one seen last first."""
        ...

    def drop(self, name: str) -> None:
        """Forget a worker that ended as it should."""
        ...

    def prune(self, before: datetime, limit: int) -> int:
        """Forget up to `limit` that were last seen before; count."""
        ...


class Watch(Protocol):
    """
    Waits for news; made by `Storage.watch`, used by one thread, closed by it.

    A hint only, polling stays the truth: it may answer too early or for nothing, and a
    store that can't tell (or a connection that was lost) just lets the time pass.
    """

    def wait(self, timeout_s: float, *, now: datetime) -> bool:
        """
        Wait until something may have fallen due since the last answer; True = look.

        News from before the first call, but after the watch was made, counts. `now` is
        the caller's time at the call.
        """
        ...

    def close(self) -> None:
        """Give back what the watch holds."""
        ...


@runtime_checkable
class Storage(Protocol):
    """
    The small stores of one database.

    Clients and pools are made lazily and once per process, so that a fork is safe.
    """

    @property
    def coupons(self) -> CouponStore:
        """Coupons and seats."""
        ...

    @property
    def enrollments(self) -> EnrollmentStore:
        """Enrollments."""
        ...

    @property
    def events(self) -> EventStore:
        """Payment events."""
        ...

    @property
    def jobs(self) -> JobStore:
        """Jobs."""
        ...

    @property
    def gates(self) -> GateStore:
        """Gates."""
        ...

    @property
    def audit(self) -> AuditStore:
        """The audit trail of operators' actions."""
        ...

    @property
    def grants(self) -> GrantStore:
        """Applications for grants."""
        ...

    @property
    def affiliates(self) -> AffiliateStore:
        """Affiliates and their ledgers."""
        ...

    @property
    def workers(self) -> WorkerStore:
        """Signs of life of workers and cron passes."""
        ...

    def watch(self) -> Watch:
        """Return a watch over events and jobs (a new enrollment is not due at once)."""
        ...

    def now(self) -> datetime:
        """Return the store's own time (asked every time)."""
        ...

    def setup(self) -> None:
        """Create or upgrade the schema; idempotent, safe to run from many hosts."""
        ...

    def check_schema(self) -> None:
        """Raise `SchemaError` when the schema is missing or older than this code."""
        ...

    def list_drift(self) -> tuple[str, ...]:
        """Return what differs from what `setup` makes, in words; () = nothing."""
        ...

    def ping(self) -> None:
        """Raise `StorageUnavailableError` when the store can't be written."""
        ...

    def close(self) -> None:
        """Close what is open; the next use opens it again."""
        ...


@runtime_checkable
class PaymentGateway(Protocol):
    """
    A payment provider with hosted checkout sessions.

    Errors: `BackendRejectedError` (this call is refused for good),
    `BackendRefusedError` (credentials), `ConflictError` (the idempotency key is in use
    this moment), `ThrottledError`, `PaymentsUnavailableError` (with `unclear` when the
    call may have taken effect).
    """

    @property
    def livemode(self) -> bool:
        """Whether the credentials move real money."""
        ...

    def ping(self) -> None:
        """Make a cheap authorised read; raise what is wrong."""
        ...

    def prepare_session(self, order: SessionOrder) -> Mapping[str, Any]:
        """
        Return the complete create request as plain JSON data; no I/O.

        It is stored before it is sent and sent again as it stands after a crash, so it
        holds everything: parameters, `expires_at`, idempotency key.
        """
        ...

    def create_session(self, request: Mapping[str, Any]) -> CheckoutSession:
        """
        Send a prepared request; the same request gives the same session.

        The same bytes and the same idempotency key go out each time.
        """
        ...

    def retrieve_session(self, session_id: str) -> CheckoutSession:
        """Return the session; `BackendRejectedError` when there is none."""
        ...

    def find_session(self, payment_id: str) -> CheckoutSession | None:
        """Return the session that made this payment, or None."""
        ...

    def expire_session(self, session_id: str) -> ExpireOutcome:
        """Expire an open session: expired (now or from before), or not open (paid)."""
        ...

    def list_refunds(self, payment_id: str) -> tuple[Refund, ...]:
        """Return all refunds of a payment, in any status, over all pages."""
        ...

    def list_disputes(self, payment_id: str) -> tuple[Dispute, ...]:
        """Return all disputes of a payment, inquiries too, over all pages."""
        ...

    def list_sessions(
        self, *, since: datetime, limit: int = 100, cursor: str | None = None
    ) -> Page[CheckoutSession]:
        """Return the account's sessions made since a moment, newest first."""
        ...

    def refund(
        self, payment_id: str, *, amount: Money | None, idempotency_key: str
    ) -> Refund:
        """Give money back: all that is left, or `amount`."""
        ...

    def list_events(
        self, *, since: datetime, limit: int = 100, cursor: str | None = None
    ) -> Page[PaymentEvent]:
        """Return the provider's events since a moment, newest first."""
        ...

    def retrieve_event(self, event_id: str) -> PaymentEvent:
        """
        Return an event as the provider keeps it (Stripe: for 30 days).

        `BackendRejectedError` when there is none (any more).
        """
        ...

    def parse_event(
        self, body: bytes, headers: Mapping[str, str], *, now: datetime
    ) -> PaymentEvent:
        """
        Verify a webhook on its raw bytes and read it.

        Raises:
            SignatureError: Missing, wrong, or more than 300 s away in either direction.
            PayloadError: Signed, but not an event.
        """
        ...


@runtime_checkable
class SellingLMS(Protocol):
    """What an `LMS` has besides where it may want to know what was paid."""

    @property
    def sells(self) -> bool:
        """Whether `enroll` is to be called in the place of `insert_enrollment`."""
        ...

    def enroll(
        self,
        learner: str,
        course_id: str,
        sale: Sale,
        *,
        progress: float | None = None,
        timeout_s: float | None = None,
    ) -> LMSEnrollment:
        """
        Do what `LMS.insert_enrollment` does, and leave the sale in the LMS's books.

        A sale that is in the books already is left as it is.
        """
        ...


@runtime_checkable
class LMS(Protocol):
    """
    A learning management system: primitive verbs only.

    Serialising, look up → insert → read back → heal and the decision to retry live in
    the core. `timeout_s` bounds one call in all (None = `call_timeout_s`).

    Errors: `BackendRejectedError` (this call is refused for good; the message says why
    and what to do), `BackendRefusedError` (401, 403, a redirect, a page that is not the
    LMS's), `ThrottledError`, `LMSUnavailableError` (with `unclear` when the call may
    have taken effect), `CourseNotFoundError`.
    """

    @property
    def call_timeout_s(self) -> float:
        """Seconds that one call may take at the most."""
        ...

    def ping(self, *, timeout_s: float | None = None) -> None:
        """Make an authorised read of enrolments; raise what is wrong."""
        ...

    def get_course(self, course_id: str, *, timeout_s: float | None = None) -> Course:
        """Return the course under the LMS's own spelling."""
        ...

    def list_courses(
        self, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Course]:
        """Return the catalogue, by name."""
        ...

    def find_user(
        self, email: str, *, timeout_s: float | None = None
    ) -> Learner | None:
        """Return the user under the LMS's own spelling, or None."""
        ...

    def create_user(
        self, email: str, full_name: str | None, *, timeout_s: float | None = None
    ) -> Learner:
        """Create the user; one that exists already is returned."""
        ...

    def find_enrollments(
        self, learner: str, course_id: str, *, timeout_s: float | None = None
    ) -> tuple[LMSEnrollment, ...]:
        """Return all rows of learner and course, oldest first."""
        ...

    def list_enrollments(
        self, *, limit: int = 100, cursor: str | None = None
    ) -> Page[LMSEnrollment]:
        """Return all rows of the site, by name."""
        ...

    def insert_enrollment(
        self,
        learner: str,
        course_id: str,
        *,
        progress: float | None = None,
        timeout_s: float | None = None,
    ) -> LMSEnrollment:
        """Insert a row, whatever is there; return what the LMS answered."""
        ...

    def delete_enrollment(self, name: str, *, timeout_s: float | None = None) -> bool:
        """Delete a row; False when there was none."""
        ...

    def close(self) -> None:
        """Close what is open; the next use opens it again."""
        ...
