# SPDX-License-Identifier: MIT
"""
Fault injection: count, interrupt, fail or "kill" at the k-th call to any backend.

`Tap` wraps a backend (and the small stores of a storage) and calls a hook before and
after each verb. `Crash` derives from BaseException, so that no ``except Exception``
survives what stands for the death of the process.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count
from threading import Lock
from typing import Any, TypeVar

import attrs

from ..clock import Clock
from ..errors import EnrollError, TransientError
from ..wall import ProcessEnd


__all__ = ("Crash", "CrashPlan", "Deadlines", "FailNext", "Slow", "Tap")


T = TypeVar("T")


class Crash(ProcessEnd):
    """Simulates the death of the process."""


class Tap:
    """
    Wraps a backend and calls hooks around each of its calls.

    Args:
        target: The real backend.
        before: Called with the verb's name before the call; may raise.
        after: Called with the verb's name after it (its answer, or its error, is lost
            if this raises).
        name: Prefix of the verbs' names.
    """

    _STORES = frozenset(
        {"coupons", "enrollments", "events", "jobs", "gates", "audit", "workers"}
        | {"grants", "affiliates"}
    )
    #: Calls that promise nothing: hints, closing connections, work without I/O.
    _QUIET = frozenset({"now", "close", "prepare_session", "watch"})

    def __init__(
        self,
        target: Any,
        before: Callable[[str], None],
        after: Callable[[str], None],
        name: str = "",
    ) -> None:
        self._target, self._before, self._after = target, before, after
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._target, attribute)
        full = f"{self._name}.{attribute}".lstrip(".")
        if attribute in self._STORES:
            return Tap(value, self._before, self._after, full)
        if not callable(value) or attribute in self._QUIET:
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            self._before(full)
            try:
                answer = value(*args, **kwargs)
            except Exception:
                self._after(full)
                raise
            self._after(full)
            return answer

        return call


class CrashPlan:
    """
    Kills at the k-th call: before it ("never made") or after it ("answer lost").

    Once dead, every further call dies too, as a dead process makes no calls. With `k` 0
    it only counts. Thread-safe.
    """

    def __init__(self, k: int = 0, *, lost_answer: bool = False) -> None:
        self.k, self.lost_answer = k, lost_answer
        self.calls: list[str] = []
        self.dead = False
        self._lock = Lock()

    def before(self, verb: str) -> None:
        """Count a call, and die before it if it is the k-th."""
        with self._lock:
            if self.dead:
                raise Crash(verb)
            self.calls.append(verb)
            if len(self.calls) == self.k and not self.lost_answer:
                self._die(verb)

    def after(self, verb: str) -> None:
        """Die after the call if it is the k-th."""
        with self._lock:
            if self.dead or (len(self.calls) == self.k and self.lost_answer):
                self._die(verb)

    def _die(self, verb: str) -> None:
        self.dead = True
        raise Crash(verb)

    def tap(self, target: Any, name: str) -> Any:
        """Return the backend wrapped in this plan."""
        return Tap(target, self.before, self.after, name)


@attrs.frozen
class Slow:
    """
    How slow a call is.

    Attributes:
        answers_after_s: Seconds until the answer; a time-out if longer than the caller
            waits.
        acts_after_s: Seconds until a timed-out call takes effect.
    """

    answers_after_s: float
    acts_after_s: float = 0.0


class FailNext:
    """Plans faults for the next calls of a fake's verbs. Thread-safe."""

    def __init__(self) -> None:
        self._plans: list[tuple[str, BaseException, bool]] = []
        self._slow: list[tuple[str, Slow]] = []
        self._lock = Lock()

    def slow(self, verb: str, slow: Slow, *, times: int = 1) -> None:
        """Make the next `times` calls of a verb slow."""
        with self._lock:
            self._slow += [(verb, slow)] * times

    def take_slow(self, verb: str) -> Slow | None:
        """Return how slow this call of a verb is; None = not at all."""
        if not self._slow:
            return None
        with self._lock:
            for plan in self._slow:
                if plan[0] in (verb, "*"):
                    self._slow.remove(plan)
                    return plan[1]
        return None

    def add(
        self, verb: str, error: BaseException, *, after: bool = False, times: int = 1
    ) -> None:
        """Make the next `times` calls of a verb fail, before or after their effect."""
        with self._lock:
            self._plans += [(verb, error, after)] * times

    def check(self, verb: str, *, after: bool = False) -> None:
        """Raise the error planned for this verb and moment."""
        if not self._plans:
            return
        with self._lock:
            for plan in self._plans:
                if plan[0] in (verb, "*") and plan[2] is after:
                    self._plans.remove(plan)
                    raise plan[1]

    def clear(self) -> None:
        """Forget all plans."""
        with self._lock:
            self._plans.clear()
            self._slow.clear()


class Deadlines:
    """
    Simulates time-outs of a fake's callers, and effects after them. Thread-safe.

    Args:
        clock: The current time.
        plans: How slow each call is.
        error: The error for a time-out.
    """

    def __init__(
        self, clock: Clock, plans: FailNext, error: type[TransientError]
    ) -> None:
        self._clock, self._plans, self._error = clock, plans, error
        self._late: list[tuple[datetime, int, Callable[[], object]]] = []
        self._numbers = count()
        self._lock = Lock()

    def call(self, verb: str, timeout_s: float, effect: Callable[[], T]) -> T:
        """Make a call now, or after its caller has given up."""
        slow = self._plans.take_slow(verb)
        if slow is None or slow.answers_after_s <= timeout_s:
            return effect()
        at = self._clock.now() + timedelta(seconds=slow.acts_after_s)
        with self._lock:
            heapq.heappush(self._late, (at, next(self._numbers), effect))
        raise self._error(f"{verb}: no answer in time", unclear=True)

    def catch_up(self) -> None:
        """Apply the effects that are due by now; their answers are lost."""
        while self._late and self._late[0][0] <= self._clock.now():
            with self._lock:
                effect = heapq.heappop(self._late)[2]
            with suppress(EnrollError):
                effect()
