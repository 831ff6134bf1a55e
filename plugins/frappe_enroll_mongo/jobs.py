# SPDX-License-Identifier: MIT
"""Jobs and payment events: one implementation over two collections."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

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

from . import joblists
from .claiming import Claimer
from .jobdocs import NO_DATA, key_of, show_job, token_of
from .queuetable import Change, QueueTable


if TYPE_CHECKING:
    from .link import Link, Run


class MongoJobs:
    """`JobStore` on MongoDB."""

    #: States whose old rows `prune` takes.
    _ends: frozenset[JobState] = frozenset({JobState.DONE, JobState.CANCELLED})

    def __init__(self, link: Link, name: str) -> None:
        self._link = link
        self._rows = QueueTable(link, name, self._ends)
        self._claimer = Claimer(self._rows)

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
        one = NewJob(
            key=key, kind=kind, payload=payload, due_at=due_at, data=data or {}
        )
        return self._enqueue([one], now=now, once=once)[0][key]

    def enqueue_many(
        self, new_jobs: Sequence[NewJob], *, now: datetime, once: bool = False
    ) -> int:
        """See `JobStore.enqueue_many`."""
        return len(self._enqueue(new_jobs, now=now, once=once)[1])

    def _enqueue(
        self, new_jobs: Sequence[NewJob], *, now: datetime, once: bool
    ) -> tuple[dict[str, Job], frozenset[str]]:
        by_key: dict[str, list[NewJob]] = {}
        for one in new_jobs:
            require_text(key=one.key, kind=one.kind)
            self._claimer.expect(one.due_at)
            by_key.setdefault(one.key, []).append(one)
        if not by_key:
            return {}, frozenset()
        more = {key: _Again(got, now, once=once) for key, got in by_key.items()}
        new = {
            key: _Again(got[1:], now, once=once)(
                queue.new_job(
                    key, got[0].kind, got[0].payload, got[0].due_at, now, got[0].data
                )
            )
            for key, got in by_key.items()
        }
        return self._put(new, more, now)

    def _put(
        self,
        new: Mapping[str, Job],
        again: Mapping[str, Callable[[Job], Job]],
        now: datetime,
    ) -> tuple[dict[str, Job], frozenset[str]]:
        jobs, keys = self._rows.put(new, again)
        self._rows.announce(jobs.values(), now)
        return jobs, keys

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
        return self._claimer.claim(owner, now, lease_s, limit, kinds, not_kinds)

    def claim_key(
        self, key: str, owner: str, now: datetime, lease_s: float
    ) -> Job | None:
        """See `JobStore.claim_key`."""
        token = token_of(new_claim_token(), key)

        def take(job: Job) -> Job | None:
            if job.token == token:
                # Ours already, and somebody has enqueued it since.
                return job
            if not queue.may_claim(job, now):
                return None
            return queue.claimed(job, owner, token, now, lease_s)

        return self._of_key(key, take)

    def heartbeat(
        self,
        token: str,
        now: datetime,
        lease_s: float,
        *,
        data: Mapping[str, Collection[str]] | None = None,
    ) -> bool:
        """See `JobStore.heartbeat`."""
        return bool(self._fenced(token, lambda j: queue.beaten(j, now, lease_s, data)))

    def heartbeat_many(
        self, tokens: Collection[str], now: datetime, lease_s: float
    ) -> frozenset[str]:
        """See `JobStore.heartbeat_many`."""
        beats = {
            token: lambda job: queue.beaten(job, now, lease_s, None) for token in tokens
        }
        return frozenset(self._fenced_many(beats))

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
        # Of two ends for one token the first one counts.
        changes = {end.token: _Complete(end, now) for end in reversed(ends)}
        ended = self._fenced_many(changes)
        self._rows.announce(ended.values(), now)
        states = {token: job.state for token, job in ended.items()}
        # A token that comes twice has ended its claim once.
        return tuple(states.pop(end.token, None) for end in ends)

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
        return self._end(
            token,
            lambda j: queue.rescheduled(j, due_at, now, error, counts=counts),
            now,
        )

    def bury(self, token: str, seq: int, now: datetime, error: TryError) -> bool:
        """See `JobStore.bury`."""
        return self._end(token, lambda j: queue.buried(j, seq, now, error), now)

    def _end(self, token: str, change: Callable[[Job], Job], now: datetime) -> bool:
        job = self._fenced(token, change)
        if job is None:
            return False
        self._claimer.expect(job.due_at)
        self._rows.announce([job], now)
        return True

    def release(self, token: str, now: datetime) -> bool:
        """See `JobStore.release`."""
        return self.reschedule(token, now, now, counts=False)

    def retry(self, key: str, now: datetime, *, due_at: datetime | None = None) -> bool:
        """See `JobStore.retry`."""
        return self._sooner(key, lambda job: queue.retried(job, now, due_at), now)

    def bound(self, key: str, now: datetime) -> bool:
        """See `JobStore.bound`."""
        return self._sooner(key, lambda job: queue.bounded(job, now), now)

    def _sooner(self, key: str, change: Change, now: datetime) -> bool:
        job = self._of_key(key, change)
        if job is None:
            return False
        self._claimer.expect(job.due_at)
        self._rows.announce([job], now)
        return True

    def bury_due(self, key: str, now: datetime, error: TryError) -> bool:
        """See `JobStore.bury_due`."""
        return bool(self._of_key(key, lambda job: queue.given_up(job, now, error)))

    def empty(self, key: str) -> bool:
        """See `JobStore.empty`."""
        return bool(self._of_key(key, queue.emptied))

    def requeue(self, limit: int, now: datetime, *, kind: str | None = None) -> int:
        """See `JobStore.requeue`."""
        keys = joblists.dead_keys(self._rows, limit, kind)
        changes: dict[str, Change] = {
            key: lambda job: queue.retried(job, now) for key in keys
        }
        if not changes:
            return 0
        jobs = self._rows.change(changes)
        self._claimer.expect(now)
        self._rows.announce(jobs.values(), now)
        return len(jobs)

    def find(self, key: str) -> Job | None:
        """See `JobStore.find`."""
        require_text(key=key)
        table = self._rows.collection
        found = self._link.read(
            lambda run: table.find_one({"_id": key}, session=run.session)
        )
        return show_job(found) if found else None

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
        return joblists.list_jobs(self._rows, state, kind, limit, cursor)

    def stats(self, now: datetime, *, cap: int = 10_000) -> JobStats:
        """See `JobStore.stats`."""
        return joblists.stats_of(self._rows, now, cap)

    def prune(self, before: datetime, limit: int) -> int:
        """See `JobStore.prune`."""
        names, old = joblists.old_keys(self._rows, before, limit)
        if not names:
            return 0
        # Asked again with each write: one that has been revived stays as it is.
        knowing = self._rows.change(dict.fromkeys(names, _Prune(self._ends, before)))
        where = {"_id": {"$in": names}, **old, "data": NO_DATA}
        table = self._rows.collection

        def act(run: Run) -> int:
            return table.delete_many(where, session=run.session).deleted_count

        return len(knowing) + self._link.write(act)

    def _of_key(self, key: str, change: Change) -> Job | None:
        require_text(key=key)
        return self._rows.change({key: change}).get(key)

    def _fenced(self, token: str, change: Callable[[Job], Job]) -> Job | None:
        """Change the job that this claim's token fences; None = the claim is lost."""
        return self._fenced_many({token: change}).get(token)

    def _fenced_many(
        self, changes: Mapping[str, Callable[[Job], Job]]
    ) -> dict[str, Job]:
        """Change each job whose token still fences it; return them by token."""
        by_key: dict[str, _Fence] = {}
        for token, change in changes.items():
            require_text(token=token)
            by_key.setdefault(key_of(token), _Fence()).changes[token] = change
        if not by_key:
            return {}
        done = self._rows.change(dict(by_key))
        return {by_key[key].passed: job for key, job in done.items()}


