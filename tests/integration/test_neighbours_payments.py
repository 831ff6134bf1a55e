# SPDX-License-Identifier: MIT
"""Objects of the provider's that we can't read, or that are not ours."""

from __future__ import annotations

import time

import pytest
from support.shop import ADA, COURSE, Shop
from support.size import with_the_first_python

from frappe_enroll_sdk.errors import (
    AmountNotChargeableError,
    CourseNotForSaleError,
    ValidationError,
)
from frappe_enroll_sdk.models import JobState, Status
from frappe_enroll_sql.storage import SQLStorage


pytestmark = with_the_first_python

#: Another product's sessions of shapes that we do not know.
FOREIGN = [
    {"payment_status": "partially_paid", "metadata": {}},
    {"amount_total": 15.5, "metadata": None},
    {"currency": "usdc", "metadata": {"order": "1"}},
    {"status": ["complete"], "payment_status": None, "metadata": {}},
    {"mode": "donation", "amount_total": "1500", "metadata": {}},
    {"total_details": {"amount_tax": "some"}, "metadata": {}},
]


@pytest.fixture
def shop(db_folder):
    """Return a shop whose webhooks wait until they are let go."""
    storage = SQLStorage(f"sqlite:///{db_folder}/store.sqlite3")
    with Shop(lambda: storage, missing_learners="create") as shop:
        shop.stripe.webhooks.held = True
        yield shop


def spoil(shop, session_id, **changes):
    """Let the account tell a session in another shape from now on."""
    shop.account.sessions[session_id].update(changes)


def other(shop, **changes):
    """Return a session of another product on the account."""
    session_id = shop.checkout("other@example.com").session_id
    mine = shop.account.sessions.pop(session_id)
    told = mine | {"id": "cs_test_other", "status": "complete", "metadata": {}}
    shop.account.sessions["cs_test_other"] = told | changes
    return {k: v for k, v in (told | changes).items() if not k.startswith("_")}


def hear(shop, kind, inner, **more):
    """Deliver an event of Stripe's about an object; return the answer's JSON."""
    event = shop.account.emit(kind, inner) | more
    shop.stripe.webhooks.drop()
    status, told = shop.send(event)
    assert status == 200, told
    return told


@pytest.mark.parametrize("shape", FOREIGN)
def test_foreign_session_of_any_shape_stops_nothing(shop, shape):
    """Its event is ignored; our lost one is pulled, and reconcile goes on beside it."""
    inner = other(shop, **shape)
    assert hear(shop, "checkout.session.completed", inner)["outcome"] == "ignored"
    row, _ = shop.pay()
    shop.stripe.webhooks.drop()
    since = shop.clock.now().replace(microsecond=0)
    shop.clock.advance(1)
    pulled = shop.sdk.admin.pull_events(since, actor="op", reason="lost")
    assert pulled.unreadable == ()
    shop.rest(0)
    shop.check_end(row, Status.ENROLLED)
    report = shop.sdk.admin.reconcile(cursor="sessions:")
    assert report.findings == ()


@pytest.mark.parametrize(
    "shape",
    [{"amount_total": "4900"}, {"currency": None}, {"payment_status": ["paid"]}],
)
def test_session_of_ours_that_cannot_be_read_is_held_and_named(shop, shape):
    """Not 400, not silent, not a stop for the others."""
    first, _ = shop.pay("first@example.com")
    second = shop.checkout("second@example.com")
    shop.account.pay(second.session_id)
    shop.stripe.webhooks.drop()
    spoil(shop, first.session_id, **shape)
    session = shop.account.sessions[first.session_id]
    inner = {k: v for k, v in session.items() if not k.startswith("_")}
    told = hear(shop, "checkout.session.completed", inner)
    assert told["outcome"] == "quarantined"
    assert ("unreadable", told["event_id"]) in shop.ears.alerts
    (waiting,) = shop.sdk.admin.quarantine().items
    assert (waiting.reason, waiting.enrollment_id) == ("unreadable", first.id)
    reports = [
        shop.sdk.admin.reconcile(repair=True, cursor=c) for c in (None, "sessions:")
    ]
    named = {
        f.subject for r in reports for f in r.findings if f.difference == "unreadable"
    }
    assert named == {first.id, first.session_id}
    shop.rest(0)
    shop.check_end(second, Status.ENROLLED)
    # A release that reads it: the event is given its effect again.
    spoil(
        shop, first.session_id, amount_total=4900, currency="usd", payment_status="paid"
    )
    shop.sdk.admin.replay_event(told["event_id"], actor="op", reason="new release")
    shop.rest(0)
    shop.check_end(first, Status.ENROLLED)


