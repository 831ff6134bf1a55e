# SPDX-License-Identifier: MIT
"""Payment events: jobs that are recorded, and whose keys are kept for good."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..codec import require_text
from ..interfaces.tables import Query, Row
from ..models import JobState, Recorded
from . import queue
from .jobs import Jobs
from .layout import EVENTS
from .records import ms_of
from .rows import Port


class Events(Jobs):
    """`EventStore` over tables."""

    _ends = frozenset({JobState.DONE, JobState.IGNORED})

    def __init__(self, port: Port) -> None:
        super().__init__(port, EVENTS)

    def forget(self, kind: str, before: datetime, limit: int) -> int:
        """See `EventStore.forget`."""
        require_text(kind=kind)
        old = Query("by_kind", {"kind": kind}, high=ms_of(before))
        return self._rows.delete(self._rows.page(old, limit))

    def record(
        self,
        key: str,
        payload: Mapping[str, Any],
        *,
        now: datetime,
        state: JobState = JobState.DUE,
        outcome: str | None = None,
    ) -> Recorded:
        """See `EventStore.record`."""
        require_text(key=key)
        new = queue.new_event(key, payload, now, state, outcome)
        stand, fresh = self._put(
            {key: new}, {key: lambda job: queue.delivered(job, payload, now)}, now
        )
        return Recorded(event=stand[key], new=key in fresh)

    def _may_go(self, _row: Row) -> bool:
        # That an event is known is what keeps it from being worked on again.
        return False
