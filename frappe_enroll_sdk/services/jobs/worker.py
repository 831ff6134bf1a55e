# SPDX-License-Identifier: MIT
"""
A long-running worker: one thread claims, `concurrency` threads run, one keeps leases.

The steps are those of ``shift.py``; here are the threads that drive them.

It claims no more than it can start at once, wakes up where the store tells it to, and
polls in any case. Several workers on several hosts need nothing but the store.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections import Counter
from contextlib import contextmanager, nullcontext
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import attrs

from ...errors import EnrollError, SchemaError
from .claim import Lease
from .intake import Work
from .maintenance import EVERY_S
from .shift import Shift, log_failure
from .verdict import End


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...interfaces import Watch
    from ..context import Context

logger = logging.getLogger(__name__)

#: Most seconds between checks for a stop.
_SLICE_S = 0.1
#: Seconds before listening again after an announcement without work for us: the first
#: time, and at most.
_DEAF_S, _MAX_DEAF_S = 0.02, 0.16
#: Added to a signal's number in the exit code, as shells do.
_BY_SIGNAL = 128

STOPPING = (signal.SIGTERM, signal.SIGINT)


@attrs.define(eq=False)
class _Slot:
    """
    One thread that runs claims.

    Attributes:
        token: Token of the claim it runs, or "".
        given_up: Whether another thread has replaced it.
    """

    token: str = ""
    given_up: bool = False


class Worker:
    """
    Works until `stop` is called (from another thread or a signal handler).

    Running claims are finished (within `shutdown_timeout_s`), and those not yet begun
    are given back. A claim whose work has begun is never given back: it ends, or its
    lease lapses.

    Attributes:
        shift: The steps that its threads run.
    """

    def __init__(self, shift: Shift, *, shutdown_timeout_s: float = 30.0) -> None:
        self.shift, self._ambient = shift, shift.context.ambient
        self._concurrency = shift.concurrency
        self._shutdown_timeout_s = shutdown_timeout_s
        self._asked = False
        self._free = shift.concurrency
        self._schema: SchemaError | None = None
        self._changed = threading.Condition()
        self._todo: SimpleQueue[Work | None] = SimpleQueue()
        self._slots: list[_Slot] = []
        self._threads: list[threading.Thread] = []
        self._ended = threading.Event()

    @property
    def name(self) -> str:
        """The name of its signs of life."""
        return self.shift.name

    @property
    def ends(self) -> Counter[str]:
        """Counts of its claims' ends."""
        return self.shift.ends

    def stop(self) -> None:
        """Stop claiming. Takes no lock, so that a signal handler may call it."""
        self._asked = True

    def run(
        self,
        *,
        handle_signals: bool = False,
        on_stop: Callable[[], object] = bool,
    ) -> None:
        """
        Work until stopped.

        Args:
            handle_signals: Stop at SIGTERM and SIGINT (in the main thread only).
            on_stop: Called when stopping begins.

        Raises:
            SchemaError: The store's schema does not (or no longer) match this code; the
                worker has stopped, since nothing can succeed.
        """
        handling = stop_on_signals(self.stop) if handle_signals else nullcontext()
        with handling:
            logger.info(
                "worker started",
                extra={"worker": self.name, "concurrency": self._concurrency},
            )
            self._start()
            # Sleep in short slices: a signal handler runs in this thread, and must not
            # find it holding a lock.
            while not self._asked:
                self._ambient.sleep(_SLICE_S)
            try:
                on_stop()
            finally:
                self._finish()
        if self._schema is not None:
            raise self._schema

    def _start(self) -> None:
        for _ in range(self._concurrency):
            self._add_slot()
        for target in (self._take_in, self._keep_alive, self._tidy):
            thread = threading.Thread(target=target, name="frappe-enroll", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _add_slot(self) -> None:
        slot = _Slot()
        self._slots.append(slot)
        threading.Thread(
            target=self._run_claims, args=(slot,), name="frappe-enroll", daemon=True
        ).start()

    def _finish(self) -> None:
        logger.info("worker stops", extra={"worker": self.name})
        ends = self._ambient.monotonic() + self._shutdown_timeout_s
        # Also give back whatever it was claiming when it was stopped.
        self._threads[0].join(max(self._shutdown_timeout_s, _SLICE_S))
        with self._changed:
            while self._free < self._concurrency and self._ambient.monotonic() < ends:
                self._changed.wait(_SLICE_S)
            left = self._concurrency - self._free
        self._ended.set()
        for _ in self._slots:
            self._todo.put(None)
        self.shift.end()
        extra = {"worker": self.name, "unfinished": left} | dict(self.ends)
        (logger.warning if left else logger.info)("worker stopped", extra=extra)

    # Claiming.

    def _take_in(self) -> None:
        watch = _Ears(self.shift.context)
        failures = 0
        while not self._asked:
            free = self._wait_for_slot()
            if not free or self._asked:
                continue
            try:
                works = self.shift.take(free)
                failures = 0
            except SchemaError as error:
                log_failure("worker gives up", error)
                self._schema = error
                self.stop()
                continue
            except Exception as error:  # noqa: BLE001  logged; the worker goes on
                failures += 1
                log_failure("claim failed", error)
                self._pause(min(self.shift.poll_s * 2**failures, 30.0))
                continue
            watch.learn(found=bool(works))
            for work in works:
                self._begin(work)
            if not works:
                self._idle(watch)
        watch.close()

    def _wait_for_slot(self) -> int:
        with self._changed:
            if self._free == 0:
                self._changed.wait(_SLICE_S)
            return self._free

    def _begin(self, work: Work) -> None:
        with self._changed:
            self._free -= 1
        self._todo.put(work)

    def _idle(self, watch: _Ears) -> None:
        """Wait for due work, at most until the next poll."""
        ends = self._ambient.monotonic() + self.shift.wait_s()
        while not self._asked and (left_s := ends - self._ambient.monotonic()) > 0:
            if watch.wait(min(left_s, _SLICE_S)):
                return

    def _pause(self, seconds: float) -> None:
        ends = self._ambient.monotonic() + seconds
        while not self._asked and (left_s := ends - self._ambient.monotonic()) > 0:
            self._ambient.sleep(min(left_s, _SLICE_S))

    # Running.

    def _run_claims(self, slot: _Slot) -> None:
        while not slot.given_up and (work := self._todo.get()) is not None:
            end = self._run(slot, work)
            with self._changed:
                if not slot.given_up:
                    self._free += 1
                    slot.token = ""
                    self.ends[str(end)] += 1
                    self._changed.notify_all()

    def _run(self, slot: _Slot, work: Work) -> End:
        slot.token = (work.job.token or "") if work.job else ""
        return self.shift.run(work, begin=not self._asked)

    # Leases, signs of life, housekeeping.

    def _keep_alive(self) -> None:
        wait_s = 0.0
        while not self._ended.wait(wait_s):
            wait_s = self.shift.beat_every_s
            self.shift.beat(self._replace)

    def _tidy(self) -> None:
        """Run housekeeping in its own thread, so that it never delays heartbeats."""
        while not self._ended.wait(self._ambient.uniform(0.5, 1.0) * EVERY_S):
            self.shift.tidy(lambda: not self._asked)

    def _replace(self, lease: Lease) -> None:
        """Replace a thread whose handler hangs past its deadline."""
        with self._changed:
            for slot in self._slots:
                if slot.token == lease.job.token:
                    slot.given_up = True
                    self._slots.remove(slot)
                    self._free += 1
                    self.ends["hung"] += 1
                    self._add_slot()
                    self._changed.notify_all()
                    return


class _Ears:
    """
    A watch that is opened on demand and tolerates errors.

    After an announcement without work for us (another worker was faster, or a gate is
    closed), it is ignored for a while, longer each time; polling goes on.
    """

    def __init__(self, context: Context) -> None:
        self._context, self._ambient = context, context.ambient
        self._watch: Watch | None = None
        self._heard = False
        self._deaf_s = 0.0
        self._deaf_until = 0.0
        self._open()

    def _open(self) -> Watch | None:
        if self._watch is None:
            try:
                self._watch = self._context.storage.watch()
            except EnrollError as error:
                log_failure("watch failed", error)
        return self._watch

    def learn(self, *, found: bool) -> None:
        """Record whether the last announcement led to work."""
        if found:
            self._deaf_s = 0.0
        elif self._heard:
            self._deaf_s = min(max(self._deaf_s * 2, _DEAF_S), _MAX_DEAF_S)
            self._deaf_until = self._ambient.monotonic() + self._deaf_s
        self._heard = False

    def wait(self, timeout_s: float) -> bool:
        """See `Watch.wait`."""
        deaf_s = self._deaf_until - self._ambient.monotonic()
        watch = self._open() if deaf_s <= 0 else None
        if watch is None:
            self._ambient.sleep(min(timeout_s, deaf_s) if deaf_s > 0 else timeout_s)
            return False
        try:
            self._heard = watch.wait(timeout_s, now=self._context.now())
        except EnrollError as error:
            log_failure("watch failed", error)
            self.close()
            self._ambient.sleep(timeout_s)
        return self._heard

    def close(self) -> None:
        """Close the watch."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None


def _end(number: int, _frame: Any) -> None:
    os._exit(_BY_SIGNAL + number)


@contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """
    Call `stop` at the first SIGTERM or SIGINT; let the second one end the process.

    Works in the main thread only (as Python requires); elsewhere it does nothing, and
    the host's handlers stay. The former handlers are restored at the end. `stop` must
    not take a lock: the interrupted thread may hold it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def first(_number: int, _frame: Any) -> None:
        for name in STOPPING:
            signal.signal(name, second)
        stop()

    # A container's first process ignores signals without an explicit handler.
    second = _end if os.getpid() == 1 else signal.SIG_DFL
    before = {name: signal.signal(name, first) for name in STOPPING}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
