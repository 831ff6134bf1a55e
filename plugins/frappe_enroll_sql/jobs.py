# SPDX-License-Identifier: MIT
"""Jobs: find the rows, apply ``queue.py``, write them, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Table, select

from frappe_enroll_sdk.codec import require_text
from frappe_enroll_sdk.ids import new_claim_token
from frappe_enroll_sdk.models import (
    Job,
    JobEnd,
    JobState,
    JobStats,
    NewJob,
    Page,
    TryError,
)
from frappe_enroll_sdk.stores import queue

from .engine import Database
from .job_lists import list_jobs, old_keys, stats_of
from .job_rows import NO_DATA, decode, row_of, undecodable
from .job_table import QueueTable
from .times import to_ms


class SQLJobs:
    """`JobStore` on SQL."""

    #: States whose old rows `prune` takes.
    _ends = (JobState.DONE, JobState.CANCELLED)

    def __init__(self, database: Database, table: Table) -> None:
        self._database, self._table = database, table
        self._rows = QueueTable(table)

    def enqueue(
        self,
        key: str,
        kind: str,
        payload: Mapping[str, Any],
        due_at: datetime,
        *,
        now: datetime,
        once: bool = False,
        data: Mapping[str, Collection[str]] | None = None,
    ) -> Job:
        """See `JobStore.enqueue`."""
        require_text(key=key, kind=kind)
        new = queue.new_job(key, kind, payload, due_at, now, data)
        if not self._database.write_one(self._rows.insert_new, row_of(new)):
            one = NewJob(
                key=key, kind=kind, payload=payload, due_at=due_at, data=data or {}
            )
            return self._enqueue([one], now=now, once=once)[0][key]
        self._announce([new], now)
        return new

    def enqueue_many(
        self, new_jobs: Sequence[NewJob], *, now: datetime, once: bool = False
    ) -> int:
        """See `JobStore.enqueue_many`."""
        return self._enqueue(new_jobs, now=now, once=once)[1]

    def _enqueue(
        self, new_jobs: Sequence[NewJob], *, now: datetime, once: bool
    ) -> tuple[dict[str, Job], int]:
        for one in new_jobs:
            require_text(key=one.key, kind=one.kind)
        keys = [one.key for one in new_jobs]
        with self._database.write() as connection:
            rows = list(self._rows.find_many(connection, "key", keys))
            before = {row.key: decode(row) for row in rows}
            jobs = {row.key: before[row.key] or undecodable(row) for row in rows}
            for one in new_jobs:
                _put(jobs, one, now, once=once)
            new = [job for key, job in jobs.items() if key not in before]
            self._rows.insert(connection, new)
            if not once:
                old = [(job, jobs[key]) for key, job in before.items()]
                self._rows.update(connection, old)
        self._announce(jobs.values(), now)
        return jobs, len(new)

    def _announce(self, jobs: Collection[Job], now: datetime) -> None:
        """Wake this process's watches if any of these has fallen due."""
        if any(job.state is JobState.DUE and job.due_at <= now for job in jobs):
            self._database.news.announce()

    def claim(
        self,
        owner: str,
        now: datetime,
        lease_s: float,
        limit: int,
        *,
        kinds: Collection[str] | None = None,
        not_kinds: Collection[str] = (),
    ) -> tuple[Job, ...]:
        """See `JobStore.claim`."""
        table = self._table
        query = (
            select(table)
            .where(table.c.claim_at <= to_ms(now))
            .order_by(table.c.claim_at, table.c.key)
            .limit(limit)
        )
        # As an expression, so that SQLite walks the due jobs in order instead of
        # sorting all jobs of these kinds.
        kind = table.c.kind + ""
        if kinds is not None:
            query = query.where(kind.in_(sorted(kinds)))
        if not_kinds:
            query = query.where(kind.not_in(sorted(not_kinds)))
        changes = []
        with self._database.write() as connection:
            for row in connection.execute(query).all():
                job = decode(row)
                if job is None:
                    self._rows.bury_undecodable(connection, row)
                    continue
                token = new_claim_token()
                changes.append((job, queue.claimed(job, owner, token, now, lease_s)))
            self._rows.update(connection, changes)
        return tuple(job for _, job in changes)

    def claim_key(
        self, key: str, owner: str, now: datetime, lease_s: float
    ) -> Job | None:
        """See `JobStore.claim_key`."""

        def take(job: Job) -> Job | None:
            if not queue.may_claim(job, now):
                return None
            return queue.claimed(job, owner, new_claim_token(), now, lease_s)

        return self._of_key(key, take)

    def _of_key(
        self, key: str, change: Callable[[Job], Job | None], now: datetime | None = None
    ) -> Job | None:
        require_text(key=key)
        with self._database.write() as connection:
            row = self._rows.row(connection, key)
            job = self._rows.change(connection, row, change)
        if job is not None and now is not None:
            self._announce([job], now)
        return job

    def _fenced(
        self, tokens: Collection[str], change: Callable[[Job], Job], now: datetime
    ) -> dict[str, Job]:
        """Change the jobs that these tokens fence; a token not answered is lost."""
        for token in tokens:
            require_text(token=token)
        with self._database.write() as connection:
            rows = self._rows.find_many(connection, "token", list(tokens))
            before = {row.token: decode(row) for row in list(rows)}
            after = {token: change(job) for token, job in before.items() if job}
            self._rows.update(
                connection, [(before[token], job) for token, job in after.items()]
            )
        self._announce(after.values(), now)
        return after

    def heartbeat(
        self,
        token: str,
        now: datetime,
        lease_s: float,
        *,
        data: Mapping[str, Collection[str]] | None = None,
    ) -> bool:
        """See `JobStore.heartbeat`."""
        return bool(
            self._fenced([token], lambda j: queue.beaten(j, now, lease_s, data), now)
        )

    def heartbeat_many(
        self, tokens: Collection[str], now: datetime, lease_s: float
    ) -> frozenset[str]:
        """See `JobStore.heartbeat_many`."""
        return frozenset(
            self._fenced(tokens, lambda j: queue.beaten(j, now, lease_s, None), now)
        )

    def complete(
        self,
        token: str,
        seq: int,
        now: datetime,
        *,
        state: JobState = JobState.DONE,
        outcome: str | None = None,
        data: Mapping[str, Collection[str]] | None = None,
    ) -> JobState | None:
        """See `JobStore.complete`."""
        end = JobEnd(
            token=token, seq=seq, state=state, outcome=outcome, data=data or {}
        )
        return self.complete_many([end], now)[0]

    def complete_many(
        self, ends: Sequence[JobEnd], now: datetime
    ) -> tuple[JobState | None, ...]:
        """See `JobStore.complete_many`."""
        first = {end.token: end for end in reversed(ends)}

        def change(job: Job) -> Job:
            return queue.completed(job, first[job.token or ""], now)

        done = self._fenced(first, change, now)
        return tuple(
            done[end.token].state
            if end.token in done and first[end.token] is end
            else None
            for end in ends
        )

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

        def change(job: Job) -> Job:
            return queue.rescheduled(job, due_at, now, error, counts=counts)

        return bool(self._fenced([token], change, now))

    def bury(self, token: str, seq: int, now: datetime, error: TryError) -> bool:
        """See `JobStore.bury`."""
        return bool(
            self._fenced([token], lambda j: queue.buried(j, seq, now, error), now)
        )

    def release(self, token: str, now: datetime) -> bool:
        """See `JobStore.release`."""
        return self.reschedule(token, now, now, counts=False)

    def retry(self, key: str, now: datetime, *, due_at: datetime | None = None) -> bool:
        """See `JobStore.retry`."""
        return bool(self._of_key(key, lambda j: queue.retried(j, now, due_at), now))

    def bury_due(self, key: str, now: datetime, error: TryError) -> bool:
        """See `JobStore.bury_due`."""
        return bool(self._of_key(key, lambda j: queue.given_up(j, now, error)))

    def bound(self, key: str, now: datetime) -> bool:
        """See `JobStore.bound`."""
        return bool(self._of_key(key, lambda j: queue.bounded(j, now), now))

    def empty(self, key: str) -> bool:
        """See `JobStore.empty`."""
        return bool(self._of_key(key, queue.emptied))

    def requeue(self, limit: int, now: datetime, *, kind: str | None = None) -> int:
        """See `JobStore.requeue`."""
        table = self._table
        query = (
            select(table)
            .where(table.c.state == "dead")
            .order_by(table.c.due_at, table.c.key)
            .limit(limit)
        )
        if kind is not None:
            query = query.where(table.c.kind == kind)
        with self._database.write() as connection:
            dead = [decode(row) for row in connection.execute(query).all()]
            again = [(job, queue.retried(job, now)) for job in dead if job]
            changes = [(job, after) for job, after in again if after]
            self._rows.update(connection, changes)
        self._announce([after for _, after in changes], now)
        return len(changes)

    def find(self, key: str) -> Job | None:
        """See `JobStore.find`."""
        require_text(key=key)
        with self._database.read() as connection:
            return self._rows.find(connection, key)

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
        with self._database.read() as connection:
            return list_jobs(connection, self._table, state, kind, limit, cursor)

    def stats(self, now: datetime, *, cap: int = 10_000) -> JobStats:
        """See `JobStore.stats`."""
        with self._database.read() as connection:
            return stats_of(connection, self._table, now, cap)

    def prune(self, before: datetime, limit: int) -> int:
        """See `JobStore.prune`."""
        table, knows = self._table, self._table.c.data != NO_DATA
        # What a job knows outlives it.
        keep = table.update().values(payload=None, pruned=1)
        count = 0
        with self._database.write() as connection:
            for ended, act in ((knows, keep), (~knows, table.delete())):
                keys = old_keys(table, self._ends, before, limit - count).where(ended)
                done = connection.execute(act.where(table.c.key.in_(keys)))
                count += done.rowcount
        return count


def _put(jobs: dict[str, Job], one: NewJob, now: datetime, *, once: bool) -> None:
    """Put a new job among the jobs that stand."""
    known = jobs.get(one.key)
    if known is None:
        jobs[one.key] = queue.new_job(
            one.key, one.kind, one.payload, one.due_at, now, one.data
        )
    elif not once:
        jobs[one.key] = queue.enqueued(known, one.payload, one.due_at, now, one.data)
