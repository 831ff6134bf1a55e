# SPDX-License-Identifier: MIT
"""Jobs and payment events in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime
from threading import RLock
from typing import Any

from .. import queue
from ..codec import require_text
from ..ids import new_claim_token
from ..models import Job, JobState, JobStats, Page, Recorded, TryError
from .memory_pages import page_of


_ENDS_OF_JOBS = frozenset({JobState.DONE, JobState.CANCELLED})


class MemoryJobs:
    """`JobStore` in memory."""

    def __init__(self, lock: RLock) -> None:
        self._lock = lock
        self._rows: dict[str, Job] = {}

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
        with self._lock:
            job = self._rows.get(key)
            if job is None:
                job = queue.new_job(key, kind, payload, due_at, now)
            elif not once:
                job = queue.enqueued(job, payload, due_at, now)
            return self._put(job)

    def _put(self, job: Job) -> Job:
        self._rows[job.key] = job
        return job

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
        with self._lock:
            due = [
                job
                for job in self._rows.values()
                if queue.may_claim(job, now) and (kinds is None or job.kind in kinds)
            ]
            due.sort(key=lambda job: (job.due_at, job.key))
            token = new_claim_token
            return tuple(
                self._put(queue.claimed(job, owner, token(), now, lease_s))
                for job in due[:limit]
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
            token = new_claim_token()
            return self._put(queue.claimed(job, owner, token, now, lease_s))

    def _running(self, token: str) -> Job | None:
        return next((job for job in self._rows.values() if job.token == token), None)

    def heartbeat(
        self,
        token: str,
        now: datetime,
        lease_s: float,
        *,
        data: Mapping[str, Any] | None = None,
    ) -> bool:
        """See `JobStore.heartbeat`."""
        with self._lock:
            job = self._running(token)
            return bool(job and self._put(queue.beaten(job, now, lease_s, data)))

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
        with self._lock:
            job = self._running(token)
            if job is None:
                return None
            return self._put(queue.completed(job, seq, now, state, outcome)).state

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
            self._put(queue.rescheduled(job, due_at, now, error, counts=counts))
            return True

    def bury(self, token: str, seq: int, now: datetime, error: TryError) -> bool:
        """See `JobStore.bury`."""
        with self._lock:
            job = self._running(token)
            return bool(job and self._put(queue.buried(job, seq, now, error)))

    def release(self, token: str, now: datetime) -> bool:
        """See `JobStore.release`."""
        return self.reschedule(token, now, now, counts=False)

    def retry(self, key: str, now: datetime) -> bool:
        """See `JobStore.retry`."""
        with self._lock:
            job = self._rows.get(key)
            again = job and queue.retried(job, now)
            return bool(again and self._put(again))

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
        counts = Counter(job.state for job in rows)
        return JobStats(
            counts={state: min(counts[state], cap) for state in JobState},
            due_now=min(len(due), cap),
            oldest_due_at=min(due, default=None),
            cap=cap,
        )

    def prune(self, before: datetime, limit: int) -> int:
        """See `JobStore.prune`."""
        with self._lock:
            old = [
                key
                for key, job in self._rows.items()
                if job.state in _ENDS_OF_JOBS and job.updated_at < before
            ]
            for key in old[:limit]:
                del self._rows[key]
            return len(old[:limit])


class MemoryEvents(MemoryJobs):
    """`EventStore` in memory."""

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
                return Recorded(event=self._put(event), new=True)
            return Recorded(
                event=self._put(queue.delivered(job, payload, now)), new=False
            )

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
                self._put(queue.pruned(job))
            return len(old[:limit])
