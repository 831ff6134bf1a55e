# SPDX-License-Identifier: MIT
"""What an operator sees and mends: jobs, events, numbers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import attrs

from ..errors import NotFoundError, ValidationError
from ..models import Enrollment, Job, JobState, JobStats, Page, Status
from .effects import sync_key


if TYPE_CHECKING:
    from .context import Context
    from .events import EventService

_SHORTEST_RETENTION = timedelta(days=1)
_LONGEST_RETENTION = timedelta(days=3650)
_MOST = 1000


@attrs.frozen(kw_only=True)
class Stats:
    """
    The queue's health.

    Attributes:
        jobs: Numbers of the jobs.
        events: Numbers of the payment events.
        gates: Whether each backend's gate is open.
    """

    jobs: JobStats
    events: JobStats
    gates: dict[str, bool]


class Admin:
    """Operators' verbs of one SDK. Thread-safe."""

    def __init__(self, context: Context, events: EventService) -> None:
        self._context, self._events = context, events

    def stats(self) -> Stats:
        """Return capped numbers; never a scan."""
        store, now = self._context.storage, self._context.now()
        return Stats(
            jobs=store.jobs.stats(now),
            events=store.events.stats(now),
            gates={name: store.gates.is_open(name) for name in ("lms", "payments")},
        )

    def jobs(
        self,
        *,
        state: JobState | str | None = None,
        kind: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Job]:
        """Return jobs."""
        chosen = JobState(state) if state is not None else None
        return self._context.storage.jobs.list(
            state=chosen, kind=kind, limit=limit, cursor=cursor
        )

    def events(
        self,
        *,
        state: JobState | str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Job]:
        """Return stored payment events."""
        chosen = JobState(state) if state is not None else None
        return self._context.storage.events.list(
            state=chosen, limit=limit, cursor=cursor
        )

    def quarantine(
        self, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Enrollment]:
        """Return enrollments whose payment waits for an operator."""
        return self._context.storage.enrollments.list(
            status=Status.ON_HOLD, limit=limit, cursor=cursor
        )

    def retry(self, job_or_enrollment_id: str) -> None:
        """
        Make one job due now: by its key, an event's id, or an enrollment's id.

        Raises:
            NotFoundError: There is nothing to retry by this name.
        """
        name, now, store = job_or_enrollment_id, self._context.now(), self._context
        row = store.storage.enrollments.find(name)
        key = sync_key(row.email, row.course_id) if row else name
        if not any(
            queue.retry(key, now)
            for queue in (store.storage.jobs, store.storage.events)
        ):
            raise NotFoundError("there is nothing to retry", field="id")

    def requeue(self, limit: int = 100, *, kind: str | None = None) -> int:
        """Make dead jobs due now, oldest first; return how many."""
        if not 1 <= limit <= _MOST:
            raise ValidationError(f"limit: must be 1 to {_MOST}", field="limit")
        return self._context.storage.jobs.requeue(limit, self._context.now(), kind=kind)

    def replay_event(self, event_id: str) -> Job:
        """Give a stored event its effect again (nothing doubles) and return it."""
        return self._events.replay(event_id)

    def prune(
        self,
        *,
        events_older_than: timedelta = timedelta(days=30),
        jobs_older_than: timedelta = timedelta(days=7),
        limit: int = 1000,
    ) -> tuple[int, int]:
        """
        Null old events' payloads and drop old done jobs; return both counts.

        Raises:
            ValidationError: A span is not between one day and ten years.
        """
        for name, span in (
            ("events_older_than", events_older_than),
            ("jobs_older_than", jobs_older_than),
        ):
            if not _SHORTEST_RETENTION <= span <= _LONGEST_RETENTION:
                raise ValidationError(f"{name}: must be 1 to 3650 days", field=name)
        now, store = self._context.now(), self._context.storage
        return (
            store.events.prune(now - events_older_than, limit),
            store.jobs.prune(now - jobs_older_than, limit),
        )
