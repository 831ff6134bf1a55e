# SPDX-License-Identifier: MIT
"""The commerce scenarios of jobs, over HTTP on all sides: Stripe, LMS, operators."""

from __future__ import annotations

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from support.lms_side import ADA, INSERT, wait_for
from support.shop import Shop
from support.site import ADMIN, OPERATOR
from support.size import LEAST, SERVER_DIFFERS

from frappe_enroll_sdk import hookimpl
from frappe_enroll_sdk.errors import ValidationError
from frappe_enroll_sdk.models import JobState, LMSStatus, Status
from frappe_enroll_sdk.outcomes import Done
from frappe_enroll_sql.storage import SQLStorage


pytestmark = pytest.mark.skipif(LEAST, reason=SERVER_DIFFERS)
#: A call may take longer than anything that these tests do meanwhile.
TIMEOUT_S, LEASE_S = 60, 200
SETTINGS = {"inline_s": 0, "frappe_lms_timeout_s": TIMEOUT_S, "lease_s": LEASE_S}
#: Seconds by which time goes on: past leases, verification and the whole schedule.
LATER = (130, 130, 250, 500, 1000, 2000)


class Mail:
    """A plugin that owes each learner one mail."""

    def __init__(self):
        self.sent = []

    @hookimpl
    def register_jobs(self, register):
        """Mail who is enrolled."""
        register("mail", self.send, on=("enrolled",))

    def send(self, context):
        """Note a mail."""
        self.sent.append(context.enrollment.id)
        return Done()


@pytest.fixture(params=["sql", "mongo"])
def shop(request, db_folder):
    """Return a shop on each store; webhooks are held until they are released."""
    if request.param == "sql":

        def opened():
            return SQLStorage(f"sqlite:///{db_folder}/store.sqlite3")
    else:
        from frappe_enroll_mongo.storage import MongoStorage  # noqa: PLC0415  an extra

        uri, name = request.getfixturevalue("mongo_uri"), f"t_{secrets.token_hex(4)}"

        def opened():
            return MongoStorage(uri, name)

    mail = Mail()
    with Shop(opened, plugins=(mail,), lms_rate_per_s=0, **SETTINGS | ADMIN) as shop:
        shop.mail, shop.stripe.webhooks.held = mail, True
        yield shop


def paid(shop):
    """Return a row that is paid, its payment and the event; the news is held."""
    row = shop.checkout(ADA)
    event = shop.account.pay(row.session_id)
    return row, shop.account.sessions[row.session_id]["payment_intent"], event


def news(shop, order="as_is"):
    """Deliver what is held, in an order; nothing works on it yet."""
    shop.stripe.webhooks.release(order=order)
    assert shop.stripe.webhooks.wait_idle(30)
    shop.stripe.webhooks.held = True


def inserts(shop):
    """Return how often an enrolment was sent to the LMS."""
    return sum(m == "POST" and "Enrollment" in path for m, path in shop.lms.requests)


def sync(shop):
    """Return the sync job."""
    (job,) = shop.storage.jobs.list(kind="sync").items
    return job


def ends(shop, row, status):
    """Check where a row and its LMS rows have come to, once nothing is owed."""
    # Past the day for which the LMS is looked at after an insert without an answer.
    shop.rest(*LATER, 90_000)
    now = shop.row(row.id)
    assert now.status is status, now.history
    assert shop.lms_rows(now) == (status is Status.ENROLLED)
    assert sync(shop).state is JobState.DONE


def test_refund_that_is_told_before_the_payment(shop):
    """Scenario 16: `charge.refunded` before `completed` → revoked, never enrolled."""
    row, payment, _ = paid(shop)
    shop.account.refund(payment)
    news(shop, "reversed")
    shop.rest(*LATER)
    assert shop.row(row.id).status is Status.REVOKED
    assert (inserts(shop), shop.lms_rows(row), shop.mail.sent) == (0, 0, [])


def test_refund_while_the_enrolment_is_in_backoff(shop):
    """Scenario 17: the job waits for its next try, and then enrolls nobody."""
    shop.lms.fail_next(INSERT, "html", status=502)
    row, payment, _ = paid(shop)
    news(shop)
    shop.rest(0)
    assert (sync(shop).state, sync(shop).tries) == (JobState.DUE, 1)
    assert sync(shop).due_at > shop.clock.now()
    shop.account.refund(payment)
    news(shop)
    ends(shop, row, Status.REVOKED)
    assert (inserts(shop), shop.mail.sent) == (1, [])


def test_refund_between_the_claim_and_the_call(shop):
    """Scenario 17: the call is on its way already → its row is taken out after."""
    row, payment, _ = paid(shop)
    news(shop)
    fault = shop.lms.fail_next(INSERT, "latency", seconds=TIMEOUT_S)
    with ThreadPoolExecutor(1) as pool, shop.new_sdk() as second:
        running = pool.submit(shop.sdk.run_jobs)
        wait_for(lambda: fault.seen, 30)
        shop.account.refund(payment)
        news(shop)
        second.run_jobs()
        assert shop.row(row.id).status is Status.REVOKED
        shop.lms.heal()
        running.result(30)
    assert inserts(shop) == 1
    ends(shop, row, Status.REVOKED)


