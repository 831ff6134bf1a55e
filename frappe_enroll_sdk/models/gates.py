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
        closed_s: Seconds the gate stays closed after a fault, before a probe.
        rate_per_s: Jobs admitted per second, or None for no limit.
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
        admitted: How many of the requested jobs may run now.
        probe: Whether the caller must `ping` first and report (half-open).
        retry_at: When to ask again, if fewer than requested were admitted.
    """

    admitted: int
    probe: bool = False
    retry_at: datetime | None = None
