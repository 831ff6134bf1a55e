# SPDX-License-Identifier: MIT
"""What each verb of the queue makes of a job."""

from __future__ import annotations

import attrs
import pytest
from unit.rows import NOW, later, make_job

from frappe_enroll_sdk.models import JobEnd, JobState, TryError
from frappe_enroll_sdk.states import FINISHED
from frappe_enroll_sdk.stores import queue


ERROR = TryError(at=NOW, try_number=1, code="busy", cause="busy")


def running(**changes):
    """Return a claimed job with a lease of a minute."""
    job = queue.claimed(make_job(), "w1", "t1", NOW, 60)
    return attrs.evolve(job, **changes)


def ended(state, **changes):
    """Return a job at an end."""
    return make_job(state=state, tries=3, outcome="x", errors=(ERROR,), **changes)


def test_new_job_is_due_with_its_first_sequence():
    """Nobody has tried it."""
    job = queue.new_job("k", "mail", {"a": 1}, later(5), NOW)
    assert (job.state, job.seq, job.tries, job.due_at) == ("due", 1, 0, later(5))
    assert (job.created_at, job.updated_at, job.payload) == (NOW, NOW, {"a": 1})


@pytest.mark.parametrize("state", sorted(FINISHED), ids=str)
def test_enqueue_revives_a_finished_job(state):
    """Due again with all its tries; errors and data are kept."""
    old = ended(state, data={"seen": 1})
    job = queue.enqueued(old, {"b": 2}, later(9), later(1))
    assert (job.state, job.seq, job.tries, job.due_at) == ("due", 2, 0, later(9))
    assert (job.outcome, job.errors, job.data) == (None, (ERROR,), {"seen": 1})
    assert (job.payload, job.updated_at) == ({"b": 2}, later(1))


@pytest.mark.parametrize(("asked", "due"), [(50, 0), (-50, -50)])
def test_enqueue_of_a_due_job_takes_the_earlier_time(asked, due):
    """News never puts off what is due, and keeps the tries."""
    job = queue.enqueued(make_job(tries=2), {}, later(asked), NOW)
    assert (job.due_at, job.tries, job.seq) == (later(due), 2, 2)


def test_enqueue_of_a_running_job_only_raises_its_sequence():
    """The lease and its token stand: the news is seen at completion."""
    job = queue.enqueued(running(), {"c": 3}, NOW, NOW)
    assert (job.state, job.due_at, job.token) == ("running", later(60), "t1")
    assert (job.seq, job.payload) == (2, {"c": 3})


@pytest.mark.parametrize("state", list(JobState))
@pytest.mark.parametrize("offset", [-1, 0, 0.001])
def test_claim_takes_what_is_due_or_lapsed(state, offset):
    """Due and running rows, from their time on; ends never."""
    job = make_job(state=state, due_at=later(offset))
    expected = state in {JobState.DUE, JobState.RUNNING} and offset <= 0
    assert queue.may_claim(job, NOW) is expected


def test_claim_counts_a_try_and_moves_the_time():
    """The visibility time-out stands where the due time stood."""
    job = queue.claimed(make_job(tries=1), "w1", "t1", later(3), 60)
    assert (job.state, job.due_at, job.tries) == ("running", later(63), 2)
    assert (job.token, job.owner, job.recovered) == ("t1", "w1", False)
    assert job.errors == ()


def test_claim_of_a_lapsed_lease_writes_the_lost_try_down():
    """Scenario 28: a worker that died is told in the errors; its try counts."""
    job = queue.claimed(running(), "w2", "t2", later(61), 60)
    (lost,) = job.errors
    assert (lost.code, lost.try_number, lost.worker) == ("lease_lapsed", 1, "w1")
    assert (job.tries, job.token, job.owner) == (2, "t2", "w2")
    assert job.recovered is True


