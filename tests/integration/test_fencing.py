# SPDX-License-Identifier: MIT
"""A worker that stalls past its lease: it can't write, and heals what it did."""

from __future__ import annotations

import pytest
from support.stores import STORES

from frappe_enroll_sdk import EnrollSDK, Settings, hookimpl
from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.errors import LMSUnavailableError
from frappe_enroll_sdk.models import JobState, Status
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.outcomes import Retry
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sdk.testing.payments import FakePayments
from frappe_enroll_sql.storage import SQLStorage


COURSE, ADA = "python-101", "ada@example.com"
#: Longer than any lease of these tests.
STALL_S = 400


class Stage:
    """Two hosts over one store and one LMS that accepts duplicates."""

    def __init__(self, open_storage, **plugins) -> None:
        self.clock = FakeClock()
        self.lms = FakeLMS(clock=self.clock)
        self.lms.add_course(COURSE, Money(4900, "usd"))
        storage = open_storage(self.clock)
        storage.setup()
        self.first, self.second = (
            EnrollSDK(
                Settings(inline_s=0, retry_jitter=0, public_url="http://127.0.0.1"),
                storage=storage,
                payments=FakePayments(self.clock),
                lms=self.lms,
                clock=self.clock,
                discover=False,
                **plugins,
            )
            for _ in range(2)
        )

    def enroll(self):
        """Let the learner redeem a grant; return the enrollment's id."""
        code = self.first.coupons.create(100, COURSE).code
        answer = self.first.checkout(course_id=COURSE, email=ADA, coupon_code=code)
        return answer.enrollment_id

    def stall(self, meanwhile):
        """Let the next insert stall while something else happens."""

        def once():
            self.lms.before_insert = None
            meanwhile()

        self.lms.before_insert = once

    def rest(self):
        """Let time and cron go on until nothing is owed."""
        for _ in range(30):
            self.clock.advance(60)
            self.second.run_jobs()
        (job,) = self.second.storage.jobs.list().items
        return job


@pytest.fixture(params=["memory", *STORES])
def stage(request, db_folder):
    """Return a stage on each store."""

    def open_storage(clock):
        if request.param == "memory":
            return MemoryStorage(clock)
        if request.param == "sql":
            return SQLStorage(f"sqlite:///{db_folder}/store.sqlite3")
        return request.getfixturevalue("mongo_worlds")().storage

    stage = Stage(open_storage)
    yield stage
    stage.first.storage.close()


def test_worker_that_stalls_before_its_insert_heals_the_second_row(stage):
    """The other has enrolled meanwhile: the late row is taken out again."""
    row_id = stage.enroll()

    def meanwhile():
        stage.clock.advance(STALL_S)
        stage.second.run_jobs()
        stage.clock.advance(STALL_S)
        stage.second.run_jobs()
        assert len(stage.lms.rows) == 1

    stage.stall(meanwhile)
    stage.first.run_jobs()
    assert stage.lms.inserts == 2
    job = stage.rest()
    (row,) = stage.lms.rows.values()
    assert job.state is JobState.DONE
    enrollment = stage.first.enrollments.get(row_id)
    assert (enrollment.status, enrollment.lms_enrollment_id) == (
        Status.ENROLLED,
        row.name,
    )


def test_worker_that_stalls_while_it_is_revoked_leaves_no_row(stage):
    """Nobody is entitled any more when the late insert lands."""
    row_id = stage.enroll()

    def meanwhile():
        stage.clock.advance(STALL_S)
        stage.second.enrollments.revoke(row_id, "ada", "a mistake")
        stage.second.run_jobs()
        stage.clock.advance(STALL_S)
        stage.second.run_jobs()

    stage.stall(meanwhile)
    stage.first.run_jobs()
    assert stage.lms.inserts == 1
    job = stage.rest()
    assert (job.state, stage.lms.rows) == (JobState.DONE, {})
    assert stage.first.enrollments.get(row_id).status is Status.REVOKED


def test_late_answer_is_told_where_the_row_proves_nothing(stage):
    """The LMS does not tell who our key is: only the name that was answered counts."""
    stage.lms.user = ""
    row_id = stage.enroll()

    def meanwhile():
        for _ in range(2):
            stage.clock.advance(STALL_S)
            stage.second.run_jobs()
        assert len(stage.lms.rows) == 1
        stage.second.enrollments.revoke(row_id, "ada", "a mistake")
        stage.second.run_jobs()
        assert stage.lms.rows == {}

    stage.stall(meanwhile)
    stage.first.run_jobs()
    assert stage.lms.inserts == 2
    assert stage.rest().state is JobState.DONE
    assert stage.lms.rows == {}


