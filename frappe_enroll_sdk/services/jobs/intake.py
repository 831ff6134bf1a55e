# SPDX-License-Identifier: MIT
"""
What is claimed next: due enrollments, payment events, jobs, in turns.

Sync jobs pass the LMS's gate in batches. While it is closed, or its rate is used up,
they are left alone and everything else goes on; so an outage of hours costs a claim
and a probe now and then, however many jobs wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import attrs

from ...models.jobs import SYNC_KIND
from ...stores.gate import longest_wait
from ..context import worker_name
from .breaker import LMS
from .verdict import End


if TYPE_CHECKING:
    from ...interfaces import JobStore
    from ...models import Admission, Enrollment, Job
    from ..context import Context
    from .breaker import Breakers
    from .runner import Runner

#: Sync jobs claimed at once, once the gate has admitted all so far.
_MAX_SYNCS = 64


@attrs.frozen(kw_only=True, eq=False)
class Work:
    """
    One claim, ready to run.

    Attributes:
        run: Runs it; returns its end.
        release: Gives it back before it begins.
        store: The store of its job, or None (an enrollment, a probe).
        job: The job, or None.
    """

    run: Callable[[], End]
    release: Callable[[], object]
    store: JobStore | None = None
    job: Job | None = None


class Intake:
    """Claims for one worker or pass; for one thread, but `open_gate` for any."""

    def __init__(self, context: Context, runner: Runner, breakers: Breakers) -> None:
        self._context, self._runner, self._breakers = context, runner, breakers
        self._owner = worker_name()
        self._turn = 0
        # Start slowly: a pass that finds the gate closed has claimed only one in vain.
        self._most = 1
        self._syncs_at: datetime | None = None

    def take(self, n: int) -> list[Work]:
        """Claim up to `n`; the sources take turns in coming first."""
        sources: Sequence[Callable[[int], list[Work]]] = (
            self._enrollments,
            self._events,
            self._other_jobs,
            self._syncs,
        )
        works: list[Work] = []
        for step in range(len(sources)):
            if len(works) < n:
                source = sources[(self._turn + step) % len(sources)]
                works += source(n - len(works))
        self._turn += 1
        return works

    @property
    def has_deferred(self) -> bool:
        """Whether sync jobs are skipped until the gate admits them again."""
        return self._syncs_at is not None

    def wait_s(self, most: float) -> float:
        """Return how long to wait when nothing is due: less if the rate allows it."""
        if self._syncs_at is None:
            return most
        left_s = (self._syncs_at - self._context.now()).total_seconds()
        return min(max(left_s, 0.01), most)

    def open_gate(self) -> None:
        """Stop waiting for the gate, after a successful ping."""
        self._syncs_at = None

    def _enrollments(self, n: int) -> list[Work]:
        store, lease_s = (
            self._context.storage.enrollments,
            self._context.settings.lease_s,
        )
        return [
            Work(
                run=partial(self._runner.run_due, row),
                release=partial(self._release_row, row),
            )
            for row in store.claim_due(self._context.now(), lease_s, n)
        ]

    def _release_row(self, row: Enrollment) -> None:
        now = self._context.now()
        self._context.storage.enrollments.clear_due(row.id, row.version, now, ok=False)

    def _events(self, n: int) -> list[Work]:
        store = self._context.storage.events
        return self._works(store, store.claim(*self._claim(), n))

    def _other_jobs(self, n: int) -> list[Work]:
        store = self._context.storage.jobs
        return self._works(store, store.claim(*self._claim(), n, not_kinds={SYNC_KIND}))

    def _syncs(self, n: int) -> list[Work]:
        policy = self._context.gate_policy
        now, store = self._context.now(), self._context.storage.jobs
        if self._syncs_at is not None:
            self._syncs_at = min(self._syncs_at, now + longest_wait(policy))
            if now < self._syncs_at:
                return []
        jobs = store.claim(*self._claim(), min(n, self._most), kinds={SYNC_KIND})
        if not jobs:
            return []
        answer = self._breakers.admit(LMS, len(jobs))
        self._adapt(len(jobs), answer, now)
        later = [
            Work(
                run=partial(self._put_back, store, job),
                release=partial(store.release, job.token or "", now),
                store=store,
                job=job,
            )
            for job in jobs[answer.admitted :]
        ]
        probe = [Work(run=self._probe, release=bool)] if answer.probe else []
        return [*self._works(store, jobs[: answer.admitted]), *later, *probe]

    def _adapt(self, asked: int, answer: Admission, now: datetime) -> None:
        """Adapt the batch to what the gate admits: the rest was claimed in vain."""
        if answer.admitted == asked:
            self._most = min(self._most * 2, _MAX_SYNCS)
            self._syncs_at = None
            return
        self._most = max(answer.admitted, 1)
        closed = timedelta(seconds=self._context.gate_policy.closed_s)
        self._syncs_at = answer.retry_at or now + closed

    def _put_back(self, store: JobStore, job: Job) -> End:
        """Put a job back in its place: the one that has waited longest comes first."""
        now = self._context.now()
        due_at = job.was_due_at or now
        kept = store.reschedule(job.token or "", due_at, now, counts=False)
        return End.SNOOZE if kept else End.LOST

    def _probe(self) -> End:
        if self._breakers.probe(LMS):
            self.open_gate()
        return End.PROBE

    def _works(self, store: JobStore, jobs: Sequence[Job]) -> list[Work]:
        return [
            Work(
                run=partial(self._run_job, store, job),
                release=partial(self._release_job, store, job),
                store=store,
                job=job,
            )
            for job in jobs
        ]

    def _run_job(self, store: JobStore, job: Job) -> End:
        return self._runner.run(store, job, admitted=True).end

    def _release_job(self, store: JobStore, job: Job) -> bool:
        return store.release(job.token or "", self._context.now())

    def _claim(self) -> tuple[str, datetime, float]:
        return self._owner, self._context.now(), self._context.settings.lease_s
