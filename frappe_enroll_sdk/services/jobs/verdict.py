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


#: Seconds until a conflict is looked at again.
_CONFLICT_S = 2.0


class End(StrEnum):
    """What becomes of a claim."""

    #: The work is done.
    DONE = "done"
    #: The try counts; the next one follows the schedule.
    RETRY = "retry"
    #: No try counts; it is put back for later.
    SNOOZE = "snooze"
    #: It can never work: an operator has to look.
    DEAD = "dead"
    #: The claim is somebody else's now; nothing is written.
    LOST = "lost"
    #: Given back before its work began.
    RELEASED = "released"
    #: No job: a backend was asked whether it works.
    PROBE = "probe"


@attrs.frozen(kw_only=True)
class Ended:
    """
    How a claim has ended.

    Attributes:
        end: What became of it.
        code: The outcome's word, or the error's stable code.
        enrollments: The enrollments that were settled by it, as they stand now.
    """

    end: End
    code: str = ""
    enrollments: tuple[Enrollment, ...] = ()


@attrs.frozen(kw_only=True)
class Verdict:
    """
    What to write.

    Attributes:
        end: What becomes of the claim.
        wait_s: Seconds until the job is due again.
        code: Stable code of the cause.
        cause: Words for an operator.
        enrollments: Those that were settled.
    """

    end: End
    wait_s: float = 0.0
    # Of foreign code, maybe: whatever it says, the end has to be written.
    code: str = attrs.field(default="", converter=text)
    cause: str = attrs.field(default="", converter=text)
    enrollments: tuple[Enrollment, ...] = ()


def needs_ping(error: Exception) -> bool:
    """Tell whether the backend's ping has to decide whose fault it is."""
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
    """Return what becomes of a try that raised."""
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
    """Return what becomes of a try whose handler answered."""
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
        return Verdict(end=End.DEAD, code="handler", cause=outcome.cause)
    verdict = _on_schedule(tries, policy, "handler", outcome.cause, chance)
    if verdict.end is End.RETRY and outcome.after_s is not None:
        return attrs.evolve(verdict, wait_s=outcome.after_s)
    return verdict


def by_host(verdict: Verdict, wait_s: float | None) -> Verdict:
    """Return the verdict as the host's own policy changes it (None: not at all)."""
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
    # The text of a foreign exception may hold anything: only its class is shown.
    return f"unexpected {type(error).__name__} (see the log)"
