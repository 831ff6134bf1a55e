# SPDX-License-Identifier: MIT
"""The worker that mails is killed again and again: no mail is lost, none is doubled."""

from __future__ import annotations

import random
import time
from collections import Counter

import attrs
import pytest
from support.killing import SETTINGS, all_jobs, owed
from support.mailbox import Mailbox
from support.nursery import Nursery
from support.realworld import COURSE as REAL_COURSE
from support.realworld import RealWorld
from support.size import FULL, step_of, times, with_the_first_python

from frappe_enroll_mail.settings import PREFIX
from frappe_enroll_sdk.clock import SystemClock
from frappe_enroll_sdk.models import HistoryEntry, JobState, Status
from frappe_enroll_sql.storage import SQLStorage


#: Facts; the worker is killed after each one to three mails.
COUNT, PATIENCE_S = times(15, 300), 1800 if FULL else 110
#: Where a job's end is written.
MARKS = {"jobs.complete", "jobs.complete_many"}


def given(port):
    """Return the variables that lead to a server of loopback."""
    return {
        f"{PREFIX}HOST": "127.0.0.1",
        f"{PREFIX}PORT": str(port),
        f"{PREFIX}SECURITY": "none",
        f"{PREFIX}FROM": "courses@example.com",
    }


def enrolled(number, at):
    """Return a row that was enrolled by a process which died right after."""
    row = owed(number, at)
    entry = HistoryEntry(
        at=at, version=3, status=Status.ENROLLED, fact="enrolled", op_id="3"
    )
    return attrs.evolve(
        row, status=Status.ENROLLED, version=3, history=(*row.history, entry)
    )


def at_rest(storage):
    """Tell whether each fact has its job, and each job its end."""
    now = SystemClock().now()
    counts = storage.jobs.stats(now, cap=COUNT + 1).counts
    return counts[JobState.DONE] + counts[JobState.DEAD] == COUNT


@with_the_first_python
@pytest.mark.timeout(PATIENCE_S + 10)
def test_one_mail_per_fact_while_the_worker_is_killed(db_folder, record_property):
    """
    Kills at random around the server's 250: one Message-ID per fact, none missing.

    A second copy is allowed where the worker was killed between the 250 and its mark,
    and nowhere else: its job then shows a lost lease.
    """
    dice, kills = random.Random(), 0
    url = f"sqlite:///{db_folder}/store.sqlite3"
    storage = SQLStorage(url)
    storage.setup()
    now = SystemClock().now()
    for number in range(COUNT):
        storage.enrollments.open(enrolled(number, now))
    settings = {key: str(value) for key, value in SETTINGS.items()}
    with Mailbox() as box:
        environ = settings | given(box.port) | backends() | {"DATABASE_URL": url}
        # Some answers come late, so that kills fall on both sides of them.
        box.plan("250", *[dice.choice([0.0, 0.0, 0.15]) for _ in range(COUNT)])
        with Nursery(environ | {f"{PREFIX}TIMEOUT_S": "5"}) as nursery:
            began = time.monotonic()
            while not at_rest(storage):
                pid = nursery.fork("worker", "--concurrency", "3", "--poll", "0.1")
                wanted = len(box.taken) + dice.randint(1, 3)
                while len(box.taken) < wanted and not at_rest(storage):
                    assert time.monotonic() - began < PATIENCE_S, told(storage, box)
                    time.sleep(0.01)
                time.sleep(dice.choice([0.0, 0.01, 0.1]))
                nursery.kill(pid)
                kills += 1
        counts = told(storage, box) | {"kills": kills}
        record_property("counts", counts)
        print(f"\nmails under SIGKILL: {counts}")  # noqa: T201  the counts
        check(storage, box)
    storage.close()


def backends():
    """Return the names of backends that nobody asks."""
    return {
        "FRAPPE_LMS_URL": "http://127.0.0.1:9",
        "FRAPPE_LMS_API_KEY": "key",
        "FRAPPE_LMS_API_SECRET": "secret",
        "STRIPE_SECRET_KEY": "sk_test_x",
        "STRIPE_WEBHOOK_SECRET": "whsec_kill_test",
        "STRIPE_API_BASE": "http://127.0.0.1:9",
    }


def lost_leases(job):
    """Return how many tries of a job were lost with their worker."""
    return sum(error.code == "lease_lapsed" for error in job.errors)


def told(storage, box):
    """Return what came of it, in numbers."""
    jobs = list(all_jobs(storage))
    return {
        "facts": COUNT,
        "jobs": len(jobs),
        "mails": len(box.taken),
        "distinct": len(box.copies()),
        "lost leases": sum(map(lost_leases, jobs)),
    }


def check(storage, box):
    """Each fact has its mail; a copy stands beside a lost lease of that very job."""
    jobs = {job.payload["enrollment_id"]: job for job in all_jobs(storage)}
    assert Counter(job.state for job in jobs.values()) == {JobState.DONE: COUNT}
    by_learner = Counter(mail["To"] for mail in box.mails())
    for number in range(COUNT):
        copies = by_learner.pop(f"learner{number:05d}@example.com")
        assert 1 <= copies <= 1 + lost_leases(jobs[f"enr_{number:05d}"])
    assert by_learner == {}
    assert len(box.copies()) == COUNT


@with_the_first_python
def test_only_the_window_between_the_250_and_the_mark_makes_a_copy(db_folder):
    """
    Killed between the server's 250 and the mark, and at any other call beside it.

    There, and only there, a second copy is sent; it is the first one to the byte.
    """
    with Mailbox() as box, at_the_mail(db_folder, "count", box) as world:
        log = world.run(("run_jobs", {}))["log"]
        assert len(box.taken) == 1
    (mark,) = [number for number, verb in enumerate(log, 1) if verb in MARKS]
    step, first = step_of(len(log), small=times(1, 1000))
    others = [
        (when, number)
        for number in range(first, len(log) + 1, step)
        for when in ("before", "after")
    ]
    for when, number in {("before", mark), ("after", mark), *others}:
        name = f"{when}-{number}"
        with Mailbox() as box, at_the_mail(db_folder, name, box) as world:
            world.kill_at(when, "*", ("run_jobs", {}), number=number)
            world.let_time_pass(700, 130)
            in_the_window = (when, number) == ("before", mark)
            assert [*box.copies().values()] == [2 if in_the_window else 1], name
            assert len(set(box.taken)) == 1


class at_the_mail:  # noqa: N801  read as a context manager
    """A world whose one enrollment is enrolled, with its mail still owed."""

    def __init__(self, folder, name, box) -> None:
        (folder / name).mkdir()
        self._world = RealWorld(
            folder / name,
            plugins=["frappe_enroll_mail.plugin"],
            disable_plugins=("mail",),  # it is given by hand
            plugin_settings=given(box.port),
        )

    def __enter__(self):
        world = self._world.__enter__()
        code = world.sdk.coupons.create(100, REAL_COURSE).code
        answer = world.sdk.checkout(
            course_id=REAL_COURSE, email="ada@example.com", coupon_code=code
        )
        assert answer.status == "enrolled"
        return world

    def __exit__(self, *error) -> None:
        self._world.__exit__(*error)
