# SPDX-License-Identifier: MIT
"""Payment events: jobs in a table of their own, recorded at each delivery."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from frappe_enroll_sdk.codec import require_text
from frappe_enroll_sdk.models import JobState, Recorded
from frappe_enroll_sdk.stores import queue

from .job_lists import old_keys
from .job_rows import decode, row_of, undecodable
from .jobs import SQLJobs
from .times import to_ms


class SQLEvents(SQLJobs):
    """`EventStore` on SQL."""

    _ends = (JobState.DONE, JobState.IGNORED)

    def forget(self, kind: str, before: datetime, limit: int) -> int:
        """See `EventStore.forget`."""
        require_text(kind=kind)
        table = self._table
        old = (
            select(table.c.key)
            .where(table.c.kind == kind, table.c.created_at < to_ms(before))
            .limit(limit)
        )
        with self._database.write() as connection:
            return connection.execute(
                table.delete().where(table.c.key.in_(old))
            ).rowcount

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
        event = queue.new_event(key, payload, now, state, outcome)
        row = None
        if not self._database.write_one(self._rows.insert_new, row_of(event)):
            with self._database.write() as connection:
                row = self._rows.row(connection, key)
                if row is None:  # forgotten meanwhile
                    self._rows.insert(connection, [event])
                else:
                    before = decode(row)
                    event = queue.delivered(before or undecodable(row), payload, now)
                    self._rows.update(connection, [(before, event)])
        self._announce([event], now)
        return Recorded(event=event, new=row is None)

    def prune(self, before: datetime, limit: int) -> int:
        """See `JobStore.prune`."""
        keys = old_keys(self._table, self._ends, before, limit)
        with self._database.write() as connection:
            found = connection.execute(keys).scalars().all()
            jobs = [
                decode(row) for row in self._rows.find_many(connection, "key", found)
            ]
            changes = [(event, queue.pruned(event)) for event in jobs if event]
            self._rows.update(connection, changes)
            return len(changes)
