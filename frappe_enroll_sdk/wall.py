# SPDX-License-Identifier: MIT
"""
The wall between us and foreign code: hooks and handlers of plugins, a host's metrics.

Whatever it raises arrives as an `Exception`, an answer that never ran (a coroutine) is
no answer, and where `bounded` is in force whoever takes too long is left behind.
"""

from __future__ import annotations

import inspect
import math
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from queue import SimpleQueue
from typing import Any, TypeVar

import attrs

from .errors import PluginFailedError


__all__: tuple[str, ...] = ()  # internal


T = TypeVar("T")

#: The longest wait that foreign code may ask for, in seconds.
MAX_WAIT_S = 366 * 86400.0
#: Most characters kept of a text from foreign code.
_MAX_TEXT = 4000
#: Most calls that may hang at once: each of them occupies a thread.
_MAX_HUNG = 32

_limit_s: ContextVar[float | None] = ContextVar("limit_s", default=None)


class ProcessEnd(BaseException):
    """Simulates the end of the process in tests: no wall catches it."""


@contextmanager
def bounded(seconds: float | None) -> Iterator[None]:
    """Limit each foreign call in the block to this many seconds (None: no limit)."""
    token = _limit_s.set(seconds)
    try:
        yield
    finally:
        _limit_s.reset(token)


def call(name: str, function: Callable[..., Any], /, *args: Any, **named: Any) -> Any:
    """
    Call foreign code and return its answer.

    Args:
        name: Name of the call, for people.
        function: The foreign code.
        *args: Its arguments.
        **named: Its arguments.

    Raises:
        PluginFailedError: It raised something other than an `Exception` (`SystemExit`,
            a cancellation), or has not answered in time; then it may still be running.
        Exception: Any other error that it raised.
    """

    def errand() -> Any:
        return contained(name, function, *args, **named)

    limit_s = _limit_s.get()
    return errand() if limit_s is None else _aside(name, errand, limit_s)


def contained(name: str, function: Callable[..., T], /, *args: Any, **named: Any) -> T:
    """
    Call foreign code on this thread, however long it takes.

    Raises:
        PluginFailedError: It raised something other than an `Exception`.
        Exception: Any other error that it raised.
    """
    try:
        return function(*args, **named)
    except Exception:
        raise
    except BaseException as error:
        if _is_real(error):
            raise
        raise PluginFailedError(f"{name} raised {type(error).__name__}") from error


def ran(name: str, answer: T) -> T:
    """
    Return an answer, unless its code has not run.

    Raises:
        PluginFailedError: It is a coroutine or a generator: none of it has run.
    """
    if inspect.iscoroutine(answer) or inspect.isgenerator(answer):
        answer.close()
    elif not (inspect.isawaitable(answer) or inspect.isasyncgen(answer)):
        return answer
    kind = type(answer).__name__
    raise PluginFailedError(f"{name} answered with a {kind}, which nobody runs")


def is_wait(value: object) -> bool:
    """Tell whether a value is a number of seconds that can be added to a moment."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value) and value <= MAX_WAIT_S


def is_storable(value: str) -> bool:
    """Tell whether every store can hold a text: no NUL, no half of a surrogate pair."""
    return "\0" not in value and value == value.encode(errors="ignore").decode()


def text(value: object) -> str:
    """Return foreign text in a form that every store can hold."""
    try:
        plain = str(value)
    except Exception:  # noqa: BLE001  the type's name has to do
        plain = f"a {type(value).__name__} without a text"
    kept = plain[:_MAX_TEXT].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return kept.encode("utf-8", "replace").decode()


def _is_real(error: BaseException) -> bool:
    """Tell whether to let it through: Ctrl-C, or a test's kill."""
    if isinstance(error, KeyboardInterrupt):
        return threading.current_thread() is threading.main_thread()
    return isinstance(error, ProcessEnd)


@attrs.define(eq=False)
class _Errand:
    """A call to be made by another thread."""

    run: Callable[[], Any]
    ended: threading.Event = attrs.field(factory=threading.Event)
    answer: Any = None
    error: BaseException | None = None
    left_behind: bool = False


class _Hands:
    """Reusable threads that make calls for others. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[SimpleQueue[_Errand]] = []
        self._hung = 0

    def give(self, name: str, errand: _Errand, limit_s: float) -> None:
        """
        Run an errand and wait for it to end.

        Raises:
            PluginFailedError: It has not ended in time, or too many others still hang.
        """
        with self._lock:
            if self._hung >= _MAX_HUNG:
                words = f"{name} was not called: {self._hung} calls of plugins hang"
                raise PluginFailedError(words, code="plugin_hangs")
            hand = self._idle.pop() if self._idle else None
        (hand or self._hire()).put(errand)
        if errand.ended.wait(limit_s):
            return
        with self._lock:
            if errand.ended.is_set():
                return
            errand.left_behind = True
            self._hung += 1
        words = f"{name} has not answered within {limit_s:g} s; it may still be running"
        raise PluginFailedError(words, code="plugin_hangs")

    def _hire(self) -> SimpleQueue[_Errand]:
        todo: SimpleQueue[_Errand] = SimpleQueue()
        thread = threading.Thread(
            target=self._work, args=(todo,), name="frappe-enroll-plugin", daemon=True
        )
        thread.start()
        return todo

    def _work(self, todo: SimpleQueue[_Errand]) -> None:
        while True:
            errand = todo.get()
            try:
                errand.answer = errand.run()
            except BaseException as error:  # noqa: BLE001  raised again in the caller
                errand.error = error
            with self._lock:
                self._hung -= errand.left_behind
                self._idle.append(todo)
                errand.ended.set()
            del errand


_hands = _Hands()


def _forked() -> None:
    """Forget the parent's threads, which a forked process does not have."""
    global _hands  # noqa: PLW0603  one set of threads per process
    _hands = _Hands()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _aside(name: str, function: Callable[[], Any], limit_s: float) -> Any:
    """Make a call on another thread, with this thread's context."""

    def unbounded() -> Any:
        _limit_s.set(None)
        return function()

    context = copy_context()
    errand = _Errand(run=lambda: context.run(unbounded))
    _hands.give(name, errand, limit_s)
    if errand.error is not None:
        raise errand.error
    return errand.answer
