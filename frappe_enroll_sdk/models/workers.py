# SPDX-License-Identifier: MIT
"""Signs of life of workers and cron hosts."""

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
