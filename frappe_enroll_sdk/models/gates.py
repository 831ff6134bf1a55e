# SPDX-License-Identifier: MIT
"""A backend's gate: its policy, and what it admits."""

from __future__ import annotations

from datetime import datetime

import attrs


@attrs.frozen(kw_only=True)
class GatePolicy:
    """
    How a backend's gate works.

    Attributes:
        closed_s: Seconds that a fault keeps the gate closed before a probe.
        rate_per_s: Jobs admitted per second, or None for no bound.
        burst: Jobs that may be admitted at once.
    """

    closed_s: float = 30.0
    rate_per_s: float | None = None
    burst: int = 10


@attrs.frozen(kw_only=True)
class Admission:
    """
    Answer of `GateStore.admit`.

    Attributes:
        admitted: How many of the asked jobs may run now.
        probe: Whether the caller must `ping` first and report (half-open).
        retry_at: When to ask again, where fewer than asked were admitted.
    """

    admitted: int
    probe: bool = False
    retry_at: datetime | None = None
