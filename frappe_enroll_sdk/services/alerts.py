# SPDX-License-Identifier: MIT
"""
Facts that are about no enrollment, grant or payout: alerts, and jobs that have died.

Observers are told, and plugins that asked for it are owed a job, keyed by the fact.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from ..codec import moment_of, text_of
from ..models import Job, JobState, NewJob, TryError
from ..outcomes import AlertContext, DeathContext, Done, Outcome, Snooze


if TYPE_CHECKING:
    from collections.abc import Mapping

    from .context import Context

ALERT, DEATH = "alert", "job_dead"
#: Facts whose own jobs cause no alert when they die: otherwise two plugins could alert
#: each other about their failures for ever.
_ECHOES = frozenset({ALERT, DEATH})
#: Seconds to wait for a dying job's end before reporting it.
_WRITTEN_S = 2.0


def raise_alert(
    context: Context,
    code: str,
    subject: str,
    occasion: str | int | None = None,
    detail: Mapping[str, str] | None = None,
) -> None:
    """
    Tell observers and plugins' jobs about something that needs an operator.

    Args:
        context: The wiring.
        code: A short stable name.
        subject: Id of an enrollment or event, a job's key, or a backend's name.
        occasion: What distinguishes this alert from others with its code and subject;
            the same occasion enqueues only one job. None = each call is a new occasion.
        detail: Further details for an operator; nothing personal.
    """
    owe_alert(context, code, subject, occasion, detail)
    tell_alert(context, code, subject, detail)


def tell_alert(
    context: Context, code: str, subject: str, detail: Mapping[str, str] | None = None
) -> None:
    """Notify the observers of an alert, at most once."""
    context.plugins.notify(
        "on_alert", code=code, subject=subject, detail=dict(detail or {})
    )


def owe_alert(
    context: Context,
    code: str,
    subject: str,
    occasion: str | int | None = None,
    detail: Mapping[str, str] | None = None,
) -> None:
    """Enqueue the plugins' jobs for an alert: keyed, so safe to repeat."""
    now = context.now()
    mark = text_of(now) if occasion is None else occasion
    payload: dict[str, object] = {"fact": ALERT, "code": code, "subject": subject}
    payload["at"] = text_of(now)
    if detail:
        payload["detail"] = dict(detail)
    _owe(context, ALERT, f"{code}:{subject}:{mark}", payload, now)


def owe_death(context: Context, job: Job, error: TryError) -> None:
    """
    Enqueue the plugins' jobs for a death that is about to be written with this error.

    Called before it is written, so that a crash in between loses none; the job checks
    whether it was written.
    """
    if (job.payload or {}).get("fact") in _ECHOES:
        return
    at = text_of(error.at)
    payload = {
        "fact": DEATH,
        "job": job.key,
        "at": at,
        "token": job.token,
        "seq": job.seq,
    }
    _owe(context, DEATH, f"{job.key}:{at}", payload, error.at)


def _owe(
    context: Context,
    fact: str,
    name: str,
    payload: Mapping[str, object],
    due_at: datetime,
) -> None:
    jobs = [
        NewJob(key=f"{kind}:{fact}:{name}", kind=kind, payload=payload, due_at=due_at)
        for kind in context.plugins.job_kinds(fact)
    ]
    if jobs:
        context.storage.jobs.enqueue_many(jobs, now=context.now(), once=True)


def alert_context(job: Job) -> AlertContext:
    """Return the argument for an alert's handler."""
    payload = job.payload or {}
    return AlertContext(
        job=job,
        code=str(payload.get("code")),
        subject=str(payload.get("subject")),
        at=moment_of(str(payload.get("at"))),
        detail=payload.get("detail") or {},
    )


def death_context(context: Context, job: Job) -> DeathContext | Outcome:
    """Return the argument for a death's handler, or the outcome of its job."""
    payload = job.payload or {}
    key, at = str(payload.get("job")), str(payload.get("at"))
    storage = context.storage
    dead = storage.jobs.find(key) or storage.events.find(key)
    if dead is None:
        return Done("gone")
    if dead.state is JobState.RUNNING and dead.token == payload.get("token"):
        # It is about to be written, or the worker died first.
        return Snooze(_WRITTEN_S)
    error = next((e for e in dead.errors if text_of(e.at) == at), None)
    if error is None:
        return Done("never_written")
    if dead.state is not JobState.DEAD or dead.seq != payload.get("seq"):
        # It was enqueued again or retried by an operator: it is not dead.
        return Done("revived")
    return DeathContext(job=job, dead=dead, error=error)
