# SPDX-License-Identifier: MIT
"""The queue, and the payment events, which are jobs, too."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from ..models import (
    Job,
    JobEnd,
    JobState,
    JobStats,
    NewJob,
    Page,
    Recorded,
    TryError,
)


class JobStore(Protocol):
    """
    A queue of jobs by key.

    A claim moves `due_at` to the end of the lease (visibility timeout), so that one
    index on (state, due_at) serves claims and recovery: a running job whose lease has
    lapsed is claimed like a due one; its lost try counts and is recorded in `errors`
    (code ``lease_lapsed``). The claim's token fences every way of ending it.

    What a job knows (`data`: sets of strings by name) only grows: it outlives
    completion, `enqueue` and `prune`; only `empty` removes it.

    A ``_many`` verb makes one conditional write per item: each is fenced separately,
    none depends on another, and a store batches them where it can. It is not all or
    nothing: after an error, any of them may have been written.
    """

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
        """
        Write a new job; for a known key, increase `seq` and replace the payload.

        `data` is merged with what is known, never replaced. A finished job is revived
        (due at `due_at`, tries 0, errors kept); a due one becomes due at the earlier of
        the two times; a running one goes on. With `once`, a known key is left
        unchanged.
        """
        ...

    def enqueue_many(
        self, new_jobs: Sequence[NewJob], *, now: datetime, once: bool = False
    ) -> int:
        """Call `enqueue` for each job; return how many keys were new."""
        ...

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
        """
        Claim up to `limit` due jobs, oldest first; each one's `tries` increases by one.

        With `kinds`, only jobs of these kinds; never of `not_kinds`. Each is a separate
        claim with its own token.
        """
        ...

    def claim_key(
        self, key: str, owner: str, now: datetime, lease_s: float
    ) -> Job | None:
        """Claim this job if it is due now (or its lease has lapsed)."""
        ...

    def heartbeat(
        self,
        token: str,
        now: datetime,
        lease_s: float,
        *,
        data: Mapping[str, Collection[str]] | None = None,
    ) -> bool:
        """
        Extend the lease and merge `data` with what is known; False = claim lost.

        The lease ends at its current end or at `now` + `lease_s`, whichever is later: a
        heartbeat never shortens a lease.
        """
        ...

    def heartbeat_many(
        self, tokens: Collection[str], now: datetime, lease_s: float
    ) -> frozenset[str]:
        """Call `heartbeat` for each token; return those whose claim still holds."""
        ...

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
        """
        End the job, or put it back as due (tries 0) if `seq` has grown meanwhile.

        Either way `data` is merged with what is known. Returns the job's new state;
        None = the claim is lost.
        """
        ...

    def complete_many(
        self, ends: Sequence[JobEnd], now: datetime
    ) -> tuple[JobState | None, ...]:
        """Call `complete` for each end; return the answers in the same order."""
        ...

    def reschedule(
        self,
        token: str,
        due_at: datetime,
        now: datetime,
        *,
        error: TryError | None = None,
        counts: bool = True,
    ) -> bool:
        """
        Put the job back as due; without `counts`, the try does not count.

        False = the claim is lost.
        """
        ...

    def bury(self, token: str, seq: int, now: datetime, error: TryError) -> bool:
        """
        End the job as dead; if `seq` has grown, put it back as due (tries 0).

        False = claim lost.
        """
        ...

    def release(self, token: str, now: datetime) -> bool:
        """Give up a claim before its work begins: due at once, and no try counts."""
        ...

    def retry(self, key: str, now: datetime, *, due_at: datetime | None = None) -> bool:
        """
        Make a due or dead job due now (a dead one with tries 0); False for others.

        With `due_at`, a dead one becomes due then, and a due one no later than then.
        """
        ...

    def bury_due(self, key: str, now: datetime, error: TryError) -> bool:
        """End a waiting job as dead, for an operator; False = it is not waiting."""
        ...

    def bound_ahead(
        self, now: datetime, limit: int, cursor: str | None = None
    ) -> tuple[int, str | None]:
        """
        Make jobs written by a clock that ran ahead wait from now on (`bounded`).

        Looks at the next `limit` jobs that wait or run (no index finds the affected
        rows); returns how many were written ahead of `now`, and the cursor to go on
        from (None = at the end). A running one keeps its claim: its lease ends as if
        taken now.
        """
        ...

    def empty(self, key: str) -> bool:
        """
        Clear the payload and data of a job that is done, cancelled or ignored.

        For what stays of an event, see `prune`. False = in another state, or unknown.
        """
        ...

    def find(self, key: str) -> Job | None:
        """Return the job, or None."""
        ...

    def list(
        self,
        *,
        state: JobState | None = None,
        kind: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Job]:
        """Return jobs: within one state by `due_at`, otherwise newest first."""
        ...

    def stats(
        self, now: datetime, *, cap: int = 10_000, counted: bool = True
    ) -> JobStats:
        """
        Return capped counts; never a scan of the whole queue.

        Without `counted`, only what is due now, and since when.
        """
        ...

    def prune(self, before: datetime, limit: int) -> int:
        """
        Delete up to `limit` jobs done or cancelled before then; return how many.

        The row of a job that knows something (`data`) stays, without its payload. An
        event store keeps the rows (key, outcome) of events that are done or ignored,
        and of their payload only ``type`` and ``object_id``.
        """
        ...


class EventStore(JobStore, Protocol):
    """
    Stored payment events: jobs of kind ``payment_event`` keyed by the event id.

    Beside them, of kind ``http_request``, the records of requests with an
    Idempotency-Key.
    """

    def forget(self, kind: str, before: datetime, limit: int) -> int:
        """Delete up to `limit` rows of a kind created before then; return how many."""
        ...

    def record(
        self,
        key: str,
        payload: Mapping[str, Any],
        *,
        now: datetime,
        state: JobState = JobState.DUE,
        outcome: str | None = None,
    ) -> Recorded:
        """
        Store a delivery durably; the first one writes the event in `state`, due now.

        Every later one is also a write (deliveries += 1; a dead event becomes due
        again), so that "known" is as durable as "new".
        """
        ...
