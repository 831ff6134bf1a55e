# SPDX-License-Identifier: MIT
"""Whose rows of the LMS are touched: ours, and never anybody else's; over HTTP."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.lms_side import ADA, COURSE, INSERT, new_lms, rows
from support.size import LEAST, PROGRAM_DIFFERS

from frappe_enroll_sandbox import LMSSandbox
from frappe_enroll_sdk import EnrollSDK, Settings, hookimpl
from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.models import JobState, Status
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sdk.testing.payments import FakePayments


pytestmark = pytest.mark.skipif(LEAST, reason=PROGRAM_DIFFERS)


class Shop:
    """An SDK over an LMS sandbox, and the alerts that it gave."""

    def __init__(self, sandbox) -> None:
        self.site, self.clock, self.alerts = sandbox.site, sandbox.clock, []
        self.details = []
        self.sdk = EnrollSDK(
            Settings(public_url="http://127.0.0.1:5000", inline_s=0, lms_rate_per_s=0),
            storage=MemoryStorage(self.clock),
            payments=FakePayments(self.clock),
            lms=new_lms(sandbox),
            clock=self.clock,
            plugins=[self],
            discover=False,
        )

    @hookimpl
    def on_alert(self, code, detail):
        """Note one."""
        self.alerts.append(code)
        self.details.append(detail)

    def enroll(self, email=ADA):
        """Let a learner redeem a grant; return the enrollment's id."""
        code = self.sdk.coupons.create(100, COURSE).code
        answer = self.sdk.checkout(course_id=COURSE, email=email, coupon_code=code)
        return answer.enrollment_id

    def work(self, seconds=600):
        """Run cron for a while; nothing is owed in the end."""
        # Minute by minute at first.
        for second in range(0, seconds, 60):
            if second < 1200 or second % 3600 == 0:
                self.sdk.run_jobs()
            self.clock.advance(60)
        self.sdk.run_jobs()
        assert {job.state for job in self.sdk.storage.jobs.list().items} == {"done"}

    def insert(self, *, by="admin@example.com", **fields):
        """Let somebody else enroll the learner, as a batch or a Mentor, say."""
        row = self.site.insert(
            "LMS Enrollment", {"member": ADA, "course": COURSE} | fields
        )
        row["modified_by"] = by
        return row

    def lose_an_insert(self, sandbox):
        """Let the learner redeem a grant whose insert is never heard of again."""
        sandbox.fail_next(INSERT, "html", status=502)
        row_id = self.enroll()
        self.sdk.run_jobs()
        return row_id


@pytest.fixture
def sandbox():
    """Return a site with a free course's price and a learner."""
    with LMSSandbox(FakeClock()) as server:
        server.site.add_course(COURSE, 49.0, "USD")
        server.site.add_user(ADA)
        yield server


@pytest.fixture
def shop(sandbox):
    """Return a shop over the site."""
    shop = Shop(sandbox)
    yield shop
    shop.sdk.close()


KEPT = [
    {"certificate": "CERT-1"},
    {"enrollment_from_batch": "autumn"},
    {"member_type": "Mentor"},
]


@pytest.mark.parametrize("fields", KEPT, ids=lambda fields: next(iter(fields)))
def test_row_of_ours_that_has_become_more_is_not_deleted(shop, sandbox, fields):
    """A certificate, a batch, another kind of member: an operator decides there."""
    row_id = shop.enroll()
    shop.work()
    rows(sandbox)[0].update(fields)
    shop.sdk.enrollments.revoke(row_id, "op", "asked to")
    shop.work()
    assert len(rows(sandbox)) == 1
    assert shop.alerts == ["lms_row_not_removable"]


def test_row_that_stood_before_ours_is_used_and_left(shop, sandbox):
    """It entitles; when ours is revoked it stays: we did not make it."""
    row_id = shop.enroll()
    theirs = shop.insert()
    shop.work()
    row = shop.sdk.enrollments.get(row_id)
    assert (row.status, row.lms_enrollment_id, row.lms_row_ours) == (
        Status.ENROLLED,
        theirs["name"],
        False,
    )
    shop.sdk.enrollments.revoke(row_id, "op", "asked to")
    shop.work()
    assert [row["name"] for row in rows(sandbox)] == [theirs["name"]]


def test_learner_who_had_the_course_already_is_told_to_the_operator(shop, sandbox):
    """Sold while the LMS was down, when nobody could see it: refund?"""
    shop.sdk.catalogue.get(COURSE)
    shop.insert()
    sandbox.stop()
    answer = shop.sdk.checkout(course_id=COURSE, email=ADA)
    session_id = shop.sdk.enrollments.get(answer.enrollment_id).session_id
    shop.sdk.payments.pay(session_id)
    shop.sdk.confirm_return(session_id)
    sandbox.start()
    shop.work()
    assert shop.alerts == ["paid_but_already_enrolled"]
    assert len(rows(sandbox)) == 1


