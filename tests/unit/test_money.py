# SPDX-License-Identifier: MIT
"""Exact money: exponents, rounding, discounts and what is left to pay."""

from __future__ import annotations

import sys
from decimal import Decimal

import pytest
from unit.rows import NOW

from frappe_enroll_sdk.errors import (
    AmountTooSmallError,
    CourseNotForSaleError,
    MissingExtraError,
    ValidationError,
)
from frappe_enroll_sdk.models import Coupon, Course, Kind
from frappe_enroll_sdk.money import (
    Money,
    charge_step,
    discount_of,
    exponent,
    from_major,
)
from frappe_enroll_sdk.services.coupons.pricing import quote
from frappe_enroll_stripe.traits import TRAITS


@pytest.mark.parametrize(
    ("currency", "digits"),
    [
        ("usd", 2),
        ("eur", 2),
        ("inr", 2),
        ("jpy", 0),
        ("krw", 0),
        ("vnd", 0),
        ("clp", 0),
        ("xof", 0),
        ("kwd", 3),
        ("bhd", 3),
        ("jod", 3),
        ("omr", 3),
        ("tnd", 3),
        ("ugx", 2),
        ("isk", 2),
        ("mga", 0),
    ],
)
def test_exponent_is_the_providers(currency, digits):
    """ISO 4217, but for the special cases that Stripe documents."""
    assert exponent(currency) == digits


@pytest.mark.parametrize(
    ("currency", "step"),
    [("usd", 1), ("jpy", 1), ("kwd", 10), ("bhd", 10), ("ugx", 100), ("isk", 100)],
)
def test_charge_step_is_the_providers(currency, step):
    """Three-decimal amounts end in 0; ISK and UGX in 00 (Stripe's own)."""
    assert charge_step(currency) == step


@pytest.mark.parametrize(
    ("currency", "least"), [("usd", 50), ("gbp", 30), ("jpy", 50), ("kwd", 10)]
)
def test_minimum_charge_is_the_providers(currency, least):
    """The table where there is one, else the least step."""
    assert TRAITS.minimum_charge(currency) == least


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        (49.0, "usd", 4900),
        ("19.99", "usd", 1999),
        (0.1 + 0.2, "usd", 30),
        (1.005, "usd", 101),
        ("1.0049", "usd", 100),
        (999, "jpy", 999),
        ("999.5", "jpy", 1000),
        ("5.125", "kwd", 5125),
        (5000, "ugx", 500_000),
        (Decimal("1e3"), "usd", 100_000),
        (0, "usd", 0),
    ],
)
def test_from_major_rounds_half_up(amount, currency, minor):
    """A JSON number is read through its decimal text, never through binary."""
    assert from_major(amount, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    "amount", [-0.01, "NaN", "Infinity", "-Infinity", "", "four", "1,50", None]
)
def test_from_major_refuses_what_is_no_price(amount):
    """The field is named, and nothing becomes zero by mistake."""
    with pytest.raises(ValidationError) as caught:
        from_major(amount, "usd")
    assert caught.value.field == "amount"


@pytest.mark.parametrize("currency", ["USD", "us", "usdx", "", "u$d", None, "xyz"])
def test_currency_that_is_none_is_refused(currency):
    """Lower-case ISO 4217 only; unknown ones have no exponent."""
    with pytest.raises(ValidationError) as caught:
        exponent(Money(1, currency).currency)
    assert caught.value.field == "currency"


@pytest.mark.parametrize("minor", [1.0, "1", True, None, Decimal(1)])
def test_minor_units_are_integers(minor):
    """Neither floats nor booleans get into an amount."""
    with pytest.raises(ValidationError) as caught:
        Money(minor, "usd")
    assert caught.value.field == "amount_minor"


def test_currencies_do_not_mix():
    """Not in a sum, not in a difference, not in a comparison."""
    dollar, euro = Money(1, "usd"), Money(1, "eur")
    for combine in (Money.__add__, Money.__sub__, Money.__lt__):
        with pytest.raises(ValidationError):
            combine(dollar, euro)
    assert dollar != euro


def test_money_adds_compares_and_prints():
    """Plain arithmetic on minor units; the text carries the right decimals."""
    assert Money(250, "usd") + Money(50, "usd") == Money(300, "usd")
    assert Money(250, "usd") - Money(300, "usd") == Money(-50, "usd")
    assert Money(1, "usd") < Money(2, "usd")
    assert not Money(2, "usd") < Money(2, "usd")
    assert [bool(Money(n, "usd")) for n in (0, 1, -1)] == [False, True, True]
    shown = [Money(999, "jpy"), Money(4905, "usd"), Money(5120, "kwd")]
    assert [str(m) for m in shown] == ["999 JPY", "49.05 USD", "5.120 KWD"]
    assert Money.zero("eur") == Money(0, "eur")


