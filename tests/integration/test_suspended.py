# SPDX-License-Identifier: MIT
"""
A worker that is suspended between its heartbeat and its insert, past every lease.

Real processes over SQLite and a real mongod, against an LMS that takes duplicates and
one that refuses them; all settings are the defaults, but for the time of one LMS call
of the worker that sleeps. Time is everybody's, and jumps.
"""

from __future__ import annotations

import secrets
import time

import attrs
import pytest
from support.lms_side import INSERT, wait_for
from support.shop import Shop
from support.size import LEAST, SERVER_DIFFERS
from support.suspended import SharedClock, suspended_pass, wake

from frappe_enroll_sdk.models import JobState, Status
from frappe_enroll_sql.storage import SQLStorage


pytestmark = pytest.mark.skipif(LEAST, reason=SERVER_DIFFERS)
SETTINGS = {"inline_s": 0, "lms_rate_per_s": 0}
#: Seconds that one LMS call of the suspended worker may take; it sleeps longer.
CALL_S = 0.3
#: Past the lease, and past the look that settles what was begun.
WORK = (70, 70, 140)
#: Past every look at the LMS.
REST = (10, 150, 600, 2400, 9600, 40_000, 90_000)


@attrs.frozen
class Stage:
    """A shop, and how another process reaches its store."""

    shop: Shop
    task: dict


@pytest.fixture(params=["sql", "mongo"])
def stage(request, db_folder, tmp_path):
    """Return a shop on each store, whose clock other processes follow."""
    if request.param == "sql":
        where = f"sqlite:///{db_folder}/store.sqlite3"

        def opened():
            return SQLStorage(where)
    else:
        from frappe_enroll_mongo.storage import MongoStorage  # noqa: PLC0415  an extra

        where = [request.getfixturevalue("mongo_uri"), f"t_{secrets.token_hex(4)}"]

        def opened():
            return MongoStorage(*where)

    clock = SharedClock(tmp_path / "offset")
    with Shop(opened, clock=clock, **SETTINGS) as shop:
        shop.stripe.webhooks.held = True
        urls = {"stripe": shop.stripe.url, "lms": shop.lms.url}
        task = {
            "urls": urls,
            "store": [request.param, where],
            "clock": str(tmp_path / "offset"),
            "settings": SETTINGS | {"frappe_lms_timeout_s": CALL_S},
        }
        yield Stage(shop, task)


def pay(shop):
    """Let a learner pay; the news is stored, and nothing works on it."""
    row = shop.checkout()
    shop.account.pay(row.session_id)
    deliver(shop)
    return row, shop.account.sessions[row.session_id]["payment_intent"]


def inserts(shop):
    """Return how often an enrolment was sent to the LMS."""
    return sum(m == "POST" and "Enrollment" in path for m, path in shop.lms.requests)


def deliver(shop):
    """Deliver what is held."""
    shop.stripe.webhooks.release(order="as_is")
    assert shop.stripe.webhooks.wait_idle(30)
    shop.stripe.webhooks.held = True


def give_back(shop, payment):
    """Refund everything; the news is worked on at once."""
    shop.account.refund(payment)
    deliver(shop)
    shop.rest(0)


def check_end(shop, row, status):
    """Check that one row is there or none; nothing is owed, and nobody was alerted."""
    now = shop.row(row.id)
    assert now.status is status, now.history
    found = shop.lms.site.enrollments(row.learner, row.course_id)
    (job,) = shop.storage.jobs.list(kind="sync").items
    assert len(found) == (status is Status.ENROLLED), (found, job.data)
    assert job.state is JobState.DONE
    if found:
        assert now.lms_enrollment_id == found[0]["name"]
    assert shop.ears.alerts == []


WAYS = [("send", False), ("verb", False), ("send", True)]


@pytest.mark.parametrize("refunded", ["later", "meanwhile"])
@pytest.mark.parametrize("duplicates", ["accepted", "refused"])
@pytest.mark.parametrize(
    ("stops", "killed"), WAYS, ids=["answer_unread", "answer_read", "killed"]
)
def test_worker_that_wakes_up_late_leaves_one_row_or_none(
    stage, stops, killed, duplicates, refunded
):
    """Another has enrolled; the late insert is found again, whoever remembers it."""
    shop = stage.shop
    shop.lms.site.duplicates = duplicates
    row, payment = pay(shop)
    with suspended_pass(stage.task | {"stops": stops, "killed": killed}) as process:
        shop.rest(*WORK)
        assert shop.row(row.id).status is Status.ENROLLED
        assert shop.lms_rows(row) == 1
        if refunded == "meanwhile":
            give_back(shop, payment)
            assert shop.lms_rows(row) == 0
        time.sleep(CALL_S)
        wake(process)
    wait_for(lambda: inserts(shop) == 2)
    if killed and (duplicates, refunded) == ("accepted", "later"):
        # Nobody has looked since; the LMS may take a moment.
        wait_for(lambda: shop.lms_rows(row) == 2)
    if refunded == "later":
        shop.rest(*REST)
        check_end(shop, row, Status.ENROLLED)
        give_back(shop, payment)
    shop.rest(*REST)
    check_end(shop, row, Status.REVOKED)


@pytest.mark.parametrize("duplicates", ["accepted", "refused"])
@pytest.mark.parametrize("refunded", ["later", "meanwhile"])
def test_insert_that_the_lms_carries_out_hours_later_is_healed(
    stage, duplicates, refunded
):
    """A database that hung: the call had timed out, and another insert was made."""
    shop = stage.shop
    shop.lms.site.duplicates = duplicates
    row, payment = pay(shop)
    shop.lms.fail_next(INSERT, "commit_later", seconds=60)
    with shop.new_sdk(frappe_lms_timeout_s=CALL_S) as impatient:
        impatient.run_jobs()
    assert shop.lms_rows(row) == 0
    shop.rest(*WORK)
    assert shop.row(row.id).status is Status.ENROLLED
    shop.rest(10_000)
    if refunded == "meanwhile":
        give_back(shop, payment)
        assert shop.lms_rows(row) == 0
    before = {one["name"] for one in shop.lms.site.enrollments(row.learner)}
    shop.lms.heal()
    if duplicates == "accepted" or refunded == "meanwhile":
        wait_for(
            lambda: (
                {one["name"] for one in shop.lms.site.enrollments(row.learner)} - before
            )
        )
    if refunded == "later":
        shop.rest(*REST)
        check_end(shop, row, Status.ENROLLED)
        give_back(shop, payment)
    shop.rest(*REST)
    check_end(shop, row, Status.REVOKED)