@pytest.mark.parametrize(
    "left_out", ["status", "payment_status", "currency", "amount_total"]
)
def test_event_of_another_api_version_is_read(shop, left_out):
    """What the event leaves out is asked of the provider in the pinned version."""
    row, _ = shop.pay()
    shop.stripe.webhooks.drop()
    session = shop.account.sessions[row.session_id]
    inner = {
        k: v for k, v in session.items() if not k.startswith("_") and k != left_out
    }
    told = hear(shop, "checkout.session.completed", inner, api_version="2022-08-01")
    assert told["outcome"] == "processed"
    shop.rest(0)
    shop.check_end(row, Status.ENROLLED)


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("charge.dispute.created", lambda a, p: a.dispute(p, "lost")),
        (
            "charge.refunded",
            lambda a, p: a.refund(p) and next(iter(a.charges().values())),
        ),
        ("refund.created", lambda a, p: a.refund(p)),
    ],
)
@pytest.mark.parametrize("thin", [False, True])
def test_news_that_names_no_payment_finds_it(shop, kind, make, thin):
    """By its charge or by itself; whole, and as a thin event without a snapshot."""
    row, payment = shop.pay()
    shop.news()
    shop.check_end(row, Status.ENROLLED)
    made = make(shop.account, payment)
    shop.stripe.webhooks.drop()
    if thin:
        event = {
            "id": "evt_thin_1",
            "object": "v2.core.event",
            "type": f"v1.{kind}",
            "created": "2026-11-24T12:00:00.000Z",
            "livemode": False,
            "related_object": {"id": made["id"], "type": made["object"], "url": "/x"},
        }
        status, told = shop.send(event)
        assert status == 200
    else:
        told = hear(shop, kind, made | {"payment_intent": None})
    assert told["outcome"] == "processed"
    shop.rest(0)
    shop.check_end(row, Status.REVOKED)


def test_news_of_another_products_charge_is_ignored(shop):
    """A charge that no payment intent has made is none of a checkout session's."""
    row, payment = shop.pay()
    shop.news()
    dispute = shop.account.dispute(payment) | {"id": "dp_x", "charge": "ch_x"}
    shop.stripe.webhooks.drop()
    told = hear(shop, "charge.dispute.created", dispute | {"payment_intent": None})
    assert told["outcome"] == "ignored"
    assert shop.row(row.id).status is Status.ENROLLED


class TestRestrictedKey:
    """A key that lacks a right."""

    @pytest.mark.parametrize(
        ("path", "right"),
        [
            ("POST .*/expire$", "Checkout Sessions: Write"),
            ("GET .*/v1/disputes$", "Disputes: Read"),
            ("GET .*/v1/refunds$", "Charges and Refunds: Read"),
            ("GET .*/v1/charges$", "Charges and Refunds: Read"),
            ("GET .*/v1/events$", "Events: Read"),
            ("GET .*/v1/payment_intents$", "Payment Intents: Read"),
        ],
    )
    def test_check_names_the_right(self, shop, path, right):
        """Before the first sale, not months later."""
        shop.stripe.fail_next(path, "status", status=403, times=None)
        bad = {c.name: c for c in shop.sdk.examine() if c.is_bad}
        assert set(bad) == {f"stripe right: {right}"}
        assert "API keys" in bad[f"stripe right: {right}"].mend

    @pytest.mark.parametrize("lacking", ["refunds", "disputes"])
    def test_the_other_list_takes_effect(self, shop, lacking):
        """And the event that could not be read in full is not done."""
        row, payment = shop.pay()
        shop.news()
        shop.stripe.fail_next(f"GET .*/v1/{lacking}$", "status", status=403, times=None)
        if lacking == "refunds":
            shop.account.dispute(payment, "lost")
        else:
            shop.account.refund(payment)
        shop.news()
        shop.check_end(row, Status.REVOKED)
        events = shop.storage.events.list(state=JobState.DUE).items
        assert [e.errors[-1].code for e in events] == ["backend_refused"] * len(events)
        assert events
        report = shop.sdk.admin.reconcile()
        assert [f.difference for f in report.findings] == ["unreadable"]

    def test_reconcile_repairs_what_it_can_see(self, shop):
        """A refund that nobody told of, with a key that may not read disputes."""
        _, payment = shop.pay()
        shop.news()
        shop.account.refund(payment)
        shop.stripe.webhooks.drop()
        shop.stripe.fail_next("GET .*/v1/disputes$", "status", status=403, times=None)
        found = shop.sdk.admin.reconcile().findings
        assert {f.difference for f in found} == {
            "unreadable",
            "refunded_still_enrolled",
        }


