# SPDX-License-Identifier: MIT
"""Signs of life of workers and cron passes."""

from __future__ import annotations

from datetime import datetime

from ..codec import require_text
from ..interfaces.tables import Query, Row
from ..models import WorkerSeen
from .layout import WORKERS
from .records import Codec, ms_of
from .rows import Port, Records


_CODEC = Codec(
    WorkerSeen,
    WORKERS,
    lambda worker: worker.name,
    computed={"name": lambda row: row.key},
)


#: Names that one process remembers; it has a handful.
_MAX_LEFT = 64


class Workers:
    """`WorkerStore` over tables."""

    def __init__(self, port: Port) -> None:
        self._records = Records(port, _CODEC)
        #: The signs that this process has left last.
        self._left: dict[str, Row] = {}

    def seen(self, worker: WorkerSeen) -> None:
        """See `WorkerStore.seen`."""
        require_text(name=worker.name)
        cells = self._records.codec.cells_of(worker)
        known = self._left.pop(worker.name, None)
        row = self._records.rows.put(worker.name, cells, guess=known)
        if len(self._left) < _MAX_LEFT:
            self._left[worker.name] = row

    def list(self, *, limit: int = 50) -> tuple[WorkerSeen, ...]:
        """See `WorkerStore.list`."""
        return self._records.list(Query("last_seen", newest=True), limit, None).items

    def drop(self, name: str) -> None:
        """See `WorkerStore.drop`."""
        require_text(name=name)
        rows = self._records.rows
        while (row := rows.one(name)) is not None and not rows.delete([row]):
            pass  # seen once more, just now

    def prune(self, before: datetime, limit: int) -> int:
        """See `WorkerStore.prune`."""
        rows = self._records.rows
        return rows.delete(rows.page(Query("last_seen", high=ms_of(before)), limit))
