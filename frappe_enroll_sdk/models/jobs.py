# SPDX-License-Identifier: MIT
"""Jobs, and payment events, which are jobs, too."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import attrs


#: Kind of the one job that brings the LMS to where a learner and course stand.
SYNC_KIND = "sync"
#: Tidies up beside the slot of a learner and course.
PAIR_KIND = "pair"
#: Gives a second payment back.
REFUND_KIND = "refund"
#: Kind of a stored payment event.
EVENT_KIND = "payment_event"
#: Kind of the records of HTTP requests with an Idempotency-Key, in the events store.
REQUEST_KIND = "http_request"
#: Kind of the job that makes sure of what a grant's decision owes.
GRANT_KIND = "grant"
#: Kind of the job that makes a held commission available.
COMMISSION_KIND = "commission"
#: Kind of the job that makes sure of what a payout owes.
PAYOUT_KIND = "payout"
#: Kinds of jobs that are the SDK's own; no plugin may take one.
OWN_KINDS = frozenset(
    {
        *(SYNC_KIND, PAIR_KIND, REFUND_KIND, EVENT_KIND, REQUEST_KIND),
        *(GRANT_KIND, COMMISSION_KIND, PAYOUT_KIND),
    }
)


class JobState(StrEnum):
    """
    State of a job or of a stored payment event.

    An event calls them received, claimed, done and failed; quarantined and ignored
    are ends that only events have.
    """

    DUE = "due"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"
    IGNORED = "ignored"


@attrs.frozen(kw_only=True)
class TryError:
    """
    What became of one try of a job.

    Attributes:
        at: When the try ended (or was recovered).
        try_number: Which try it was; of one that only waits, the last that counted.
        code: Stable code of the error; "lease_lapsed" for a recovered try.
        cause: Words for an operator; nothing secret or personal.
        worker: Who ran it.
    """

    at: datetime
    try_number: int
    code: str
    cause: str
    worker: str = ""


@attrs.frozen(kw_only=True, slots=False)  # (see ``evolve.py``)
class Job:
    """
    A job, or a stored payment event (whose key is the event id).

    Attributes:
        key: Unique name.
        kind: Which handler runs it.
        payload: What the handler gets; None once pruned.
        data: What is known for good: sets of words by name, united with each write.
        state: See `JobState`.
        seq: Grows with each `enqueue`; a completion with a stale one is not an end.
        due_at: When it may be claimed; the lease's end while it runs.
        tries: Claims that count.
        token: Fences the running claim.
        owner: Who claimed it last.
        errors: What became of tries: the first and the last ones.
        outcome: A short word about the end, or None.
        deliveries: How often a payment event was delivered; 0 for jobs.
        recovered: Whether this claim took the job from a lapsed lease.
        was_due_at: When a job just claimed had been due: its place, should it be put
            back unbegun. Never stored; None where the claim's answer was lost.
        created_at: When it was first enqueued.
        updated_at: When it was last written.
    """

    key: str
    kind: str
    payload: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    data: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    state: JobState = JobState.DUE
    seq: int = 1
    due_at: datetime
    tries: int = 0
    token: str | None = None
    owner: str | None = None
    errors: tuple[TryError, ...] = ()
    outcome: str | None = None
    deliveries: int = 0
    recovered: bool = False
    was_due_at: datetime | None = attrs.field(default=None, eq=False, repr=False)
    created_at: datetime
    updated_at: datetime


@attrs.frozen(kw_only=True)
class NewJob:
    """
    One job of `JobStore.enqueue_many`.

    Attributes:
        key: Unique name.
        kind: Which handler runs it.
        payload: What the handler gets.
        due_at: When it may be claimed.
        data: What is known besides.
    """

    key: str
    kind: str
    payload: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    due_at: datetime
    data: Mapping[str, Any] = attrs.field(factory=dict, repr=False)


@attrs.frozen(kw_only=True)
class JobEnd:
    """
    One end of `JobStore.complete_many`.

    Attributes:
        token: The claim's token.
        seq: The job's `seq` as claimed.
        state: What it ends as.
        outcome: A short word about the end, or None.
        data: What is known besides.
    """

    token: str
    seq: int
    state: JobState = JobState.DONE
    outcome: str | None = None
    data: Mapping[str, Any] = attrs.field(factory=dict, repr=False)


@attrs.frozen(kw_only=True)
class Recorded:
    """
    Answer of `EventStore.record`.

    Attributes:
        event: The stored event.
        new: Whether this was its first delivery.
    """

    event: Job
    new: bool


@attrs.frozen(kw_only=True)
class JobStats:
    """
    Numbers of a queue; each is capped, so that counting never scans.

    Attributes:
        counts: Rows by state.
        due_now: Rows that may be claimed now.
        oldest_due_at: When the oldest of them fell due, or None.
        done_last_hour: Rows that were done within the last hour.
        cap: A count equal to this means "this many or more".
    """

    counts: Mapping[JobState, int]
    due_now: int
    oldest_due_at: datetime | None
    done_last_hour: int = 0
    cap: int
