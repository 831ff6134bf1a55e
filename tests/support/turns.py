# SPDX-License-Identifier: MIT
"""Two actors whose calls are interleaved by hand, one call at a time."""

from __future__ import annotations

import threading

from frappe_enroll_sdk import EnrollSDK
from frappe_enroll_sdk.errors import EnrollError
from frappe_enroll_sdk.testing.faults import Crash, Tap


_LONG_S = 60


def sdk_of(world, actor) -> EnrollSDK:
    """Return an SDK over a world whose every call waits for the actor's turn."""

    def tap(target, name):
        return Tap(target, actor.step, lambda _verb: None, name)

    return EnrollSDK(
        world.settings,
        storage=tap(world.storage, ""),
        payments=tap(world.payments, "payments"),
        lms=tap(world.lms, "lms"),
        clock=world.clock,
        plugins=world.plugins,
        discover=False,
    )


class Actor:
    """
    A thread that stops before each call until it is let go.

    Its calls are those to the backends (through a `Tap`) and `step`s of its own.
    """

    def __init__(self, name, run) -> None:
        self.name, self.calls, self.error = name, [], None
        self.done, self._dies = False, False
        self._left = 0
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, args=(run,), daemon=True)

    def _run(self, run) -> None:
        self._go.acquire()
        try:
            run(self)
        except (EnrollError, Crash) as error:
            self.error = error
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.done = True
            self._stopped.release()

    def step(self, verb: str) -> None:
        """Stop before a call if no more are allowed."""
        if self._left == 0:
            self._stopped.release()
            self._go.acquire()
        if self._dies:
            raise Crash(verb)
        self._left -= 1
        self.calls.append(verb)

    def advance(self, calls: int) -> None:
        """Let it make so many calls (-1: all); return when it has stopped."""
        if calls == 0 or self.done:
            return
        if not self._thread.is_alive():
            self._thread.start()
        self._left = calls
        self._go.release()
        assert self._stopped.acquire(timeout=_LONG_S), f"{self.name} hangs"

    def advance_past(self, verb: str) -> None:
        """Let it go on until it has made this call."""
        made = len(self.calls)
        while verb not in self.calls[made:]:
            assert not self.done, f"{self.name} has never called {verb}"
            self.advance(1)

    def die(self) -> None:
        """Let it die where it stands."""
        self._dies = True
        self.finish()

    def finish(self) -> None:
        """Let it run to its end; raise what it did not expect."""
        while not self.done:
            self.advance(-1)
        self._thread.join(_LONG_S)
        if self.error is not None and not isinstance(self.error, (EnrollError, Crash)):
            raise self.error
