# SPDX-License-Identifier: MIT
"""
The one port of time and chance: the clock, monotonic time, sleep and random bytes.

The clock is the store's time, so that no host's wall clock decides a lease. This is the
only module that reads a clock, sleeps or throws dice; everything else takes an
`Ambient`, so that whoever gives another one replays a history to the letter.
"""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar


__all__ = (
    "SYSTEM",
    "Ambient",
    "Clock",
    "FakeClock",
    "OffsetClock",
    "StoreClock",
    "SystemClock",
    "to_milliseconds",
)


T = TypeVar("T")


class Clock(Protocol):
    """A source of the current time."""

    def now(self) -> datetime:
        """Return the time, aware, in UTC, with millisecond precision."""
        ...


class Ambient:
    """
    Time, monotonic time, sleep and randomness, from a clock or the operating system.

    A clock needs only `now`. If it also has ``monotonic()``, ``sleep(seconds)`` or
    ``random_bytes(n)``, these are used, too; the operating system provides the rest.

    Attributes:
        clock: The clock as given.
        now: Returns the clock's time.
        monotonic: Returns seconds that never decrease, from an arbitrary start.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        # (Attributes for speed: every step calls these two.)
        self.now: Callable[[], datetime] = clock.now
        self.monotonic: Callable[[], float] = getattr(
            clock, "monotonic", time.monotonic
        )
        self._sleep = getattr(clock, "sleep", time.sleep)
        self._bytes = getattr(clock, "random_bytes", secrets.token_bytes)

    def sleep(self, seconds: float) -> None:
        """Sleep for this many seconds."""
        self._sleep(seconds)

    def random_bytes(self, n: int) -> bytes:
        """Return `n` random bytes, good enough for secrets."""
        return bytes(self._bytes(n))

    def token_hex(self, n: int) -> str:
        """Return `n` random bytes in hexadecimal."""
        return self.random_bytes(n).hex()

    def token_urlsafe(self, n: int) -> str:
        """Return `n` random bytes as URL-safe text."""
        return base64.urlsafe_b64encode(self.random_bytes(n)).rstrip(b"=").decode()

    def uniform(self, low: float, high: float) -> float:
        """Return a number from `low` up to, but not including, `high`."""
        share = int.from_bytes(self.random_bytes(7), "big") >> 3
        return low + (high - low) * share / 2**53

    def choice(self, choices: Sequence[T]) -> T:
        """Return one of up to 256 options, each with the same probability."""
        # Bytes beyond the last full multiple would favour the first options.
        fair = 256 - 256 % len(choices)
        while (byte := self.random_bytes(1)[0]) >= fair:
            pass
        return choices[byte % len(choices)]


def to_milliseconds(moment: datetime) -> datetime:
    """Truncate a moment to whole milliseconds, the precision of every store."""
    utc = moment.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


class SystemClock:
    """The host's wall clock; for stores that live on this host, and for tools."""

    def now(self) -> datetime:
        """Return the host's time."""
        return to_milliseconds(datetime.now(UTC))


#: The operating system's time and randomness.
SYSTEM = Ambient(SystemClock())


class StoreClock:
    """
    The store's time, sampled and advanced by the monotonic clock in between.

    Thread-safe. A sample is used for `refresh_s` seconds. When the store can't be
    asked, the last sample stays in use; without any sample, the store's error is
    raised.
    """

    def __init__(
        self, sample: Callable[[], datetime], *, refresh_s: float = 60.0
    ) -> None:
        self._sample = sample
        self._refresh_s = refresh_s
        self._lock = threading.Lock()
        self._base: datetime | None = None
        self._mark = 0.0

    def now(self) -> datetime:
        """Return the store's time."""
        with self._lock:
            age = time.monotonic() - self._mark
            if self._base is None or age > self._refresh_s:
                age = self._refresh(age)
            assert self._base is not None  # noqa: S101  set by _refresh
            return to_milliseconds(self._base + timedelta(seconds=age))

    def _refresh(self, age: float) -> float:
        began = time.monotonic()
        try:
            sampled = self._sample()
        except Exception:
            if self._base is None:
                raise
            return age
        ended = time.monotonic()
        # The store read its clock at some point between the two readings.
        self._base, self._mark = sampled, (began + ended) / 2
        return ended - self._mark


class FakeClock:
    """A clock for tests that stands still until it is advanced. Thread-safe."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime(2026, 1, 1, tzinfo=UTC)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the set time."""
        with self._lock:
            return to_milliseconds(self._now)

    def advance(self, seconds: float) -> datetime:
        """Move the time forward by `seconds` and return it."""
        with self._lock:
            self._now += timedelta(seconds=seconds)
            return to_milliseconds(self._now)


class OffsetClock:
    """The host's time plus an offset that can be advanced, for demos."""

    def __init__(self, offset_s: float = 0.0) -> None:
        self._lock = threading.Lock()
        self._offset_s = offset_s

    @property
    def offset_s(self) -> float:
        """Seconds by which this clock is ahead of the host's."""
        return self._offset_s

    def now(self) -> datetime:
        """Return the host's time plus the offset."""
        return to_milliseconds(datetime.now(UTC) + timedelta(seconds=self._offset_s))

    def advance(self, seconds: float) -> datetime:
        """Move the clock forward by `seconds` and return the new time."""
        with self._lock:
            self._offset_s += seconds
        return self.now()
