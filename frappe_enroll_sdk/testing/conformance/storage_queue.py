# SPDX-License-Identifier: MIT
"""The job store's part of the storage suite."""

from __future__ import annotations

from typing import Any

import pytest

from ...errors import ValidationError
from ...interfaces import JobStore, Storage
from ...models import Job, JobState
from . import races
from .records import NOW, after, try_error


def add(store: JobStore, key: str = "job-1", due: float = 0, **more: Any) -> Job:
    """Enqueue a job."""
    given: dict[str, Any] = {"kind": "sync", "payload": {"n": 1}, "now": NOW} | more
    kind, payload = given.pop("kind"), given.pop("payload")
    return store.enqueue(key, kind, payload, after(due), **given)


def claim(store: JobStore, at: float = 0, *, lease_s: float = 60) -> Job:
    """Claim the one job that is due."""
    (job,) = store.claim("worker-1", after(at), lease_s, 10)
    assert job.token is not None
    return job


def found(store: JobStore, key: str = "job-1") -> Job:
    """Return a job that must be there."""
    job = store.find(key)
    assert job is not None
    return job


class QueueChecks:
    """Jobs: claimed once per lease, fenced by the claim's token, never lost."""

    def test_job_comes_back_as_it_was_enqueued(self, storage: Storage):
        """Every field survives."""
        job = add(storage.jobs, due=5, payload={"a": {"b": [1, None, "ü"]}})
        assert job == found(storage.jobs)
        assert (job.state, job.seq, job.tries) == (JobState.DUE, 1, 0)
        assert job.payload == {"a": {"b": [1, None, "ü"]}}

    def test_unknown_job_is_none(self, storage: Storage):
        """Nothing is known of an unknown key."""
        assert storage.jobs.find("none") is None
        assert storage.jobs.claim_key("none", "w", NOW, 60) is None
        assert not storage.jobs.retry("none", NOW)

    def test_operator_instead_of_a_key_is_refused(self, storage: Storage):
        """A dict never reaches a filter."""
        with pytest.raises(ValidationError):
            storage.jobs.find({"$ne": None})  # type: ignore[arg-type]  # on purpose

    def test_known_key_grows_seq_and_keeps_the_earlier_time(self, storage: Storage):
        """Enqueueing twice is one job, due at the earlier of the two times."""
        add(storage.jobs, due=50)
        later = add(storage.jobs, due=90, payload={"n": 2})
        sooner = add(storage.jobs, due=10)
        assert (later.seq, later.due_at) == (2, after(50))
        assert later.payload == {"n": 2}
        assert (sooner.seq, sooner.due_at) == (3, after(10))

    def test_once_leaves_a_known_key_alone(self, storage: Storage):
        """A keyed effect that is repeated after a crash changes nothing."""
        job = add(storage.jobs)
        again = add(storage.jobs, payload={"n": 2}, once=True)
        assert job == again == found(storage.jobs)

    def test_due_jobs_are_claimed_oldest_first(self, storage: Storage):
        """A claim takes what is due, and no more than asked."""
        for number, due in ((1, 30), (2, 10), (3, 20), (4, 999)):
            add(storage.jobs, f"job-{number}", due)
        first = storage.jobs.claim("w", after(30), 60, 2)
        rest = storage.jobs.claim("w", after(30), 60, 10)
        assert [job.key for job in first] == ["job-2", "job-3"]
        assert [job.key for job in rest] == ["job-1"]
        tokens = {job.token for job in (*first, *rest)}
        assert len(tokens) == 3
        assert all(job.state is JobState.RUNNING for job in first)
        assert all((job.due_at, job.tries) == (after(90), 1) for job in first)

    def test_job_of_a_clock_ahead_waits_from_now(self, storage: Storage):
        """Due in ten seconds by a clock that is a day ahead: in ten seconds."""
        day = 86_400
        add(storage.jobs, due=day + 10, now=after(day))
        add(storage.jobs, "later", due=day, now=NOW)
        first, cursor = storage.jobs.bound_ahead(NOW, 1)
        rest, end = storage.jobs.bound_ahead(NOW, 1, cursor)
        # ("later" is due before it, and was written in time.)
        assert (first, rest, end) == (0, 1, None)
        assert storage.jobs.bound_ahead(NOW, 10) == (0, None)
        assert found(storage.jobs).due_at == after(10)
        assert claim(storage.jobs, 10).key == "job-1"

    def test_lease_of_a_clock_ahead_lapses_in_its_time(self, storage: Storage):
        """Its holder may live, and keeps its claim; if it is dead, others get it."""
        day = 86_400
        add(storage.jobs)
        job = claim(storage.jobs, day)
        assert storage.jobs.bound_ahead(after(1), 10) == (1, None)
        kept = found(storage.jobs)
        assert (kept.state, kept.token, kept.due_at) == (
            JobState.RUNNING,
            job.token,
            after(61),
        )
        assert storage.jobs.claim("w", after(60), 60, 10) == ()
        assert claim(storage.jobs, 61).recovered

    def test_news_of_a_job_of_a_clock_ahead_bounds_it(self, storage: Storage):
        """A new stamp on the row does not hide that its moments are wrong."""
        day = 86_400
        add(storage.jobs)
        job = claim(storage.jobs, day)
        assert add(storage.jobs, now=after(1)).due_at == after(61)
        storage.jobs.release(job.token or "", after(day))
        assert storage.jobs.bound_ahead(after(2), 10) == (1, None)
        running = claim(storage.jobs, day)
        assert storage.jobs.heartbeat(running.token or "", after(3), 60)
        assert found(storage.jobs).due_at == after(63)

    def test_claim_can_be_bound_to_kinds(self, storage: Storage):
        """Only jobs of the asked kinds are taken."""
        add(storage.jobs, "job-1", kind="mail")
        add(storage.jobs, "job-2", kind="sync")
        claimed = storage.jobs.claim("w", NOW, 60, 10, kinds={"sync"})
        assert [job.key for job in claimed] == ["job-2"]
        assert storage.jobs.claim("w", NOW, 60, 10, kinds=set()) == ()

    def test_claim_by_key_takes_only_what_is_due(self, storage: Storage):
        """By key: due, or its lease has lapsed."""
        add(storage.jobs, due=5)
        assert storage.jobs.claim_key("job-1", "w", after(4), 60) is None
        job = storage.jobs.claim_key("job-1", "w", after(5), 60)
        assert job is not None
        assert storage.jobs.claim_key("job-1", "w2", after(64), 60) is None
        again = storage.jobs.claim_key("job-1", "w2", after(65), 60)
        assert again is not None
        assert again.recovered

    def test_lapsed_lease_is_claimed_again_and_counts(self, storage: Storage):
        """A worker that died loses its claim; its try is written down."""
        add(storage.jobs)
        claim(storage.jobs)
        assert storage.jobs.claim("w2", after(59), 60, 10) == ()
        (again,) = storage.jobs.claim("w2", after(60), 60, 10)
        assert again.recovered
        assert again.tries == 2
        (lost,) = again.errors
        assert (lost.code, lost.try_number, lost.worker) == (
            "lease_lapsed",
            1,
            "worker-1",
        )

    def test_stale_claim_changes_nothing(self, storage: Storage):
        """Whatever a worker writes after its lease was taken is refused."""
        jobs = storage.jobs
        add(jobs)
        stale = claim(jobs)
        assert stale.token is not None
        fresh = jobs.claim("w2", after(60), 60, 10)[0]
        before = found(jobs)
        assert not jobs.heartbeat(stale.token, after(61), 60, data={"x": ["1"]})
        assert jobs.complete(stale.token, stale.seq, after(61)) is None
        assert not jobs.reschedule(stale.token, after(99), after(61))
        assert not jobs.bury(stale.token, stale.seq, after(61), try_error())
        assert not jobs.release(stale.token, after(61))
        assert before == found(jobs)
        assert fresh.token is not None
        assert jobs.complete(fresh.token, fresh.seq, after(62)) is JobState.DONE

    def test_heartbeat_extends_the_lease_and_keeps_data(self, storage: Storage):
        """A beating worker keeps its job; what it notes survives its death."""
        add(storage.jobs)
        job = claim(storage.jobs)
        assert job.token is not None
        assert storage.jobs.heartbeat(job.token, after(50), 60, data={"seen": ["r"]})
        assert storage.jobs.heartbeat(job.token, after(55), 60)
        assert storage.jobs.claim("w2", after(114), 60, 10) == ()
        (again,) = storage.jobs.claim("w2", after(115), 60, 10)
        assert again.data == {"seen": ["r"]}

    def test_what_is_known_outlives_everything(self, storage: Storage):
        """Ends, enqueues, a new claim, an operator's retry and `prune` add or keep."""
        jobs = storage.jobs
        add(jobs, data={"a": ["1"]})
        job = claim(jobs)
        assert job.token is not None
        assert job.data == {"a": ["1"]}
        assert jobs.heartbeat(job.token, NOW, 60, data={"a": ["3"], "b": ["x"]})
        add(jobs, payload={"n": 2}, data={"a": ["2"]})
        jobs.complete(job.token, job.seq, NOW, data={"c": ["y"]})
        known = {"a": ["1", "2", "3"], "b": ["x"], "c": ["y"]}
        assert (found(jobs).state, found(jobs).data) == (JobState.DUE, known)
        job = claim(jobs)
        assert job.token is not None
        assert jobs.reschedule(job.token, after(1), NOW, error=try_error())
        job = claim(jobs, 1)
        assert job.token is not None
        assert jobs.bury(job.token, job.seq, after(1), try_error())
        assert jobs.retry("job-1", after(2))
        job = claim(jobs, 2)
        assert job.token is not None
        jobs.complete(job.token, job.seq, after(3), data={"b": ["w"]})
        known["b"] = ["w", "x"]
        assert jobs.prune(after(4), 10) == 1
        assert jobs.prune(after(4), 10) == 0
        kept = found(jobs)
        assert (kept.state, kept.payload, kept.data) == (JobState.DONE, None, known)
        revived = add(jobs, due=5, payload={"n": 3})
        assert (revived.data, revived.payload) == (known, {"n": 3})
        assert revived == found(jobs)

    def test_what_was_known_goes_when_the_job_is_emptied(self, storage: Storage):
        """An erasure takes it out; the row is pruned then like any other."""
        jobs = storage.jobs
        add(jobs, data={"a": ["1"]})
        job = claim(jobs)
        assert job.token is not None
        assert not jobs.empty("job-1")
        jobs.complete(job.token, job.seq, after(1))
        assert jobs.empty("job-1")
        assert found(jobs).data == {}
        assert not found(jobs).payload
        assert jobs.prune(after(2), 10) == 1
        assert jobs.find("job-1") is None

    def test_lost_claim_tells_what_it_knows_by_an_enqueue(self, storage: Storage):
        """It needs no fence: it is merged with what others have written."""
        jobs = storage.jobs
        add(jobs)
        stale = claim(jobs)
        (job,) = jobs.claim("w2", after(60), 60, 10)
        assert job.token is not None
        assert stale.token is not None
        assert not jobs.heartbeat(stale.token, after(61), 60, data={"a": ["late"]})
        assert jobs.complete(stale.token, 1, after(61), data={"a": ["late"]}) is None
        add(jobs, now=after(62), data={"a": ["late"]})
        assert jobs.heartbeat(job.token, after(63), 60, data={"a": ["mine"]})
        assert found(jobs).data == {"a": ["late", "mine"]}

    def test_completed_job_is_done(self, storage: Storage):
        """Done, with its outcome, and no longer claimable."""
        add(storage.jobs)
        job = claim(storage.jobs)
        assert job.token is not None
        state = storage.jobs.complete(job.token, job.seq, after(1), outcome="enrolled")
        assert state is JobState.DONE
        done = found(storage.jobs)
        assert (done.state, done.outcome, done.token) == (
            JobState.DONE,
            "enrolled",
            None,
        )
        assert storage.jobs.claim("w", after(1e6), 60, 10) == ()
        assert storage.jobs.complete(job.token, job.seq, after(2)) is None

    def test_news_during_the_run_puts_the_job_back(self, storage: Storage):
        """A stale seq does not end the job: it runs once more."""
        add(storage.jobs)
        job = claim(storage.jobs)
        assert job.token is not None
        running = add(storage.jobs, payload={"n": 2}, now=after(1))
        assert running.state is JobState.RUNNING
        assert storage.jobs.complete(job.token, job.seq, after(2)) is JobState.DUE
        again = claim(storage.jobs, 2)
        assert (again.seq, again.tries, again.payload) == (2, 1, {"n": 2})

    def test_news_during_the_run_keeps_a_job_from_the_dead(self, storage: Storage):
        """A job that fails for good is tried again if it was enqueued meanwhile."""
        add(storage.jobs)
        job = claim(storage.jobs)
        assert job.token is not None
        add(storage.jobs)
        assert storage.jobs.bury(job.token, job.seq, after(1), try_error())
        assert found(storage.jobs).state is JobState.DUE

    def test_finished_job_is_revived(self, storage: Storage):
        """A done or a dead job that is enqueued again is due, from its first try."""
        jobs = storage.jobs
        add(jobs)
        job = claim(jobs)
        assert job.token is not None
        jobs.complete(job.token, job.seq, NOW, outcome="enrolled")
        revived = add(jobs, due=7)
        assert (revived.state, revived.seq, revived.tries) == (JobState.DUE, 2, 0)
        assert (revived.due_at, revived.outcome) == (after(7), None)
        job = claim(jobs, 7)
        assert job.token is not None
        jobs.bury(job.token, job.seq, after(8), try_error())
        revived = add(jobs, due=9)
        assert (revived.state, revived.tries) == (JobState.DUE, 0)
        assert len(revived.errors) == 1

    def test_rescheduled_job_waits_and_counts(self, storage: Storage):
        """A failed try is written down; one that must not count is given back."""
        add(storage.jobs)
        job = claim(storage.jobs)
        assert job.token is not None
        assert storage.jobs.reschedule(job.token, after(120), NOW, error=try_error())
        assert storage.jobs.claim("w", after(119), 60, 10) == ()
        job = claim(storage.jobs, 120)
        assert job.token is not None
        assert (job.tries, len(job.errors)) == (2, 1)
        storage.jobs.reschedule(job.token, after(200), NOW, counts=False)
        assert found(storage.jobs).tries == 1

    def test_released_job_is_due_at_once(self, storage: Storage):
        """A claim whose work has not begun is given back with its try."""
        add(storage.jobs)
        job = claim(storage.jobs)
        assert job.token is not None
        assert storage.jobs.release(job.token, after(1))
        back = found(storage.jobs)
        assert (back.state, back.tries, back.due_at) == (JobState.DUE, 0, after(1))

    def test_buried_job_is_dead_with_its_cause(self, storage: Storage):
        """Dead: kept, with a cause, and not claimed again."""
        add(storage.jobs)
        job = claim(storage.jobs)
        assert job.token is not None
        assert storage.jobs.bury(job.token, job.seq, after(1), try_error(code="gone"))
        dead = found(storage.jobs)
        assert (dead.state, dead.outcome) == (JobState.DEAD, "gone")
        assert dead.errors[-1] == try_error(code="gone")
        assert storage.jobs.claim("w", after(1e6), 60, 10) == ()

    def test_errors_keep_the_first_and_the_last(self, storage: Storage):
        """A job that fails for days does not grow without bound."""
        add(storage.jobs)
        for number in range(1, 31):
            job = claim(storage.jobs, number)
            assert job.token is not None
            storage.jobs.reschedule(
                job.token, after(number), NOW, error=try_error(number)
            )
        numbers = [error.try_number for error in found(storage.jobs).errors]
        assert numbers[0] == 1
        assert numbers[-1] == 30
        assert len(numbers) <= 20

    def test_retry_takes_due_and_dead_jobs_only(self, storage: Storage):
        """The button works on waiting or dead jobs, never on a running one."""
        jobs = storage.jobs
        add(jobs, due=500)
        assert jobs.retry("job-1", NOW)
        job = claim(jobs)
        assert job.token is not None
        assert not jobs.retry("job-1", NOW)
        jobs.bury(job.token, job.seq, NOW, try_error())
        assert jobs.retry("job-1", after(1))
        assert claim(jobs, 1).tries == 1

    def test_jobs_are_paged(self, storage: Storage):
        """Every job is on exactly one page; each filter holds on every page."""
        for number in range(7):
            kind = "mail" if number % 3 == 0 else "sync"
            add(storage.jobs, f"job-{number}", 100 - number, kind=kind)
        assert {f"job-{n}" for n in range(7)} == set(_keys(storage.jobs))
        by_due = [f"job-{n}" for n in (6, 5, 4, 3, 2, 1, 0)]
        assert by_due == _keys(storage.jobs, state=JobState.DUE)
        assert {"job-0", "job-3", "job-6"} == set(_keys(storage.jobs, kind="mail"))
        assert _keys(storage.jobs, state=JobState.DEAD) == []

    def test_stats_count_by_state(self, storage: Storage):
        """Counts, what is due and since when, each capped."""
        for number in range(4):
            add(storage.jobs, f"job-{number}", number)
        storage.jobs.claim("w", NOW, 60, 1)
        stats = storage.jobs.stats(after(2))
        assert stats.counts[JobState.DUE] == 3
        assert stats.counts[JobState.RUNNING] == 1
        assert (stats.due_now, stats.oldest_due_at) == (2, after(1))
        capped = storage.jobs.stats(after(2), cap=2)
        assert capped.counts[JobState.DUE] == 2
        assert capped.cap == 2
        bare = storage.jobs.stats(after(2), counted=False)
        assert (bare.counts, bare.due_now, bare.oldest_due_at) == ({}, 2, after(1))
        assert storage.jobs.stats(after(-1), counted=False).oldest_due_at is None

    def test_prune_drops_done_jobs_only(self, storage: Storage):
        """Old done jobs go, a bounded number at a time; all others stay."""
        for number in range(4):
            add(storage.jobs, f"job-{number}")
        done = storage.jobs.claim("w", NOW, 60, 3)
        for job in done[:2]:
            assert job.token is not None
            storage.jobs.complete(job.token, job.seq, after(1))
        last = done[2]
        assert last.token is not None
        storage.jobs.bury(last.token, last.seq, after(1), try_error())
        assert storage.jobs.prune(after(1), 10) == 0
        assert storage.jobs.prune(after(2), 1) == 1
        assert storage.jobs.prune(after(2), 10) == 1
        assert {last.key, "job-3"} == set(_keys(storage.jobs))

    def test_race_for_jobs_claims_each_once(self, storage: Storage, spread):
        """Two workers never get the same job within a lease."""
        for number in range(30):
            add(storage.jobs, f"job-{number:02d}")
        answers = spread(races.claim_jobs, 6)
        claimed = sorted(key for keys in answers for key in keys)
        assert [f"job-{number:02d}" for number in range(30)] == claimed


def _keys(store: JobStore, **filters: Any) -> list[str]:
    keys: list[str] = []
    cursor = None
    while True:
        page = store.list(limit=2, cursor=cursor, **filters)
        keys += [job.key for job in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return keys
