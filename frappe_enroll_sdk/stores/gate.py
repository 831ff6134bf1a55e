# SPDX-License-Identifier: MIT
"""
A backend's gate: breaker, drain rate and permits, as pure functions on one document.

Open: jobs are admitted at the rate. A fault closes it; after `closed_s` one caller
becomes the probe, pings the backend and reports. Only a ping opens it, never a job.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import attrs

from ..evolve import evolve
from ..models import Admission, GatePolicy


@attrs.frozen(kw_only=True, slots=False)  # (see ``evolve.py``)
class Gate:
    """
    One backend's document.

    Attributes:
        name: The backend.
        retry_at: None while open; else when the next probe is due.
        tokens: Jobs that may start now (a bucket that fills at the rate).
        filled_at: When the bucket was last filled.
        permits: Ends of the leased permits by holder.
    """

    name: str
    retry_at: datetime | None = None
    tokens: float | None = None
    filled_at: datetime | None = None
    permits: Mapping[str, datetime] = attrs.field(factory=dict)


def admit(
    gate: Gate, n: int, now: datetime, policy: GatePolicy
) -> tuple[Gate, Admission]:
    """Return the gate after a request to start `n` jobs, and the answer."""
    if gate.retry_at is not None:
        later = now + timedelta(seconds=policy.closed_s)
        # Written and kept, so that it draws nearer: a clock that ran ahead closed it.
        retry_at = min(gate.retry_at, later)
        if now < retry_at:
            shut = evolve(gate, retry_at=retry_at)
            return shut, Admission(admitted=0, retry_at=retry_at)
        probing = evolve(gate, retry_at=later)
        return probing, Admission(admitted=0, probe=True, retry_at=later)
    if policy.rate_per_s is None:
        return gate, Admission(admitted=n)
    return _draw(gate, n, now, policy.rate_per_s, policy.burst)


def _draw(
    gate: Gate, n: int, now: datetime, rate: float, burst: int
) -> tuple[Gate, Admission]:
    tokens = float(burst)
    if gate.tokens is not None and gate.filled_at is not None:
        passed = max((now - gate.filled_at).total_seconds(), 0.0)
        tokens = min(float(burst), gate.tokens + passed * rate)
    # A thousandth of a job is lost to rounding, never to the caller.
    admitted = min(n, int(tokens + 0.001))
    left = evolve(gate, tokens=max(tokens - admitted, 0.0), filled_at=now)
    retry_at = None
    if admitted < n:
        missing = max(1 - (tokens - admitted), 0.0)
        retry_at = now + timedelta(seconds=missing / rate)
    return left, Admission(admitted=admitted, retry_at=retry_at)


def longest_wait(policy: GatePolicy) -> timedelta:
    """Return how far ahead an admission's `retry_at` may lie."""
    per_job_s = 1 / policy.rate_per_s if policy.rate_per_s else 0.0
    return timedelta(seconds=max(policy.closed_s, per_job_s))


def report(
    gate: Gate, *, ok: bool, now: datetime, policy: GatePolicy
) -> tuple[Gate, bool]:
    """Return the gate after a ping's result, and whether that changed it."""
    was_open = gate.retry_at is None
    if ok:
        # After an outage the backlog starts gently: with an empty bucket.
        if was_open:
            return gate, False
        return evolve(gate, retry_at=None, tokens=0.0, filled_at=now), True
    later = now + timedelta(seconds=policy.closed_s)
    return evolve(gate, retry_at=later), was_open


def hold(
    gate: Gate, holder: str, k: int, now: datetime, until: datetime
) -> tuple[Gate, bool]:
    """Return the gate after a request for one of `k` permits, and the answer."""
    # No permit of this name may last longer than one that is given now.
    living = {name: min(end, until) for name, end in gate.permits.items() if end > now}
    if holder not in living and len(living) >= k:
        return evolve(gate, permits=living), False
    return evolve(gate, permits=living | {holder: until}), True


def take_turns(
    gate: Gate, ends: Mapping[str, datetime], now: datetime
) -> tuple[Gate, frozenset[str]]:
    """Return the gate after a request for turns until their ends, and those given."""
    # (None lasts longer than one that is given now.)
    bounded = {
        name: min(end, ends.get(name, end)) for name, end in gate.permits.items()
    }
    living = {name: end for name, end in bounded.items() if end > now}
    given = {name: end for name, end in ends.items() if name not in living}
    if not given and living == gate.permits:
        return gate, frozenset()
    return evolve(gate, permits=living | given), frozenset(given)


def drop(gate: Gate, holder: str) -> Gate:
    """Return the gate without the holder's permit."""
    rest = {name: end for name, end in gate.permits.items() if name != holder}
    return evolve(gate, permits=rest)
