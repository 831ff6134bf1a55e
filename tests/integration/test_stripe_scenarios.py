# SPDX-License-Identifier: MIT
"""Races, disorder and forgery around one payment, at Stripe's sandbox, both ways."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from support.shop import ADA, COURSE, Shop
from support.size import with_the_first_python

from frappe_enroll_sdk import clock as clocks
from frappe_enroll_sdk.errors import CouponUnavailableError
from frappe_enroll_sdk.models import JobState, Status
from frappe_enroll_stripe.records import ID_KEY


#: The same rules in memory run with every Python (test_scenarios.py, the units).
pytestmark = with_the_first_python

BOB = "bob@example.com"
INSERT = "POST .*LMS Enrollment"
AMOUNT = {"amount_total": 1}
CURRENCY = {"currency": "eur"}


@pytest.fixture
def shop(open_storage):
    """Return a shop on each store, whose webhooks are held until released."""
    with Shop(open_storage, lms_rate_per_s=0) as shop:
        shop.stripe.webhooks.held = True
        yield shop


def coupon(shop):
    """Return a code of one use that takes off a half."""
    return shop.sdk.coupons.create(50, COURSE).code


def seats(shop, code):
    """Return how many seats of a code are held, and how many are used up."""
    found = shop.storage.coupons.find(code)
    return found.reserved, found.redeemed


def test_payment_after_another_took_the_lapsed_code(shop):
    """Scenario 6: the code is bob's; ada's money is held, alerted and listed."""
    code = coupon(shop)
    ada = shop.checkout(coupon_code=code)
    shop.clock.advance(900.5)
    bob = shop.checkout(BOB, coupon_code=code)
    session = shop.account.sessions[ada.session_id]
    assert session["status"] == "expired"
    # Stripe takes no payment of an expired session; if it ever did, it is not lost.
    session["status"] = "open"
    shop.account.pay(ada.session_id)
    shop.news("shuffled")
    shop.check_end(ada, Status.ON_HOLD)
    shop.check_end(bob, Status.AWAITING_PAYMENT)
    assert [i.reason for i in shop.sdk.admin.quarantine().items] == ["late_payment"]
    assert ("late_payment", ada.id) in shop.ears.alerts
    assert seats(shop, code) == (1, 0)
    shop.account.pay(bob.session_id)
    shop.sdk.admin.accept(ada.id, "op", "she has paid")
    shop.news()
    shop.check_end(ada, Status.ENROLLED)
    shop.check_end(bob, Status.ENROLLED)
    assert seats(shop, code) == (0, 1)
    assert ("coupon_gone", ada.id) in shop.ears.alerts


def test_lapsed_code_stays_while_stripe_is_silent(shop):
    """Scenario 6: nobody can ask whether ada pays: her hold stands, and she does."""
    code = coupon(shop)
    ada = shop.checkout(coupon_code=code)
    shop.clock.advance(900.5)
    shop.stripe.fail_next("POST .*expire", "status", status=503)
    with pytest.raises(CouponUnavailableError):
        shop.checkout(BOB, coupon_code=code)
    shop.stripe.heal()
    shop.account.pay(ada.session_id)
    shop.news()
    shop.check_end(ada, Status.ENROLLED)
    assert seats(shop, code) == (0, 1)


@pytest.mark.parametrize("delayed", [False, True])
def test_payment_in_the_moment_of_the_expiry_is_kept(shop, delayed):
    """Scenario 7: "not open" → looked at: paid is fulfilled, unpaid goes on holding."""
    code = coupon(shop)
    ada = shop.checkout(coupon_code=code)
    shop.clock.advance(901)
    expire = shop.account.expire_session

    def too_late(session_id):
        shop.account.expire_session = expire
        shop.account.pay(session_id, delayed=delayed)
        return expire(session_id)

    shop.account.expire_session = too_late
    with pytest.raises(CouponUnavailableError):
        shop.checkout(BOB, coupon_code=code)
    assert shop.account.expire_session is expire
    assert seats(shop, code) == ((1, 0) if delayed else (0, 1))
    if delayed:
        shop.check_end(ada, Status.AWAITING_PAYMENT)
        shop.account.settle_delayed(ada.session_id, ok=True)
    shop.news("reversed")
    shop.check_end(ada, Status.ENROLLED)
    assert seats(shop, code) == (0, 1)


class TrueTime:
    """The time, whatever this host believes."""

    def now(self):
        """Return it."""
        return clocks.to_milliseconds(datetime.now(UTC))


@pytest.mark.parametrize("minutes", [10, -10])
def test_host_whose_clock_is_off_changes_nothing(open_storage, monkeypatch, minutes):
    """Scenario 8: the store's time decides: nothing early, and nothing late."""

    class WrongTime(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(minutes=minutes)

    more = {"clock": TrueTime(), "reservation_s": 300, "inline_s": 0}
    with Shop(open_storage, lms_rate_per_s=0, **more) as shop:
        shop.stripe.webhooks.held = True
        code, jobs = coupon(shop), shop.storage.jobs
        ada = shop.checkout(coupon_code=code)
        eve, _ = shop.pay("eve@example.com")
        shop.sdk.settle(eve.id)
        now = shop.clock.now()
        (claim,) = jobs.claim("another host", now, 60, 1, kinds=["sync"])
        monkeypatch.setattr(clocks, "datetime", WrongTime)
        assert abs(clocks.SystemClock().now() - now) > timedelta(minutes=9)
        with shop.new_sdk(by_the_store=True) as wrong:
            wrong.run_jobs()
            with pytest.raises(CouponUnavailableError):
                wrong.checkout(course_id=COURSE, email=BOB, coupon_code=code)
            shop.check_end(ada, Status.AWAITING_PAYMENT)
            assert seats(shop, code) == (1, 0)
            shop.check_end(eve, Status.CONFIRMED)
            assert jobs.reschedule(claim.token, now, now, counts=False)
            while wrong.run_jobs().claimed:
                pass
        shop.check_end(eve, Status.ENROLLED)


@pytest.mark.parametrize("order", ["as_is", "reversed"])
def test_delayed_payment_is_told_in_any_order(shop, order):
    """Scenario 14: `async_payment_succeeded` before `completed` (unpaid): paid."""
    row = shop.checkout()
    completed = shop.account.pay(row.session_id, delayed=True)
    if order == "as_is":
        assert shop.send(completed)[1]["outcome"] == "processed"
        shop.check_end(row, Status.AWAITING_PAYMENT)
    succeeded = shop.account.settle_delayed(row.session_id, ok=True)
    assert shop.send(succeeded)[1]["outcome"] == "processed"
    shop.stripe.webhooks.copies = 2
    shop.news(order)
    shop.check_end(row, Status.ENROLLED)
    assert [e.fact for e in shop.row(row.id).history].count("paid") == 1


def test_expired_event_after_the_payment_is_nothing(shop):
    """Scenario 15: `expired` of a session that was paid: neither row nor seat moves."""
    code = coupon(shop)
    row, _ = shop.pay(coupon_code=code)
    shop.news()
    before = shop.row(row.id)
    told = shop.account.session(row.session_id) | {"status": "expired"}
    told["payment_status"] = "unpaid"
    shop.account.emit("checkout.session.expired", told)
    shop.news()
    assert shop.row(row.id) == before
    shop.check_end(row, Status.ENROLLED)
    assert seats(shop, code) == (0, 1)


def test_refund_during_the_backoff_of_the_enrolment(shop):
    """Scenario 17: paid, the LMS down, refunded: nothing is ever inserted."""
    shop.lms.fail_next(INSERT, "html", status=502, times=1000)
    row, payment = shop.pay()
    shop.news()
    assert shop.row(row.id).status is Status.CONFIRMED
    shop.account.refund(payment)
    shop.news()
    shop.lms.heal()
    inserts = []
    shop.lms.site.insert = lambda *told: inserts.append(told)
    # Past the day for which the LMS is looked at after an insert without an answer.
    shop.rest(130, 1000, 8000, 90_000)
    shop.check_end(row, Status.REVOKED)
    assert inserts == []
    assert shop.ears.enrolled == []
    assert shop.storage.jobs.list(state=JobState.DUE).items == ()


def test_refund_between_claim_and_insert(shop):
    """Scenario 17: refunded while the insert is on its way: revoked after it."""
    row, payment = shop.pay()
    insert = shop.lms.site.insert

    def late_insert(*told):
        shop.lms.site.insert = insert
        shop.account.refund(payment)
        for event in list(shop.account.events.values())[-2:]:
            assert shop.send(event)[0] == 200
        return insert(*told)

    shop.lms.site.insert = late_insert
    shop.news()
    shop.rest(130, 1000)
    shop.check_end(row, Status.REVOKED)
    assert shop.lms.site.insert == insert


@pytest.mark.parametrize(
    ("forged", "reason"),
    [(AMOUNT, "amount_mismatch"), (CURRENCY, "currency_mismatch")],
)
def test_payment_that_does_not_fit_opens_nothing(shop, forged, reason):
    """Scenario 22: rightly signed, another amount or currency → held, no access."""
    row = shop.checkout()
    shop.account.sessions[row.session_id].update(forged)
    event = shop.account.pay(row.session_id)
    status, answer = shop.send(event)
    assert (status, answer["outcome"]) == (200, "quarantined")
    shop.rest(0, 130)
    shop.check_end(row, Status.ON_HOLD)
    (item,) = shop.sdk.admin.quarantine().items
    assert (item.id, item.reason) == (row.id, reason)
    assert (reason, row.id) in shop.ears.alerts
    shop.sdk.admin.dismiss(row.id, "op", "not ours")
    shop.news("shuffled")
    shop.rest(0, 130)
    assert shop.lms_rows(row) == 0


@pytest.mark.parametrize("live", [False, True], ids=["test store", "live store"])
def test_payment_of_the_other_mode_opens_nothing(open_storage, live):
    """Scenario 22: a live event at a test store and a test event at a live one."""
    with Shop(open_storage, live=live, lms_rate_per_s=0) as shop:
        shop.stripe.webhooks.held = True
        row = shop.checkout()
        event = shop.account.pay(row.session_id) | {"livemode": not live}
        event["data"]["object"]["livemode"] = not live
        status, answer = shop.send(event)
        assert (status, answer["outcome"]) == (200, "quarantined")
        shop.check_end(row, Status.AWAITING_PAYMENT)
        (item,) = shop.sdk.admin.quarantine().items
        assert (item.id, item.reason) == (event["id"], "mode_mismatch")
        assert ("mode_mismatch", event["id"]) in shop.ears.alerts


def test_swapped_metadata_enrolls_the_stored_learner(shop):
    """Scenario 23: address and id of an attacker → the stored order's learner is in."""
    row, attacker = shop.checkout(ADA), shop.checkout("mallory@example.com")
    session = shop.account.sessions[row.session_id]
    session["metadata"] |= {ID_KEY: attacker.id, "email": attacker.email}
    session |= {
        "customer_email": attacker.email,
        "client_reference_id": attacker.id,
    }
    shop.account.pay(row.session_id)
    shop.news()
    shop.check_end(row, Status.ENROLLED)
    shop.check_end(attacker, Status.AWAITING_PAYMENT)
    (enrolled,) = shop.lms.site.enrollments()
    assert enrolled["member"] == ADA
