# SPDX-License-Identifier: MIT
"""The store of the workers' signs of life."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from ..models import (
    WorkerSeen,
)


class WorkerStore(Protocol):
    """Signs of life: one document per worker, one per host that runs cron passes."""

    def seen(self, worker: WorkerSeen) -> None:
        """Write the sign of life in the place of an earlier one of that name."""
        ...

    def list(self, *, limit: int = 50) -> tuple[WorkerSeen, ...]:
        """Return the signs of life, the one seen last first."""
        ...

    def drop(self, name: str) -> None:
        """Forget a worker that ended as it should."""
        ...

    def prune(self, before: datetime, limit: int) -> int:
        """Forget up to `limit` that were last seen before; count."""
        ...
