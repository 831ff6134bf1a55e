# SPDX-License-Identifier: MIT
"""A backend's gate: breaker, drain rate and permits."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest
from unit.rows import NOW, later

from frappe_enroll_sdk.models import Admission, GatePolicy
from frappe_enroll_sdk.stores.gate import Gate, admit, drop, hold, longest_wait, report


POLICY = GatePolicy(closed_s=30)
DRAIN = GatePolicy(closed_s=30, rate_per_s=2, burst=4)
OPEN = Gate(name="lms")


def closed(at=NOW):
    """Return a gate that a fault has closed at a moment."""
    return report(OPEN, ok=False, now=at, policy=POLICY)[0]


def test_open_gate_admits_all():
    """Without a rate nothing is counted."""
    assert admit(OPEN, 50, NOW, POLICY) == (OPEN, Admission(admitted=50))


def test_fault_closes_the_gate_once():
    """The first fault changes it; a further one only puts the probe off."""
    gate, changed = report(OPEN, ok=False, now=NOW, policy=POLICY)
    assert (gate.retry_at, changed) == (later(30), True)
    gate, changed = report(gate, ok=False, now=later(10), policy=POLICY)
    assert (gate.retry_at, changed) == (later(40), False)


def test_closed_gate_admits_nothing_and_says_when():
    """Before the time, nobody probes."""
    gate, answer = admit(closed(), 5, later(29.999), POLICY)
    assert answer == Admission(admitted=0, probe=False, retry_at=later(30))
    assert gate == closed()


def test_gate_that_a_clock_ahead_has_shut_is_probed_in_its_time():
    """A day ahead, then right: it is shut for as long as by a fault now."""
    gate, answer = admit(closed(later(86_400)), 5, NOW, POLICY)
    assert answer == Admission(admitted=0, retry_at=later(30))
    gate, answer = admit(gate, 5, later(29), POLICY)
    assert answer == Admission(admitted=0, retry_at=later(30))
    assert admit(gate, 5, later(30), POLICY)[1].probe


def test_bucket_that_a_clock_ahead_has_filled_fills_from_now_on():
    """One draw later it is as any other."""
    gate, _ = admit(OPEN, 4, later(86_400), DRAIN)
    gate, answer = admit(gate, 4, NOW, DRAIN)
    assert (answer.admitted, answer.retry_at) == (0, later(0.5))
    assert admit(gate, 4, later(1), DRAIN)[1].admitted == 2


@pytest.mark.parametrize(
    ("policy", "most_s"),
    [(POLICY, 30), (DRAIN, 30), (GatePolicy(closed_s=30, rate_per_s=0.01), 100)],
)
def test_longest_wait_is_that_of_a_fault_or_of_one_job(policy, most_s):
    """Nothing that the gate says lies further ahead."""
    assert longest_wait(policy) == timedelta(seconds=most_s)


def test_permit_that_a_clock_ahead_has_given_lapses_in_its_time():
    """It is cut to what is asked for now, once, and kept so."""
    gate, _ = hold(OPEN, "a", 1, later(86_400), later(86_430))
    gate, got = hold(gate, "b", 1, NOW, later(30))
    assert not got
    assert hold(gate, "b", 1, later(29), later(59))[1] is False
    assert hold(gate, "b", 1, later(30), later(60))[1]


def test_half_open_gate_lets_one_caller_probe():
    """The first to come probes; the next one is told to wait."""
    gate, first = admit(closed(), 5, later(30), POLICY)
    assert first == Admission(admitted=0, probe=True, retry_at=later(60))
    _, second = admit(gate, 5, later(30), POLICY)
    assert second == Admission(admitted=0, probe=False, retry_at=later(60))


def test_ping_opens_the_gate_with_an_empty_bucket():
    """Scenario 27: after an outage the backlog starts gently."""
    gate, changed = report(closed(), ok=True, now=later(31), policy=DRAIN)
    assert (gate.retry_at, changed) == (None, True)
    assert admit(gate, 9, later(31), DRAIN)[1].admitted == 0
    assert admit(gate, 9, later(32), DRAIN)[1].admitted == 2


def test_ping_of_an_open_gate_changes_nothing():
    """The bucket keeps what is in it."""
    assert report(OPEN, ok=True, now=NOW, policy=DRAIN) == (OPEN, False)


def test_rate_bounds_the_admissions():
    """A full bucket first, then so many a second, never more than the burst."""
    gate, answer = admit(OPEN, 3, NOW, DRAIN)
    assert answer == Admission(admitted=3)
    gate, answer = admit(gate, 3, NOW, DRAIN)
    assert answer == Admission(admitted=1, retry_at=later(0.5))
    gate, answer = admit(gate, 1, later(0.25), DRAIN)
    assert answer == Admission(admitted=0, retry_at=later(0.5))
    gate, answer = admit(gate, 1, later(0.5), DRAIN)
    assert answer == Admission(admitted=1)
    assert admit(gate, 99, later(3600), DRAIN)[1].admitted == 4


def test_rate_over_a_long_time_is_exact():
    """A thousand looks within 100 seconds admit 4 + 200 jobs, none lost or made."""
    gate, total = OPEN, 0
    for tenth in range(1001):
        gate, answer = admit(gate, 5, later(tenth / 10), DRAIN)
        total += answer.admitted
    assert total == 204


def test_clock_that_goes_back_fills_nothing():
    """A moment before the last fill counts as no time."""
    gate, _ = admit(OPEN, 4, later(10), DRAIN)
    assert admit(gate, 1, NOW, DRAIN)[1].admitted == 0


def test_permits_are_bounded_and_lapse():
    """Two permits: the third waits until one lapses or is dropped."""
    gate, first = hold(OPEN, "a", 2, NOW, later(60))
    gate, second = hold(gate, "b", 2, later(30), later(90))
    gate, third = hold(gate, "c", 2, later(30), later(90))
    assert (first, second, third) == (True, True, False)
    assert hold(gate, "c", 2, later(59), later(119))[1] is False
    lapsed, ok = hold(gate, "c", 2, later(60), later(120))
    assert ok is True
    assert dict(lapsed.permits) == {"b": later(90), "c": later(120)}
    assert hold(drop(gate, "a"), "c", 2, later(30), later(90))[1] is True


def test_permit_is_renewed_by_its_holder():
    """A holder never counts twice, and asks again for longer."""
    gate, _ = hold(OPEN, "a", 1, NOW, later(60))
    gate, again = hold(gate, "a", 1, NOW, later(120))
    assert again is True
    assert dict(gate.permits) == {"a": later(120)}


def test_drop_of_a_stranger_changes_nothing():
    """Whoever holds none, gives none back."""
    gate, _ = hold(OPEN, "a", 1, NOW, later(60))
    assert drop(gate, "b") == gate
    assert drop(gate, "a") == attrs.evolve(gate, permits={})