def test_worker_that_stalls_past_its_lease_is_fenced(shop):
    """Scenario 28: the second finishes, the first's end is refused; one mail."""
    row, _, _ = paid(shop)
    news(shop)
    fault = shop.lms.fail_next(INSERT, "latency", seconds=TIMEOUT_S)
    with ThreadPoolExecutor(1) as pool, shop.new_sdk() as second:
        running = pool.submit(shop.sdk.run_jobs)
        wait_for(lambda: fault.seen, 30)
        for _ in range(3):
            shop.clock.advance(LEASE_S + 1)
            second.run_jobs()
        assert shop.row(row.id).status is Status.ENROLLED
        done = sync(shop)
        shop.lms.heal()
        report = running.result(30)
    assert report.retried == 1, "the first one has lost its claim"
    assert inserts(shop) == 2
    assert sync(shop).seq > done.seq, "what it did is looked at once more"
    ends(shop, row, Status.ENROLLED)
    assert shop.mail.sent == [row.id]


def test_crash_on_the_last_try_ends_dead(shop):
    """Scenario 28: never pending for ever; an operator's retry goes on."""
    row, _, _ = paid(shop)
    news(shop)
    shop.lms.fail_next(INSERT, "html", status=502)
    shop.rest(0)
    for seconds in LATER[1:]:
        shop.clock.advance(seconds)
        (job,) = shop.storage.jobs.claim("dies", shop.clock.now(), 1, 1, kinds={"sync"})
    assert job.tries == 6
    shop.rest(2)
    assert (sync(shop).state, sync(shop).outcome) == (JobState.DEAD, "tries_exhausted")
    assert "died or stalled" in sync(shop).errors[-1].cause
    assert shop.row(row.id).lms_status is LMSStatus.DEAD
    assert order(shop, row) == 200
    ends(shop, row, Status.ENROLLED)


def order(shop, row):
    """Let an operator retry an enrollment over HTTP; return the status."""
    headers = {"Authorization": f"Bearer {OPERATOR}"}
    body = json.dumps({"reason": "the learner asks"}).encode()
    path = f"/admin/api/enrollments/{row.id}/retry"
    return shop.post(body, headers, path)[0]


def test_operator_schedule_and_webhook_at_once(shop):
    """Scenario 29: three retries at one moment → one enrolment, all three on record."""
    shop.lms.fail_next(INSERT, "html", status=502)
    row, _, event = paid(shop)
    news(shop)
    shop.rest(0)
    assert order(shop, row) == 200, "not due yet, and now it is"
    start = Barrier(3)

    def together(do):
        start.wait(30)
        return do()

    with ThreadPoolExecutor(3) as pool, shop.new_sdk() as cron:
        waits = [
            pool.submit(together, do)
            for do in (
                lambda: order(shop, row),
                cron.run_jobs,
                lambda: shop.send(event),
            )
        ]
        ordered, _, (answered, _) = [wait.result(60) for wait in waits]
    # An operator who comes when it runs is told that there is nothing to retry.
    assert (ordered in {200, 404}, answered) == (True, 200)
    ends(shop, row, Status.ENROLLED)
    assert (inserts(shop), shop.mail.sent) == (2, [row.id])
    moments = shop.sdk.admin.timeline(row.id).moments
    told = {(moment.kind, moment.title) for moment in moments}
    assert {("try", "lms_unavailable"), ("audit", "retry_job")} <= told
    (delivered,) = [
        m for m in moments if m.kind == "event" and m.subject == event["id"]
    ]
    assert delivered.detail == {"deliveries": 2}


def test_cleanup_runs_during_deliveries(shop):
    """Scenario 29: whatever is pruned meanwhile, a redelivery has no second effect."""
    row, _, event = paid(shop)
    news(shop)
    ends(shop, row, Status.ENROLLED)
    shop.clock.advance(86400 * 2)
    spans = {
        "events_older_than": timedelta(days=1),
        "jobs_older_than": timedelta(days=1),
    }
    with ThreadPoolExecutor(2) as pool:
        pruned = [pool.submit(shop.sdk.admin.prune, **spans) for _ in range(8)]
        sent = [pool.submit(shop.send, event) for _ in range(8)]
        assert {wait.result(60)[1]["outcome"] for wait in sent} == {"duplicate"}
        assert sum(wait.result(60)[0] for wait in pruned) >= 1
    shop.rest(*LATER)
    assert (inserts(shop), shop.mail.sent) == (1, [row.id])
    for days in (-1, 0, 10_000):
        with pytest.raises(ValidationError):
            shop.sdk.admin.prune(jobs_older_than=timedelta(days=days))
