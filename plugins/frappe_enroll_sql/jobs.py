# SPDX-License-Identifier: MIT
"""Jobs and payment events: one implementation over two tables."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs
from sqlalchemy import Connection, Row, Table, func, select, tuple_

from frappe_enroll_sdk import queue
from frappe_enroll_sdk.codec import cursor_of, parts_of, require_text
from frappe_enroll_sdk.errors import ValidationError
from frappe_enroll_sdk.ids import new_claim_token
from frappe_enroll_sdk.models import (
    Job,
    JobState,
    JobStats,
    Page,
    Recorded,
    TryError,
)

from .engine import Database
from .times import of_doc, to_doc, to_ms


logger = logging.getLogger(__name__)

_CLAIMABLE = frozenset({JobState.DUE, JobState.RUNNING})


class SQLJobs:
    """`JobStore` on SQL: find the row, apply ``queue.py``, write it, in one go."""

    #: States whose old rows `prune` takes.
    _ends = (JobState.DONE, JobState.CANCELLED)

    def __init__(self, database: Database, table: Table) -> None:
        self._database, self._table = database, table

    def enqueue(
        self,
        key: str,
        kind: str,
        payload: Mapping[str, Any],
        due_at: datetime,
        *,
        now: datetime,
        once: bool = False,
    ) -> Job:
        """See `JobStore.enqueue`."""
        require_text(key=key, kind=kind)
        with self._database.write() as connection:
            job = self._find(connection, key)
            if job is None:
                return self._insert(
                    connection, queue.new_job(key, kind, payload, due_at, now)
                )
            if once:
                return job
            return self._update(connection, queue.enqueued(job, payload, due_at, now))

    def claim(
        self,
        owner: str,
        now: datetime,
        lease_s: float,
        limit: int,
        *,
        kinds: Collection[str] | None = None,
    ) -> tuple[Job, ...]:
        """See `JobStore.claim`."""
        table = self._table
        query = (
            select(table)
            .where(table.c.claim_at <= to_ms(now))
            .order_by(table.c.claim_at, table.c.key)
            .limit(limit)
        )
        if kinds is not None:
            # As an expression, so that SQLite walks the due jobs in order instead of
            # sorting all jobs of these kinds.
            query = query.where((table.c.kind + "").in_(sorted(kinds)))
        claimed = []
        with self._database.write() as connection:
            for row in connection.execute(query).all():
                job = _decode(row)
                if job is None:
                    self._bury_undecodable(connection, row)
                else:
                    token = new_claim_token()
                    job = queue.claimed(job, owner, token, now, lease_s)
                    claimed.append(self._update(connection, job))
        return tuple(claimed)

    def claim_key(
        self, key: str, owner: str, now: datetime, lease_s: float
    ) -> Job | None:
        """See `JobStore.claim_key`."""
        require_text(key=key)
        with self._database.write() as connection:
            job = self._find(connection, key)
            if job is None or not queue.may_claim(job, now):
                return None
            token = new_claim_token()
            return self._update(
                connection, queue.claimed(job, owner, token, now, lease_s)
            )

    def heartbeat(
        self,
        token: str,
        now: datetime,
        lease_s: float,
        *,
        data: Mapping[str, Any] | None = None,
    ) -> bool:
        """See `JobStore.heartbeat`."""
        return bool(self._fenced(token, lambda j: queue.beaten(j, now, lease_s, data)))

    def complete(
        self,
        token: str,
        seq: int,
        now: datetime,
        *,
        state: JobState = JobState.DONE,
        outcome: str | None = None,
    ) -> JobState | None:
        """See `JobStore.complete`."""
        ended = self._fenced(
            token, lambda j: queue.completed(j, seq, now, state, outcome)
        )
        return ended.state if ended else None

    def reschedule(
        self,
        token: str,
        due_at: datetime,
        now: datetime,
        *,
        error: TryError | None = None,
        counts: bool = True,
    ) -> bool:
        """See `JobStore.reschedule`."""
        return bool(
            self._fenced(
                token,
                lambda j: queue.rescheduled(j, due_at, now, error, counts=counts),
            )
        )

    def bury(self, token: str, seq: int, now: datetime, error: TryError) -> bool:
        """See `JobStore.bury`."""
        return bool(self._fenced(token, lambda j: queue.buried(j, seq, now, error)))

    def release(self, token: str, now: datetime) -> bool:
        """See `JobStore.release`."""
        return self.reschedule(token, now, now, counts=False)

    def retry(self, key: str, now: datetime) -> bool:
        """See `JobStore.retry`."""
        require_text(key=key)
        with self._database.write() as connection:
            return self._retry(connection, key, now)

    def _retry(self, connection: Connection, key: str, now: datetime) -> bool:
        row = self._row(connection, key)
        # A damaged row is kept as it is for whoever repairs it.
        job = _decode(row) if row else None
        again = job and queue.retried(job, now)
        return bool(again and self._update(connection, again))

    def requeue(self, limit: int, now: datetime, *, kind: str | None = None) -> int:
        """See `JobStore.requeue`."""
        table = self._table
        query = (
            select(table.c.key)
            .where(table.c.state == "dead")
            .order_by(table.c.due_at, table.c.key)
            .limit(limit)
        )
        if kind is not None:
            query = query.where(table.c.kind == kind)
        with self._database.write() as connection:
            keys = connection.execute(query).scalars().all()
            return sum(self._retry(connection, key, now) for key in keys)

    def find(self, key: str) -> Job | None:
        """See `JobStore.find`."""
        require_text(key=key)
        with self._database.read() as connection:
            return self._find(connection, key)

    def list(
        self,
        *,
        state: JobState | None = None,
        kind: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Job]:
        """See `JobStore.list`."""
        require_text(kind=kind)
        table = self._table
        order = table.c.created_at if state is None else table.c.due_at
        after = parts_of(cursor, (int, str))
        place = tuple_(order, table.c.key)
        query = select(table).limit(limit + 1)
        if state is None:
            query = query.order_by(order.desc(), table.c.key.desc())
        else:
            query = query.where(table.c.state == str(state))
            query = query.order_by(order, table.c.key)
        if after is not None:
            here = tuple_(*after)
            query = query.where(place < here if state is None else place > here)
        if kind is not None:
            query = query.where(table.c.kind == kind)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        items = tuple(_decode(row) or _undecodable(row) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(items=items)
        last = rows[limit - 1]
        return Page(
            items=items, next_cursor=cursor_of(getattr(last, order.name), last.key)
        )

    def stats(self, now: datetime, *, cap: int = 10_000) -> JobStats:
        """See `JobStore.stats`."""
        table = self._table
        due = [table.c.claim_at <= to_ms(now)]
        with self._database.read() as connection:
            counts = {
                state: _count(connection, table, cap, table.c.state == str(state))
                for state in JobState
            }
            due_now = _count(connection, table, cap, *due)
            oldest = connection.execute(
                select(table.c.claim_at).where(*due).order_by(table.c.claim_at).limit(1)
            ).scalar()
        oldest_at = (
            None if oldest is None else datetime.fromtimestamp(oldest / 1000, UTC)
        )
        return JobStats(
            counts=counts, due_now=due_now, oldest_due_at=oldest_at, cap=cap
        )

    def prune(self, before: datetime, limit: int) -> int:
        """See `JobStore.prune`."""
        keys = self._old(before, limit)
        with self._database.write() as connection:
            done = connection.execute(
                self._table.delete().where(self._table.c.key.in_(keys))
            )
            return done.rowcount

    def _old(self, before: datetime, limit: int) -> Any:
        table = self._table
        return (
            select(table.c.key)
            .where(
                table.c.state.in_([str(state) for state in self._ends]),
                table.c.updated_at < to_ms(before),
                table.c.pruned == 0,
            )
            .limit(limit)
        )

    # One row.

    def _row(self, connection: Connection, key: str) -> Row[Any] | None:
        query = select(self._table).where(self._table.c.key == key)
        return connection.execute(query).one_or_none()

    def _find(self, connection: Connection, key: str) -> Job | None:
        row = self._row(connection, key)
        return (_decode(row) or _undecodable(row)) if row else None

    def _fenced(self, token: str, change: Callable[[Job], Job]) -> Job | None:
        """Change the job that this claim's token fences; None = the claim is lost."""
        require_text(token=token)
        with self._database.write() as connection:
            row = connection.execute(
                select(self._table).where(self._table.c.token == token)
            ).one_or_none()
            job = _decode(row) if row else None
            return self._update(connection, change(job)) if job else None

    def _insert(self, connection: Connection, job: Job) -> Job:
        connection.execute(self._table.insert().values(_row_of(job)))
        return job

    def _update(self, connection: Connection, job: Job) -> Job:
        connection.execute(
            self._table.update()
            .where(self._table.c.key == job.key)
            .values(_row_of(job))
        )
        return job

    def _bury_undecodable(self, connection: Connection, row: Row[Any]) -> None:
        """Let a row that can't be decoded fail alone: the others go on."""
        logger.error("row can't be decoded", extra={"job": row.key})
        connection.execute(
            self._table.update()
            .where(self._table.c.key == row.key)
            .values(state="dead", claim_at=None, token=None)
        )