@pytest.mark.parametrize(
    ("price", "percent", "amount"),
    [
        (Money(30_000, "usd"), "99.9", 30),
        (Money(999, "jpy"), "33", 669),
        (Money(9990, "kwd"), "33", 6690),
        (Money(9990, "kwd"), "33.33", 6660),
        (Money(5, "usd"), "50", 2),
        (Money(1, "usd"), "50", 0),
        (Money(4900, "usd"), "100", 0),
        (Money(4900, "usd"), "0.01", 4900),
        (Money(50_000, "isk"), "33", 33_500),
        (Money(10_100, "ugx"), "50", 5000),
        (Money(10_300, "ugx"), "50", 5100),
        (Money(4901, "usd"), "33.333333", 3267),
    ],
    ids=str,
)
def test_discount_is_exact(price, percent, amount):
    """Scenario 25: the rest can be charged, half a step goes to the learner."""
    discount = discount_of(price, Decimal(percent))
    assert price.amount_minor - discount.amount_minor == amount
    assert discount.currency == price.currency


@pytest.mark.parametrize("percent", ["0", "-1", "100.01", "1000"])
def test_discount_of_a_wrong_percentage_is_refused(percent):
    """Above 0, at most 100."""
    with pytest.raises(ValidationError) as caught:
        discount_of(Money(4900, "usd"), Decimal(percent))
    assert caught.value.field == "percent_off"


def ask(price, percent=None, *, free=False, below="refused"):
    """Quote a price with a coupon."""
    coupon = None
    if percent is not None:
        coupon = Coupon(code="ABC", percent_off=Decimal(percent), created_at=NOW)
    course = Course(id="c", title="C", price=price)
    return quote(
        course,
        coupon,
        free_courses=free,
        below_minimum=below,
        minimum=TRAITS.minimum_charge,
    )


def test_quote_below_the_minimum_follows_the_setting():
    """Scenario 25: 99.9 % off 300 USD leaves 0.30 USD: refused, or a full grant."""
    price = Money(30_000, "usd")
    with pytest.raises(AmountTooSmallError) as caught:
        ask(price, "99.9")
    assert caught.value.field == "coupon_code"
    free = ask(price, "99.9", below="free")
    assert (free.discount, free.amount) == (price, Money(0, "usd"))
    assert free.kind is Kind.FULL_GRANT


def test_quote_at_the_minimum_is_charged():
    """50 cents can be paid, 49 can't."""
    assert ask(Money(100, "usd"), "50").amount == Money(50, "usd")
    with pytest.raises(AmountTooSmallError):
        ask(Money(98, "usd"), "50")
    assert ask(Money(50, "usd")).amount == Money(50, "usd")
    with pytest.raises(AmountTooSmallError) as caught:
        ask(Money(49, "usd"), below="free")
    assert caught.value.field == "course_id"


@pytest.mark.parametrize(
    ("price", "percent", "kind"),
    [
        (Money(4900, "usd"), None, Kind.PAID),
        (Money(4900, "usd"), "40", Kind.PARTIAL_GRANT),
        (Money(4900, "usd"), "100", Kind.FULL_GRANT),
        (None, "40", Kind.FULL_GRANT),
        (None, "100", Kind.FULL_GRANT),
    ],
)
def test_quote_names_what_entitles(price, percent, kind):
    """The kind follows from what is left to pay."""
    assert ask(price, percent).kind is kind


@pytest.mark.parametrize("price", [None, Money(0, "usd")])
def test_quote_without_a_price_needs_leave(price):
    """A course that has no price is not free by itself."""
    with pytest.raises(CourseNotForSaleError):
        ask(price)
    allowed = ask(price, free=True)
    assert (allowed.kind, allowed.amount.amount_minor) == (Kind.FREE, 0)


def test_exponent_without_its_package_names_the_command(monkeypatch):
    """A missing extra is an error that says how to mend it."""
    monkeypatch.setitem(sys.modules, "iso4217", None)
    with pytest.raises(MissingExtraError) as caught:
        exponent.__wrapped__("usd")
    assert "pip install 'frappe-enroll-sdk[" in str(caught.value)


def test_quote_of_a_course_that_costs_nothing_keeps_its_currency():
    """Nothing in euros is not nothing in dollars."""
    nothing = Money(0, "eur")
    told = ask(nothing, "50")
    assert (told.price, told.discount, told.amount) == (nothing, nothing, nothing)
    assert ask(nothing, free=True).price == nothing
