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

    A claim moves `due_at` to the lease's end (visibility timeout), so that one index
    on (state, due_at) serves claims and recovery: a running job whose lease has lapsed
    is claimed like a due one, its lost try is written to `errors` (code
    ``lease_lapsed``) and counts. Every finish is fenced by the claim's token.

    What a job knows (`data`: sets of words by name) only grows: it outlives every end,
    every `enqueue` and `prune`, and only `empty` takes it out.

    A verb with ``_many`` is as many conditional writes as it has items: each is fenced
    by itself, none depends on another, and a store sends them at once where it can. It
    is not all or nothing: after an error any of them may have been written.
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
        Write a new job; on a known key `seq` grows and the payload is replaced.

        `data` is united with what is known, never replaced. A finished job is revived
        (due at `due_at`, tries 0, errors kept); a
        due one becomes due at the earlier of the two times; a running one goes on.
        With `once`, a known key is left as it is.
        """
        ...

    def enqueue_many(
        self, new_jobs: Sequence[NewJob], *, now: datetime, once: bool = False
    ) -> int:
        """Do `enqueue` for each job; return how many keys were new."""
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
        Take up to `limit` jobs that are due, oldest first; tries grows by one.

        With `kinds`, of these only; never of `not_kinds`. Each is a claim of its own,
        with a token of its own.
        """
        ...

    def claim_key(
        self, key: str, owner: str, now: datetime, lease_s: float
    ) -> Job | None:
        """Take this job if it is due now (or its lease has lapsed)."""
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
        Extend the lease and unite `data` with what is known; False = claim lost.

        The lease ends at the later of its end and `now` + `lease_s`: a heartbeat never
        takes back what a longer one gave.
        """
        ...

    def heartbeat_many(
        self, tokens: Collection[str], now: datetime, lease_s: float
    ) -> frozenset[str]:
        """Do `heartbeat` for each token; return those whose claim still stands."""
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
        End the job, or put it back as due (tries 0) when `seq` has grown meanwhile.

        Either way `data` is united with what is known. Returns the state that now
        stands; None = the claim is lost.
        """
        ...

    def complete_many(
        self, ends: Sequence[JobEnd], now: datetime
    ) -> tuple[JobState | None, ...]:
        """Do `complete` for each end; return its answer for each, in their order."""
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
        Put the job back as due; without `counts`, the try is given back.

        False = the claim is lost.
        """
        ...

    def bury(self, token: str, seq: int, now: datetime, error: TryError) -> bool:
        """
        End the job as dead; when `seq` has grown, put it back as due (tries 0).

        False = claim lost.
        """
        ...

    def release(self, token: str, now: datetime) -> bool:
        """Give back a claim whose work has not begun: due at once, try given back."""
        ...

    def retry(self, key: str, now: datetime, *, due_at: datetime | None = None) -> bool:
        """
        Make a due or dead job due now (a dead one with tries 0); else False.

        With `due_at`, a dead one becomes due then, and a due one by then.
        """
        ...

    def bury_due(self, key: str, now: datetime, error: TryError) -> bool:
        """End a job that waits as dead, by an operator's word; False = it does not."""
        ...

    def bound(self, key: str, now: datetime) -> bool:
        """
        Let a job that a clock which ran ahead has written wait from now (`bounded`).

        A running one keeps its claim: its lease ends as one taken now. False = it was
        not written ahead of `now`, has ended, or is unknown.
        """
        ...

    def empty(self, key: str) -> bool:
        """
        Empty payload and data of a job that is done, cancelled or ignored.

        Of an event `prune` tells what stays. False = it is none of these, or unknown.
        """
        ...

    def requeue(self, limit: int, now: datetime, *, kind: str | None = None) -> int:
        """Make up to `limit` dead jobs due now with tries 0, oldest first; count."""
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
        """Return jobs: by `due_at` within a state, else newest first."""
        ...

    def stats(self, now: datetime, *, cap: int = 10_000) -> JobStats:
        """Return capped counts; never a scan of the whole queue."""
        ...

    def prune(self, before: datetime, limit: int) -> int:
        """
        Drop up to `limit` jobs that were done or cancelled before; count.

        Of one that knows something (`data`) the row stays, without its payload.
        An event store keeps the row (key, outcome) and, of the payload of events that
        are done or ignored, only ``type`` and ``object_id``.
        """
        ...


class EventStore(JobStore, Protocol):
    """
    Stored payment events: jobs of kind ``payment_event`` keyed by the event id.

    Beside them, of kind ``http_request``, the records of requests with an
    Idempotency-Key.
    """

    def forget(self, kind: str, before: datetime, limit: int) -> int:
        """Delete up to `limit` rows of a kind that were created before; count."""
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
        Store a delivery durably: the first one writes the event in `state`, due now.

        Every further one is a write too (deliveries += 1; a dead event becomes due
        again), so that "known" is as durable as "new".
        """
        ...
