# SPDX-License-Identifier: MIT
"""`MemoryStorage`: every store in this process's memory, for tests. Thread-safe."""

from __future__ import annotations

from ...clock import Ambient, Clock, SystemClock
from ...stores.storage import TableStorage
from .tables import MemoryTables


class MemoryStorage(TableStorage):
    """
    `Storage` in memory. Two SDKs in one process may share one.

    Args:
        clock: What the store's time is.
        tables: Tables that are there already.
    """

    def __init__(
        self, clock: Clock | None = None, *, tables: MemoryTables | None = None
    ) -> None:
        clock = clock or SystemClock()
        super().__init__(
            tables or MemoryTables(clock), ambient=Ambient(clock), takes_turns=False
        )
