# SPDX-License-Identifier: MIT
"""What an operator sees and mends: jobs, events, numbers."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ...errors import NotFoundError, ValidationError
from ...models import Actor, AuditEntry, Enrollment, Job, JobState, Page
from ...models.jobs import EVENT_KIND
from .. import audit, validate
from ..jobs.breaker import BACKENDS
from .jobs import Jobs
from .search import Search, Timeline
from .stats import Stats, take_stats


if TYPE_CHECKING:
    from ...interfaces import JobStore
    from ..context import Context
    from ..jobs.breaker import Breakers
    from ..jobs.heartbeat import Heartbeats
    from ..jobs.maintenance import Maintenance
    from ..payments.replay import Pulled, Replay
    from .differences import Report
    from .quarantine import Quarantine, Quarantined
    from .reconcile import Reconcile

_SHORTEST_RETENTION = timedelta(days=1)
_LONGEST_RETENTION = timedelta(days=3650)


class Admin:
    """Operators' actions on one SDK. Thread-safe."""

    def __init__(
        self,
        context: Context,
        *,
        breakers: Breakers,
        heartbeats: Heartbeats,
        maintenance: Maintenance,
        quarantine: Quarantine,
        reconcile: Reconcile,
        replay: Replay,
    ) -> None:
        self._context, self._breakers = context, breakers
        self._heartbeats, self._maintenance = heartbeats, maintenance
        self._quarantine, self._reconcile, self._replay = quarantine, reconcile, replay
        self._jobs, self._search = Jobs(context), Search(context)

    def stats(self) -> Stats:
        """Return capped counts and the queue's health; never scan."""
        self._heartbeats.look()
        return take_stats(self._context, self._heartbeats, self._quarantine)

    def maintain(self, *tasks: str) -> dict[str, int]:
        """
        Run all or the named housekeeping tasks now; return the counts.

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
        """Return the enrollments that an id, address, code or course identifies."""
        return self._search.search(text, **validate.paging(limit, cursor))

    def timeline(self, enrollment_id: str) -> Timeline:
        """Return all that happened to an enrollment."""
        return self._search.timeline(enrollment_id)

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
        """Record in the audit trail what somebody did through a host's own surface."""
        by = audit.require_actor(actor, reason)
        audit.write(self._context, by, action, subject, detail)

    def quarantine(
        self, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Quarantined]:
        """Return the payments that wait for an operator; a page may be short."""
        return self._quarantine.list(**validate.paging(limit, cursor))

    def accept(
        self, name: str, actor: str, reason: str, *, enrollment_id: str | None = None
    ) -> Enrollment:
        """Accept what is quarantined, by enrollment or event; see `Quarantine`."""
        by = audit.require_actor(actor, reason)
        return self._quarantine.accept(name, by=by, enrollment_id=enrollment_id)

    def dismiss(self, name: str, actor: str, reason: str) -> str:
        """Dismiss what is quarantined; return its new state."""
        return self._quarantine.dismiss(name, by=audit.require_actor(actor, reason))

    def replay_event(
        self,
        event_id: str,
        *,
        actor: str = "sdk",
        reason: str = "replay",
        notify: bool = True,
    ) -> Job:
        """
        Apply a stored event again (without doubling any effect), and return it.

        Without `notify`, plugins are not told about its effects.
        """
        by = audit.actor_of(actor, reason)
        return self._replay.replay(event_id, by=by, notify=notify)

    def pull_events(
        self,
        since: datetime,
        *,
        actor: str = "sdk",
        reason: str = "pull",
        notify: bool = True,
        limit: int = 10_000,
    ) -> Pulled:
        """Process events that the provider has had since then and that we missed."""
        by = audit.actor_of(actor, reason)
        return self._replay.pull(since, by=by, notify=notify, limit=limit)

    def reconcile(
        self,
        *,
        repair: bool = False,
        since: datetime | None = None,
        limit: int = 200,
        cursor: str | None = None,
        actor: str = "",
        reason: str = "",
    ) -> Report:
        """
        Compare one page of provider, enrollments and LMS; see `Reconcile.page`.

        Only repairs are written to the audit trail.
        """
        by = audit.actor_of(actor, reason)
        writer, subject = by if repair else None, cursor or "begin"
        with audit.acting(self._context, writer, "reconcile", subject) as result:
            report = self._reconcile.page(
                repair=repair, since=since, limit=limit, cursor=cursor
            )
            result["findings"] = len(report.findings)
        return report

    def reconcile_all(
        self,
        *,
        repair: bool = False,
        since: datetime | None = None,
        limit: int = 200,
        actor: str = "",
        reason: str = "",
    ) -> Generator[Report, None, None]:
        """Compare everything, yielding each page; audited as one action."""
        by = audit.actor_of(actor, reason) if repair else None
        with audit.acting(self._context, by, "reconcile", "begin") as result:
            result["findings"] = 0
            for report in self._reconcile.pages(
                repair=repair, since=since, limit=limit
            ):
                result["findings"] += len(report.findings)
                yield report

    def probe(self, backend: str, *, actor: str = "", reason: str = "") -> bool:
        """
        Ping a backend now and report to its breaker; return whether it works.

        Raises:
            NotFoundError: No backend of this name has a breaker.
        """
        by = audit.actor_of(actor, reason)
        if backend not in BACKENDS:
            raise NotFoundError("there is no such backend", field="backend")
        works = self._breakers.probe(backend)
        audit.write(self._context, by, "probe_backend", backend, {"works": works})
        return works

    def job(self, name: str) -> Job:
        """
        Return a job by its key, an event's id, or an enrollment's id (its sync).

        Raises:
            NotFoundError: There is none with this name.
        """
        return self._jobs.get(name)

    def retry(self, name: str, *, actor: str = "", reason: str = "") -> None:
        """
        Make one job due now: by its key, an event's id, or an enrollment's id.

        For the id of an enrollment whose row the LMS has kept (`lms_left`), look at the
        LMS again: an operator has decided there meanwhile.

        Raises:
            NotFoundError: There is nothing to retry with this name.
        """
        self._jobs.retry(name, by=audit.actor_of(actor, reason))

    def bury(self, name: str, *, actor: str, reason: str) -> None:
        """
        End a waiting job as dead, with the operator's reason as its cause.

        Raises:
            NotFoundError: No job with this name is waiting (a running one ends by
                itself).
            ValidationError: The reason is missing.
        """
        self._jobs.bury(name, by=audit.require_actor(actor, reason))

    def requeue(
        self,
        limit: int = 100,
        *,
        kind: str | None = None,
        code: str | None = None,
        per_s: float | None = None,
        actor: str = "",
        reason: str = "",
        tell: Callable[[int], None] = lambda _: None,
    ) -> int:
        """
        Make dead jobs and events due again with all tries; return how many.

        Args:
            limit: Most jobs and events.
            kind: Only jobs of this kind (``payment_event`` for events).
            code: Only those that died with this error code.
            per_s: How many become due per second, so that the backends are not flooded;
                None = all at once (the LMS's gate limits the rate of syncs anyway).
            actor: Who does it, for the audit trail.
            reason: Why, for the audit trail.
            tell: Called after each with the number so far.

        Raises:
            ValidationError: The limit or the rate is out of range.
        """
        by = audit.actor_of(actor, reason)
        return self._jobs.requeue(
            limit, kind=kind, code=code, per_s=per_s, by=by, tell=tell
        )

    def count_dead(self, *, kind: str | None = None, code: str | None = None) -> int:
        """Count the dead jobs and events that `requeue` would take."""
        return self._jobs.count_dead(kind=kind, code=code)

    def prune(
        self,
        *,
        events_older_than: timedelta = timedelta(days=30),
        jobs_older_than: timedelta = timedelta(days=7),
        limit: int = 1000,
        actor: str = "",
        reason: str = "",
    ) -> tuple[int, int]:
        """
        Clear old events' payloads and delete old done jobs; return both counts.

        Raises:
            ValidationError: An age is not between one day and ten years.
        """
        _check_spans(
            events_older_than=events_older_than, jobs_older_than=jobs_older_than
        )
        return (
            self.prune_events(
                events_older_than, limit=limit, actor=actor, reason=reason
            ),
            self.prune_jobs(jobs_older_than, limit=limit, actor=actor, reason=reason),
        )

    def prune_events(
        self,
        older_than: timedelta = timedelta(days=30),
        *,
        limit: int = 1000,
        actor: str = "",
        reason: str = "",
    ) -> int:
        """Clear old events' payloads; return how many. Raises as `prune` does."""
        _check_spans(events_older_than=older_than)
        store = self._context.storage.events
        return self._prune(
            store, "prune_events", older_than, limit, audit.actor_of(actor, reason)
        )

    def prune_jobs(
        self,
        older_than: timedelta = timedelta(days=7),
        *,
        limit: int = 1000,
        actor: str = "",
        reason: str = "",
    ) -> int:
        """Delete old done jobs; return how many. Raises as `prune` does."""
        _check_spans(jobs_older_than=older_than)
        store = self._context.storage.jobs
        return self._prune(
            store, "prune_jobs", older_than, limit, audit.actor_of(actor, reason)
        )

    def _prune(
        self,
        store: JobStore,
        action: str,
        older_than: timedelta,
        limit: int,
        by: Actor | None,
    ) -> int:
        validate.whole(limit, "limit", most=1_000_000)
        with audit.acting(
            self._context, by, action, "store", days=older_than.days
        ) as result:
            result["count"] = count = store.prune(
                self._context.now() - older_than, limit
            )
        return count


def _check_spans(**spans: timedelta) -> None:
    for name, span in spans.items():
        validate.span(span, name, least=_SHORTEST_RETENTION, most=_LONGEST_RETENTION)
