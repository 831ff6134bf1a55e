# SPDX-License-Identifier: MIT
"""Batches of job verbs: each item a conditional write of its own."""

from __future__ import annotations

from datetime import datetime

from ...interfaces import JobStore, Storage
from ...models import Job, JobEnd, JobState, NewJob
from . import races
from .records import NOW, after, try_error
from .storage_queue import add, claim, found


_NEVER_CLAIMED = "0" * 32


def order(key: str, due: float = 0, *, kind: str = "sync", n: int = 1) -> NewJob:
    """Return a new job."""
    return NewJob(key=key, kind=kind, payload={"n": n}, due_at=after(due))


def running(
    store: JobStore, count: int, at: datetime = NOW, lease_s: float = 60
) -> tuple[Job, ...]:
    """Enqueue jobs and claim them."""
    store.enqueue_many([order(f"job-{n}") for n in range(count)], now=NOW)
    return store.claim("w", at, lease_s, count)


def tokens(jobs: tuple[Job, ...]) -> list[str]:
    """Return the tokens of claims."""
    return [job.token or "" for job in jobs]


class BatchChecks:
    """Batches: one conditional write per item, none of which depends on another."""

    def test_orders_are_enqueued_as_one_by_one(self, storage: Storage):
        """New keys are written, known ones increase `seq`; a key may appear twice."""
        jobs = storage.jobs
        add(jobs, "known", 50)
        orders = [order("a", 5), order("known", 9, n=2), order("a", 3, n=3)]
        assert jobs.enqueue_many(orders, now=NOW) == 1
        known, first = found(jobs, "known"), found(jobs, "a")
        assert (known.seq, known.due_at, known.payload) == (2, after(9), {"n": 2})
        assert (first.seq, first.due_at, first.payload) == (2, after(3), {"n": 3})
        assert jobs.enqueue_many([], now=NOW) == 0

    def test_orders_revive_ended_jobs(self, storage: Storage):
        """A done job that is enqueued again is due, starting from its first try."""
        (job,) = running(storage.jobs, 1)
        storage.jobs.complete_many([JobEnd(token=job.token or "", seq=1)], NOW)
        assert storage.jobs.enqueue_many([order("job-0", 7)], now=NOW) == 0
        again = found(storage.jobs, "job-0")
        assert (again.state, again.due_at, again.tries) == (JobState.DUE, after(7), 0)

    def test_orders_once_leave_known_keys_alone(self, storage: Storage):
        """Repeated after a crash, a batch writes only what is missing."""
        jobs = storage.jobs
        before = add(jobs, "known")
        orders = [order("known", n=2), order("new"), order("new", n=9)]
        assert jobs.enqueue_many(orders, now=NOW, once=True) == 1
        assert before == found(jobs, "known")
        assert found(jobs, "new").payload == {"n": 1}

    def test_large_batch_is_whole(self, storage: Storage):
        """A batch larger than any statement's list of values is handled."""
        orders = [order(f"job-{n:04d}") for n in range(1200)]
        assert storage.jobs.enqueue_many(orders, now=NOW) == 1200
        claimed = storage.jobs.claim("w", NOW, 60, 1200)
        assert len(set(tokens(claimed))) == 1200
        held = storage.jobs.heartbeat_many(tokens(claimed), after(1), 60)
        assert held == frozenset(tokens(claimed))
        ends = [JobEnd(token=token, seq=1) for token in tokens(claimed)]
        answers = storage.jobs.complete_many(ends, after(1))
        assert answers == (JobState.DONE,) * 1200

    def test_ends_are_fenced_each_by_itself(self, storage: Storage):
        """A lost claim, and one enqueued again, do not affect the others."""
        jobs = storage.jobs
        lost, news, fine, other = running(jobs, 4)
        jobs.reschedule(lost.token or "", after(500), NOW)
        add(jobs, news.key)
        ends = [
            JobEnd(token=lost.token or "", seq=1),
            JobEnd(token=news.token or "", seq=1),
            JobEnd(token=fine.token or "", seq=1, outcome="enrolled"),
            JobEnd(token=other.token or "", seq=1, state=JobState.CANCELLED),
            JobEnd(token=_NEVER_CLAIMED, seq=1),
        ]
        assert jobs.complete_many(ends, after(1)) == (
            None,
            JobState.DUE,
            JobState.DONE,
            JobState.CANCELLED,
            None,
        )
        assert (found(jobs, lost.key).state, found(jobs, lost.key).due_at) == (
            JobState.DUE,
            after(500),
        )
        assert (found(jobs, news.key).due_at, found(jobs, news.key).tries) == (
            after(1),
            0,
        )
        done = found(jobs, fine.key)
        assert (done.outcome, done.token, done.data) == ("enrolled", None, {})
        assert found(jobs, other.key).state is JobState.CANCELLED

    def test_end_given_twice_is_one_end(self, storage: Storage):
        """The second one gets "the claim is lost"."""
        (job,) = running(storage.jobs, 1)
        end = JobEnd(token=job.token or "", seq=1)
        again = JobEnd(token=job.token or "", seq=1, outcome="again")
        assert storage.jobs.complete_many([end, again], NOW) == (JobState.DONE, None)
        assert found(storage.jobs, "job-0").outcome is None
        assert storage.jobs.complete_many([], NOW) == ()

    def test_stalled_worker_ends_nothing_of_its_batch(self, storage: Storage):
        """It stalls past its leases, another runs the jobs, the first one wakes up."""
        stale = running(storage.jobs, 5)
        fresh = storage.jobs.claim("w2", after(60), 60, 3)
        ends = [JobEnd(token=job.token or "", seq=job.seq) for job in stale]
        answers = storage.jobs.complete_many(ends, after(61))
        taken = {job.key for job in fresh}
        assert [answer is None for answer in answers] == [
            job.key in taken for job in stale
        ]
        for job in fresh:
            assert found(storage.jobs, job.key) == job

    def test_heartbeats_tell_which_claims_stand(self, storage: Storage):
        """Leases still held are extended; those taken over are not returned."""
        jobs = running(storage.jobs, 3)
        storage.jobs.release(jobs[0].token or "", after(1))
        asked = [*tokens(jobs), _NEVER_CLAIMED]
        held = storage.jobs.heartbeat_many(asked, after(50), 60)
        assert held == frozenset(tokens(jobs)[1:])
        assert storage.jobs.claim("w2", after(109), 60, 10)[0].key == jobs[0].key
        assert storage.jobs.claim("w2", after(109), 60, 10) == ()
        assert len(storage.jobs.claim("w2", after(110), 60, 10)) == 2
        assert storage.jobs.heartbeat_many([], NOW, 60) == frozenset()

    def test_heartbeat_never_shortens_a_lease(self, storage: Storage):
        """A short heartbeat does not shorten the lease of a long call."""
        (job,) = running(storage.jobs, 1)
        token = job.token or ""
        assert storage.jobs.heartbeat(token, NOW, 300)
        assert storage.jobs.heartbeat(token, after(10), 60)
        assert storage.jobs.heartbeat_many([token], after(20), 60)
        assert found(storage.jobs, job.key).due_at == after(300)

    def test_claim_leaves_some_kinds_alone(self, storage: Storage):
        """Jobs that wait for a closed gate do not delay the others."""
        for number in range(6):
            kind = "mail" if number % 3 == 0 else "sync"
            add(storage.jobs, f"job-{number}", number - 9, kind=kind)
        got = storage.jobs.claim("w", NOW, 60, 10, not_kinds={"sync"})
        assert [job.key for job in got] == ["job-0", "job-3"]
        none = storage.jobs.claim("w", NOW, 60, 9, kinds={"sync"}, not_kinds={"sync"})
        assert none == ()
        assert len(storage.jobs.claim("w", NOW, 60, 3, not_kinds=[])) == 3

    def test_retry_may_be_put_off(self, storage: Storage):
        """Many retries are spread over time; one that waits never waits longer."""
        jobs = storage.jobs
        (job,) = running(jobs, 1)
        jobs.bury(job.token or "", 1, NOW, try_error())
        assert jobs.retry("job-0", after(1), due_at=after(30))
        dead = found(jobs, "job-0")
        assert (dead.state, dead.due_at, dead.tries) == (JobState.DUE, after(30), 0)
        assert jobs.retry("job-0", after(2), due_at=after(90))
        assert found(jobs, "job-0").due_at == after(30)

    def test_operator_buries_what_waits(self, storage: Storage):
        """A due job ends dead with its cause; a running or ended one does not."""
        jobs = storage.jobs
        add(jobs, due=500)
        assert jobs.bury_due("job-1", NOW, try_error(code="operator"))
        dead = found(jobs)
        assert (dead.state, dead.outcome) == (JobState.DEAD, "operator")
        assert dead.errors[-1].code == "operator"
        assert not jobs.bury_due("job-1", NOW, try_error())
        assert not jobs.bury_due("none", NOW, try_error())
        jobs.retry("job-1", NOW)
        claim(jobs)
        assert not jobs.bury_due("job-1", NOW, try_error())
        assert found(jobs).state is JobState.RUNNING

    def test_empty_takes_out_what_has_ended(self, storage: Storage):
        """Payload and data go once nobody needs them; key, state and errors stay."""
        jobs = storage.jobs
        add(jobs, due=500)
        assert not jobs.empty("job-1")
        assert not jobs.empty("none")
        jobs.retry("job-1", NOW)
        token = claim(jobs).token or ""
        assert not jobs.empty("job-1")
        jobs.complete(token, 1, NOW, outcome="enrolled")
        assert jobs.empty("job-1")
        empty = found(jobs)
        assert (empty.payload, empty.data) == ({}, {})
        assert (empty.state, empty.outcome) == (JobState.DONE, "enrolled")
        jobs.enqueue("job-1", "sync", {"n": 2}, NOW, now=NOW)
        assert found(jobs).payload == {"n": 2}
        jobs.bury_due("job-1", NOW, try_error())
        assert not jobs.empty("job-1")

    def test_stats_tell_the_throughput(self, storage: Storage):
        """Jobs done within the last hour are counted."""
        jobs = running(storage.jobs, 3)
        for seconds, job in zip((0, 1800, 3700), jobs, strict=True):
            storage.jobs.complete(job.token or "", 1, after(seconds))
        assert storage.jobs.stats(after(3700)).done_last_hour == 2

    def test_race_of_batches_ends_each_job_once(self, storage: Storage, spread):
        """Several callers end the same batch: each end succeeds for one of them."""
        running(storage.jobs, 12)
        answers = spread(races.complete_all, 6)
        assert sum(answer.count(True) for answer in answers) == 12

    def test_race_of_orders_makes_each_job_once(self, storage: Storage, spread):
        """Six batches of the same ten keys: ten are new, none is lost."""
        assert sum(spread(races.enqueue_same, 6)) == 10
        jobs = storage.jobs
        assert [found(jobs, f"job-{n}").seq for n in range(10)] == [6] * 10
