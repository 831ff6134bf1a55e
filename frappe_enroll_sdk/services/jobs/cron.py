# SPDX-License-Identifier: MIT
"""One pass over everything that is due: for cron, on the caller's thread."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from ...errors import StorageUnavailableError
from ...models import JobReport
from .intake import Intake, Work
from .verdict import End


if TYPE_CHECKING:
    from collections.abc import Callable

    from ..context import Context
    from .breaker import Breakers
    from .heartbeat import Heartbeats
    from .maintenance import Maintenance
    from .runner import Runner

logger = logging.getLogger(__name__)

#: Rows claimed at once: few, so that the leases outlast the batch.
_BATCH = 5


class Cron:
    """`EnrollSDK.run_jobs` of one SDK. Thread-safe."""

    def __init__(
        self,
        context: Context,
        runner: Runner,
        breakers: Breakers,
        maintenance: Maintenance,
        heartbeats: Heartbeats,
    ) -> None:
        self._context, self._runner, self._breakers = context, runner, breakers
        self._maintenance, self._heartbeats = maintenance, heartbeats

    def run(
        self,
        limit: int,
        time_budget_s: float,
        *,
        stopping: Callable[[], bool] = lambda: False,
    ) -> JobReport:
        """See `EnrollSDK.run_jobs`; once `stopping`, start nothing more."""
        self._heartbeats.look()
        began = self._context.now()
        intake = Intake(self._context, self._runner, self._breakers)
        one = _Pass(self._context, intake, limit, time_budget_s, stopping)
        while one.take_batch():
            pass
        if one.has_time():
            self._maintenance.run_owed(one.has_time)
        report = one.report()
        self._heartbeats.cron(began, report)
        return report


class _Pass:
    """The counters of one pass."""

    def __init__(
        self,
        context: Context,
        intake: Intake,
        limit: int,
        time_budget_s: float,
        stopping: Callable[[], bool],
    ) -> None:
        self._context, self._intake = context, intake
        self._left = limit
        self._until_s = self._context.monotonic() + time_budget_s
        self._stopping = stopping
        self._ends: Counter[End] = Counter()
        self._is_drained = False

    def has_time(self) -> bool:
        """Tell whether more work may be started."""
        return self._context.monotonic() < self._until_s and not self._stopping()

    def take_batch(self) -> bool:
        """Claim and run one batch; False = nothing is due, or no time is left."""
        if self._left <= 0 or not self.has_time():
            return False
        works = self._intake.take(min(_BATCH, self._left))
        self._is_drained = not works and not self._intake.has_deferred
        for work in works:
            self._left -= 1
            self._run(work)
        return bool(works)

    def _run(self, work: Work) -> None:
        if not self.has_time():
            work.release()
        elif self._still_ours(work):
            self._ends[self._done(work)] += 1

    def _done(self, work: Work) -> End:
        try:
            return work.run()
        except StorageUnavailableError:
            raise
        except Exception:
            # One whose end can't be written does not delay the others: its lease
            # lapses.
            logger.exception("claim lost")
            return End.LOST

    def _still_ours(self, work: Work) -> bool:
        """Renew a lease of which earlier jobs in the batch have used up half."""
        if work.job is None or work.store is None:
            return True
        now, lease_s = self._context.now(), self._context.settings.lease_s
        if (work.job.due_at - now).total_seconds() > lease_s / 2:
            return True
        return work.store.heartbeat(work.job.token or "", now, lease_s)

    def report(self) -> JobReport:
        """Return the counters, and what is still due."""
        store, now = self._context.storage, self._context.now()
        # If the last claim found nothing, there is nothing to count.
        left = sum(
            queue.stats(now, counted=False).due_now
            for queue in (() if self._is_drained else (store.jobs, store.events))
        )
        ends = self._ends
        return JobReport(
            claimed=sum(ends.values()) - ends.get(End.PROBE, 0),
            succeeded=ends.get(End.DONE, 0),
            retried=ends.get(End.RETRY, 0) + ends.get(End.LOST, 0),
            dead=ends.get(End.DEAD, 0),
            deferred=ends.get(End.SNOOZE, 0),
            due_left=left,
        )