@pytest.mark.parametrize("fields", [{}, *KEPT], ids=str)
def test_row_of_somebody_else_beside_ours_is_told(shop, sandbox, fields):
    """Made by hand or by a batch, before the next sync looks: both stay."""
    shop.enroll()
    shop.work()
    (ours,) = rows(sandbox)
    theirs = shop.insert(**fields)
    (job,) = shop.sdk.storage.jobs.list().items
    now = shop.clock.now()
    shop.sdk.storage.jobs.enqueue(job.key, job.kind, job.payload, now, now=now)
    shop.work()
    assert [row["name"] for row in rows(sandbox)] == [ours["name"], theirs["name"]]
    assert shop.alerts == ["lms_duplicate_not_ours"]
    assert shop.details == [{"kept": ours["name"], "row": theirs["name"]}]


@pytest.mark.parametrize("entitled", [False, True])
def test_row_made_by_hand_after_an_unclear_insert_is_not_ours(shop, sandbox, entitled):
    """An administrator enrolls the learner who waits: a refund leaves that row."""
    row_id = shop.lose_an_insert(sandbox)
    theirs = shop.insert()
    if entitled:
        shop.work(90_000)
        row = shop.sdk.enrollments.get(row_id)
        assert (row.lms_enrollment_id, row.lms_row_ours) == (theirs["name"], False)
    shop.sdk.enrollments.revoke(row_id, "op", "a refund")
    shop.work(90_000)
    assert [row["name"] for row in rows(sandbox)] == [theirs["name"]]
    assert shop.alerts == []


def test_row_that_the_learner_has_touched_before_any_look_is_told(shop, sandbox):
    """It proves nothing any more: after a refund an operator decides, by its name."""
    sandbox.fail_next(INSERT, "commit_then_500")
    row_id = shop.enroll()
    shop.sdk.run_jobs()
    (late,) = rows(sandbox)
    late.update(modified="2026-12-31 00:00:00.000000", modified_by=ADA, progress=5.0)
    shop.clock.advance(200)
    shop.sdk.run_jobs()
    assert shop.sdk.enrollments.get(row_id).status is Status.ENROLLED
    shop.sdk.enrollments.revoke(row_id, "op", "a refund")
    shop.work(90_000)
    assert rows(sandbox) == [late]
    assert set(shop.alerts) == {"lms_row_unclear"}
    assert {"row": late["name"]} in shop.details


def test_two_rows_by_our_key_and_one_insert_are_both_left(shop, sandbox):
    """Somebody works with our key, too: nobody can say which of the two is ours."""
    row_id = shop.lose_an_insert(sandbox)
    made = {shop.insert(by=shop.site.user)["name"] for _ in range(2)}
    shop.sdk.enrollments.revoke(row_id, "op", "a refund")
    shop.work(90_000)
    assert {row["name"] for row in rows(sandbox)} == made
    assert set(shop.alerts) == {"lms_row_unclear"}


@pytest.mark.parametrize("entitled", [True, False])
def test_reconcile_heals_what_came_when_nobody_looked_any_more(shop, sandbox, entitled):
    """Days later: the record says that the row is ours, and the report says so."""
    row_id = shop.lose_an_insert(sandbox)
    shop.work(90_000)
    (known,) = rows(sandbox)
    if not entitled:
        shop.sdk.enrollments.revoke(row_id, "op", "a refund")
        shop.work()
    late = shop.insert(by=shop.site.user)
    shop.work()
    assert late in rows(sandbox)
    (found,) = shop.sdk.admin.reconcile(repair=True).findings
    wanted = "lms_duplicates" if entitled else "refunded_still_enrolled"
    assert (found.difference, found.enrollment_id) == (wanted, row_id)
    assert late["name"] in found.cause
    shop.work()
    assert rows(sandbox) == ([known] if entitled else [])
    assert shop.sdk.admin.reconcile().findings == ()
    assert shop.alerts == []


def test_progress_comes_back_with_a_reinstatement(shop, sandbox):
    """What the deleted row had reached is kept, and given to the new one."""
    row_id = shop.enroll()
    shop.work()
    rows(sandbox)[0]["progress"] = 40.0
    shop.sdk.enrollments.revoke(row_id, "op", "a refund")
    shop.work()
    assert rows(sandbox) == []
    shop.sdk.enrollments.reinstate(row_id, "op", "it failed")
    shop.work()
    (row,) = rows(sandbox)
    assert row["progress"] == 40.0
    assert shop.sdk.enrollments.get(row_id).status is Status.ENROLLED


def test_users_are_created_two_at_a_time(shop, sandbox):
    """Frappe deadlocks beyond that: the permits hold over all threads and hosts."""
    sandbox.site.deadlocks = True
    create, lock, now = sandbox.site._insert_user, threading.Lock(), [0, 0]

    def counted(fields):
        with lock:
            now[0] += 1
            now[1] = max(now)
        time.sleep(0.03)
        try:
            return create(fields)
        finally:
            with lock:
                now[0] -= 1

    sandbox.site._insert_user = counted
    ids = [shop.enroll(f"new{number}@example.com") for number in range(8)]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(20):
            for wait in [pool.submit(shop.sdk.run_jobs) for _ in range(6)]:
                wait.result(60)
            shop.clock.advance(5)
    assert now[1] == 2
    jobs = shop.sdk.storage.jobs.list().items
    assert [(job.state, job.errors) for job in jobs] == [(JobState.DONE, ())] * 8
    assert {shop.sdk.enrollments.get(n).status for n in ids} == {Status.ENROLLED}
