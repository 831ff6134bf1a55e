# SPDX-License-Identifier: MIT
"""
One total time and size for a call to somebody else, whatever the other side does.

A socket's own time-out starts anew with each byte, so a peer that drips is never late.
The connections of `frappe_enroll_sdk.connections` look at the call that is under way in
their thread, and give each step only the time that is left.

::

    with within(10.0) as call:
        answer = opener().open(request)

This is the only module that reads the real time by which calls are measured.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar


__all__ = ("MAX_BYTES", "AnswerTooLargeError", "Call", "in_time", "under_way", "within")


T = TypeVar("T")

#: No service that we call sends a larger answer.
MAX_BYTES = 20_000_000


def moment_s() -> float:
    """Return the real time by which calls are measured, whatever clock a test sets."""
    return time.monotonic()


class AnswerTooLargeError(OSError):
    """The answer is larger than any valid answer."""


class Call:
    """
    A call with one total deadline; owned by one thread.

    Attributes:
        used: Whether it used one of our connections.
        sent: Whether anything was sent over one (not counting the TLS handshake).
        too_large: Whether the answer exceeded the allowed size.
    """

    def __init__(self, seconds: float, ends: float, most_bytes: int) -> None:
        self._seconds, self._ends = seconds, ends
        self._most_bytes, self._bytes = most_bytes, 0
        self.used = self.sent = self.too_large = False

    @property
    def may_have_acted(self) -> bool:
        """Whether the other side may have received it; False = certainly not."""
        return self.sent or not self.used

    @property
    def is_over(self) -> bool:
        """Whether the time has run out."""
        return moment_s() >= self._ends

    @property
    def has_ended(self) -> bool:
        """Whether one of our limits ended it."""
        return self.too_large or self.is_over

    def left_s(self) -> float:
        """
        Return the seconds left.

        Raises:
            TimeoutError: None are left.
        """
        left_s = self._ends - moment_s()
        if left_s <= 0:
            raise TimeoutError(f"it took more than {self._seconds:g} s in all")
        return left_s

    def count(self, size: int) -> None:
        """
        Count received bytes.

        Raises:
            AnswerTooLargeError: There are too many.
        """
        self._bytes += size
        self._check(self._bytes)

    def join(self, chunks: Iterable[bytes]) -> bytes:
        """
        Join a body's chunks up to a limit: a few compressed bytes may become many.

        Raises:
            AnswerTooLargeError: It is too large.
        """
        body = bytearray()
        for chunk in chunks:
            body += chunk
            self._check(len(body))
        return bytes(body)

    def _check(self, size: int) -> None:
        if size > self._most_bytes:
            self.too_large = True
            raise AnswerTooLargeError(f"more than {self._most_bytes} bytes came in")

    def cause_of(self, error: BaseException) -> str:
        """Return why the call failed, without quoting any of it."""
        if self.too_large:
            return f"its answer has more than {self._most_bytes} bytes"
        if self.is_over:
            return f"no whole answer within {self._seconds:g} s"
        return type(error).__name__


_under_way: ContextVar[Call | None] = ContextVar("call_under_way", default=None)


def under_way() -> Call | None:
    """Return this thread's current call, if there is one."""
    return _under_way.get()


@contextmanager
def within(seconds: float, most_bytes: int = MAX_BYTES) -> Iterator[Call]:
    """
    Limit everything that this thread calls in the block to `seconds` in total.

    A nested block never has more time than the outer one.
    """
    outer, ends = _under_way.get(), moment_s() + seconds
    if outer is not None:
        ends = min(ends, outer._ends)  # noqa: SLF001  of the same class
    call = Call(seconds, ends, most_bytes)
    token = _under_way.set(call)
    try:
        yield call
    finally:
        _under_way.reset(token)
        if outer is not None:
            outer.used, outer.sent = outer.used or call.used, outer.sent or call.sent


def in_time(ask: Callable[[], T]) -> T:
    """
    Return the resolver's answer, within the current call's deadline.

    A name lookup can't be interrupted: after the deadline it goes on in a thread that
    nobody waits for, until the resolver gives up (resolv.conf: about ten seconds).
    """
    call = _under_way.get()
    if call is None:
        return ask()
    answers: list[T] = []
    failures: list[OSError] = []

    def look_up() -> None:
        try:
            answers.append(ask())
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=look_up, name="look-up", daemon=True)
    thread.start()
    thread.join(call.left_s())
    if failures:
        raise failures[0]
    if not answers:
        raise TimeoutError("the name was not looked up in time")
    return answers[0]