class TestPrices:
    """Courses whose price the provider would refuse."""

    @pytest.mark.parametrize(
        ("price", "currency"),
        [(49, "USDT"), (-5, "USD"), (49, None), ("NaN", "USD"), (1, "XAU"), (9, "HRK")],
    )
    def test_one_that_cannot_be_read_is_out_of_sale(self, shop, price, currency):
        """The catalogue stands; it is not free either, whatever the settings say."""
        shop.lms.site.add_course("odd-1", 1.0, "USD")
        course = shop.lms.site.tables["LMS Course"]["odd-1"]
        course |= {"course_price": price, "currency": currency}
        names = [c.id for c in shop.sdk.catalogue.list().items]
        assert names == ["odd-1", COURSE]
        sdk = shop.new_sdk(free_courses=True)
        sdk.coupons.create(10, "odd-1", code="TEN-1")
        for code in (None, "TEN-1"):
            with pytest.raises(CourseNotForSaleError, match="can't be read"):
                sdk.checkout(course_id="odd-1", email="a@example.com", coupon_code=code)
        bad = [c for c in shop.sdk.examine() if c.is_bad]
        assert [(c.name, c.state) for c in bad] == [
            ("price of odd-1", "not_chargeable")
        ]

    @pytest.mark.parametrize(
        ("price", "currency"),
        [(14.999, "KWD"), (4900.5, "ISK"), (1.001, "BHD"), (36_500.25, "UGX")],
    )
    def test_one_between_two_steps_is_refused_with_the_rule(
        self, shop, price, currency
    ):
        """In full; what a coupon leaves is rounded to a step."""
        shop.lms.site.add_course("odd-1", price, currency)
        with pytest.raises(AmountNotChargeableError, match="the charge step"):
            shop.sdk.checkout(course_id="odd-1", email="a@example.com")
        shop.sdk.coupons.create(50, "odd-1", code="HALF-1")
        made = shop.sdk.checkout(
            course_id="odd-1", email="a@example.com", coupon_code="HALF-1"
        )
        assert made.discount + made.amount == made.price
        (bad,) = [c for c in shop.sdk.examine() if c.is_bad]
        assert (bad.name, "multiple of" in bad.cause) == ("price of odd-1", True)


@pytest.mark.parametrize(
    "address",
    [".ada@example.com", "ada.@example.com", "a..da@example.com", ".@example.com"],
)
def test_address_that_frappe_refuses_is_refused_before_paying(shop, address):
    """And what an earlier version took is still found."""
    with pytest.raises(ValidationError):
        shop.sdk.checkout(course_id=COURSE, email=address)
    assert shop.sdk.enrollments.list(email=address).items == ()


def test_delayed_payment_is_not_asked_for_twice(shop):
    """No finished page, no moment in the past; the learner goes where it is told."""
    # The host has logged the learner in: so they come back to their own attempt.
    ask = {"course_id": COURSE, "email": ADA, "authenticated": True}
    row = shop.checkout(authenticated=True)
    first = shop.sdk.checkout(**ask)
    assert first.payment_url == row.payment_url
    shop.account.pay(row.session_id, delayed=True)
    shop.news()
    for _ in range(2):
        again = shop.sdk.checkout(**ask)
        assert (again.payment_url, again.expires_at) == (None, None)
        assert (
            again.next_url
            == f"http://127.0.0.1:5000/return?session_id={row.session_id}"
        )
        shop.clock.advance(3 * 86_400)
    shop.account.settle_delayed(row.session_id, ok=True)
    shop.news()
    shop.check_end(row, Status.ENROLLED)


def test_no_answer_of_a_proxy_is_stripes_word(shop):
    """400, 402, 404 in JSON that is not Stripe's: waited for, nothing is refused."""
    began = time.monotonic()
    for status in (400, 402, 404, 403):
        shop.stripe.fail_next("GET .*", "foreign", status=status, times=1)
        assert shop.sdk.ping("payments") == {"payments": "payments_unavailable"}
    row = shop.checkout()
    shop.stripe.fail_next("GET .*sessions/cs", "foreign", status=404, times=1)
    shop.clock.advance(10_000)
    shop.sdk.run_jobs()
    assert shop.row(row.id).gone_at is None
    assert time.monotonic() - began < 60
