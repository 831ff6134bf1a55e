# SPDX-License-Identifier: MIT
"""Jobs and payment events in memory."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from threading import RLock
from typing import Any

from ...clock import SYSTEM, Ambient
from ...codec import require_text
from ...ids import new_claim_token
from ...models import (
    Job,
    JobEnd,
    JobState,
    JobStats,
    NewJob,
    Page,
    Recorded,
    TryError,
)
from ...stores import queue
from ...stores.news import News
from .pages import page_of


_ENDS_OF_JOBS = frozenset({JobState.DONE, JobState.CANCELLED})


class MemoryJobs:
    """`JobStore` in memory."""

    def __init__(self, lock: RLock, news: News, ambient: Ambient = SYSTEM) -> None:
        self._lock, self._news, self._ambient = lock, news, ambient
        self._rows: dict[str, Job] = {}
        self._tokens: dict[str, str] = {}

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
        with self._lock:
            job = self._rows.get(key)
            if job is None:
                job = queue.new_job(key, kind, payload, due_at, now, data)
            elif not once:
                job = queue.enqueued(job, payload, due_at, now, data)
            return self._put(job, now)

    def _put(self, job: Job, now: datetime) -> Job:
        before = self._rows.get(job.key)
        if before is not None and before.token:
            self._tokens.pop(before.token, None)
        if job.token:
            self._tokens[job.token] = job.key
        self._rows[job.key] = job
        if job.state is JobState.DUE and job.due_at <= now:
            self._news.announce()
        return job

    def enqueue_many(
        self, new_jobs: Sequence[NewJob], *, now: datetime, once: bool = False
    ) -> int:
        """See `JobStore.enqueue_many`."""
        with self._lock:
            before = len(self._rows)
            for one in new_jobs:
                self.enqueue(
                    one.key,
                    one.kind,
                    one.payload,
                    one.due_at,
                    now=now,
                    once=once,
                    data=one.data,
                )
            return len(self._rows) - before

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
        with self._lock:
            due = [
                job
                for job in self._rows.values()
                if queue.may_claim(job, now)
                and (kinds is None or job.kind in kinds)
                and job.kind not in not_kinds
            ]
            if not due:
                return ()
            first = heapq.nsmallest(limit, due, key=lambda job: (job.due_at, job.key))
            return tuple(
                self._put(
                    queue.claimed(
                        job, owner, new_claim_token(self._ambient), now, lease_s
                    ),
                    now,
                )
                for job in first
            )

    def claim_key(
        self, key: str, owner: str, now: datetime, lease_s: float
    ) -> Job | None:
        """See `JobStore.claim_key`."""
        require_text(key=key)
        with self._lock:
            job = self._rows.get(key)
            if job is None or not queue.may_claim(job, now):
                return None
            token = new_claim_token(self._ambient)
            return self._put(queue.claimed(job, owner, token, now, lease_s), now)

    def _running(self, token: str) -> Job | None:
        require_text(token=token)
        key = self._tokens.get(token)
        return None if key is None else self._rows[key]

    def heartbeat(
        self,
        token: str,
        now: datetime,
        lease_s: float,
        *,
        data: Mapping[str, Collection[str]] | None = None,
    ) -> bool:
        """See `JobStore.heartbeat`."""
        with self._lock:
            job = self._running(token)
            return bool(job and self._put(queue.beaten(job, now, lease_s, data), now))

    def heartbeat_many(
        self, tokens: Collection[str], now: datetime, lease_s: float
    ) -> frozenset[str]:
        """See `JobStore.heartbeat_many`."""
        return frozenset(t for t in tokens if self.heartbeat(t, now, lease_s))

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
        return self._complete(end, now)

    def _complete(self, end: JobEnd, now: datetime) -> JobState | None:
        with self._lock:
            job = self._running(end.token)
            if job is None:
                return None
            return self._put(queue.completed(job, end, now), now).state

    def complete_many(
        self, ends: Sequence[JobEnd], now: datetime
    ) -> tuple[JobState | None, ...]:
        """See `JobStore.complete_many`."""
        return tuple(self._complete(end, now) for end in ends)

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
        with self._lock:
            job = self._running(token)
            if job is None:
                return False
            self._put(queue.rescheduled(job, due_at, now, error, counts=counts), now)
            return True

    def bury(self, token: str, seq: int, now: datetime, error: TryError) -> bool:
        """See `JobStore.bury`."""
        with self._lock:
            job = self._running(token)
            return bool(job and self._put(queue.buried(job, seq, now, error), now))

    def release(self, token: str, now: datetime) -> bool:
        """See `JobStore.release`."""
        return self.reschedule(token, now, now, counts=False)

    def retry(self, key: str, now: datetime, *, due_at: datetime | None = None) -> bool:
        """See `JobStore.retry`."""
        require_text(key=key)
        with self._lock:
            job = self._rows.get(key)
            again = job and queue.retried(job, now, due_at)
            return bool(again and self._put(again, now))

    def bury_due(self, key: str, now: datetime, error: TryError) -> bool:
        """See `JobStore.bury_due`."""
        require_text(key=key)
        with self._lock:
            job = self._rows.get(key)
            dead = job and queue.given_up(job, now, error)
            return bool(dead and self._put(dead, now))

    def bound(self, key: str, now: datetime) -> bool:
        """See `JobStore.bound`."""
        require_text(key=key)
        with self._lock:
            job = self._rows.get(key)
            sooner = job and queue.bounded(job, now)
            return bool(sooner and self._put(sooner, now))

    def empty(self, key: str) -> bool:
        """See `JobStore.empty`."""
        require_text(key=key)
        with self._lock:
            job = self._rows.get(key)
            spent = job and queue.emptied(job)
            if spent:
                self._rows[key] = spent
            return bool(spent)

    def requeue(self, limit: int, now: datetime, *, kind: str | None = None) -> int:
        """See `JobStore.requeue`."""
        with self._lock:
            dead = [
                job
                for job in self._rows.values()
                if job.state is JobState.DEAD and kind in (None, job.kind)
            ]
            dead.sort(key=lambda job: (job.due_at, job.key))
            for job in dead[:limit]:
                self.retry(job.key, now)
            return len(dead[:limit])

    def find(self, key: str) -> Job | None:
        """See `JobStore.find`."""
        require_text(key=key)
        with self._lock:
            return self._rows.get(key)

    def list(
        self,
        *,
        state: JobState | None = None,
        kind: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Job]:
        """See `JobStore.list`."""
        with self._lock:
            rows = [
                job
                for job in self._rows.values()
                if state in (None, job.state) and kind in (None, job.kind)
            ]
        if state is None:
            return page_of(
                rows, lambda j: (j.created_at, j.key), limit, cursor, newest=True
            )
        return page_of(rows, lambda job: (job.due_at, job.key), limit, cursor)

    def stats(self, now: datetime, *, cap: int = 10_000) -> JobStats:
        """See `JobStore.stats`."""
        with self._lock:
            rows = list(self._rows.values())
        due = [job.due_at for job in rows if queue.may_claim(job, now)]
        counts = dict.fromkeys(JobState, 0)
        for job in rows:
            counts[job.state] += 1
        hour_ago = now - timedelta(hours=1)
        done = sum(
            job.state is JobState.DONE and job.updated_at > hour_ago for job in rows
        )
        return JobStats(
            counts={state: min(count, cap) for state, count in counts.items()},
            due_now=min(len(due), cap),
            oldest_due_at=min(due, default=None),
            done_last_hour=min(done, cap),
            cap=cap,
        )

    def prune(self, before: datetime, limit: int) -> int:
        """See `JobStore.prune`."""
        with self._lock:
            old = [
                job
                for job in self._rows.values()
                if job.state in _ENDS_OF_JOBS
                and job.updated_at < before
                and not queue.is_pruned(job)
            ]
            for job in old[:limit]:
                if job.data:
                    self._rows[job.key] = queue.pruned(job)
                else:
                    del self._rows[job.key]
            return len(old[:limit])


class MemoryEvents(MemoryJobs):
    """`EventStore` in memory."""

    def forget(self, kind: str, before: datetime, limit: int) -> int:
        """See `EventStore.forget`."""
        require_text(kind=kind)
        with self._lock:
            old = [
                key
                for key, job in self._rows.items()
                if job.kind == kind and job.created_at < before
            ]
            for key in old[:limit]:
                del self._rows[key]
            return len(old[:limit])

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
        with self._lock:
            job = self._rows.get(key)
            if job is None:
                event = queue.new_event(key, payload, now, state, outcome)
                return Recorded(event=self._put(event, now), new=True)
            event = self._put(queue.delivered(job, payload, now), now)
            return Recorded(event=event, new=False)

    def prune(self, before: datetime, limit: int) -> int:
        """See `EventStore.prune`."""
        ends = {JobState.DONE, JobState.IGNORED}
        with self._lock:
            old = [
                job
                for job in self._rows.values()
                if job.state in ends
                and job.updated_at < before
                and not queue.is_pruned(job)
            ]
            for job in old[:limit]:
                self._rows[job.key] = queue.pruned(job)
            return len(old[:limit])