class _Again:
    """What more enqueues make of a known job."""

    def __init__(
        self, new_jobs: Sequence[NewJob], now: datetime, *, once: bool
    ) -> None:
        self._new_jobs, self._now, self._once = new_jobs, now, once

    def __call__(self, job: Job) -> Job:
        if not self._once:
            for one in self._new_jobs:
                job = queue.enqueued(job, one.payload, one.due_at, self._now, one.data)
        return job


class _Prune:
    """What `prune` makes of an old job that knows something."""

    def __init__(self, ends: frozenset[JobState], before: datetime) -> None:
        self._ends, self._before = ends, before

    def __call__(self, job: Job) -> Job | None:
        old = job.state in self._ends and job.updated_at < self._before
        return queue.pruned(job) if old and job.data else None


class _Complete:
    """One end of a claim."""

    def __init__(self, end: JobEnd, now: datetime) -> None:
        self._end, self._now = end, now

    def __call__(self, job: Job) -> Job:
        return queue.completed(job, self._end, self._now)


class _Fence:
    """
    Lets the claim that stands change its job, and no other.

    Attributes:
        changes: What each token's holder wants.
        passed: The token that was let through last.
    """

    def __init__(self) -> None:
        self.changes: dict[str, Callable[[Job], Job]] = {}
        self.passed = ""

    def __call__(self, job: Job) -> Job | None:
        if job.token is None or job.token not in self.changes:
            return None
        self.passed = job.token
        return self.changes[job.token](job)
