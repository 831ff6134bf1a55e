# SPDX-License-Identifier: MIT
"""What is charged, from the price to the enrolment, at Stripe's sandbox, both ways."""

from __future__ import annotations

import pytest
from support.shop import COURSE, Shop
from support.size import with_the_first_python

from frappe_enroll_sdk import hookimpl
from frappe_enroll_sdk.errors import AmountTooSmallError
from frappe_enroll_sdk.models import Kind, Status
from frappe_enroll_sdk.money import Money


#: The same rules in memory run with every Python (test_scenarios.py, the units).
pytestmark = with_the_first_python

#: Price in major units, currency, percent off; what is left, in minor units.
ORDERS = [
    (300, "USD", "99.8", 60),
    (999, "JPY", "33", 669),
    (9.999, "KWD", "33", 6700),
    (5, "KWD", "12.5", 4370),
    (10_000, "UGX", "33.333", 666_700),
]
#: Price, currency and percent off that leave less than Stripe's minimum charge.
TOO_SMALL = [(300, "USD", "99.9"), (999, "JPY", "96"), (2, "GBP", "90")]
#: What Stripe tells of 49 USD, shown as 45 EUR, in newer and in older API versions.
SHOWN_BESIDE = {
    "presentment_details": {
        "presentment_amount": 4500,
        "presentment_currency": "eur",
    }
}
SHOWN_INSTEAD = {
    "amount_total": 4500,
    "currency": "eur",
    "currency_conversion": {
        "amount_subtotal": 4900,
        "amount_total": 4900,
        "fx_rate": "0.918",
        "source_currency": "usd",
    },
}
OTHER_SOURCE = SHOWN_INSTEAD["currency_conversion"] | {"amount_total": 4800}


class Taxed:
    """A plugin that lets Stripe reckon taxes."""

    @hookimpl
    def enrich_checkout(self):
        """Switch them on."""
        return {"parameters": {"automatic_tax": {"enabled": True}}}


@pytest.fixture
def shop(open_storage):
    """Return a shop on each store that asks for taxes where it is told to."""
    with Shop(open_storage, lms_rate_per_s=0) as shop:
        shop.stripe.webhooks.held = True
        yield shop


def offer(shop, number, major, currency, percent):
    """Sell a course, with a coupon; return both names."""
    course = f"course-{number}"
    shop.lms.site.add_course(course, major, currency)
    return course, shop.sdk.coupons.create(percent, course).code


def test_money_adds_up_in_every_currency(shop):
    """Scenario 25: exact, chargeable, and discount + paid = price; JPY, KWD, UGX."""
    for number, (major, currency, percent, left) in enumerate(ORDERS):
        course, code = offer(shop, number, major, currency, percent)
        row = shop.checkout(course_id=course, coupon_code=code)
        session = shop.account.sessions[row.session_id]
        told = session["amount_total"], session["currency"]
        assert told == (left, currency.lower())
        shop.account.pay(row.session_id)
        shop.news()
        shop.check_end(row, Status.ENROLLED)
        now = shop.row(row.id)
        assert now.paid == now.amount == Money(left, currency.lower())
        assert now.discount + now.paid == now.price


def test_rest_below_the_minimum_follows_the_setting(shop):
    """Scenario 25: 0.30 USD can't be charged: refused, or free; Stripe is not asked."""
    generous = shop.new_sdk(below_minimum="free")
    for number, (major, currency, percent) in enumerate(TOO_SMALL):
        course, code = offer(shop, number, major, currency, percent)
        with pytest.raises(AmountTooSmallError):
            shop.checkout(course_id=course, coupon_code=code)
        answer = generous.checkout(
            course_id=course, email="bob@example.com", coupon_code=code
        )
        shop.rest(0)
        row = shop.row(answer.enrollment_id)
        shop.check_end(row, Status.ENROLLED)
        assert row.kind is Kind.FULL_GRANT
        assert (row.discount, row.amount) == (row.price, Money.zero(currency.lower()))
    assert shop.account.sessions == {}
    generous.close()


