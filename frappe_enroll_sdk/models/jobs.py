# SPDX-License-Identifier: MIT
"""Jobs, and payment events, which are jobs, too."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import attrs


#: The one job that brings the LMS in step with the entitlement of a learner and course.
SYNC_KIND = "sync"
#: Promotes a held payment, refunds by policy, and ends a pair's other attempts.
PAIR_KIND = "pair"
#: Refunds a second payment.
REFUND_KIND = "refund"
#: A stored payment event.
EVENT_KIND = "payment_event"
#: Records of HTTP requests with an Idempotency-Key, in the events store.
REQUEST_KIND = "http_request"
#: Ensures the effects of a decision about a grant.
GRANT_KIND = "grant"
#: Makes a held commission available.
COMMISSION_KIND = "commission"
#: Ensures the effects of a payout.
PAYOUT_KIND = "payout"
#: Kinds reserved for the SDK; no plugin may register one.
OWN_KINDS = frozenset(
    {
        *(SYNC_KIND, PAIR_KIND, REFUND_KIND, EVENT_KIND, REQUEST_KIND),
        *(GRANT_KIND, COMMISSION_KIND, PAYOUT_KIND),
    }
)


class JobState(StrEnum):
    """
    State of a job or of a stored payment event.

    For events they mean received, claimed, done and failed; only events can be
    quarantined or ignored.
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
    The outcome of one try of a job.

    Attributes:
        at: When the try ended (or was recovered).
        try_number: Number of the try; for a wait, of the last try that counted.
        code: Stable error code; "lease_lapsed" for a recovered try.
        cause: Explanation for an operator; nothing secret or personal.
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
        payload: Input of the handler; None once pruned.
        data: What is known for good: sets of strings by name, merged with each write.
        state: See `JobState`.
        seq: Increases with each `enqueue`; completing with a stale one does not end it.
        due_at: When it may be claimed; the lease's end while it runs.
        tries: Claims that count.
        token: Token that fences the current claim.
        owner: Who claimed it last.
        errors: Outcomes of tries: the first and the last ones.
        outcome: A short name of the result, or None.
        deliveries: How often a payment event was delivered; 0 for jobs.
        recovered: Whether this claim took the job from a lapsed lease.
        was_due_at: When a job just claimed had been due: its place in the queue if it
            is put back before it begins. Never stored; None if the claim's answer was
            lost.
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
        payload: Input of the handler.
        due_at: When it may be claimed.
        data: What else is known.
    """

    key: str
    kind: str
    payload: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    due_at: datetime
    data: Mapping[str, Any] = attrs.field(factory=dict, repr=False)


@attrs.frozen(kw_only=True)
class JobEnd:
    """
    One completion for `JobStore.complete_many`.

    Attributes:
        token: The claim's token.
        seq: The job's `seq` as claimed.
        state: The final state.
        outcome: A short name of the result, or None.
        data: What else is known.
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
    Counts of a queue; each is capped, so that counting never scans.

    Attributes:
        counts: Rows by state.
        due_now: Rows that may be claimed now.
        oldest_due_at: When the oldest of them became due, or None.
        done_last_hour: Rows done within the last hour.
        cap: A count equal to this means "this many or more".
    """

    counts: Mapping[JobState, int]
    due_now: int
    oldest_due_at: datetime | None
    done_last_hour: int = 0
    cap: int
