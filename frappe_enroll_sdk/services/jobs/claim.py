# SPDX-License-Identifier: MIT
"""
Claimed jobs: one in the hands of its handler, and the leases of all that run.

A handler that hangs past its deadline gets no more heartbeats: its lease lapses, the
next worker claims the job, and whatever the hung one still writes is fenced off.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from ...errors import LeaseLostError, StorageUnavailableError
from ...stores.queue import united


if TYPE_CHECKING:
    from ...interfaces import JobStore
    from ...models import Job
    from ..context import Context

logger = logging.getLogger(__name__)

#: Begin a write only if the budget leaves it this many seconds: one that is cut off has
#: an unclear outcome, which takes minutes to settle.
_MIN_WRITE_S = 1.0
#: Seconds of grace after a handler's deadline, so that the wall around a plugin acts
#: first.
_GRACE_S = 1.0


class BudgetSpentError(Exception):
    """Inline work has no time left for a write; a worker will continue."""


class Claim:
    """
    A claim of a job; owned by the thread that runs it.

    Attributes:
        job: The job as claimed.
        store: Its store (jobs or events).
        data: What is known: the job's data, and what this try has learned.
        wrote: Whether this try has begun a write.
    """

    def __init__(
        self,
        context: Context,
        store: JobStore,
        job: Job,
        *,
        budget_s: float | None = None,
    ) -> None:
        self.job, self.store = job, store
        self.data: Mapping[str, Any] = job.data
        self.wrote = False
        self._written = self.data
        self._context = context
        self._ends = None if budget_s is None else context.monotonic() + budget_s

    @property
    def token(self) -> str:
        """The token that fences this claim."""
        return self.job.token or ""

    @property
    def is_inline(self) -> bool:
        """Whether a caller waits for it."""
        return self._ends is not None

    def timeout_s(self, most: float) -> float:
        """Return how long one call may take: `most`, or what is left of the budget."""
        if self._ends is None:
            return most
        return max(min(most, self._ends - self._context.monotonic()), 0.05)

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        self._context.ambient.sleep(seconds)

    def learn(self, data: Mapping[str, Any]) -> None:
        """Add to what is known, to be stored with the claim's next write or its end."""
        self.data = united(self.data, data)

    @property
    def has_news(self) -> bool:
        """Whether something learned has not been stored yet."""
        return self.data != self._written

    def begin_write(
        self,
        call_s: float,
        data: Mapping[str, Any] | None = None,
        *,
        min_s: float = _MIN_WRITE_S,
    ) -> None:
        """
        Before a write, extend the lease beyond it and store what is known.

        `data` is what will be known once the call has begun; it is dropped if the call
        must not begin. `min_s` is the time that the call takes.

        Raises:
            LeaseLostError: Another worker has the claim now: do not make the call.
            BudgetSpentError: Inline work has too little time left for the call.
        """
        left_s = None if self._ends is None else self._ends - self._context.monotonic()
        if left_s is not None and left_s < self._min_s(min_s):
            raise BudgetSpentError
        lease_s = max(self._context.settings.lease_s, call_s * 2)
        if not self._beat(lease_s, united(self.data, data or {})):
            raise LeaseLostError(f"{self.job.key}: the lease was lost")
        self.wrote = True

    def keep(self) -> bool:
        """Store what was learned; False = another worker has the claim now."""
        lease_s = self._context.settings.lease_s
        return not self.has_news or self._beat(lease_s, self.data)

    def _beat(self, lease_s: float, data: Mapping[str, Any]) -> bool:
        now = self._context.now()
        if not self.store.heartbeat(self.token, now, lease_s, data=data):
            return False
        self.data = self._written = data
        return True

    def _min_s(self, min_s: float) -> float:
        return min(min_s, self._context.settings.inline_s / 2)


@attrs.frozen(eq=False, kw_only=True)
class Lease:
    """
    A running claim.

    Attributes:
        store: The job's store.
        job: The job as claimed.
        began: When its handler began, on the monotonic clock.
    """

    store: JobStore
    job: Job
    began: float


class Leases:
    """This worker's running claims. Thread-safe."""

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
        """Stop extending a claim's lease: its handler has ended."""
        with self._lock:
            self._held.pop(job.token or "", None)

    def beat(self) -> list[Lease]:
        """
        Extend all leases once; return claims that hang past their deadline.

        Those are dropped, and no longer extended.
        """
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
            # The next heartbeat may succeed before the leases lapse.
            logger.warning("heartbeat failed", extra={"error_code": error.code})
            return
        for lease in leases:
            if lease.job.token not in kept:
                self._miss(lease)

    def _miss(self, lease: Lease) -> None:
        """Drop a lease missed twice; after one miss, its claim may just have ended."""
        token = lease.job.token or ""
        with self._lock:
            lost = token in self._missed and token in self._held
            if lost:
                del self._held[token]
            self._missed = (self._missed | {token}) & self._held.keys()
        if lost:
            # Its handler finds out at its next write, which is fenced.
            logger.warning("lease lost", extra={"job": lease.job.key})
