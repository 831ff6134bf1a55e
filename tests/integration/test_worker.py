# SPDX-License-Identifier: MIT
"""The worker: claims what it can start, keeps its leases, stops as it is told."""

from __future__ import annotations

import threading
import time

import pytest
from support.lms_side import wait_for

from frappe_enroll_sdk import EnrollSDK, Settings, hookimpl
from frappe_enroll_sdk.clock import SystemClock
from frappe_enroll_sdk.errors import SchemaError, StorageUnavailableError
from frappe_enroll_sdk.models import JobState
from frappe_enroll_sdk.outcomes import Done
from frappe_enroll_sdk.services.jobs.worker import _Slot
from frappe_enroll_sdk.testing.conformance.records import enrollment
from frappe_enroll_sdk.testing.faults import Tap
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sdk.testing.payments import FakePayments


class Handler:
    """A plugin whose one handler can be held up; it notes what it sees."""

    def __init__(self) -> None:
        self.began, self.ended, self.alerts = [], [], []
        self.go_on = threading.Event()
        self.go_on.set()
        self.hang_on: str | None = None
        self._lock = threading.Lock()
        self.at_once, self.most_at_once = 0, 0

    @hookimpl
    def register_jobs(self, register):
        """Handle jobs of kind ``mail``."""
        register("mail", self.run)

    @hookimpl
    def on_alert(self, code, subject):
        """Note alerts."""
        self.alerts.append((code, subject))

    def run(self, context):
        """Do one job."""
        key = context.job.key
        with self._lock:
            self.began.append((key, time.monotonic()))
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
        if self.hang_on in (None, key):
            self.go_on.wait(20)
        with self._lock:
            self.at_once -= 1
            self.ended.append(key)
        return Done("sent")


class Silent:
    """A watch that hears nothing."""

    def wait(self, timeout_s, *, now):
        """Let the time pass."""
        time.sleep(timeout_s)
        return False

    def close(self):
        """Hold nothing."""


class Stage:
    """An SDK over memory with workers in threads."""

    def __init__(self, storage=None, **settings) -> None:
        self.clock = SystemClock()
        self.storage = storage or MemoryStorage(self.clock)
        self.handler = Handler()
        self.sdk = EnrollSDK(
            Settings(**settings),
            storage=self.storage,
            payments=FakePayments(self.clock),
            lms=FakeLMS(),
            clock=self.clock,
            plugins=[self.handler],
            discover=False,
        )
        self.storage.enrollments.open(enrollment(1, due_at=None))
        self._running = []

    def add(self, *keys):
        """Enqueue jobs that are due now."""
        now = self.clock.now()
        payload = {"enrollment_id": "enr_0001", "fact": "enrolled"}
        for key in keys:
            self.storage.jobs.enqueue(key, "mail", payload, now, now=now)

    def start(self, concurrency=2, **options):
        """Run a worker in a thread."""
        worker = self.sdk.worker(concurrency, **{"poll_s": 0.05} | options)
        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        self._running.append((worker, thread))
        return worker

    def stop(self):
        """Stop all workers."""
        for worker, _ in self._running:
            worker.stop()
        for _, thread in self._running:
            thread.join(20)
            assert not thread.is_alive()
        self._running = []

    def state(self, key):
        """Return a job's state."""
        return self.storage.jobs.find(key).state


@pytest.fixture
def stage():
    """Return what makes stages; their workers are stopped at the end."""
    made = []

    def make(**options):
        made.append(Stage(**options))
        return made[-1]

    yield make
    for one in made:
        one.handler.go_on.set()
        one.stop()


def test_worker_claims_no_more_than_it_can_start(stage):
    """What it could not begin is left to other workers."""
    one = stage()
    one.handler.go_on.clear()
    one.add(*(f"job-{n}" for n in range(20)))
    one.start(concurrency=3)
    wait_for(lambda: len(one.handler.began) == 3)
    time.sleep(0.2)
    counts = one.storage.jobs.stats(one.clock.now()).counts
    assert (counts[JobState.RUNNING], counts[JobState.DUE]) == (3, 17)
    one.handler.go_on.set()
    wait_for(lambda: len(one.handler.ended) == 20)
    assert one.handler.most_at_once == 3


