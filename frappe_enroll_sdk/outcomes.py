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
    The try failed, and counts.

    Attributes:
        after_s: Seconds until the next try; None = as scheduled.
        cause: Explanation for an operator.
    """

    after_s: float | None = None
    cause: str = "the handler asked for a retry"


@attrs.frozen
class Snooze:
    """It is too early: the try does not count."""

    after_s: float


@attrs.frozen
class Dead:
    """
    It can never succeed: an operator has to act.

    Attributes:
        cause: Explanation for an operator.
        code: A short stable name by which dead jobs are requeued.
    """

    cause: str
    code: str = "handler"


Outcome = Done | Retry | Snooze | Dead


@attrs.frozen(kw_only=True)
class JobContext:
    """
    The argument of a plugin's job handler.

    Attributes:
        job: The job; its key is the same in all tries, so use it as idempotency key.
        enrollment: The enrollment's current state.
        fact: The status whose first write enqueued this job, such as "enrolled".
        course_url: Where the course's learners are sent, or "".
    """

    job: Job
    enrollment: Enrollment
    fact: str
    course_url: str = ""


@attrs.frozen(kw_only=True)
class FactContext:
    """
    The argument of a handler for a fact that is not about an enrollment.

    Attributes:
        job: The job; its key is the same in all tries, so use it as idempotency key.
        subject: The grant that was decided, or the ledger row of a payout.
        fact: "grant_approved", "grant_rejected" or "commission_paid".
        affiliate: For a payout: the affiliate who was paid.
        course_url: For a grant: where the course's learners are sent, or "".
    """

    job: Job
    subject: Grant | LedgerRow
    fact: str
    affiliate: Affiliate | None = None
    course_url: str = ""


@attrs.frozen(kw_only=True)
class AlertContext:
    """
    The argument of a handler for the fact "alert".

    Attributes:
        job: The job; its key is the same in all tries, so use it as idempotency key.
        code: What is wrong, as a short stable name.
        subject: Id of an enrollment or event, a job's key, or a backend's name.
        at: When.
        detail: Further details for an operator, by name; nothing personal.
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
    The argument of a handler for the fact "job_dead".

    Attributes:
        job: The handler's own job; its key is the same in all tries.
        dead: The current state of the dead job or payment event.
        error: The error that ended it.
        fact: "job_dead".
    """

    job: Job
    dead: Job
    error: TryError
    fact: str = "job_dead"


AnyContext = JobContext | FactContext | AlertContext | DeathContext
