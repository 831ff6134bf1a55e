# SPDX-License-Identifier: MIT
"""Signals for a worker: the first one asks it to stop, the second one ends it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


#: What a shell says of a process that a signal has ended.
_BY_SIGNAL = 128

STOPPING = (signal.SIGTERM, signal.SIGINT)


def _end(number: int, _frame: Any) -> None:
    os._exit(_BY_SIGNAL + number)


@contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """
    Call `stop` at the first SIGTERM or SIGINT; let the second one end the process.

    Handlers are set in the main thread only (Python allows no other); anywhere else
    this does nothing, and the host's handlers stay. They are put back at the end.
    `stop` must take no lock: the thread that it interrupts may hold it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def first(_number: int, _frame: Any) -> None:
        for name in STOPPING:
            signal.signal(name, second)
        stop()

    # The first process of a container ignores what has no handler of its own.
    second = _end if os.getpid() == 1 else signal.SIG_DFL
    before = {name: signal.signal(name, first) for name in STOPPING}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
