# SPDX-License-Identifier: MIT
"""The clocks: the store's time decides, cut to milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from unit.rows import NOW, later

from frappe_enroll_sdk import clock as clocks
from frappe_enroll_sdk.clock import (
    Ambient,
    FakeClock,
    OffsetClock,
    StoreClock,
    SystemClock,
)


class Monotonic:
    """A monotonic clock that is moved by hand."""

    def __init__(self):
        self.at = 1000.0

    def monotonic(self):
        """Return the time."""
        return self.at


@pytest.fixture
def ticks(monkeypatch):
    """Replace the monotonic clock."""
    ticks = Monotonic()
    monkeypatch.setattr(clocks, "time", ticks)
    return ticks


class Samples:
    """A store whose clock is read."""

    def __init__(self, ticks, takes_s=0.0):
        self.ticks, self.takes_s = ticks, takes_s
        self.calls, self.error, self.offset_s = 0, None, 0.0

    def __call__(self):
        """Return the store's time, in the middle of the call."""
        self.calls += 1
        if self.error:
            raise self.error
        self.ticks.at += self.takes_s / 2
        told = later(self.ticks.at - 1000 + self.offset_s)
        self.ticks.at += self.takes_s / 2
        return told


def test_milliseconds_are_cut_in_utc():
    """Every store keeps as much, none rounds up."""
    east = timezone(timedelta(hours=5, minutes=30))
    moment = datetime(2026, 1, 1, 17, 30, 0, 999_999, east)
    cut = clocks.to_milliseconds(moment)
    assert (cut, cut.tzinfo) == (NOW.replace(microsecond=999_000), UTC)


def test_store_clock_advances_between_samples(ticks):
    """One sample a minute; the monotonic clock does the rest."""
    samples = Samples(ticks)
    clock = StoreClock(samples)
    assert clock.now() == NOW
    ticks.at += 59.5
    assert clock.now() == later(59.5)
    assert samples.calls == 1
    ticks.at += 1
    assert clock.now() == later(60.5)
    assert samples.calls == 2


def test_store_clock_follows_the_store_after_the_refresh(ticks):
    """Scenario 8: a store that was set is followed, this host's clock never asked."""
    samples = Samples(ticks)
    clock = StoreClock(samples, refresh_s=10)
    clock.now()
    samples.offset_s = 600
    ticks.at += 10
    assert clock.now() == later(10)
    ticks.at += 0.5
    assert clock.now() == later(610.5)


def test_store_clock_halves_the_round_trip(ticks):
    """The store read its clock between the two marks."""
    clock = StoreClock(Samples(ticks, takes_s=2))
    assert clock.now() == later(2)
    ticks.at += 5
    assert clock.now() == later(7)


def test_store_clock_goes_on_while_the_store_is_down(ticks):
    """The last sample goes on, and the store is asked again each time."""
    samples = Samples(ticks)
    clock = StoreClock(samples)
    clock.now()
    samples.error = ConnectionError()
    ticks.at += 90
    assert clock.now() == later(90)
    assert clock.now() == later(90)
    assert samples.calls == 3
    samples.error = None
    assert clock.now() == later(90)


def test_store_clock_without_any_sample_fails(ticks):
    """No time at all is better than a host's."""
    samples = Samples(ticks)
    samples.error = ConnectionError("down")
    clock = StoreClock(samples)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            clock.now()


def test_fake_clock_stands_until_it_is_moved():
    """Tests decide."""
    clock = FakeClock(NOW)
    assert clock.now() == clock.now() == NOW
    assert clock.advance(1.5) == clock.now() == later(1.5)


def test_offset_clock_is_ahead_by_its_offset():
    """Demos move on without sleeping; time itself goes on."""
    clock, host = OffsetClock(30), SystemClock()
    assert timedelta(seconds=29) < clock.now() - host.now() < timedelta(seconds=31)
    clock.advance(600)
    assert clock.offset_s == 630
    assert timedelta(seconds=629) < clock.now() - host.now() < timedelta(seconds=631)


def test_system_clock_is_aware_and_cut():
    """UTC, whole milliseconds, between two looks at the host's clock."""
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    now = SystemClock().now()
    assert before <= now <= datetime.now(UTC)
    assert (now.tzinfo, now.microsecond % 1000) == (UTC, 0)


class Given:
    """A clock that brings all that an `Ambient` has."""

    def __init__(self):
        self.slept, self.bytes = [], iter(b"\xff" * 7 + b"\xff\x00\x1d" + b"\x01\x02")

    def now(self):
        """Return the time."""
        return NOW

    def monotonic(self):
        """Return seconds."""
        return 7

    def sleep(self, seconds):
        """Note them."""
        self.slept.append(seconds)

    def random_bytes(self, n):
        """Return the next ones."""
        return bytes(next(self.bytes) for _ in range(n))


def test_ambient_takes_from_the_clock_what_it_brings():
    """Whoever gives time and dice replays a history: nothing else is asked."""
    given = Given()
    ambient = Ambient(given)
    assert (ambient.now(), ambient.monotonic(), ambient.clock) == (NOW, 7.0, given)
    ambient.sleep(3)
    assert given.slept == [3]
    assert 0.999 < ambient.uniform(0, 1) < 1
    # 255 lies beyond the last whole round of 30.
    assert [ambient.choice(range(30)), ambient.choice(range(30))] == [0, 29]
    assert ambient.token_hex(2) == "0102"


def test_ambient_of_a_bare_clock_has_the_systems_rest():
    """A clock that tells the time alone is a clock."""
    ambient = Ambient(FakeClock(NOW))
    assert ambient.now() == NOW
    assert 0 <= ambient.monotonic() <= ambient.monotonic()
    assert len({ambient.token_urlsafe(32) for _ in range(9)}) == 9
    assert len(ambient.token_urlsafe(32)) == 43
    assert {ambient.choice("ab") for _ in range(99)} == {"a", "b"}
    assert all(2 <= ambient.uniform(2, 3) < 3 for _ in range(99))
