# SPDX-License-Identifier: MIT
"""Signs of life, gates and the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs


@attrs.frozen(kw_only=True)
class WorkerSeen:
    """
    The last sign of life of a worker, or of the cron passes of a host.

    Attributes:
        name: Unique: one worker's, or one host's cron.
        kind: "worker" or "cron".
        started_at: When this worker (or this pass) began.
        seen_at: When it was last seen.
        detail: More, by name: version, concurrency, counters.
    """

    name: str
    kind: str
    started_at: datetime
    seen_at: datetime
    detail: Mapping[str, Any] = attrs.field(factory=dict)


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


@attrs.frozen(kw_only=True)
class AuditEntry:
    """
    One action of an operator, or of the SDK on its own.

    Attributes:
        id: Unique.
        at: When.
        actor: Who.
        action: A short stable word.
        subject: Id of what was acted on.
        reason: Why, in the actor's words.
        detail: More, by name.
    """

    id: str
    at: datetime
    actor: str
    action: str
    subject: str
    reason: str = ""
    detail: Mapping[str, Any] = attrs.field(factory=dict)
