# SPDX-License-Identifier: MIT
"""
What becomes of a try that failed: pure.

First the error's family: refused for good → dead; "slow down" → snooze; conflict → soon
again; a transient failure or a refusal of our credentials → the backend's `ping`
decides: it fails → the backend's fault (the gate closes, nothing counts, jobs wait); it
works → this job's fault (the try counts). Everything else follows the schedule.
"""

from __future__ import annotations

from enum import StrEnum

import attrs

from ...backoff import RetryPolicy, capped_retry_after
from ...errors import (
    BackendRefusedError,
    ConfigurationError,
    ConflictError,
    EnrollError,
    RejectedError,
    ThrottledError,
    TransientError,
)
from ...models import Enrollment
from ...outcomes import Dead, Done, Outcome, Snooze
from ...wall import text
from ..settle.decision import Settled


#: Seconds until a conflict is retried.
_CONFLICT_S = 2.0


class End(StrEnum):
    """How a claim ends."""

    #: The work is done.
    DONE = "done"
    #: The try counts; the next one follows the schedule.
    RETRY = "retry"
    #: The try does not count; the job is put back for later.
    SNOOZE = "snooze"
    #: It can never succeed: an operator has to act.
    DEAD = "dead"
    #: Another worker has the claim now; nothing is written.
    LOST = "lost"
    #: The claim was given back before its work began.
    RELEASED = "released"
    #: Not a job: a ping of a backend.
    PROBE = "probe"


@attrs.frozen(kw_only=True)
class Ended:
    """
    The end of a claim.

    Attributes:
        end: What became of it.
        code: The name of the outcome, or the error's stable code.
        enrollments: The current state of the enrollments that it settled.
    """

    end: End
    code: str = ""
    enrollments: tuple[Enrollment, ...] = ()


@attrs.frozen(kw_only=True)
class Verdict:
    """
    What to write at the end of a try.

    Attributes:
        end: How the claim ends.
        wait_s: Seconds until the job is due again.
        code: Stable code of the cause.
        cause: Explanation for an operator.
        enrollments: The enrollments that were settled.
    """

    end: End
    wait_s: float = 0.0
    # May come from foreign code: whatever it contains, the end has to be written.
    code: str = attrs.field(default="", converter=text)
    cause: str = attrs.field(default="", converter=text)
    enrollments: tuple[Enrollment, ...] = ()


def needs_ping(error: Exception) -> bool:
    """Tell whether the backend's ping has to decide whose fault an error is."""
    if isinstance(error, ThrottledError):
        return False
    return isinstance(error, (TransientError, BackendRefusedError))


def verdict_of_error(
    error: Exception,
    *,
    tries: int,
    backend_down: bool,
    policy: RetryPolicy,
    gate_closed_s: float,
    chance: float,
) -> Verdict:
    """Return the verdict on a try that raised an error."""
    code = error.code if isinstance(error, EnrollError) else type(error).__name__
    cause = str(error) if isinstance(error, EnrollError) else _unknown(error)
    if isinstance(error, RejectedError):
        return Verdict(end=End.DEAD, code=code, cause=cause)
    if isinstance(error, ThrottledError):
        wait_s = capped_retry_after(error.retry_after_s)
        return Verdict(end=End.SNOOZE, wait_s=wait_s, code=code, cause=cause)
    if isinstance(error, ConflictError):
        return Verdict(end=End.SNOOZE, wait_s=_CONFLICT_S, code=code, cause=cause)
    waits = isinstance(error, ConfigurationError) and not needs_ping(error)
    if backend_down or waits:
        return Verdict(end=End.SNOOZE, wait_s=gate_closed_s, code=code, cause=cause)
    return _on_schedule(tries, policy, code, cause, chance)


def verdict_of_outcome(
    outcome: Outcome,
    *,
    tries: int,
    policy: RetryPolicy,
    chance: float,
) -> Verdict:
    """Return the verdict on a try whose handler returned."""
    if isinstance(outcome, Done):
        return Verdict(
            end=End.DONE,
            code=outcome.outcome,
            cause=outcome.reason,
            enrollments=outcome.enrollments if isinstance(outcome, Settled) else (),
        )
    if isinstance(outcome, Snooze):
        return Verdict(end=End.SNOOZE, wait_s=max(outcome.after_s, 0.0))
    if isinstance(outcome, Dead):
        return Verdict(end=End.DEAD, code=outcome.code, cause=outcome.cause)
    verdict = _on_schedule(tries, policy, "handler", outcome.cause, chance)
    if verdict.end is End.RETRY and outcome.after_s is not None:
        return attrs.evolve(verdict, wait_s=outcome.after_s)
    return verdict


def by_host(verdict: Verdict, wait_s: float | None) -> Verdict:
    """Return the verdict after the host's own policy (None = no change)."""
    if wait_s is None:
        return verdict
    end = End.DEAD if wait_s < 0 else End.RETRY
    return attrs.evolve(verdict, end=end, wait_s=max(wait_s, 0.0))


def _on_schedule(
    tries: int, policy: RetryPolicy, code: str, cause: str, chance: float
) -> Verdict:
    wait_s = policy.wait_s(tries, chance=chance)
    if wait_s is None:
        return Verdict(end=End.DEAD, code=code, cause=cause)
    return Verdict(end=End.RETRY, wait_s=wait_s, code=code, cause=cause)


def _unknown(error: Exception) -> str:
    # The text of a foreign exception may contain anything: only show its class.
    return f"unexpected {type(error).__name__} (see the log)"
