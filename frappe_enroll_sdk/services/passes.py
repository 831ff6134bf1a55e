# SPDX-License-Identifier: MIT
"""One pass over everything that is due: for cron, and the worker's beat."""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from ..models import Job, JobReport
from .context import worker_name


if TYPE_CHECKING:
    from collections.abc import Callable

    from ..interfaces import JobStore
    from .context import Context
    from .runner import Runner

#: Rows claimed at once: few, so that a lease outlasts the batch.
_BATCH = 5
_KEEP_JOBS = timedelta(days=7)
_KEEP_PAYLOADS = timedelta(days=30)
_PRUNE = 200


class Pass:
    """`EnrollSDK.run_jobs` of one SDK. Thread-safe."""

    def __init__(self, context: Context, runner: Runner) -> None:
        self._context, self._runner = context, runner

    def __call__(
        self,
        limit: int,
        time_budget_s: float,
        *,
        stopping: Callable[[], bool] = lambda: False,
    ) -> JobReport:
        """See `EnrollSDK.run_jobs`; with `stopping`, nothing more is started."""
        run = _OnePass(self._context, self._runner, limit, time_budget_s, stopping)
        while run.once():
            pass
        self._maintain(run)
        return run.report()

    def _maintain(self, run: _OnePass) -> None:
        """Take one bounded slice of housekeeping."""
        if run.has_time():
            now, store = self._context.now(), self._context.storage
            store.jobs.prune(now - _KEEP_JOBS, _PRUNE)
            store.events.prune(now - _KEEP_PAYLOADS, _PRUNE)


class _OnePass:
    """The counters of one pass."""

    def __init__(
        self,
        context: Context,
        runner: Runner,
        limit: int,
        time_budget_s: float,
        stopping: Callable[[], bool],
    ) -> None:
        self._context, self._runner = context, runner
        self._left = limit
        self._ends = time.monotonic() + time_budget_s
        self._stopping = stopping
        self._actions: Counter[str] = Counter()

    def has_time(self) -> bool:
        """Tell whether something may still be started."""
        return time.monotonic() < self._ends and not self._stopping()

    def once(self) -> bool:
        """Claim and run one batch of each; False = nothing due, or no time."""
        before = self._left
        self._enrollments()
        self._jobs(self._context.storage.events)
        self._jobs(self._context.storage.jobs)
        return self._left < before and self._left > 0 and self.has_time()

    def _enrollments(self) -> None:
        if not self._may_claim():
            return
        store, settings = self._context.storage.enrollments, self._context.settings
        now = self._context.now()
        for row in store.claim_due(now, settings.lease_s, self._batch()):
            self._left -= 1
            if self.has_time():
                self._count(partial(self._runner.run_due, row))
            else:
                store.clear_due(row.id, row.version, now, ok=False)

    def _jobs(self, store: JobStore) -> None:
        if not self._may_claim():
            return
        now, lease_s = self._context.now(), self._context.settings.lease_s
        for job in store.claim(worker_name(), now, lease_s, self._batch()):
            self._left -= 1
            if not self.has_time():
                store.release(job.token or "", self._context.now())
            elif self._still_ours(store, job):
                self._count(partial(self._run_job, store, job))

    def _run_job(self, store: JobStore, job: Job) -> str:
        return self._runner.run(store, job)[0]

    def _still_ours(self, store: JobStore, job: Job) -> bool:
        """Renew a lease that earlier jobs of the batch have used up by half."""
        now, lease_s = self._context.now(), self._context.settings.lease_s
        if (job.due_at - now).total_seconds() > lease_s / 2:
            return True
        return store.heartbeat(job.token or "", now, lease_s)

    def _may_claim(self) -> bool:
        return self._left > 0 and self.has_time()

    def _batch(self) -> int:
        return min(_BATCH, self._left)

    def _count(self, run: Callable[[], str]) -> None:
        self._actions["claimed"] += 1
        self._actions[run()] += 1

    def report(self) -> JobReport:
        """Return the counters and what is left."""
        store, now = self._context.storage, self._context.now()
        left = store.jobs.stats(now).due_now + store.events.stats(now).due_now
        return JobReport(
            claimed=self._actions["claimed"],
            succeeded=self._actions["done"],
            retried=self._actions["retry"] + self._actions["lost"],
            dead=self._actions["dead"],
            deferred=self._actions["snooze"],
            due_left=left,
        )
