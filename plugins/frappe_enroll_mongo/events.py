# SPDX-License-Identifier: MIT
"""Payment events: jobs that are recorded, and whose keys are kept for good."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from frappe_enroll_sdk.codec import require_text
from frappe_enroll_sdk.models import Job, JobState, Recorded
from frappe_enroll_sdk.stores import queue

from . import joblists
from .jobs import MongoJobs
from .link import Run
from .queuetable import Change


class MongoEvents(MongoJobs):
    """`EventStore` on MongoDB."""

    _ends = frozenset({JobState.DONE, JobState.IGNORED})

    def forget(self, kind: str, before: datetime, limit: int) -> int:
        """See `EventStore.forget`."""
        require_text(kind=kind)
        names, old = joblists.keys_of_kind(self._rows, kind, before, limit)
        if not names:
            return 0
        # Asked again with the write: a key may have been forgotten and come back.
        where, table = {"_id": {"$in": names}, **old}, self._rows.collection

        def act(run: Run) -> int:
            return table.delete_many(where, session=run.session).deleted_count

        return self._link.write(act)

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
        self._claimer.expect(now)
        new = queue.new_event(key, payload, now, state, outcome)

        def again(job: Job) -> Job:
            return queue.delivered(job, payload, now)

        events, keys = self._put({key: new}, {key: again}, now)
        return Recorded(event=events[key], new=key in keys)

    def prune(self, before: datetime, limit: int) -> int:
        """See `JobStore.prune`."""

        def empty(event: Job) -> Job | None:
            # Asked again with the write: one that has been replayed keeps its payload.
            ended = event.state in self._ends and event.updated_at < before
            return queue.pruned(event) if ended else None

        keys, _ = joblists.old_keys(self._rows, before, limit)
        changes: dict[str, Change] = dict.fromkeys(keys, empty)
        return len(self._rows.change(changes)) if changes else 0
