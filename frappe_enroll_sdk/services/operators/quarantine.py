# SPDX-License-Identifier: MIT
"""
Unmatched payments: listed with the reason, accepted or dismissed by an operator.

Two kinds wait here. An *enrollment* on hold was paid, but not as it says, or
after it had ended. An *event* tells of a payment that has no row to hold: another
mode, another account, a foreign session that carries our mark.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import attrs

from ...errors import EnrollmentNotFoundError, NotFoundError, TransitionError
from ...models import Actor, Enrollment, Job, JobState, Page, Status
from ...money import Money
from ...stores.slot import PAID_TWICE
from .. import audit
from ..payments.apply import UNREADABLE
from ..payments.webhook import event_of
from ..settle.decide_money import is_held


if TYPE_CHECKING:
    from ..context import Context
    from ..jobs.inline import Inline
    from ..jobs.verdict import Ended
    from ..payments.apply import Events
    from .enrollments import Enrollments

_ROWS, _EVENTS = "rows:", "events:"
#: Most held rows, and most quarantined events, that a count reads.
_COUNTED = 200


@attrs.frozen(kw_only=True)
class Quarantined:
    """
    A payment that waits for an operator.

    Attributes:
        id: The id to accept or dismiss: an enrollment's or an event's.
        kind: "enrollment" or "event".
        reason: Why, as a short stable name.
        since: Since when.
        enrollment_id: The enrollment that it is about or names, or None.
        session_id: The checkout session, or None.
        payment_id: The payment, or None.
        paid: What was charged, or None.
    """

    id: str
    kind: str
    reason: str
    since: datetime
    enrollment_id: str | None = None
    session_id: str | None = None
    payment_id: str | None = None
    paid: Money | None = None


class Quarantine:
    """Operators' actions on unmatched payments. Thread-safe."""

    def __init__(
        self,
        context: Context,
        events: Events,
        enrollments: Enrollments,
        inline: Inline,
    ) -> None:
        self._context, self._events = context, events
        self._enrollments, self._inline = enrollments, inline

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Quarantined]:
        """Return a page (which may be short without being the last)."""
        if cursor is None or cursor.startswith(_ROWS):
            rows = self._context.storage.enrollments.list(
                status=Status.ON_HOLD, limit=limit, cursor=_rest(cursor, _ROWS)
            )
            held = tuple(_of_row(row) for row in rows.items if is_held(row))
            following = _ROWS + rows.next_cursor if rows.next_cursor else _EVENTS
            if rows.next_cursor or len(held) >= limit:
                return Page(
                    items=held, next_cursor=following, unreadable=rows.unreadable
                )
            events = self._list_events(limit - len(held), None)
            return Page(
                items=held + events.items,
                next_cursor=events.next_cursor,
                unreadable=rows.unreadable + events.unreadable,
            )
        return self._list_events(limit, _rest(cursor, _EVENTS))

    def count(self) -> int:
        """Return how many wait, among the newest held rows and events; never scan."""
        rows = self._context.storage.enrollments.list(
            status=Status.ON_HOLD, limit=_COUNTED
        )
        held = sum(is_held(row) for row in rows.items)
        return held + len(self._list_events(_COUNTED, None).items)

    def _list_events(self, limit: int, cursor: str | None) -> Page[Quarantined]:
        # A held enrollment is listed itself; its event adds nothing.
        events = self._context.storage.events.list(
            state=JobState.QUARANTINED, limit=limit, cursor=cursor
        )
        items = tuple(_of_event(job) for job in events.items)
        following = _EVENTS + events.next_cursor if events.next_cursor else None
        return Page(
            items=tuple(item for item in items if item.reason in ODD_REASONS),
            next_cursor=following,
            unreadable=events.unreadable,
        )

    def accept(
        self, name: str, *, by: Actor, enrollment_id: str | None = None
    ) -> Enrollment:
        """
        Let the payer have the course.

        Args:
            name: An enrollment's or an event's id.
            by: Who decides, and why.
            enrollment_id: For an event: the enrollment that its payment is for, if the
                event names none (or another one).

        Raises:
            NotFoundError: There is no such enrollment or event.
            TransitionError: It does not (or no longer) wait for an operator, or the
                enrollment can't take its payment; then it keeps waiting.
        """
        if self._context.storage.enrollments.find(name) is not None:
            return self._enrollments.accept(name, by.name, by.reason)
        job = self._waiting(name)
        event = event_of(job)
        if event is None:
            raise NotFoundError("the event's payload is pruned", field="id")
        target = self._events.accept(event, enrollment_id)
        word = {"enrollment_id": target, "held_for": job.outcome}
        ended = self._decide("accepted", job, by, word)
        if ended.code == "quarantined":
            raise TransitionError("the enrollment can't take this payment now")
        named = next((row for row in ended.enrollments if row.id == target), None)
        row = named or self._context.storage.enrollments.find(target)
        if row is None:  # rows are never deleted
            raise EnrollmentNotFoundError(field="enrollment_id")
        return self._inline.sync(row)

    def dismiss(self, name: str, *, by: Actor) -> str:
        """
        Set it aside for good, without enrolling anybody; return its new state.

        This refunds nothing; do that at the provider. Raises the same errors as
        `accept`.
        """
        if self._context.storage.enrollments.find(name) is not None:
            return str(self._enrollments.dismiss(name, by.name, by.reason).status)
        ended = self._decide("dismissed", self._waiting(name), by, {})
        return "dismissed" if ended.code == "queued" else ended.code

    def _waiting(self, name: str) -> Job:
        job = self._context.storage.events.find(name)
        if job is None:
            raise NotFoundError("no such enrollment or event", field="id")
        if job.state is not JobState.QUARANTINED or job.outcome not in ODD_REASONS:
            raise TransitionError(f"the event is {job.outcome or job.state}")
        return job

    def _decide(
        self, action: str, job: Job, by: Actor, word: Mapping[str, Any]
    ) -> Ended:
        """Store the action with the event, and process it like any event."""
        now, store = self._context.now(), self._context.storage
        payload = {
            **(job.payload or {}),
            "action": {**word, "actor": by.name, "reason": by.reason},
        }
        detail = {"enrollment_id": word.get("enrollment_id")}
        audit.write(self._context, by, action, job.key, detail)
        again = store.events.enqueue(job.key, job.kind, payload, now, now=now)
        return self._inline.event(again)


#: Reasons for events without an enrollment to hold.
ODD_REASONS = frozenset(
    {
        *("mode_mismatch", "account_mismatch", "unknown_enrollment"),
        *("foreign_session", "abandoned_session", PAID_TWICE, UNREADABLE),
    }
)


def _rest(cursor: str | None, prefix: str) -> str | None:
    return (cursor or "").removeprefix(prefix) or None


def _of_row(row: Enrollment) -> Quarantined:
    return Quarantined(
        id=row.id,
        kind="enrollment",
        reason=row.held_for or row.reason or "on_hold",
        since=row.updated_at,
        enrollment_id=row.id,
        session_id=row.session_id,
        payment_id=row.payment_id,
        paid=row.paid,
    )


def _of_event(job: Job) -> Quarantined:
    event = event_of(job)
    session = event.session if event else None
    return Quarantined(
        id=job.key,
        kind="event",
        reason=job.outcome or "quarantined",
        since=job.updated_at,
        enrollment_id=event.enrollment_id if event else None,
        session_id=event.session_id if event else None,
        payment_id=event.payment_id if event else None,
        paid=session.amount if session else None,
    )