def test_worker_wakes_up_at_once(stage):
    """A job that is enqueued in the process does not wait for the next poll."""
    one = stage()
    one.start(poll_s=30)
    time.sleep(0.3)
    waits = []
    for number in range(20):
        began = time.monotonic()
        one.add(f"job-{number}")
        wait_for(lambda n=number: len(one.handler.began) > n)
        waits.append(one.handler.began[-1][1] - began)
    # The next poll would have been half a minute later.
    assert max(waits) < 15


def test_worker_polls_where_news_do_not_come(stage, monkeypatch):
    """Wake-ups are hints: without them the next poll finds the job."""
    one = stage()
    silent = type(
        "Silent",
        (),
        {"wait": lambda *_, **__: time.sleep(0.01), "close": lambda _: None},
    )
    monkeypatch.setattr(one.storage, "watch", silent)
    one.start(poll_s=0.2)
    one.add("job-1")
    wait_for(lambda: one.handler.ended == ["job-1"])


def test_worker_that_stops_finishes_what_runs(stage):
    """It claims nothing more, waits for its handlers, and then it is gone."""
    one = stage()
    one.handler.go_on.clear()
    one.add("job-1", "job-2", "job-3", "job-4")
    worker = one.start(concurrency=2)
    wait_for(lambda: len(one.handler.began) == 2)
    worker.stop()
    time.sleep(0.3)
    one.handler.go_on.set()
    one.stop()
    states = sorted(one.state(f"job-{n}") for n in range(1, 5))
    assert states == ["done", "done", "due", "due"]
    assert worker.ends == {"done": 2}


def test_worker_stops_in_time_and_gives_nothing_begun_back(stage):
    """A handler that outlasts the time keeps its claim: the lease lapses."""
    one = stage(lease_s=1)
    one.handler.go_on.clear()
    one.add("job-1")
    one.start(shutdown_timeout_s=0.2)
    wait_for(lambda: one.handler.began)
    began = time.monotonic()
    one.stop()
    assert time.monotonic() - began < 5
    assert one.state("job-1") is JobState.RUNNING
    late = one.clock.now()
    one.handler.go_on.set()
    wait_for(lambda: one.state("job-1") is not JobState.RUNNING)
    assert one.storage.jobs.claim("w", late, 60, 9) == ()


def test_claim_that_was_not_begun_is_given_back(stage):
    """A worker that is told to stop between claim and begin returns the job whole."""
    one = stage()
    worker = one.sdk.worker(1)
    worker.stop()
    one.add("job-1")
    (work,) = worker.shift.take(1)
    assert one.state("job-1") is JobState.RUNNING
    assert worker._run(_Slot(), work) == "released"
    job = one.storage.jobs.find("job-1")
    assert (job.state, job.tries, one.handler.began) == (JobState.DUE, 0, [])


def test_claim_that_was_under_way_is_given_back(stage):
    """Told to stop in the middle of a claim, it returns what the claim brings."""
    claiming, go_on = threading.Event(), threading.Event()
    go_on.set()

    def after(verb):
        if verb == "jobs.claim" and not go_on.is_set():
            claiming.set()
            go_on.wait(20)

    memory = MemoryStorage(SystemClock())
    one = stage(storage=Tap(memory, lambda _: None, after))
    worker = one.start(concurrency=1)
    wait_for(memory.workers.list)
    go_on.clear()
    one.add("job-1")
    assert claiming.wait(20)
    wait_for(lambda: one.state("job-1") is JobState.RUNNING or claiming.is_set())
    worker.stop()
    time.sleep(0.3)
    go_on.set()
    one.stop()
    assert one.state("job-1") is JobState.DUE
    assert one.handler.began == []


def test_heartbeats_keep_a_long_job(stage):
    """A handler that runs longer than its lease is run once, by one worker."""
    one = stage(lease_s=1)
    one.handler.go_on.clear()
    one.add("job-1")
    for _ in range(2):
        one.start(concurrency=1)
    time.sleep(2.5)
    one.handler.go_on.set()
    wait_for(lambda: one.state("job-1") is JobState.DONE)
    assert len(one.handler.began) == 1
    assert one.storage.jobs.find("job-1").errors == ()


