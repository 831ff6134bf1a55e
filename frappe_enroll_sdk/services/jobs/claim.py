# SPDX-License-Identifier: MIT
"""One claimed job in the hands of its handler: lease, progress, time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...errors import LeaseLostError
from ...stores.queue import united


if TYPE_CHECKING:
    from ...interfaces import JobStore
    from ...models import Job
    from ..context import Context


#: A call that writes is begun only if the budget leaves it this many seconds: one that
#: is cut off leaves an unclear outcome, which costs minutes to settle.
_LEAST_WRITE_S = 1.0


class BudgetSpentError(Exception):
    """Inline work has no time left for a write; the next worker goes on."""


class Claim:
    """
    A claim of a job; owned by the thread that runs it.

    Attributes:
        job: The job as claimed.
        store: Where it lives (jobs or events).
        data: What is known: what the job said, and what this try has learned.
        wrote: Whether a call that writes has begun in this try.
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
        """Whether somebody waits for it."""
        return self._ends is not None

    def timeout_s(self, most: float) -> float:
        """Return how long one call may take: `most`, or what the budget leaves."""
        if self._ends is None:
            return most
        return max(min(most, self._ends - self._context.monotonic()), 0.05)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._context.ambient.sleep(seconds)

    def learn(self, data: Mapping[str, Any]) -> None:
        """Know more; it is written with the claim's next write, or its end."""
        self.data = united(self.data, data)

    @property
    def has_news(self) -> bool:
        """Whether something was learned that is not written yet."""
        return self.data != self._written

    def begin_write(
        self,
        call_s: float,
        data: Mapping[str, Any] | None = None,
        *,
        least_s: float = _LEAST_WRITE_S,
    ) -> None:
        """
        Make the lease outlast a call that writes, and write what is known before it.

        `data` is what is known once the call has begun: where it must not begin, that
        is not so. `least_s` is the time that the call takes.

        Raises:
            LeaseLostError: The claim is somebody else's now: do not call.
            BudgetSpentError: Inline work has too little time left for it.
        """
        left_s = None if self._ends is None else self._ends - self._context.monotonic()
        if left_s is not None and left_s < self._least_s(least_s):
            raise BudgetSpentError
        lease_s = max(self._context.settings.lease_s, call_s * 2)
        if not self._beat(lease_s, united(self.data, data or {})):
            raise LeaseLostError(f"{self.job.key}: the lease was lost")
        self.wrote = True

    def keep(self) -> bool:
        """Write what was learned; False = the claim is somebody else's now."""
        lease_s = self._context.settings.lease_s
        return not self.has_news or self._beat(lease_s, self.data)

    def _beat(self, lease_s: float, data: Mapping[str, Any]) -> bool:
        now = self._context.now()
        if not self.store.heartbeat(self.token, now, lease_s, data=data):
            return False
        self.data = self._written = data
        return True

    def _least_s(self, least_s: float) -> float:
        return min(least_s, self._context.settings.inline_s / 2)