def test_errors_keep_the_first_and_the_last():
    """Ten are kept: how it began and how it stands."""
    errors = ()
    for number in range(1, 16):
        errors = queue.with_error(errors, attrs.evolve(ERROR, try_number=number))
    assert [e.try_number for e in errors] == [1, 2, 3, *range(9, 16)]
    assert queue.with_error(errors, None) == errors


def end_of(seq, outcome, **data):
    """Return an end of the running job's claim."""
    return JobEnd(token="t1", seq=seq, outcome=outcome, data=data)


def test_heartbeat_extends_the_lease_and_unites_data():
    """What is known stays known."""
    job = running(data={"a": ["1"]})
    assert queue.beaten(job, later(30), 60, None).data == {"a": ["1"]}
    job = queue.beaten(job, later(30), 60, {"a": ["0"], "b": ["2"]})
    assert job.data == {"a": ["0", "1"], "b": ["2"]}
    assert (job.due_at, job.token) == (later(90), "t1")


def test_completion_ends_the_job_and_its_claim():
    """Outcome and state as told; no token; what is known stays."""
    job = queue.completed(running(data={"a": ["1"]}), end_of(1, "mailed"), NOW)
    assert (job.state, job.outcome, job.token) == ("done", "mailed", None)
    assert job.data == {"a": ["1"]}


def test_completion_with_a_stale_sequence_is_due_again():
    """News that came while it ran: nothing is lost, tries begin anew."""
    end = end_of(1, "x", a=["1"])
    job = queue.completed(running(seq=2, tries=4), end, later(5))
    assert (job.state, job.due_at, job.tries) == ("due", later(5), 0)
    assert (job.token, job.outcome, job.data) == (None, None, {"a": ["1"]})


@pytest.mark.parametrize(("counts", "tries"), [(True, 1), (False, 0)])
def test_reschedule_counts_or_gives_the_try_back(counts, tries):
    """A snooze costs no try; the claim is over either way."""
    job = queue.rescheduled(running(), later(120), NOW, ERROR, counts=counts)
    assert (job.state, job.due_at, job.tries) == ("due", later(120), tries)
    assert (job.token, job.errors) == (None, (ERROR,))


def test_reschedule_never_counts_below_zero():
    """Giving back what was not taken leaves nothing."""
    job = queue.rescheduled(running(tries=0), NOW, NOW, None, counts=False)
    assert (job.tries, job.errors) == (0, ())


def test_burial_ends_the_job_with_its_cause():
    """Dead, with the code as outcome."""
    job = queue.buried(running(), 1, NOW, ERROR)
    assert (job.state, job.outcome, job.token) == ("dead", "busy", None)
    assert job.errors == (ERROR,)


def test_burial_with_a_stale_sequence_is_due_again():
    """News of it: another chance, the error kept."""
    job = queue.buried(running(seq=2, tries=6), 1, later(5), ERROR)
    assert (job.state, job.due_at, job.tries) == ("due", later(5), 0)
    assert job.errors == (ERROR,)


@pytest.mark.parametrize("state", list(JobState))
def test_retry_takes_due_and_dead_jobs_only(state):
    """Scenario 29: a running job is never made due a second time."""
    job = queue.retried(make_job(state=state, due_at=later(500), tries=4), later(1))
    if state is JobState.DEAD:
        assert (job.state, job.due_at, job.tries) == ("due", later(1), 0)
    elif state is JobState.DUE:
        assert (job.state, job.due_at, job.tries) == ("due", later(1), 4)
    else:
        assert job is None


def test_retry_never_puts_off_what_is_due():
    """A job that is overdue keeps its place."""
    assert queue.retried(make_job(due_at=later(-9)), NOW).due_at == later(-9)


def test_event_counts_its_deliveries():
    """The first is 1; a further one changes nothing else."""
    event = queue.new_event("evt_1", {"type": "t"}, NOW, JobState.DUE, None)
    assert (event.kind, event.deliveries, event.state) == ("payment_event", 1, "due")
    again = queue.delivered(event, {"type": "forged"}, later(5))
    assert again == attrs.evolve(event, deliveries=2, updated_at=later(5))


