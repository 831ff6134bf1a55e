# SPDX-License-Identifier: MIT
"""Workers are killed and stopped at random: every learner ends with exactly one row."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest
from support.killing import (
    COURSE,
    SETTINGS,
    VERIFY_AFTER_S,
    Pack,
    all_jobs,
    at_rest,
    hostile_lms,
    look_now,
    owed,
)
from support.size import FULL, LEAST, SERVER_DIFFERS, times
from support.stores import STORES, shared_store

from frappe_enroll_sdk.clock import SystemClock
from frappe_enroll_sdk.models import JobState, Status
from frappe_enroll_sdk.pair import Pair


#: Owed enrollments, and seconds that they may take.
COUNT, PATIENCE_S = times(40, 5000), 6000 if FULL else 150
WORKERS = times(3, 4)


@pytest.mark.skipif(LEAST, reason=SERVER_DIFFERS)
@pytest.mark.timeout(PATIENCE_S + 120)
@pytest.mark.parametrize("name", STORES)
def test_killed_and_stopped_workers_lose_and_double_nothing(
    name, db_folder, record_property
):
    """
    Scenarios 26, 28, P3 and P4: SIGKILL each half second, SIGSTOP past the lease.

    The LMS accepts duplicates, is slow, fails, hangs, and commits without an answer.
    """
    seed = random.randrange(1_000_000)
    with (
        shared_store(name, db_folder) as (environ, open_store),
        hostile_lms(seed) as lms,
    ):
        storage = open_store()
        storage.setup()
        fill(storage, lms)
        settings = {key: str(value) for key, value in SETTINGS.items()}
        with Pack(WORKERS, environ | settings | backends(lms), storage, seed) as pack:
            taken_s = torment(pack, storage)
            pack.resume()
            # A stopped worker that woke up may owe a look once more.
            time.sleep(VERIFY_AFTER_S)
            wait_for_rest(storage)
        told = counts(storage, lms) | {
            "seconds": round(taken_s),
            "seconds between two kills": round(taken_s / max(pack.did["killed"], 1), 2),
            **pack.did,
        }
        record_property("counts", told)
        print(f"\nkill test on {name}, seed {seed}: {told}")  # noqa: T201  the counts
        check(storage, lms)
        storage.close()


def backends(lms):
    """Return the environment that names the LMS (and payments that are never asked)."""
    return {
        "FRAPPE_LMS_URL": lms.url,
        "FRAPPE_LMS_API_KEY": lms.api_key,
        "FRAPPE_LMS_API_SECRET": lms.api_secret,
        "STRIPE_SECRET_KEY": "sk_test_x",
        "STRIPE_WEBHOOK_SECRET": "whsec_kill_test",
        "STRIPE_API_BASE": "http://127.0.0.1:9",
    }


def fill(storage, lms):
    """Owe every learner a row; most of them have an account already."""
    now = SystemClock().now()
    for number in range(COUNT):
        row = owed(number, now)
        storage.enrollments.open(row)
        if number % 10:
            lms.site.add_user(row.email)


def torment(pack, storage):
    """Kill and stop until the work is done; return the seconds that it took."""
    began, pause_s, before = time.monotonic(), 0.5, None
    while not at_rest(storage, COUNT):
        stats = storage.jobs.stats(SystemClock().now())
        assert time.monotonic() - began < PATIENCE_S, stats
        # On a slow machine a worker needs more than half a second to do anything.
        pause_s = pause_s * 1.1 if stats.counts == before else 0.5
        before = stats.counts
        time.sleep(pause_s)
        pack.tick()
    return time.monotonic() - began


def wait_for_rest(storage):
    """Wait, with the workers at peace, until nothing is owed; look, and wait again."""
    for last in (False, True):
        ends = time.monotonic() + 60
        while not at_rest(storage, COUNT):
            assert time.monotonic() < ends, list(all_jobs(storage))[:3]
            time.sleep(0.2)
        if not last:
            look_now(storage)


def counts(storage, lms):
    """Return what came of it, in numbers."""
    jobs = list(all_jobs(storage))
    codes = Counter(error.code for job in jobs for error in job.errors)
    rows = Counter(row["member"] for row in lms.site.enrollments(course=COURSE))
    return {
        "learners": COUNT,
        "LMS rows": rows.total(),
        "learners with one row": sum(n == 1 for n in rows.values()),
        "jobs done": sum(job.state is JobState.DONE for job in jobs),
        "jobs dead": sum(job.state is JobState.DEAD for job in jobs),
        "rows deleted": sum(method == "DELETE" for method, _ in lms.requests),
        "requests": len(lms.requests),
        "lost leases": codes["lease_lapsed"],
        "failed tries": codes.total() - codes["lease_lapsed"],
    }


def check(storage, lms):
    """Every learner has exactly one row; every row and every job says so."""
    rows = Counter(row["member"] for row in lms.site.enrollments(course=COURSE))
    assert {n: c for n, c in rows.items() if c != 1} == {}
    assert len(rows) == COUNT
    jobs = list(all_jobs(storage))
    # A worker that was killed before its insert leaves one that nobody hears of.
    ended = [job for job in jobs if not Pair(job.data).left]
    assert Counter(job.state for job in ended) == {JobState.DONE: len(ended)}
    looked_for = {job.state for job in jobs if job not in ended}
    assert looked_for <= {JobState.DUE, JobState.RUNNING}
    names = {row["member"]: row["name"] for row in lms.site.enrollments()}
    for number in range(COUNT):
        row = storage.enrollments.find(f"enr_{number:05d}")
        assert row.status is Status.ENROLLED
        assert row.lms_enrollment_id == names[row.email]
