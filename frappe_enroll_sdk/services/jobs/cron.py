# SPDX-License-Identifier: MIT
"""One pass over everything that is due: for cron, on the caller's thread."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from ...errors import StorageUnavailableError
from ...models import JobReport
from .intake import Intake, Work


if TYPE_CHECKING:
    from collections.abc import Callable

    from ..context import Context
    from .heartbeat import Presence
    from .maintenance import Maintenance
    from .runner import Runner

logger = logging.getLogger(__name__)

#: Rows claimed at once: few, so that a lease outlasts the batch.
_BATCH = 5


class Pass:
    """`EnrollSDK.run_jobs` of one SDK. Thread-safe."""

    def __init__(
        self,
        context: Context,
        runner: Runner,
        maintenance: Maintenance,
        presence: Presence,
    ) -> None:
        self._context, self._runner = context, runner
        self._maintenance, self._presence = maintenance, presence

    def __call__(
        self,
        limit: int,
        time_budget_s: float,
        *,
        stopping: Callable[[], bool] = lambda: False,
    ) -> JobReport:
        """See `EnrollSDK.run_jobs`; with `stopping`, nothing more is started."""
        self._presence.look()
        began = self._context.now()
        run = _OnePass(self._context, self._runner, limit, time_budget_s, stopping)
        while run.once():
            pass
        if run.has_time():
            self._maintenance(run.has_time)
        report = run.report()
        self._presence.cron(began, report)
        return report


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
        self._context = context
        self._intake = Intake(context, runner)
        self._left = limit
        self._ends = self._context.monotonic() + time_budget_s
        self._stopping = stopping
        self._actions: Counter[str] = Counter()

    def has_time(self) -> bool:
        """Tell whether something may still be started."""
        return self._context.monotonic() < self._ends and not self._stopping()

    def once(self) -> bool:
        """Claim and run one batch; False = nothing due, or no time."""
        if self._left <= 0 or not self.has_time():
            return False
        works = self._intake.take(min(_BATCH, self._left))
        for work in works:
            self._left -= 1
            self._run(work)
        return bool(works)

    def _run(self, work: Work) -> None:
        if not self.has_time():
            work.release()
        elif self._still_ours(work):
            self._actions[self._done(work)] += 1

    def _done(self, work: Work) -> str:
        try:
            return work.run()
        except StorageUnavailableError:
            raise
        except Exception:
            # One that can't even be ended keeps nobody else waiting: its lease lapses.
            logger.exception("claim lost")
            return "lost"

    def _still_ours(self, work: Work) -> bool:
        """Renew a lease that earlier jobs of the batch have used up by half."""
        if work.job is None or work.store is None:
            return True
        now, lease_s = self._context.now(), self._context.settings.lease_s
        if (work.job.due_at - now).total_seconds() > lease_s / 2:
            return True
        return work.store.heartbeat(work.job.token or "", now, lease_s)

    def report(self) -> JobReport:
        """Return the counters and what is left."""
        store, now = self._context.storage, self._context.now()
        left = store.jobs.stats(now).due_now + store.events.stats(now).due_now
        actions = self._actions
        return JobReport(
            claimed=actions.total() - actions["probe"],
            succeeded=actions["done"],
            retried=actions["retry"] + actions["lost"],
            dead=actions["dead"],
            deferred=actions["snooze"],
            due_left=left,
        )
