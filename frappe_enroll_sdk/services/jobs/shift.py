# SPDX-License-Identifier: MIT
"""
What a worker does, step by step: claim, run, keep leases, tidy up.

A step never waits for another one. The worker's threads drive the steps
(``worker.py``), and so can anything that has one thread only.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from ... import wall
from ...errors import EnrollError
from ..alerts import raise_alert
from ..context import worker_name
from .claim import Lease, Leases
from .heartbeat import SEEN_EVERY_S
from .intake import Intake, Work
from .verdict import End


if TYPE_CHECKING:
    from ..context import Context
    from .breaker import Breakers
    from .heartbeat import Heartbeats
    from .maintenance import Maintenance
    from .runner import Runner

logger = logging.getLogger(__name__)


class Shift:
    """
    One worker's steps. `take` and `wait_s` are for one thread, the rest for any.

    Attributes:
        name: The name of its signs of life.
        ends: Counts of its claims' ends, kept by the caller.
    """

    def __init__(
        self,
        context: Context,
        runner: Runner,
        breakers: Breakers,
        maintenance: Maintenance,
        heartbeats: Heartbeats,
        *,
        concurrency: int,
        poll_s: float,
    ) -> None:
        self.context = context
        self.concurrency, self.poll_s = concurrency, poll_s
        self.name = f"{worker_name()}:{context.ambient.token_hex(3)}"
        self.ends: Counter[str] = Counter()
        self._maintenance, self._heartbeats = maintenance, heartbeats
        self._intake = Intake(context, runner, breakers)
        self._leases = Leases(context)
        self._seen: float | None = None
        self._started_at: datetime | None = None

    def take(self, free: int) -> list[Work]:
        """Claim up to `free`, and extend their leases from now on."""
        works = self._intake.take(free)
        for work in works:
            if work.job is not None and work.store is not None:
                self._leases.hold(work.store, work.job)
        return works

    def run(self, work: Work, *, begin: bool = True) -> End:
        """Run a claim, or give it back before it begins; return its end."""
        try:
            if begin:
                return wall.contained("a claim", work.run)
            work.release()
        except Exception as error:  # noqa: BLE001  logged; the lease lapses
            log_failure("claim lost", error)
            return End.LOST
        finally:
            if work.job is not None:
                self._leases.drop(work.job)
        return End.RELEASED

    def wait_s(self) -> float:
        """Return how long to wait when nothing is due; jitter spreads workers."""
        jitter = self.context.ambient.uniform(0.8, 1.2)
        return self._intake.wait_s(self.poll_s) * jitter

    @property
    def beat_every_s(self) -> float:
        """Seconds between heartbeats."""
        return min(self.context.settings.lease_s / 3, 10.0)

    def beat(self, give_up: Callable[[Lease], None]) -> None:
        """
        Extend the leases and leave a sign of life.

        Args:
            give_up: Called with each claim that hangs past its deadline; its lease is
                no longer extended.
        """
        try:
            if self._started_at is None:
                self._started_at = self.context.now()
            for lease in self._leases.beat():
                logger.error("handler hangs", extra={"job": lease.job.key})
                give_up(lease)
                raise_alert(self.context, "job_hangs", lease.job.key, lease.job.token)
            now_s = self.context.monotonic()
            if self._seen is None or now_s - self._seen >= SEEN_EVERY_S:
                self._seen = now_s
                detail = {
                    "concurrency": self.concurrency,
                    "ends": dict(self.ends),
                }
                self._heartbeats.worker(self.name, self._started_at, detail)
        except Exception as error:  # noqa: BLE001  logged; the next heartbeat follows
            log_failure("heartbeat failed", error)

    def tidy(self, has_time: Callable[[], bool] = lambda: True) -> None:
        """Do the housekeeping that is due."""
        try:
            self._maintenance.run_owed(has_time)
        except Exception as error:  # noqa: BLE001  logged; the next turn follows
            log_failure("maintenance failed", error)

    def end(self) -> None:
        """Remove the sign of life."""
        self._heartbeats.ended(self.name)


def log_failure(message: str, error: Exception) -> None:
    """Log an error that the worker survives: ours by code, a foreign one in full."""
    if isinstance(error, EnrollError):
        logger.warning(message, extra={"error_code": error.code})
    else:
        logger.error(message, exc_info=error)
