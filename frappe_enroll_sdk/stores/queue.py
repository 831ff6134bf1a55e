# SPDX-License-Identifier: MIT
"""
What each verb of a job store makes of a job: pure, in one place for every store.

A store finds the row, applies the function and writes the answer, in one transaction
or one conditional write.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from ..evolve import evolve
from ..models import Job, JobEnd, JobState, TryError
from ..models import jobs as kinds
from ..states import FINISHED
from .bounds import is_ahead


EVENT_KIND, REQUEST_KIND = kinds.EVENT_KIND, kinds.REQUEST_KIND
#: Errors kept of a job: the first ones and the last ones.
FIRST_ERRORS, LAST_ERRORS = 3, 7
#: How long such a record is good for.
REQUEST_LIFE = timedelta(hours=24)
#: What a pruned event keeps of its payload.
KEPT_OF_EVENTS = frozenset({"type", "object_id"})
#: Ends after which nobody needs the payload: nothing is retried or decided any more.
SPENT = frozenset({JobState.DONE, JobState.CANCELLED, JobState.IGNORED})


def united(
    known: Mapping[str, Collection[str]], more: Mapping[str, Collection[str]]
) -> Mapping[str, Collection[str]]:
    """Return two `data`, united name by name: nothing that was known gets lost."""
    if not more:
        return known
    return {
        name: sorted({*known.get(name, ()), *more.get(name, ())})
        for name in sorted({*known, *more})
    }


def new_job(
    key: str,
    kind: str,
    payload: Mapping[str, Any],
    due_at: datetime,
    now: datetime,
    data: Mapping[str, Collection[str]] | None = None,
) -> Job:
    """Return a job that nobody has seen."""
    return Job(
        key=key,
        kind=kind,
        payload=payload,
        data=united({}, data or {}),
        due_at=due_at,
        created_at=now,
        updated_at=now,
    )


def enqueued(
    job: Job,
    payload: Mapping[str, Any],
    due_at: datetime,
    now: datetime,
    data: Mapping[str, Collection[str]] | None = None,
) -> Job:
    """Return a known job after another `enqueue`."""
    job = bounded(job, now) or job
    more = evolve(
        job,
        payload=payload,
        data=united(job.data, data or {}),
        seq=job.seq + 1,
        updated_at=now,
    )
    if job.state in FINISHED:
        return _due(more, due_at, tries=0)
    if job.state is JobState.DUE:
        return evolve(more, due_at=min(job.due_at, due_at))
    return more


def bounded(job: Job, now: datetime) -> Job | None:
    """
    Return a job that a clock which ran ahead has written as written now, or None.

    What it waits for (its due moment, a lease's end) is as far from now as it was from
    the moment of that write. Each verb that leaves `due_at` as it is asks this first:
    it stamps the row anew.
    """
    if job.state in FINISHED or not is_ahead(job.updated_at, now):
        return None
    waits_until = max(job.due_at - (job.updated_at - now), now)
    return evolve(job, due_at=min(job.due_at, waits_until), updated_at=now)


def may_claim(job: Job, now: datetime) -> bool:
    """Tell whether a job may be claimed: due, or running with a lapsed lease."""
    return job.state in {JobState.DUE, JobState.RUNNING} and job.due_at <= now


def claimed(job: Job, owner: str, token: str, now: datetime, lease_s: float) -> Job:
    """Return a job as claimed; a try that was lost with its lease is written down."""
    recovered = job.state is JobState.RUNNING
    errors = job.errors
    if recovered:
        lost = TryError(
            at=now,
            try_number=job.tries,
            code="lease_lapsed",
            cause="the worker died or stalled past its lease",
            worker=job.owner or "",
        )
        errors = with_error(errors, lost)
    return evolve(
        job,
        state=JobState.RUNNING,
        due_at=now + timedelta(seconds=lease_s),
        tries=job.tries + 1,
        token=token,
        owner=owner,
        errors=errors,
        recovered=recovered,
        was_due_at=job.due_at,
        updated_at=now,
    )


def with_error(
    errors: tuple[TryError, ...], error: TryError | None
) -> tuple[TryError, ...]:
    """Return the errors with one more: the first and the last ones stay."""
    if error is None:
        return errors
    more = (*errors, error)
    if len(more) <= FIRST_ERRORS + LAST_ERRORS:
        return more
    return (*more[:FIRST_ERRORS], *more[-LAST_ERRORS:])


def beaten(
    job: Job,
    now: datetime,
    lease_s: float,
    data: Mapping[str, Collection[str]] | None,
) -> Job:
    """Return a running job after a heartbeat, which never shortens a lease."""
    job = bounded(job, now) or job
    due_at = max(job.due_at, now + timedelta(seconds=lease_s))
    known = united(job.data, data or {})
    return evolve(job, due_at=due_at, data=known, updated_at=now)


def completed(job: Job, end: JobEnd, now: datetime) -> Job:
    """Return a job after its work was done."""
    data = united(job.data, end.data)
    if job.seq != end.seq:
        return _due(job, now, tries=0, data=data, updated_at=now)
    return evolve(
        job,
        data=data,
        updated_at=now,
        state=end.state,
        outcome=end.outcome,
        token=None,
    )


def rescheduled(
    job: Job,
    due_at: datetime,
    now: datetime,
    error: TryError | None,
    *,
    counts: bool,
) -> Job:
    """Return a job put back on the schedule."""
    tries = job.tries if counts else max(job.tries - 1, 0)
    errors = with_error(job.errors, error)
    return _due(job, due_at, tries=tries, errors=errors, updated_at=now)


def buried(job: Job, seq: int, now: datetime, error: TryError) -> Job:
    """Return a job that can't be done (unless there is news of it)."""
    errors = with_error(job.errors, error)
    if job.seq != seq:
        return _due(job, now, tries=0, errors=errors, updated_at=now)
    return evolve(
        job,
        errors=errors,
        updated_at=now,
        state=JobState.DEAD,
        outcome=error.code,
        token=None,
    )


def retried(job: Job, now: datetime, due_at: datetime | None = None) -> Job | None:
    """Return a due or dead job made due now (or by `due_at`); None for any other."""
    when = due_at or now
    if job.state is JobState.DEAD:
        return _due(job, when, tries=0, updated_at=now)
    if job.state is JobState.DUE:
        return evolve(job, due_at=min(when, job.due_at), updated_at=now)
    return None


def given_up(job: Job, now: datetime, error: TryError) -> Job | None:
    """Return a job that waits as dead, by an operator's word; None for any other."""
    if job.state is not JobState.DUE:
        return None
    return buried(job, job.seq, now, error)


def new_event(
    key: str,
    payload: Mapping[str, Any],
    now: datetime,
    state: JobState,
    outcome: str | None,
) -> Job:
    """Return an event at its first delivery."""
    return Job(
        key=key,
        kind=EVENT_KIND,
        payload=payload,
        due_at=now,
        created_at=now,
        updated_at=now,
        state=state,
        outcome=outcome,
        deliveries=1,
    )


def delivered(job: Job, payload: Mapping[str, Any], now: datetime) -> Job:
    """Return a known event after one more delivery; a dead one gets another chance."""
    job = bounded(job, now) or job
    more = evolve(job, deliveries=job.deliveries + 1, updated_at=now)
    if job.state is JobState.DEAD:
        return _due(evolve(more, payload=payload), now, tries=0)
    return more


def is_pruned(job: Job) -> bool:
    """Tell whether a row keeps no more than what a pruned one keeps."""
    if job.kind == EVENT_KIND:
        return set(job.payload or ()) <= KEPT_OF_EVENTS
    return job.payload is None and (bool(job.data) or job.kind == REQUEST_KIND)


def pruned(job: Job) -> Job:
    """
    Return a job without its payload; an event's type and object id stay.

    What is known (`data`) stays: of a job that knows something `prune` keeps the row.
    """
    if job.kind != EVENT_KIND:
        return evolve(job, payload=None)
    payload = job.payload or {}
    kept = {name: payload[name] for name in KEPT_OF_EVENTS if name in payload}
    return evolve(job, payload=kept)


def emptied(job: Job) -> Job | None:
    """Return an ended job without what it was for, or None where it may be needed."""
    if job.state not in SPENT:
        return None
    return evolve(job, payload=pruned(job).payload or {}, data={})


def _due(job: Job, due_at: datetime, *, tries: int, **more: Any) -> Job:
    return evolve(
        job,
        state=JobState.DUE,
        due_at=due_at,
        tries=tries,
        token=None,
        outcome=None,
        **more,
    )
