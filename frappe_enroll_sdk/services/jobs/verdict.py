# SPDX-License-Identifier: MIT
"""
What becomes of a try that failed: pure.

First the error's family: refused for good → dead; "slow down" → snooze; conflict → soon
again; a transient failure or a refusal of our credentials → the backend's `ping`
decides: it fails → the backend's fault (the gate closes, nothing counts, jobs wait); it
works → this job's fault (the try counts). Everything else follows the schedule.
"""

from __future__ import annotations

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
from ...outcomes import Dead, Done, Outcome, Snooze
from ...wall import text


#: Seconds until a conflict is looked at again.
_CONFLICT_S = 2.0


@attrs.frozen(kw_only=True)
class Verdict:
    """
    What to write.

    Attributes:
        action: "done", "retry", "snooze" or "dead".
        wait_s: Seconds until the job is due again.
        code: Stable code of the cause.
        cause: Words for an operator.
    """

    action: str
    wait_s: float = 0.0
    # Of foreign code, maybe: whatever it says, the end has to be written.
    code: str = attrs.field(default="", converter=text)
    cause: str = attrs.field(default="", converter=text)


def needs_ping(error: Exception) -> bool:
    """Tell whether the backend's ping has to decide whose fault it is."""
    if isinstance(error, ThrottledError):
        return False
    return isinstance(error, (TransientError, BackendRefusedError))


def judge_error(
    error: Exception,
    *,
    tries: int,
    backend_down: bool,
    policy: RetryPolicy,
    gate_closed_s: float,
    chance: float | None = None,
) -> Verdict:
    """Return what becomes of a try that raised."""
    code = error.code if isinstance(error, EnrollError) else type(error).__name__
    cause = str(error) if isinstance(error, EnrollError) else _unknown(error)
    if isinstance(error, RejectedError):
        return Verdict(action="dead", code=code, cause=cause)
    if isinstance(error, ThrottledError):
        wait_s = capped_retry_after(error.retry_after_s)
        return Verdict(action="snooze", wait_s=wait_s, code=code, cause=cause)
    if isinstance(error, ConflictError):
        return Verdict(action="snooze", wait_s=_CONFLICT_S, code=code, cause=cause)
    waits = isinstance(error, ConfigurationError) and not needs_ping(error)
    if backend_down or waits:
        return Verdict(action="snooze", wait_s=gate_closed_s, code=code, cause=cause)
    return _on_schedule(tries, policy, code, cause, chance)


def judge_outcome(
    outcome: Outcome,
    *,
    tries: int,
    policy: RetryPolicy,
    chance: float | None = None,
) -> Verdict:
    """Return what becomes of a try whose handler answered."""
    if isinstance(outcome, Done):
        return Verdict(action="done", code=outcome.outcome, cause=outcome.reason)
    if isinstance(outcome, Snooze):
        return Verdict(action="snooze", wait_s=max(outcome.after_s, 0.0))
    if isinstance(outcome, Dead):
        return Verdict(action="dead", code=outcome.code, cause=outcome.cause)
    verdict = _on_schedule(tries, policy, "handler", outcome.cause, chance)
    if verdict.action == "retry" and outcome.after_s is not None:
        return attrs.evolve(verdict, wait_s=outcome.after_s)
    return verdict


def by_host(verdict: Verdict, wait_s: float | None) -> Verdict:
    """Return the verdict as the host's own policy changes it (None: not at all)."""
    if wait_s is None:
        return verdict
    action = "dead" if wait_s < 0 else "retry"
    return attrs.evolve(verdict, action=action, wait_s=max(wait_s, 0.0))


def exhausted(tries: int, policy: RetryPolicy) -> bool:
    """Tell whether a claimed job has no try left (it kept killing its workers)."""
    return tries > policy.max_tries


def _on_schedule(
    tries: int, policy: RetryPolicy, code: str, cause: str, chance: float | None
) -> Verdict:
    wait_s = policy.wait_s(tries, chance=chance)
    if wait_s is None:
        return Verdict(action="dead", code=code, cause=cause)
    return Verdict(action="retry", wait_s=wait_s, code=code, cause=cause)


def _unknown(error: Exception) -> str:
    # The text of a foreign exception may hold anything: only its class is shown.
    return f"unexpected {type(error).__name__} (see the log)"
