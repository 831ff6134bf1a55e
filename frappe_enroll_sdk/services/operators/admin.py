# SPDX-License-Identifier: MIT
"""What an operator sees and mends: jobs, events, numbers."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ...errors import ValidationError
from ...models import AuditEntry, Enrollment, Job, JobState, Page
from ...stores.queue import EVENT_KIND
from .. import validate
from .jobs import JobOrders
from .orders import order
from .search import Lookup, Timeline
from .stats import Stats, take_stats


if TYPE_CHECKING:
    from ...interfaces import JobStore
    from ..context import Context
    from ..jobs.heartbeat import Presence
    from ..jobs.maintenance import Maintenance
    from ..payments.replay import Pulled, Replay
    from .differences import Report
    from .quarantine import Quarantine, Quarantined
    from .reconcile import Reconcile

_SHORTEST_RETENTION = timedelta(days=1)
_LONGEST_RETENTION = timedelta(days=3650)


class Admin(JobOrders):
    """Operators' verbs of one SDK. Thread-safe."""

    def __init__(
        self,
        context: Context,
        *,
        replay: Replay,
        quarantine: Quarantine,
        reconcile: Reconcile,
        presence: Presence,
        maintenance: Maintenance,
    ) -> None:
        super().__init__(context)
        self._replay, self._quarantine = replay, quarantine
        self._reconcile = reconcile
        self._presence, self._maintenance = presence, maintenance
        self._lookup = Lookup(context)

    def stats(self) -> Stats:
        """Return capped numbers and what they mean; never a scan."""
        self._presence.look()
        return take_stats(self._context, self._presence, self._quarantine)

    def maintain(self, *tasks: str) -> dict[str, int]:
        """
        Do the housekeeping now (all of it, or the named tasks); return the counts.

        Raises:
            ValidationError: There is no such task.
        """
        known = self._maintenance.tasks
        unknown = set(tasks) - set(known)
        if unknown:
            words = f"there is no task {min(unknown)}: {', '.join(known)}"
            raise ValidationError(words, field="task")
        return {name: self._maintenance.run(name) for name in tasks or known}

    def jobs(
        self,
        *,
        state: JobState | str | None = None,
        kind: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Job]:
        """Return jobs."""
        chosen = validate.optional_choice(JobState, state, "state")
        return self._context.storage.jobs.list(
            state=chosen, kind=kind, **validate.paging(limit, cursor)
        )

    def events(
        self,
        *,
        state: JobState | str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Job]:
        """Return stored payment events."""
        chosen = validate.optional_choice(JobState, state, "state")
        return self._context.storage.events.list(
            state=chosen, kind=EVENT_KIND, **validate.paging(limit, cursor)
        )

    def search(
        self, text: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Enrollment]:
        """Return the enrollments that an id, address, code or course names."""
        return self._lookup.search(text, **validate.paging(limit, cursor))

    def timeline(self, enrollment_id: str) -> Timeline:
        """Return all that happened to an enrollment."""
        return self._lookup.timeline(enrollment_id)

    def audit(
        self,
        *,
        subject: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[AuditEntry]:
        """Return what operators did, newest first."""
        return self._context.storage.audit.list(
            subject=subject, **validate.paging(limit, cursor)
        )

    def note(
        self, actor: str, action: str, subject: str, reason: str, **detail: Any
    ) -> None:
        """Write an operator's action into the audit trail."""
        who, why = validate.words(actor, reason)
        entry = AuditEntry(
            id=self._context.ambient.token_hex(12),
            at=self._context.now(),
            actor=who,
            action=action,
            subject=subject,
            reason=why,
            detail=detail,
        )
        self._context.storage.audit.append(entry)

    def order(
        self, actor: str, action: str, subject: str, reason: str, **detail: Any
    ) -> AbstractContextManager[dict[str, Any]]:
        """Say a long order first, and close it in every ending; see ``orders.py``."""
        return order(self._context, actor, action, subject, reason, **detail)

    def quarantine(
        self, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Quarantined]:
        """Return the payments that wait for an operator; a page may be short."""
        return self._quarantine.list(**validate.paging(limit, cursor))

    def accept(
        self, name: str, actor: str, reason: str, *, enrollment_id: str | None = None
    ) -> Enrollment:
        """Accept what is quarantined, by enrollment or event; see `Quarantine`."""
        return self._quarantine.accept(
            name, actor=actor, reason=reason, enrollment_id=enrollment_id
        )

    def dismiss(self, name: str, actor: str, reason: str) -> str:
        """Put aside what is quarantined; return what it is now."""
        return self._quarantine.dismiss(name, actor=actor, reason=reason)

    def replay_event(
        self,
        event_id: str,
        *,
        actor: str = "sdk",
        reason: str = "replay",
        notify: bool = True,
    ) -> Job:
        """
        Give a stored event its effect again (nothing doubles) and return it.

        Without `notify`, no plugin hears of what is written by it.
        """
        return self._replay.replay(event_id, actor=actor, reason=reason, notify=notify)

    def pull_events(
        self,
        since: datetime,
        *,
        actor: str = "sdk",
        reason: str = "pull",
        notify: bool = True,
        limit: int = 10_000,
    ) -> Pulled:
        """Feed the events that the provider has since a moment and we missed."""
        return self._replay.pull(
            since, actor=actor, reason=reason, notify=notify, limit=limit
        )

    def reconcile(
        self,
        *,
        repair: bool = False,
        since: datetime | None = None,
        limit: int = 200,
        cursor: str | None = None,
    ) -> Report:
        """Compare provider, enrollments and LMS, one page; see `Reconcile`."""
        return self._reconcile(repair=repair, since=since, limit=limit, cursor=cursor)

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
        _check_spans(
            events_older_than=events_older_than, jobs_older_than=jobs_older_than
        )
        return (
            self.prune_events(events_older_than, limit=limit),
            self.prune_jobs(jobs_older_than, limit=limit),
        )

    def prune_events(
        self,
        older_than: timedelta = timedelta(days=30),
        *,
        limit: int = 1000,
        actor: str = "",
        reason: str = "",
    ) -> int:
        """Null old events' payloads; return how many. Raises as `prune` does."""
        _check_spans(events_older_than=older_than)
        store = self._context.storage.events
        return self._prune(store, "prune_events", older_than, limit, (actor, reason))

    def prune_jobs(
        self,
        older_than: timedelta = timedelta(days=7),
        *,
        limit: int = 1000,
        actor: str = "",
        reason: str = "",
    ) -> int:
        """Drop old done jobs; return how many. Raises as `prune` does."""
        _check_spans(jobs_older_than=older_than)
        store = self._context.storage.jobs
        return self._prune(store, "prune_jobs", older_than, limit, (actor, reason))

    def _prune(
        self,
        store: JobStore,
        action: str,
        older_than: timedelta,
        limit: int,
        said: tuple[str, str],
    ) -> int:
        validate.whole(limit, "limit", most=1_000_000)
        actor, reason = said
        days = older_than.days
        with order(self._context, actor, action, "store", reason, days=days) as told:
            told["count"] = store.prune(self._context.now() - older_than, limit)
        return int(told["count"])


def _check_spans(**spans: timedelta) -> None:
    for name, span in spans.items():
        validate.span(span, name, least=_SHORTEST_RETENTION, most=_LONGEST_RETENTION)
