# SPDX-License-Identifier: MIT
"""A whole SDK over the Frappe LMS sandbox: every fault ends with one row."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from support.lms_side import ADA, COURSE, INSERT, new_lms, rows, wait_for
from support.size import with_the_first_python

from frappe_enroll_sandbox import LMSSandbox
from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.models import JobState, LMSStatus, Status
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sdk.testing.payments import FakePayments


@pytest.fixture
def clock():
    """Return a clock that all sides share."""
    return FakeClock()


@pytest.fixture
def sandbox(clock):
    """Return a running site with a course and a learner."""
    with LMSSandbox(clock) as server:
        server.site.add_course(COURSE, 49.0, "USD")
        server.site.add_user(ADA)
        yield server


def start_sdk(sandbox, **settings):
    """Return a whole SDK over the sandbox; the other sides are in memory."""
    clock = sandbox.clock
    storage = MemoryStorage(clock)
    storage.setup()
    return EnrollSDK(
        Settings(
            **{"public_url": "http://127.0.0.1:5000", "retry_jitter": 0} | settings
        ),
        storage=storage,
        payments=FakePayments(clock),
        lms=new_lms(sandbox),
        clock=clock,
        discover=False,
    )


def enroll(sdk):
    """Let the learner redeem a full grant."""
    code = sdk.coupons.create(100, COURSE).code
    return sdk.checkout(course_id=COURSE, email=ADA, coupon_code=code)


def let_time_pass(sdk, seconds=7200, step_s=60):
    """Run cron every minute."""
    for _ in range(0, seconds, step_s):
        sdk.clock.advance(step_s)
        sdk.run_jobs()


def let_a_day_pass(sdk):
    """Run cron every minute, and once more when no insert is looked for any more."""
    let_time_pass(sdk)
    let_time_pass(sdk, 90_000, 90_000)


def at_rest(sdk):
    """Return the one enrollment and the unfinished jobs."""
    (row,) = sdk.enrollments.list().items
    jobs = sdk.storage.jobs.list().items
    return row, [job for job in jobs if job.state is not JobState.DONE]


class TestWholeSDK:
    """Scenario 26, from the checkout to rest: one row, or a cause to read."""

    @with_the_first_python
    @pytest.mark.parametrize("duplicates", ["accepted", "refused"])
    @pytest.mark.parametrize(
        ("pattern", "kind", "more"),
        [
            (INSERT, "html", {"status": 502}),
            (INSERT, "html", {"status": 502, "times": 3}),
            (INSERT, "html", {"status": 200}),
            (INSERT, "error_body", {}),
            (INSERT, "empty", {}),
            (INSERT, "reset", {}),
            (INSERT, "hang", {}),
            (INSERT, "throttled", {"headers": {"Retry-After": "600"}}),
            (INSERT, "redirect", {}),
            (
                INSERT,
                "error",
                {"status": 403, "headers": {"exc_type": "PermissionError"}},
            ),
            (
                INSERT,
                "error",
                {"status": 503, "headers": {"exc_type": "SessionStopped"}},
            ),
            (INSERT, "commit_then_timeout", {}),
            (INSERT, "commit_then_timeout", {"times": 2}),
            (INSERT, "commit_then_500", {}),
            ("GET .*LMS Enrollment", "html", {"status": 502, "times": 3}),
            ("GET .*LMS Enrollment", "reset", {"times": 3}),
            (".", "html", {"status": 502, "times": 6}),
            (".", "redirect", {"times": 6}),
        ],
    )
    def test_fault_ends_with_exactly_one_row(
        self, sandbox, duplicates, pattern, kind, more
    ):
        """Scenario 26: read back before any repetition: no duplicate enrolment."""
        sandbox.site.duplicates = duplicates
        with start_sdk(sandbox) as sdk:
            code = sdk.coupons.create(100, COURSE).code
            sdk.catalogue.get(COURSE)
            sandbox.fail_next(pattern, kind, **more)
            sdk.checkout(course_id=COURSE, email=ADA, coupon_code=code)
            let_a_day_pass(sdk)
            row, owed = at_rest(sdk)
        (kept,) = rows(sandbox)
        assert (row.status, row.lms_status) == (Status.ENROLLED, LMSStatus.SYNCED)
        assert row.lms_enrollment_id == kept["name"]
        assert owed == []

    def test_insert_that_appears_later_is_not_doubled(self, sandbox):
        """Scenario 26: a retry that finds nothing yet waits instead of inserting."""
        sandbox.fail_next(INSERT, "commit_later", seconds=60)
        with start_sdk(sandbox, verify_after_s=600) as sdk:
            assert enroll(sdk).status is Status.CONFIRMED
            let_time_pass(sdk, 300)
            assert rows(sandbox) == []
            sandbox.heal()
            wait_for(lambda: rows(sandbox))
            let_time_pass(sdk)
            row, owed = at_rest(sdk)
        assert (row.status, owed) == (Status.ENROLLED, [])
        assert [row.lms_enrollment_id] == [found["name"] for found in rows(sandbox)]
        inserts = [
            m for m, path in sandbox.requests if m == "POST" and "User" not in path
        ]
        assert len(inserts) == 1

    def test_outage_is_waited_for(self, sandbox):
        """Scenario 27: six hours down; no try counts; enrolled soon after."""
        with start_sdk(sandbox) as sdk:
            code = sdk.coupons.create(100, COURSE).code
            sdk.catalogue.get(COURSE)
            sandbox.stop()
            answer = sdk.checkout(course_id=COURSE, email=ADA, coupon_code=code)
            assert answer.status is Status.CONFIRMED
            let_time_pass(sdk, 6 * 3600, step_s=300)
            (job,) = at_rest(sdk)[1]
            assert (job.state, job.tries) == (JobState.DUE, 0)
            sandbox.start()
            let_time_pass(sdk, 600)
            row, owed = at_rest(sdk)
        assert (row.status, owed, len(rows(sandbox))) == (Status.ENROLLED, [], 1)

    def test_refusal_for_good_is_dead_with_a_cause(self, sandbox):
        """Scenario 26: 417 and no row: never retried, a human reads why and retries."""
        headers = {"exc_type": "ValidationError"}
        sandbox.fail_next(INSERT, "error", status=417, headers=headers)
        with start_sdk(sandbox) as sdk:
            enroll(sdk)
            let_time_pass(sdk)
            row, (job,) = at_rest(sdk)
            assert (row.status, row.lms_status) == (Status.CONFIRMED, LMSStatus.DEAD)
            assert (job.state, len(job.errors)) == (JobState.DEAD, 1)
            assert "unpublished" in job.errors[0].cause
            assert rows(sandbox) == []
            sdk.admin.retry(row.id)
            let_time_pass(sdk, 300)
            row, owed = at_rest(sdk)
        assert (row.status, owed, len(rows(sandbox))) == (Status.ENROLLED, [], 1)

    def test_refused_duplicate_is_a_success(self, sandbox):
        """Scenario 26: 417 because somebody else was faster: their row is kept."""
        sandbox.site.duplicates = "refused"
        with start_sdk(sandbox, inline_s=0) as sdk:
            enroll(sdk)
            fault = sandbox.fail_next(INSERT, "latency", seconds=30)
            with ThreadPoolExecutor(1) as pool:
                sdk.lms.call_timeout_s = 10
                running = pool.submit(let_time_pass, sdk, 60)
                wait_for(lambda: fault.seen)
                other = sandbox.site.insert(
                    "LMS Enrollment", {"member": ADA, "course": COURSE}
                )
                sandbox.heal()
                running.result(10)
            row, owed = at_rest(sdk)
        assert (row.status, owed) == (Status.ENROLLED, [])
        assert [row.lms_enrollment_id] == [found["name"] for found in rows(sandbox)]
        assert row.lms_enrollment_id == other["name"]

    def test_blind_key_never_inserts_twice(self, sandbox):
        """A key that inserts and can't see is a backend fault: one row, jobs wait."""
        with start_sdk(sandbox) as sdk:
            sdk.catalogue.get(COURSE)
            sandbox.site.role = "Batch Evaluator"
            sdk.lms.ping()
            enroll(sdk)
            let_time_pass(sdk, 1800)
            row, (job,) = at_rest(sdk)
            assert (row.status, job.state) == (Status.CONFIRMED, JobState.DUE)
            assert len(rows(sandbox)) == 1
            sandbox.site.role = "Moderator"
            let_time_pass(sdk, 1800)
            row, owed = at_rest(sdk)
        assert (row.status, owed, len(rows(sandbox))) == (Status.ENROLLED, [], 1)