class SQLEvents(SQLJobs):
    """`EventStore` on SQL."""

    _ends = (JobState.DONE, JobState.IGNORED)

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
        with self._database.write() as connection:
            known = self._find(connection, key)
            if known is None:
                event = queue.new_event(key, payload, now, state, outcome)
                return Recorded(event=self._insert(connection, event), new=True)
            event = queue.delivered(known, payload, now)
            return Recorded(event=self._update(connection, event), new=False)

    def prune(self, before: datetime, limit: int) -> int:
        """See `JobStore.prune`."""
        with self._database.write() as connection:
            keys = connection.execute(self._old(before, limit)).scalars().all()
            for key in keys:
                event = self._find(connection, key)
                if event is not None:
                    self._update(connection, queue.pruned(event))
            return len(keys)


def _row_of(job: Job) -> dict[str, Any]:
    return {
        "key": job.key,
        "kind": job.kind,
        "state": str(job.state),
        "due_at": to_ms(job.due_at),
        "claim_at": to_ms(job.due_at) if job.state in _CLAIMABLE else None,
        "token": job.token,
        "pruned": int(job.kind == queue.EVENT_KIND and queue.is_pruned(job)),
        "created_at": to_ms(job.created_at),
        "updated_at": to_ms(job.updated_at),
        "doc": to_doc(job),
    }


def _decode(row: Row[Any]) -> Job | None:
    try:
        return of_doc(Job, row.doc)
    except (json.JSONDecodeError, ValidationError):
        return None


def _undecodable(row: Row[Any]) -> Job:
    """Show a row that can't be decoded by what its columns still tell."""
    at = datetime.fromtimestamp(row.updated_at / 1000, UTC)
    error = TryError(
        at=at, try_number=0, code="undecodable", cause="the stored row is damaged"
    )
    job = Job(
        key=row.key,
        kind=row.kind,
        state=JobState(row.state),
        due_at=datetime.fromtimestamp(row.due_at / 1000, UTC),
        created_at=datetime.fromtimestamp(row.created_at / 1000, UTC),
        updated_at=at,
        outcome="undecodable",
    )
    return attrs.evolve(job, errors=(error,))


def _count(connection: Connection, table: Table, cap: int, *where: Any) -> int:
    capped = select(table.c.key).where(*where).limit(cap).subquery()
    return int(
        connection.execute(select(func.count()).select_from(capped)).scalar_one()
    )
