# SPDX-License-Identifier: MIT
"""What an operator looks for: by whatever is at hand, and all that happened to one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import attrs

from ...errors import DamagedRowError, EnrollmentNotFoundError
from ...ids import ENROLLMENT_PREFIX
from ...models import AuditEntry, Coupon, Enrollment, Job, Page, Seat, walk
from ...models.jobs import EVENT_KIND
from .. import validate
from ..payments.apply import find_known
from ..payments.webhook import event_of
from ..settle.effects import plugin_job_key, sync_key
from ..settle.succession import heir_of


if TYPE_CHECKING:
    from ..context import Context

_PAGE = 200
#: The fields by which an event names an enrollment.
_NAMES = ("session_id", "payment_id", "enrollment_id")
#: Most payment events that a timeline searches.
_MAX_EVENTS = 2000
_MAX_AUDIT = 200
#: Most events whose replays a timeline reads.
_MAX_SUBJECTS = 20


@attrs.frozen(kw_only=True)
class Moment:
    """
    One line of a timeline.

    Attributes:
        at: When.
        kind: "status", "event", "try" or "audit".
        title: What happened, as a short stable name.
        subject: Event id, job key or actor.
        text: Explanation for an operator.
        detail: Further details by name.
    """

    at: datetime
    kind: str
    title: str
    subject: str = ""
    text: str = ""
    detail: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Timeline:
    """
    All that is known about one enrollment.

    Attributes:
        enrollment: The row.
        heir: The row that holds its entitlement after all reassignments (perhaps
            itself).
        moments: What happened, oldest first.
        coupon: The coupon, if it has one.
        seat: Its seat on the coupon, while it has one.
        jobs: The sync of its learner and course, and its plugins' jobs.
        events: The payment events that name it, oldest first.
    """

    enrollment: Enrollment
    heir: Enrollment
    moments: tuple[Moment, ...]
    coupon: Coupon | None
    seat: Seat | None
    jobs: tuple[Job, ...]
    events: tuple[Job, ...]


class Search:
    """Searches in one SDK. Thread-safe."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def search(
        self, text: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Enrollment]:
        """
        Return the enrollments that a text identifies.

        By its form: an enrollment's id, a checkout session, a payment, a payment event
        or an e-mail address; otherwise a coupon's code, or failing that, a course.
        """
        text = validate.text(text, "q", most=255)
        store = self._context.storage.enrollments
        for prefix, find in self._finders():
            if prefix and text.startswith(prefix):
                row = find(text)
                return Page(items=(row,) if row else ())
        if "@" in text:
            address = text.lower()
            return store.list(email=address, limit=limit, cursor=cursor)
        found = store.list(coupon_code=text.upper(), limit=limit, cursor=cursor)
        if found.items or found.unreadable:
            return found
        return store.list(course_id=text, limit=limit, cursor=cursor)

    def _finders(self) -> Iterator[tuple[str, Callable[[str], Enrollment | None]]]:
        """Yield each id's prefix, and the function that finds enrollments by it."""
        store, traits = self._context.storage, self._context.payments.traits
        yield ENROLLMENT_PREFIX, store.enrollments.find
        yield traits.session_prefix, store.enrollments.find_by_session
        yield traits.payment_prefix, self._of_payment
        yield traits.event_prefix, self._of_event

    def _of_payment(self, payment_id: str) -> Enrollment | None:
        """Return the row that now holds what a payment paid for; others may have."""
        store = self._context.storage.enrollments
        row = store.find_by_payment(payment_id)
        return None if row is None else heir_of(row, store.find)

    def _of_event(self, event_id: str) -> Enrollment | None:
        store = self._context.storage
        job = store.events.find(event_id)
        event = None if job is None else event_of(job)
        return None if event is None else find_known(store.enrollments, event)

    def timeline(self, enrollment_id: str) -> Timeline:
        """
        Return all that happened to an enrollment.

        Raises:
            EnrollmentNotFoundError: There is none.
        """
        store = self._context.storage
        row = store.enrollments.find(validate.text(enrollment_id, "enrollment_id"))
        if row is None:
            raise EnrollmentNotFoundError(field="enrollment_id")
        jobs, events = self.jobs_of(row), tuple(self._events_of(row))
        subjects = [row.id, *(job.key for job in (*jobs, *events[:_MAX_SUBJECTS]))]
        audit = [
            entry
            for subject in subjects
            for entry in store.audit.list(subject=subject, limit=_MAX_AUDIT).items
        ]
        code = row.coupon_code
        moments = [
            *_of_history(row),
            *(moment for job in (*jobs, *events) for moment in _of_job(job)),
            *map(_of_audit, audit),
        ]
        return Timeline(
            enrollment=row,
            heir=heir_of(row, store.enrollments.find),
            moments=tuple(sorted(moments, key=lambda moment: moment.at)),
            coupon=self._coupon_of(row),
            seat=store.coupons.find_seat(code, row.id) if code else None,
            jobs=jobs,
            events=events,
        )

    def _coupon_of(self, row: Enrollment) -> Coupon | None:
        """Return the terms of its code; None: it has none, or they are damaged."""
        if row.coupon_code is None:
            return None
        try:
            return self._context.storage.coupons.find(row.coupon_code)
        except DamagedRowError:
            return None

    def jobs_of(self, row: Enrollment) -> tuple[Job, ...]:
        """Return an enrollment's jobs: its sync job and its plugins' jobs."""
        find = self._context.storage.jobs.find
        keys = [sync_key(row.email, row.course_id)]
        for entry in row.history:
            fact = str(entry.status)
            at = attrs.evolve(row, version=entry.version)
            kinds = self._context.plugins.job_kinds(fact)
            keys += [plugin_job_key(kind, at, fact) for kind in kinds]
        return tuple(job for key in dict.fromkeys(keys) if (job := find(key)))

    def _events_of(self, row: Enrollment) -> Iterator[Job]:
        """Yield the events that name the row; none is older than it."""
        ours = {row.session_id, row.payment_id, row.id} - {None}
        find = self._context.storage.events.list
        events = walk(lambda c: find(kind=EVENT_KIND, limit=_PAGE, cursor=c))
        young = itertools.takewhile(lambda e: e.created_at >= row.created_at, events)
        named = [
            event
            for event in itertools.islice(young, _MAX_EVENTS)
            if ours & {_stored(event).get(name) for name in _NAMES}
        ]
        yield from reversed(named)


def _stored(event: Job) -> Mapping[str, Any]:
    stored = (event.payload or {}).get("event")
    return stored if isinstance(stored, Mapping) else {}


def _of_history(row: Enrollment) -> Iterator[Moment]:
    for entry in row.history:
        yield Moment(
            at=entry.at,
            kind="status",
            title=entry.fact,
            subject=str(entry.status),
            detail=entry.detail,
        )


def _of_job(job: Job) -> Iterator[Moment]:
    """Yield a job's lines: an event's delivery, and the outcome of each try."""
    if job.kind == EVENT_KIND:
        yield Moment(
            at=job.created_at,
            kind="event",
            title=str((job.payload or {}).get("type", "payment event")),
            subject=job.key,
            text=job.outcome or str(job.state),
            detail={"deliveries": job.deliveries},
        )
    for error in job.errors:
        yield Moment(
            at=error.at,
            kind="try",
            title=error.code,
            subject=job.key,
            text=error.cause,
            detail={"try": error.try_number, "worker": error.worker, "job": job.kind},
        )


def _of_audit(entry: AuditEntry) -> Moment:
    return Moment(
        at=entry.at,
        kind="audit",
        title=entry.action,
        subject=entry.actor,
        text=entry.reason,
        detail=entry.detail,
    )
