# SPDX-License-Identifier: MIT
"""What becomes of a failed try, for every error of ours and for foreign ones."""

from __future__ import annotations

import pytest

from frappe_enroll_sdk import errors
from frappe_enroll_sdk.backoff import RetryPolicy
from frappe_enroll_sdk.outcomes import Dead, Done, Retry, Snooze
from frappe_enroll_sdk.services.jobs.verdict import (
    End,
    Verdict,
    needs_ping,
    verdict_of_error,
    verdict_of_outcome,
)


POLICY = RetryPolicy(jitter=0)
GATE_S = 30.0


def verdict_on(error, *, tries=1, down=False):
    """Return the verdict on an error by the plain policy."""
    return verdict_of_error(
        error,
        tries=tries,
        backend_down=down,
        policy=POLICY,
        gate_closed_s=GATE_S,
        chance=0.5,
    )


def leaves(base):
    """Return every error class of a family, with the family itself."""
    found = {base}
    for sub in base.__subclasses__():
        if sub.__module__ == "frappe_enroll_sdk.errors":
            found |= set(leaves(sub))
    return sorted(found, key=lambda cls: cls.__name__)


def made(cls):
    """Make an error of a class."""
    return cls("extra" if cls is errors.MissingExtraError else "why")


CONFIGURATION = [
    cls
    for cls in leaves(errors.ConfigurationError)
    if cls is not errors.BackendRefusedError
]
TRANSIENT = [c for c in leaves(errors.TransientError) if c is not errors.ThrottledError]


@pytest.mark.parametrize("cls", leaves(errors.RejectedError))
@pytest.mark.parametrize("down", [False, True])
def test_refusal_is_dead_at_once(cls, down):
    """Whatever the backend's state: the cause lies in the job itself."""
    verdict = verdict_on(cls("no such course"), down=down)
    assert verdict == Verdict(end=End.DEAD, code=cls.code, cause="no such course")


@pytest.mark.parametrize("tries", [1, 5, 6, 99])
@pytest.mark.parametrize(
    ("asked", "waited"), [(None, 60), (7, 7), (3600, 3600), (86400, 3600)]
)
def test_throttled_snoozes_without_counting(tries, asked, waited):
    """Scenario 26: 429 waits as told, an hour at the most, and never kills."""
    verdict = verdict_on(errors.ThrottledError(retry_after_s=asked), tries=tries)
    assert (verdict.end, verdict.wait_s) == ("snooze", waited)


@pytest.mark.parametrize("tries", [1, 6, 99])
@pytest.mark.parametrize("cls", leaves(errors.ConflictError))
def test_conflict_looks_again_soon(cls, tries):
    """Somebody else was faster: no try counts."""
    verdict = verdict_on(cls("again"), tries=tries)
    assert verdict == Verdict(end=End.SNOOZE, wait_s=2, code=cls.code, cause="again")


@pytest.mark.parametrize("tries", [1, 6, 99])
@pytest.mark.parametrize("cls", CONFIGURATION)
def test_configuration_fault_waits(cls, tries):
    """Jobs wait for the operator, and nothing counts."""
    verdict = verdict_on(made(cls), tries=tries)
    assert (verdict.end, verdict.wait_s) == ("snooze", GATE_S)


@pytest.mark.parametrize("tries", [1, 6, 99])
@pytest.mark.parametrize("cls", [*TRANSIENT, errors.BackendRefusedError])
def test_fault_of_a_backend_that_is_down_counts_no_try(cls, tries):
    """Scenario 27: an outage of hours kills no job."""
    verdict = verdict_on(cls("down"), tries=tries, down=True)
    assert verdict == Verdict(
        end=End.SNOOZE, wait_s=GATE_S, code=cls.code, cause="down"
    )


@pytest.mark.parametrize("cls", [*TRANSIENT, errors.BackendRefusedError])
def test_fault_of_a_backend_that_works_is_the_jobs_own(cls):
    """The ping works: this job's try counts, and the sixth is the last."""
    first, last = verdict_on(cls("odd"), tries=1), verdict_on(cls("odd"), tries=6)
    assert first == Verdict(end=End.RETRY, wait_s=120, code=cls.code, cause="odd")
    assert last == Verdict(end=End.DEAD, code=cls.code, cause="odd")


@pytest.mark.parametrize(
    ("tries", "action", "wait_s"),
    [
        (1, "retry", 120),
        (2, "retry", 240),
        (3, "retry", 480),
        (4, "retry", 960),
        (5, "retry", 1920),
        (6, "dead", 0),
        (7, "dead", 0),
    ],
)
def test_unknown_exception_follows_the_schedule(tries, action, wait_s):
    """A foreign exception retries by the schedule; its text is never stored."""
    verdict = verdict_on(KeyError("ada@example.com"), tries=tries)
    assert (verdict.end, verdict.wait_s, verdict.code) == (
        action,
        wait_s,
        "KeyError",
    )
    assert "ada" not in verdict.cause
    assert "KeyError" in verdict.cause


def test_ping_decides_over_transient_faults_and_refused_rights_only():
    """Everything else is judged by its family alone."""
    asked = {*TRANSIENT, errors.BackendRefusedError}
    families = leaves(errors.EnrollError)
    assert {cls for cls in families if needs_ping(made(cls))} == asked
    assert not needs_ping(KeyError("x"))


def test_outcomes_of_handlers_are_followed():
    """Done, snooze and dead mean what they say."""
    known = {"tries": 3, "policy": POLICY, "chance": 0.5}
    assert verdict_of_outcome(Done("mailed"), **known) == Verdict(
        end=End.DONE, code="mailed"
    )
    assert verdict_of_outcome(Snooze(90), **known) == Verdict(end=End.SNOOZE, wait_s=90)
    assert verdict_of_outcome(Snooze(-1), **known) == Verdict(end=End.SNOOZE, wait_s=0)
    assert verdict_of_outcome(Dead("no address"), **known) == Verdict(
        end=End.DEAD, code="handler", cause="no address"
    )


def test_outcome_retry_counts_and_ends():
    """By the schedule or after its own wait, dead after the sixth."""
    by_plan = verdict_of_outcome(
        Retry(cause="busy"), tries=2, policy=POLICY, chance=0.5
    )
    own = verdict_of_outcome(Retry(5, "busy"), tries=2, policy=POLICY, chance=0.5)
    at_once = verdict_of_outcome(Retry(0, "busy"), tries=2, policy=POLICY, chance=0.5)
    assert by_plan == Verdict(end=End.RETRY, wait_s=240, code="handler", cause="busy")
    assert own == Verdict(end=End.RETRY, wait_s=5, code="handler", cause="busy")
    assert at_once.wait_s == 0
    last = verdict_of_outcome(Retry(5, "busy"), tries=6, policy=POLICY, chance=0.5)
    assert last == Verdict(end=End.DEAD, code="handler", cause="busy")


def test_job_that_keeps_killing_its_workers_is_exhausted():
    """Scenario 28: the sixth claim still runs, the seventh does not."""
    assert [POLICY.is_exhausted(tries) for tries in (1, 6, 7)] == [False, False, True]
