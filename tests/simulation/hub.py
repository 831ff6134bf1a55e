# SPDX-License-Identifier: MIT
"""
Virtual time, and processes that take turns on one thread.

A process is a greenlet. It runs until it pauses; whoever is due next goes on. All
randomness comes from one generator, so that a seed is a trace.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush

from greenlet import getcurrent, greenlet

from frappe_enroll_sdk.errors import EnrollError
from frappe_enroll_sdk.testing.faults import Crash


EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Process:
    """
    One process of ours, or one person.

    Attributes:
        name: For the trace.
        dead: Whether it was killed: it makes no call any more.
        doom: Calls until it is killed; 0 = it is not.
        asleep_until: Until when it is suspended.
        lost_s: Seconds that its monotonic clock did not count while it was.
        answer: What its work returned.
        error: What its work raised.
        done: Whether it has ended.
    """

    __slots__ = (
        *("answer", "asleep_until", "dead", "done", "doom", "error", "lost_s", "name"),
        "waiting",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = self.done = False
        self.doom = 0
        self.asleep_until = self.lost_s = 0.0
        self.answer = self.error = None
        self.waiting: list[tuple[greenlet, Process]] = []


class Hub:
    """The one thread: what time it is, and who is next."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.now_s = 0.0
        self._at_ms, self._at = 0, EPOCH
        #: Errors that are none of ours.
        self.unexpected: list[str] = []
        self._heap: list[tuple[float, int, greenlet, Process]] = []
        self._count = 0
        self._main = getcurrent()

    def now(self) -> datetime:
        """Return the time as it is."""
        return self.now_of(0.0)

    def now_of(self, skew_s: float) -> datetime:
        """Return the time of a clock that is off."""
        at_ms = int((self.now_s + skew_s) * 1000)
        if at_ms != self._at_ms:
            self._at_ms = at_ms
            self._at = EPOCH + timedelta(milliseconds=at_ms)
        return self._at

    def monotonic(self) -> float:
        """Return the time as it is, in seconds."""
        return self.now_s

    def random_bytes(self, n: int) -> bytes:
        """Throw the history's dice."""
        return self.dice.randbytes(n)

    def start(
        self, process: Process, work: Callable[[], object], after_s: float = 0.0
    ) -> Process:
        """Let a process begin its work; one may be given several things to do."""

        def run() -> None:
            try:
                process.answer = work()
            except (EnrollError, Crash) as error:
                process.error = error
            except Exception as error:  # noqa: BLE001  the judge tells it
                process.error = error
                self.unexpected.append(f"{process.name}: {error!r}")
            process.done = True
            for one, other in process.waiting:
                self._push(self.now_s, one, other)
            process.waiting.clear()

        self._push(self.now_s + after_s, greenlet(run, self._main), process)
        return process

    def help(self, process: Process, work: Callable[[], object]) -> None:
        """Let a process do something else beside its work."""

        def run() -> None:
            with suppress(EnrollError, Crash):
                work()

        self._push(self.now_s, greenlet(run, self._main), process)

    def _push(self, at: float, one: greenlet, process: Process) -> None:
        self._count += 1
        heappush(self._heap, (at, self._count, one, process))

    def pause(self, process: Process, seconds: float) -> None:
        """Let time pass for a process; others take their turns."""
        at = self.now_s + seconds
        if at < process.asleep_until:  # noqa: PLR1730  the hottest line there is
            at = process.asleep_until
        if not self._heap or at < self._heap[0][0]:
            self.now_s = at
            return
        self._push(at, getcurrent(), process)
        self._main.switch()

    def wait(self, process: Process, other: Process) -> Process:
        """Let a process wait for another one's end."""
        if not other.done:
            other.waiting.append((getcurrent(), process))
            self._main.switch()
        return other

    def run(self) -> None:
        """Let all go on until all have ended."""
        heap = self._heap
        while heap:
            at, _, one, process = heappop(heap)
            if process.asleep_until > at:
                self._push(process.asleep_until, one, process)
                continue
            self.now_s = max(self.now_s, at)
            one.switch()