@pytest.mark.parametrize(
    ("behavior", "total", "tax", "wrong"),
    [("exclusive", 5880, 980, 4900), ("inclusive", 4900, 817, 5880)],
)
def test_taxes_are_no_part_of_the_price(open_storage, behavior, total, tax, wrong):
    """On top: total less taxes is compared; within: the total. Net is commissioned."""
    more = {"tax_behavior": behavior, "lms_rate_per_s": 0}
    with Shop(open_storage, plugins=(Taxed(),), **more) as shop:
        shop.stripe.webhooks.held = True
        shop.sdk.affiliates.register("bob@example.com", code="bob")
        row, _ = shop.pay(affiliate="bob")
        forged = shop.checkout("eve@example.com")
        session = shop.account.sessions[forged.session_id]
        assert (row.amount, session["amount_total"]) == (Money(4900, "usd"), total)
        assert session["total_details"]["amount_tax"] == tax
        session["amount_total"] = wrong
        shop.account.pay(forged.session_id)
        shop.news()
        shop.check_end(row, Status.ENROLLED)
        paid = shop.row(row.id)
        assert (paid.paid.amount_minor, paid.tax_minor) == (total, tax)
        (earned,) = shop.sdk.affiliates.stats("bob")
        assert earned.held_minor == (total - tax) // 10
        shop.check_end(forged, Status.ON_HOLD)
        assert shop.row(forged.id).held_for == "amount_mismatch"


@pytest.mark.parametrize(
    ("shown", "held_for"),
    [
        (SHOWN_BESIDE, None),
        (SHOWN_INSTEAD, None),
        (SHOWN_BESIDE | {"amount_total": 4500}, "amount_mismatch"),
        (SHOWN_INSTEAD | {"currency_conversion": OTHER_SOURCE}, "amount_mismatch"),
        (SHOWN_INSTEAD | {"currency_conversion": None}, "currency_mismatch"),
    ],
    ids=["beside", "instead", "beside, other", "instead, other", "foreign"],
)
def test_adaptive_pricing_compares_our_currency(shop, shown, held_for):
    """Whatever the learner is shown: the integration's amount has to be the order's."""
    row = shop.checkout(course_id=COURSE)
    shop.account.sessions[row.session_id].update(shown)
    shop.account.pay(row.session_id)
    shop.news()
    shop.check_end(row, Status.ON_HOLD if held_for else Status.ENROLLED)
    now = shop.row(row.id)
    assert now.held_for == held_for
    if held_for is None:
        assert now.paid == Money(4900, "usd")


@pytest.mark.parametrize("order", ["as_is", "reversed"])
def test_review_is_flagged_and_may_hold(open_storage, order):
    """`review.*`: alert and trail; with "suspend" held until a word, in any order."""
    with Shop(open_storage, fraud_policy="suspend", lms_rate_per_s=0) as shop:
        shop.stripe.webhooks.held = True
        row, payment = shop.pay()
        shop.news()
        shop.check_end(row, Status.ENROLLED)
        shop.account.close_review(shop.account.review(payment))
        shop.stripe.webhooks.copies = 2
        shop.news(order)
        shop.check_end(row, Status.ON_HOLD)
        assert shop.row(row.id).held_for == "fraud_warning"
        assert ("fraud_warning", row.id) in shop.ears.alerts
        trail = shop.storage.audit.list(subject=row.id).items
        assert {(e.action, e.detail["reason"]) for e in trail} == {
            ("review.opened", "rule"),
            ("review.closed", "approved"),
        }
        shop.sdk.admin.accept(row.id, "op", "reviewed")
        shop.rest(0)
        shop.check_end(row, Status.ENROLLED)
        # With "keep" a review changes nothing: it is told, and that is all.
        shop.hosts = [shop.new_host(fraud_policy="keep")]
        other, payment = shop.pay("bob@example.com")
        shop.account.close_review(shop.account.review(payment))
        shop.news(order)
        shop.check_end(other, Status.ENROLLED)
        assert ("fraud_warning", other.id) in shop.ears.alerts