def test_late_insert_without_an_answer_is_looked_for_from_its_end(stage):
    """Ten hours after it began looks are rare; it may land minutes after its end."""
    stage.enroll()

    def meanwhile():
        for seconds in (STALL_S, STALL_S, 36_000):
            stage.clock.advance(seconds)
            stage.second.run_jobs()
        raise LMSUnavailableError("no answer", unclear=True)

    stage.stall(meanwhile)
    stage.first.run_jobs()
    stage.lms.add_row(ADA, COURSE, modified_by=stage.lms.user)
    assert len(stage.lms.rows) == 2
    stage.clock.advance(stage.first.settings.verify_after_s)
    stage.second.run_jobs()
    assert len(stage.lms.rows) == 1
    assert stage.rest().state is JobState.DONE


def test_worker_that_stalls_writes_no_result(stage):
    """Scenario 28: its end is refused: what the second has written stands."""
    stage.enroll()
    seen = []

    def meanwhile():
        stage.clock.advance(STALL_S)
        now = stage.clock.now()
        seen.append(stage.second.storage.jobs.claim("w2", now, 600, 1)[0])

    stage.stall(meanwhile)
    report = stage.first.run_jobs()
    assert (report.succeeded, report.retried) == (0, 1)
    (job,) = stage.second.storage.jobs.list().items
    assert (job.state, job.token, job.owner) == (JobState.RUNNING, seen[0].token, "w2")
    assert job.seq > seen[0].seq, "what it did is looked at once more"


class Patient:
    """A host's own retry policy."""

    @hookimpl
    def decide_retry(self, code, tries):
        """Three tries, a second apart; a lost LMS is left to the schedule."""
        if code == "lms_unavailable":
            return 1.0 if tries < 3 else -1.0
        return None


def test_hook_replaces_the_retry_policy():
    """Seconds until the next try, and dead where the host says so."""
    stage = Stage(MemoryStorage, plugins=[Patient()])
    stage.enroll()
    error = LMSUnavailableError("502", unclear=True)
    stage.lms.faults.add("find_enrollments", error, times=3)
    waits = []
    for _ in range(2):
        stage.second.run_jobs()
        (job,) = stage.second.storage.jobs.list().items
        waits.append((job.due_at - stage.clock.now()).total_seconds())
        stage.clock.advance(1)
    assert waits == [1.0, 1.0]
    assert stage.second.run_jobs().dead == 1


class Stubborn:
    """A policy with more tries than the schedule, for lost ones and answers, too."""

    @hookimpl
    def register_jobs(self, register):
        """Bring a job that never works."""
        register("vain", lambda _: Retry())

    @hookimpl
    def decide_retry(self, tries):
        """Nine tries."""
        return 5.0 if tries < 9 else -1.0


def test_hook_allows_more_tries_than_the_schedule():
    """Tries whose worker died and handlers that ask for a retry go by it as well."""
    stage = Stage(MemoryStorage, plugins=[Stubborn()])
    jobs, row_id = stage.second.storage.jobs, stage.enroll()
    payload = {"enrollment_id": row_id, "fact": "enrolled"}
    jobs.enqueue("vain-1", "vain", payload, stage.clock.now(), now=stage.clock.now())
    for turn in range(8):
        if turn in {3, 7}:
            jobs.claim("dies", stage.clock.now(), 1, 1)
        else:
            stage.second.run_jobs()
        assert jobs.find("vain-1").state is not JobState.DEAD
        assert jobs.find("vain-1").tries == turn + 1
        stage.clock.advance(5)
    stage.second.run_jobs()
    dead = jobs.find("vain-1")
    assert (dead.state, dead.tries, dead.errors[-1].code) == ("dead", 9, "handler")


def test_broken_hook_leaves_the_schedule():
    """A policy that raises does not cost a job its retry."""

    class Broken:
        @hookimpl
        def decide_retry(self):
            raise RuntimeError

    stage = Stage(MemoryStorage, plugins=[Broken()])
    stage.enroll()
    error = LMSUnavailableError("502", unclear=True)
    stage.lms.faults.add("find_enrollments", error)
    stage.second.run_jobs()
    (job,) = stage.second.storage.jobs.list().items
    assert (job.due_at - stage.clock.now()).total_seconds() == 120


def test_refused_job_names_its_course():
    """What an operator reads says which course to publish."""
    stage = Stage(MemoryStorage)
    stage.enroll()
    del stage.lms.courses[COURSE]
    stage.second.run_jobs()
    (job,) = stage.second.storage.jobs.list().items
    assert job.state is JobState.DEAD
    assert job.errors[-1].cause.startswith(f"course {COURSE}: ")


def test_catalogue_is_listed_and_outlives_an_outage():
    """From the cache while it is fresh, and up to its bound while the LMS is down."""
    stage = Stage(MemoryStorage)
    catalogue = stage.first.catalogue
    (course,) = catalogue.list().items
    assert (course.id, course.price) == (COURSE, Money(4900, "usd"))
    stage.lms.is_down = True
    for seconds in (299, 86_000):
        stage.clock.advance(seconds)
        assert catalogue.list().items == (course,)
    stage.clock.advance(200)
    with pytest.raises(LMSUnavailableError):
        catalogue.list()
