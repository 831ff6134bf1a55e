# SPDX-License-Identifier: MIT
"""Worker processes that are killed, stopped and started again while they work."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from datetime import timedelta

from frappe_enroll_sandbox import LMSSandbox
from frappe_enroll_sdk.clock import SystemClock
from frappe_enroll_sdk.models import (
    Enrollment,
    HistoryEntry,
    JobState,
    Kind,
    Status,
)
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.pair import Pair

from .nursery import Nursery


COURSE = "python-101"
WORKER = ("worker", "--concurrency", "4", "--poll", "0.2")
#: A worker stays stopped for longer than any lease: twice the LMS's time-out, or this.
LEASE_S, LMS_TIMEOUT_S, VERIFY_AFTER_S = 1.5, 0.8, 3.0
STOPPED_S = 3.0
SETTINGS = {
    "FRAPPE_ENROLL_LEASE_S": LEASE_S,
    "FRAPPE_ENROLL_LMS_TIMEOUT_S": LMS_TIMEOUT_S,
    "FRAPPE_ENROLL_VERIFY_AFTER_S": VERIFY_AFTER_S,
    "FRAPPE_ENROLL_GATE_CLOSED_S": 0.3,
    "FRAPPE_ENROLL_LMS_RATE_PER_S": 0,
    # A worker dies each half second here: what kills a job six times is not the job.
    "FRAPPE_ENROLL_RETRY_SCHEDULE_S": "0.3,0.5" + 197 * ",1",
}


def owed(number: int, at) -> Enrollment:
    """Return a confirmed row whose sync nobody has enqueued yet."""
    free = Money.zero("usd")
    email = f"learner{number:05d}@example.com"
    return Enrollment(
        id=f"enr_{number:05d}",
        email=email,
        learner=email,
        course_id=COURSE,
        kind=Kind.FREE,
        status=Status.CONFIRMED,
        version=2,
        price=free,
        discount=free,
        amount=free,
        effects_owed=True,
        due_at=at,
        created_at=at,
        updated_at=at,
        history=(
            HistoryEntry(at=at, version=1, status=Status.PENDING, fact="o", op_id="1"),
            HistoryEntry(
                at=at, version=2, status=Status.CONFIRMED, fact="f", op_id="2"
            ),
        ),
    )


def hostile_lms(seed: int) -> LMSSandbox:
    """Return a site that accepts duplicates and fails in every way, at random."""
    lms = LMSSandbox(SystemClock())
    lms.faults._dice = random.Random(seed)
    lms.site.add_course(COURSE)
    insert, any_call = "POST .*LMS Enrollment", "."
    for pattern, kind, chance, more in (
        (insert, "commit_then_timeout", 0.02, {"seconds": 1.0}),
        (insert, "commit_then_500", 0.02, {}),
        (insert, "commit_later", 0.01, {"seconds": 1.2}),
        (any_call, "html", 0.02, {"status": 502}),
        (any_call, "hang", 0.004, {"seconds": 1.0}),
        (any_call, "reset", 0.005, {}),
        (any_call, "latency", 0.2, {"seconds": 0.02}),
    ):
        lms.fail_next(pattern, kind, times=None, chance=chance, **more)
    return lms


class Pack:
    """
    Some worker processes over one store; a context manager.

    Only a worker that has left its sign of life in the store by the last tick is killed
    or stopped: else a busy machine would start workers and never let one work.
    """

    def __init__(self, count: int, environ: dict[str, str], storage, seed: int) -> None:
        self._nursery = Nursery(environ)
        self._count, self._storage = count, storage
        self._dice = random.Random(seed)
        self._workers: list[int] = []
        self._stopped: dict[int, float] = {}
        self._up: set[int] = set()
        self.did = Counter()

    def __enter__(self):
        self._nursery.__enter__()
        self._workers = [self._start() for _ in range(self._count)]
        return self

    def __exit__(self, *_):
        self._nursery.__exit__()

    def _start(self) -> int:
        self.did["started"] += 1
        return self._nursery.fork(*WORKER)

    def tick(self) -> None:
        """Kill one, let one go on whose time is over or stop one, note who came up."""
        self._kill_one()
        self._stop_one()
        signs = self._storage.workers.list(limit=50)
        self._up |= {int(sign.name.split(":")[1]) for sign in signs}

    def _working(self) -> list[int]:
        """Return the places of the workers that are up and not stopped."""
        return [
            number
            for number, pid in enumerate(self._workers)
            if pid in self._up and number not in self._stopped
        ]

    def _kill_one(self) -> None:
        """SIGKILL a random worker that works, and start another."""
        if not (working := self._working()):
            self.did["none was up"] += 1
            return
        number = self._dice.choice(working)
        self._nursery.kill(self._workers[number])
        self._workers[number] = self._start()
        self.did["killed"] += 1

    def _stop_one(self) -> None:
        """SIGSTOP a worker past its lease, or let one go on whose time is over."""
        for number, until in list(self._stopped.items()):
            if time.monotonic() >= until:
                os.kill(self._workers[number], signal.SIGCONT)
                del self._stopped[number]
        if not self._stopped and (working := self._working()):
            number = self._dice.choice(working)
            os.kill(self._workers[number], signal.SIGSTOP)
            self._stopped[number] = time.monotonic() + STOPPED_S
            self.did["stopped"] += 1

    def resume(self) -> None:
        """Let all go on."""
        for number in self._stopped:
            os.kill(self._workers[number], signal.SIGCONT)
        self._stopped.clear()


def all_jobs(storage, **filters):
    """Yield every job."""
    cursor = None
    while True:
        page = storage.jobs.list(limit=500, cursor=cursor, **filters)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def is_watched(job) -> bool:
    """Tell whether a job is only owed a later look: an insert was never heard of."""
    later = SystemClock().now() + timedelta(seconds=VERIFY_AFTER_S)
    return job.state is JobState.DUE and job.due_at > later and Pair(job.data).left > 0


def look_now(storage) -> None:
    """Let such looks be due at once: whoever would find something is not to wait."""
    for job in list(all_jobs(storage, state=JobState.DUE)):
        storage.jobs.retry(job.key, SystemClock().now())


def at_rest(storage, count: int) -> bool:
    """Tell whether every row is settled and no job is owed more than a later look."""
    now = SystemClock().now()
    rows = storage.enrollments.stats(now, cap=count + 1).counts
    jobs = storage.jobs.stats(now, cap=count + 1).counts
    known = jobs[JobState.DONE] + jobs[JobState.DEAD] + jobs[JobState.DUE]
    if jobs[JobState.RUNNING] or known != count or rows[Status.CONFIRMED]:
        return False
    return all(map(is_watched, all_jobs(storage, state=JobState.DUE)))
