# SPDX-License-Identifier: MIT
"""The commerce scenarios of payments, against Stripe's sandbox over HTTP, both ways."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.shop import Shop

from frappe_enroll_sdk.errors import EnrollmentNotFoundError, TransitionError
from frappe_enroll_sdk.models import JobState, Status
from frappe_enroll_sdk.services.operators.differences import Difference


@pytest.fixture
def shop(open_storage):
    """Return a shop on each store, whose webhooks are held until released."""
    with Shop(open_storage, lms_rate_per_s=0) as shop:
        shop.stripe.webhooks.held = True
        yield shop


@pytest.mark.parametrize("order", ["as_is", "reversed", "shuffled"])
def test_refund_ends_revoked_in_any_order(shop, order):
    """Scenarios 16 and 18: 40 % and 60 %, before or after `completed` → revoked."""
    row, payment = shop.pay()
    shop.account.refund(payment, 1960)
    shop.account.refund(payment)
    shop.stripe.webhooks.copies = 2
    shop.news(order)
    shop.check_end(row, Status.REVOKED)
    assert shop.row(row.id).refunded_minor == 4900


def test_refund_that_fails_reinstates_once(shop):
    """Scenario 19: succeeded → failed → enrolled again, by one more transition."""
    row, payment = shop.pay()
    refund = shop.account.refund(payment)
    shop.news()
    shop.check_end(row, Status.REVOKED)
    shop.account.fail_refund(refund["id"])
    shop.stripe.webhooks.copies = 3
    shop.news()
    shop.check_end(row, Status.ENROLLED)
    facts = [entry.fact for entry in shop.row(row.id).history]
    assert facts.count("refund_failed") == 1


@pytest.mark.parametrize("order", ["as_is", "reversed", "shuffled"])
@pytest.mark.parametrize(
    ("first", "last", "status"),
    [
        ("needs_response", "won", Status.ENROLLED),
        ("needs_response", "lost", Status.REVOKED),
        ("warning_needs_response", "warning_under_review", Status.ENROLLED),
    ],
)
def test_dispute_ends_right_in_any_order(shop, order, first, last, status):
    """Scenario 20: suspended while open; what comes after depends on the end alone."""
    row, payment = shop.pay()
    shop.news()
    dispute = shop.account.dispute(payment, first)
    shop.news(order)
    warning = first.startswith("warning")
    shop.check_end(row, Status.ENROLLED if warning else Status.ON_HOLD)
    shop.account.move_dispute(dispute["id"], last)
    shop.news(order)
    shop.check_end(row, status)


def test_payment_that_two_events_tell_is_one_effect(shop):
    """Scenarios 12 and 13: another id, a thin copy, a resend: duplicates."""
    row = shop.checkout()
    event = shop.account.pay(row.session_id)
    thin = {
        "id": "evt_thin_1",
        "object": "v2.core.event",
        "type": "v1.checkout.session.completed",
        "created": "2026-01-01T00:00:00Z",
        "livemode": False,
        "related_object": {"id": row.session_id, "type": "checkout.session"},
        "snapshot_event": event["id"],
    }
    assert shop.send(thin)[1]["outcome"] == "processed"
    assert shop.send(event)[1]["outcome"] == "duplicate"
    assert shop.send(event | {"id": "evt_other_endpoint"})[1]["outcome"] == "duplicate"
    shop.rest(29 * 86400)
    shop.sdk.admin.prune(events_older_than=timedelta(days=1))
    assert shop.send(event)[1]["outcome"] == "duplicate"
    shop.check_end(row, Status.ENROLLED)
    assert [e.fact for e in shop.row(row.id).history].count("paid") == 1


def test_payment_after_the_exit_waits_for_an_operator(shop):
    """Scenario 6: cancelled, then paid → held, alerted, listed; accepted by a word."""
    row = shop.checkout()
    event = shop.account.pay(row.session_id)
    session = shop.account.sessions[row.session_id]
    session.update(status="expired", payment_status="unpaid")
    shop.sdk.settle(row.id)
    session.update(status="complete", payment_status="paid")
    assert shop.send(event)[1]["outcome"] == "quarantined"
    (item,) = shop.sdk.admin.quarantine().items
    assert (item.id, item.kind, item.reason) == (row.id, "enrollment", "late_payment")
    assert ("late_payment", row.id) in shop.ears.alerts
    shop.sdk.admin.accept(row.id, "op", "paid by bank")
    shop.rest(0)
    shop.check_end(row, Status.ENROLLED)
    assert shop.sdk.admin.quarantine().items == ()
    assert [e.actor for e in shop.storage.audit.list(subject=row.id).items] == ["op"]


def test_foreign_session_with_our_mark_is_accepted_or_dismissed(shop):
    """Scenario 22: quarantined as an event; accepting it gives its payment over."""
    row = shop.checkout()
    foreign = dict(shop.account.session(row.session_id))
    foreign |= {"id": "cs_foreign", "status": "complete", "payment_status": "paid"}
    foreign["payment_intent"] = "pi_foreign"
    event = shop.account.emit("checkout.session.completed", foreign)
    assert shop.send(event)[1]["outcome"] == "quarantined"
    shop.check_end(row, Status.AWAITING_PAYMENT)
    (item,) = shop.sdk.admin.quarantine().items
    assert (item.id, item.reason) == (event["id"], "foreign_session")
    other = shop.account.emit("checkout.session.completed", foreign)
    shop.send(other)
    assert shop.sdk.admin.dismiss(other["id"], "op", "a copy") == "dismissed"
    shop.sdk.admin.accept(event["id"], "op", "paid by link")
    shop.rest(0)
    shop.check_end(row, Status.ENROLLED)
    assert shop.row(row.id).payment_id == "pi_foreign"
    # Replayed, or told once more: it has had its effect.
    assert shop.sdk.admin.replay_event(event["id"]).outcome == "duplicate"
    assert shop.send(event | {"id": "evt_copy"})[1]["outcome"] == "duplicate"
    assert shop.account.sessions[row.session_id]["status"] == "expired"
    assert shop.sdk.admin.quarantine().items == ()


def test_accepted_event_that_does_not_fit_waits_on(shop):
    """Scenario 22: its own payment holds the row: another's can't take it over."""
    row = shop.checkout()
    session = shop.account.sessions[row.session_id]
    session["amount_total"] = 1
    own = shop.account.pay(row.session_id)
    foreign = dict(session) | {"id": "cs_foreign", "payment_intent": "pi_foreign"}
    event = shop.account.emit("checkout.session.completed", foreign)
    shop.send(own)
    shop.send(event)
    shop.check_end(row, Status.ON_HOLD)
    assert shop.sdk.admin.stats().quarantined == 2
    with pytest.raises(TransitionError):
        shop.sdk.admin.accept(event["id"], "op", "why")
    shop.rest(0)
    shop.check_end(row, Status.ON_HOLD)
    assert shop.row(row.id).payment_id != "pi_foreign"
    waiting = {item.id: item.reason for item in shop.sdk.admin.quarantine().items}
    assert waiting == {row.id: "amount_mismatch", event["id"]: "foreign_session"}
    assert shop.ears.alerts.count(("foreign_session", event["id"])) == 2


def test_event_that_names_nobody_needs_a_name(shop):
    """Scenario 22: our mark, no row: accept asks whose payment it is."""
    row = shop.checkout()
    foreign = dict(shop.account.session(row.session_id))
    foreign |= {"id": "cs_x", "status": "complete", "payment_status": "paid"}
    foreign["metadata"] = {"frappe_enroll_app": "frappe-enroll-sdk"}
    event = shop.account.emit("checkout.session.completed", foreign)
    assert shop.send(event)[1]["outcome"] == "quarantined"
    with pytest.raises(EnrollmentNotFoundError):
        shop.sdk.admin.accept(event["id"], "op", "why")


def test_missed_events_are_pulled_quietly(shop):
    """Nothing was delivered: pull feeds it, once, and with no-notify nobody hears."""
    row, _ = shop.pay()
    shop.stripe.webhooks.drop()
    since = shop.clock.now() - timedelta(hours=1)
    pulled = shop.sdk.admin.pull_events(since, notify=False)
    assert pulled.fed >= 1
    shop.rest(0)
    shop.check_end(row, Status.ENROLLED)
    assert shop.ears.enrolled == []
    assert shop.sdk.admin.pull_events(since).fed == 0


def test_reconcile_finds_and_repairs(shop):
    """Paid but never told, refunded but never told: found dry, mended with repair."""
    lost, _ = shop.pay("bob@example.com")
    refunded, payment = shop.pay()
    shop.stripe.webhooks.drop()
    shop.sdk.confirm_return(refunded.session_id)
    shop.rest(0)
    shop.account.refund(payment)
    shop.stripe.webhooks.drop()

    def run(*, repair):
        found, cursor = {}, None
        while True:
            report = shop.sdk.admin.reconcile(repair=repair, limit=1, cursor=cursor)
            found.update({f.enrollment_id: f.difference for f in report.findings})
            cursor = report.next_cursor
            if cursor is None:
                return found

    shop.clock.advance(200)
    wanted = {
        lost.id: Difference.PAID_NOT_CONFIRMED,
        refunded.id: Difference.REFUNDED_STILL_ENROLLED,
    }
    assert run(repair=False) == wanted
    shop.check_end(refunded, Status.ENROLLED)
    assert run(repair=True) == wanted
    shop.rest(200)
    shop.check_end(lost, Status.ENROLLED)
    shop.check_end(refunded, Status.REVOKED)
    assert run(repair=False) == {}


def test_reassigned_enrollment_takes_its_payment_along(shop):
    """The old learner's row goes, the new one's comes; a refund revokes the new one."""
    row, payment = shop.pay()
    shop.news()
    new = shop.sdk.enrollments.reassign(row.id, "bob@example.com", "op", "typo")
    shop.rest(0)
    shop.check_end(row, Status.REVOKED)
    shop.check_end(new, Status.ENROLLED)
    again = shop.sdk.enrollments.reassign(row.id, "bob@example.com", "op", "typo")
    assert again.id == new.id
    shop.account.refund(payment)
    shop.news()
    shop.check_end(new, Status.REVOKED)


def test_declined_card_is_a_line_in_the_trail(shop):
    """A failed try is written down and changes nothing."""
    row = shop.checkout()
    event = shop.account.decline(row.session_id)
    assert shop.send(event)[1]["outcome"] == "processed"
    (entry,) = shop.storage.audit.list(subject=row.id).items
    assert (entry.id, entry.detail["code"]) == (event["id"], "card_declined")
    shop.check_end(row, Status.AWAITING_PAYMENT)
    assert shop.storage.events.find(event["id"]).state is JobState.DONE
