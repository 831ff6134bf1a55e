# SPDX-License-Identifier: MIT
"""
Fault injection: count, interrupt, fail or "kill" at the k-th call to any backend.

`Tap` wraps a backend (and the small stores of a storage) and calls a hook before and
after each verb. `Crash` derives from BaseException, so that no ``except Exception``
survives what stands for the death of the process.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

from ..wall import ProcessEnd


class Crash(ProcessEnd):
    """The process dies here."""


class Tap:
    """
    A backend whose calls can be watched.

    Args:
        target: The real backend.
        before: Called with the verb's name before the call; may raise.
        after: Called with the verb's name after it (its answer is lost if it raises).
        name: Prefix of the verbs' names.
    """

    _STORES = frozenset(
        {"coupons", "enrollments", "events", "jobs", "gates", "audit", "workers"}
        | {"grants", "affiliates"}
    )
    #: What makes no promise: a hint, the end of a connection, work without I/O.
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
            answer = value(*args, **kwargs)
            self._after(full)
            return answer

        return call


class CrashPlan:
    """
    Kills at the k-th call: before it ("never made") or after it ("answer lost").

    Once dead, every further call dies too: a dead process makes none. With `k` 0 it
    only counts. Thread-safe.
    """

    def __init__(self, k: int = 0, *, lost_answer: bool = False) -> None:
        self.k, self.lost_answer = k, lost_answer
        self.calls: list[str] = []
        self.dead = False
        self._lock = Lock()

    def before(self, verb: str) -> None:
        """Count a call, and die before it if it is the one."""
        with self._lock:
            if self.dead:
                raise Crash(verb)
            self.calls.append(verb)
            if len(self.calls) == self.k and not self.lost_answer:
                self._die(verb)

    def after(self, verb: str) -> None:
        """Die after the call if it is the one."""
        with self._lock:
            if self.dead or (len(self.calls) == self.k and self.lost_answer):
                self._die(verb)

    def _die(self, verb: str) -> None:
        self.dead = True
        raise Crash(verb)

    def tap(self, target: Any, name: str) -> Any:
        """Return the backend with this plan around it."""
        return Tap(target, self.before, self.after, name)


class FailNext:
    """Failures that a fake's verbs raise, in order. Thread-safe."""

    def __init__(self) -> None:
        self._plans: list[tuple[str, BaseException, bool]] = []
        self._lock = Lock()

    def add(
        self, verb: str, error: BaseException, *, after: bool = False, times: int = 1
    ) -> None:
        """Let the next `times` calls of a verb fail, before or after their effect."""
        with self._lock:
            self._plans += [(verb, error, after)] * times

    def check(self, verb: str, *, after: bool = False) -> None:
        """Raise what is planned for this verb at this moment."""
        with self._lock:
            for plan in self._plans:
                if plan[0] in (verb, "*") and plan[2] is after:
                    self._plans.remove(plan)
                    raise plan[1]

    def clear(self) -> None:
        """Forget all plans."""
        with self._lock:
            self._plans.clear()
