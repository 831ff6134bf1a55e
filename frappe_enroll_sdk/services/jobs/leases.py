# SPDX-License-Identifier: MIT
"""
The leases of what runs: extended while it runs, up to a deadline.

A handler that hangs past its deadline gets no more heartbeats: its lease lapses, the
next worker claims the job, and whatever the hung one still writes is fenced off.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import attrs

from ...errors import StorageUnavailableError


if TYPE_CHECKING:
    from ...interfaces import JobStore
    from ...models import Job
    from ..context import Context

logger = logging.getLogger(__name__)

_GRACE_S = 1.0


@attrs.frozen(eq=False, kw_only=True)
class Lease:
    """
    One claim that runs.

    Attributes:
        store: Where the job lives.
        job: The job as claimed.
        began: When its handler began, on the monotonic clock.
    """

    store: JobStore
    job: Job
    began: float


class Leases:
    """The claims that run in this worker. Thread-safe."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._held: dict[str, Lease] = {}
        self._missed: set[str] = set()

    def hold(self, store: JobStore, job: Job) -> None:
        """Extend this claim's lease from now on."""
        lease = Lease(store=store, job=job, began=self._context.monotonic())
        with self._lock:
            self._held[job.token or ""] = lease

    def drop(self, job: Job) -> None:
        """Its handler has ended."""
        with self._lock:
            self._held.pop(job.token or "", None)

    def beat(self) -> list[Lease]:
        """
        Extend all leases once; return those that hang past their deadline.

        Those are dropped: nothing extends them any more.
        """
        # Where a plugin's code hangs, the wall around it speaks first.
        deadline_s = self._context.settings.job_timeout_s + _GRACE_S
        now_s = self._context.monotonic()
        with self._lock:
            hung = [x for x in self._held.values() if now_s - x.began > deadline_s]
            for lease in hung:
                del self._held[lease.job.token or ""]
            held = list(self._held.values())
        for kind in (True, False):
            self._extend([x for x in held if (x.job.deliveries > 0) is kind])
        return hung

    def _extend(self, leases: list[Lease]) -> None:
        if not leases:
            return
        tokens = [lease.job.token or "" for lease in leases]
        now, lease_s = self._context.now(), self._context.settings.lease_s
        try:
            kept = leases[0].store.heartbeat_many(tokens, now, lease_s)
        except StorageUnavailableError as error:
            # The next beat may come through before the leases lapse.
            logger.warning("heartbeat failed", extra={"error_code": error.code})
            return
        for lease in leases:
            if lease.job.token not in kept:
                self._miss(lease)

    def _miss(self, lease: Lease) -> None:
        """One that is missed once may just have ended; one missed twice is lost."""
        token = lease.job.token or ""
        with self._lock:
            lost = token in self._missed and token in self._held
            if lost:
                del self._held[token]
            self._missed = (self._missed | {token}) & self._held.keys()
        if lost:
            # Its handler finds out by itself at its next write, which is fenced.
            logger.warning("lease lost", extra={"job": lease.job.key})