def test_hung_handler_loses_its_claim_and_its_place(stage):
    """Past the deadline its try has failed; the rest never waits for it."""
    one = stage(lease_s=1, job_timeout_s=1, retry_schedule_s=(1.0,))
    one.handler.hang_on = "poison"
    one.handler.go_on.clear()
    one.add("poison")
    one.start(concurrency=1)
    wait_for(lambda: one.handler.began)
    one.add("job-1", "job-2")
    wait_for(lambda: one.handler.ended == ["job-1", "job-2"])
    assert ("job_hangs", "poison") in one.handler.alerts
    wait_for(lambda: [key for key, _ in one.handler.began].count("poison") == 2)
    one.handler.go_on.set()
    wait_for(lambda: one.state("poison") is JobState.DONE)
    (lost,) = one.storage.jobs.find("poison").errors
    assert lost.code == "plugin_hangs"
    assert "has not answered within 1 s" in lost.cause


def test_end_is_written_through_a_flicker(stage):
    """A store that fails for a moment does not cost a job its end."""
    failures = iter([True, True, False])

    def before(verb):
        if verb == "jobs.complete_many" and next(failures, False):
            raise StorageUnavailableError("a flicker")

    clock = SystemClock()
    memory = MemoryStorage(clock)
    one = stage(storage=Tap(memory, before, lambda _: None))
    one.add("job-1")
    one.start()
    wait_for(lambda: one.state("job-1") is JobState.DONE)
    assert len(one.handler.began) == 1


def test_worker_outlives_a_store_that_is_down(stage):
    """Claims and heartbeats fail for a while; then the work goes on."""
    down = threading.Event()
    down.set()

    def before(verb):
        if down.is_set() and verb.split(".")[-1] in ("claim", "claim_due"):
            raise StorageUnavailableError("down")

    one = stage(storage=Tap(MemoryStorage(SystemClock()), before, lambda _: None))
    worker = one.start()
    one.add("job-1")
    time.sleep(0.3)
    assert one.handler.began == []
    down.clear()
    # A handler has ended before its end is written, and counted.
    wait_for(lambda: worker.ends["done"] == 1)
    assert one.handler.ended == ["job-1"]


def test_worker_leaves_signs_of_life(stage):
    """It is seen while it runs, and forgotten when it has stopped."""
    one = stage()
    worker = one.start(concurrency=3)
    wait_for(one.storage.workers.list)
    (sign,) = one.storage.workers.list()
    assert (sign.name, sign.kind) == (worker.name, "worker")
    assert sign.detail["concurrency"] == 3
    one.stop()
    assert one.storage.workers.list() == ()


def test_ends_are_written_in_batches(stage):
    """Handlers that end at the same time share one write."""
    batches = []
    memory = MemoryStorage(SystemClock())
    real = memory.jobs.complete_many

    def complete_many(ends, now):
        time.sleep(0.02)
        batches.append(len(ends))
        return real(ends, now)

    memory.jobs.complete_many = complete_many
    one = stage(storage=memory)
    one.add(*(f"job-{n}" for n in range(64)))
    one.start(concurrency=16)
    wait_for(lambda: sum(batches) == 64)
    assert max(batches) > 4
    assert len(batches) < 40


def test_shift_is_driven_by_one_thread(stage):
    """Claim, beat, run and tidy are steps: a lone thread takes them in turn."""
    one = stage(lease_s=60)
    one.add("job-1", "job-2", "job-3")
    shift = one.sdk.worker(2).shift
    works = shift.take(2)
    assert [one.state(key) for key in ("job-1", "job-2")] == [JobState.RUNNING] * 2
    due_at = one.storage.jobs.find("job-2").due_at
    time.sleep(0.002)
    shift.beat(lambda lease: pytest.fail("nothing hangs"))
    assert one.storage.jobs.find("job-2").due_at > due_at
    assert shift.run(works[0]) == "done"
    assert shift.run(works[1], begin=False) == "released"
    assert one.handler.ended == [works[0].job.key]
    shift.tidy()
    assert [sign.name for sign in one.storage.workers.list()] == [shift.name]
    shift.end()
    assert one.storage.workers.list() == ()


def test_worker_stops_where_the_schema_is_not_its_codes(stage):
    """No try can succeed any more: it ends, what runs is finished, and it says why."""
    one = stage()
    one.add("mail-1")
    worker = one.sdk.worker(2, poll_s=0.05)
    raised = []

    def run():
        try:
            worker.run()
        except SchemaError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(lambda: one.state("mail-1") is JobState.DONE)

    def refuse(*_, **__):
        raise SchemaError("the schema is newer")

    one.storage.jobs.claim = refuse
    thread.join(20)
    assert not thread.is_alive()
    assert [str(error) for error in raised] == ["the schema is newer"]