@pytest.mark.parametrize("state", ["done", "quarantined", "ignored", "running"])
def test_delivery_again_does_not_revive(state):
    """Scenario 12: what is done stays done."""
    event = make_job(state=JobState(state), deliveries=1)
    assert queue.delivered(event, {}, NOW).state == state


def test_delivery_again_revives_a_dead_event():
    """The provider still asks: another chance, with the payload it sent."""
    event = make_job(state=JobState.DEAD, tries=6, deliveries=1, payload=None)
    again = queue.delivered(event, {"type": "t"}, later(5))
    assert (again.state, again.tries, again.due_at) == ("due", 0, later(5))
    assert (again.payload, again.deliveries) == ({"type": "t"}, 2)


def test_pruning_keeps_type_and_object():
    """Everything that a person could be found by goes."""
    full = {"type": "t", "object_id": "cs_1", "event": {}, "body": "ada@example.com"}
    event = make_job(
        kind="payment_event", payload=full, state=JobState.DONE, outcome="processed"
    )
    kept = queue.pruned(event)
    assert kept.payload == {"type": "t", "object_id": "cs_1"}
    assert (kept.key, kept.state, kept.outcome) == (event.key, "done", "processed")
    assert [queue.is_pruned(j) for j in (event, kept)] == [False, True]


DAY = 86_400


@pytest.mark.parametrize(
    ("job", "due"),
    [
        (make_job(updated_at=later(DAY), due_at=later(DAY + 9)), 9),
        (make_job(updated_at=later(DAY), due_at=later(DAY)), 0),
        (make_job(updated_at=later(DAY), due_at=later(-5)), -5),
        (running(updated_at=later(DAY), due_at=later(DAY + 60)), 60),
    ],
    ids=["scheduled", "due", "due before", "leased"],
)
def test_job_of_a_clock_ahead_waits_from_now(job, due):
    """As long as it was to wait, reckoned from now; its claim stands."""
    after = queue.bounded(job, NOW)
    assert after == attrs.evolve(job, due_at=later(due), updated_at=NOW)
    assert queue.bounded(after, NOW) is None


@pytest.mark.parametrize("seconds", [-DAY, 0, 60])
def test_job_of_a_clock_that_is_right_is_left(seconds):
    """However far ahead it is due: clocks may differ by a minute."""
    job = make_job(updated_at=later(seconds), due_at=later(30 * DAY))
    assert queue.bounded(job, NOW) is None


@pytest.mark.parametrize("state", sorted(FINISHED), ids=str)
def test_ended_job_of_a_clock_ahead_is_left(state):
    """It waits for nothing."""
    assert queue.bounded(ended(state, updated_at=later(DAY)), NOW) is None


@pytest.mark.parametrize(
    "stamp",
    [
        lambda job: queue.enqueued(job, {}, NOW, NOW),
        lambda job: queue.beaten(job, NOW, 60, None),
        lambda job: queue.delivered(job, {}, NOW),
    ],
    ids=["enqueued", "beaten", "delivered"],
)
def test_verb_that_stamps_a_job_anew_bounds_it_first(stamp):
    """Else nobody could tell any more that its lease was taken by a clock ahead."""
    job = running(updated_at=later(DAY), due_at=later(DAY + 60))
    assert stamp(job).due_at == later(60)
    assert queue.is_pruned(make_job(payload=None, kind="payment_event"))


def test_pruning_keeps_what_a_job_knows():
    """Its payload goes; a row that knows nothing goes as a whole."""
    job = make_job(kind="sync", payload={"email": "a@b.example"}, data={"a": ["1"]})
    kept = queue.pruned(job)
    assert (kept.payload, kept.data) == (None, {"a": ["1"]})
    assert [queue.is_pruned(j) for j in (job, kept)] == [False, True]
    assert not queue.is_pruned(attrs.evolve(kept, data={}))
