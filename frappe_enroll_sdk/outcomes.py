# SPDX-License-Identifier: MIT
"""What a job's handler may answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import attrs

from .models import Affiliate, Enrollment, Grant, Job, LedgerRow, TryError


__all__ = (
    "AlertContext",
    "AnyContext",
    "Dead",
    "DeathContext",
    "Done",
    "FactContext",
    "JobContext",
    "Outcome",
    "Retry",
    "Snooze",
)


@attrs.frozen
class Done:
    """The work is done."""

    outcome: str = "done"
    reason: str = ""


@attrs.frozen
class Retry:
    """
    It did not work: the try counts.

    Attributes:
        after_s: Seconds until the next try; None = by the schedule.
        cause: Words for an operator.
    """

    after_s: float | None = None
    cause: str = "the handler asked for a retry"


@attrs.frozen
class Snooze:
    """It is not the time yet: no try counts."""

    after_s: float


@attrs.frozen
class Dead:
    """
    It can never work: an operator has to look.

    Attributes:
        cause: Words for an operator.
        code: A short stable word by which dead jobs are requeued.
    """

    cause: str
    code: str = "handler"


Outcome = Done | Retry | Snooze | Dead


@attrs.frozen(kw_only=True)
class JobContext:
    """
    What a plugin's job handler is called with.

    Attributes:
        job: The job; its key is stable over all tries, so use it as idempotency key.
        enrollment: The enrollment as it stands now.
        fact: The status whose first writing this job hangs on, e.g. "enrolled".
        course_url: Where the course's learners are sent, or "".
    """

    job: Job
    enrollment: Enrollment
    fact: str
    course_url: str = ""


@attrs.frozen(kw_only=True)
class FactContext:
    """
    What a handler is called with for a fact that is about no enrollment.

    Attributes:
        job: The job; its key is stable over all tries, so use it as idempotency key.
        subject: The grant that was decided, or the ledger's row of a payout.
        fact: "grant_approved", "grant_rejected" or "commission_paid".
        affiliate: Of a payout: who was paid.
        course_url: Of a grant: where the course's learners are sent, or "".
    """

    job: Job
    subject: Grant | LedgerRow
    fact: str
    affiliate: Affiliate | None = None
    course_url: str = ""


@attrs.frozen(kw_only=True)
class AlertContext:
    """
    What a handler is called with for the fact "alert".

    Attributes:
        job: The job; its key is stable over all tries, so use it as idempotency key.
        code: What is the matter, a short stable word.
        subject: Id of an enrollment or event, a job's key, or a backend's name.
        at: When.
        detail: What else an operator needs to know, by name; nothing personal.
        fact: "alert".
    """

    job: Job
    code: str
    subject: str
    at: datetime
    detail: Mapping[str, str] = attrs.field(factory=dict)
    fact: str = "alert"


@attrs.frozen(kw_only=True)
class DeathContext:
    """
    What a handler is called with for the fact "job_dead".

    Attributes:
        job: The handler's own job; its key is stable over all tries.
        dead: The job or payment event that has died, as it stands now.
        error: What it died of.
        fact: "job_dead".
    """

    job: Job
    dead: Job
    error: TryError
    fact: str = "job_dead"


AnyContext = JobContext | FactContext | AlertContext | DeathContext
