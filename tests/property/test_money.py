# SPDX-License-Identifier: MIT
"""Money over all amounts: what a discount and a reading can never break."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from unit.rows import NOW

from frappe_enroll_sdk.errors import AmountTooSmallError
from frappe_enroll_sdk.models import Coupon, Course
from frappe_enroll_sdk.money import (
    Money,
    charge_step,
    discount_of,
    exponent,
    from_major,
)
from frappe_enroll_sdk.services.coupons.pricing import quote
from frappe_enroll_stripe.traits import TRAITS


CURRENCIES = ["usd", "eur", "jpy", "krw", "kwd", "bhd", "isk", "ugx", "mga", "huf"]
percents = st.decimals("0.01", "100", places=2)


@st.composite
def prices(draw):
    """A price that the currency can charge."""
    currency = draw(st.sampled_from(CURRENCIES))
    steps = draw(st.integers(0, 10**9))
    return Money(steps * charge_step(currency), currency)


@given(prices(), percents)
def test_rest_can_be_charged_and_adds_up(price, percent):
    """Scenario 25: discount + rest = price, both in steps, never below nothing."""
    discount = discount_of(price, percent)
    rest = price - discount
    assert rest + discount == price
    assert 0 <= rest.amount_minor <= price.amount_minor
    assert rest.amount_minor % charge_step(price.currency) == 0


@given(prices(), percents)
def test_rest_lies_within_half_a_step_of_the_exact_one(price, percent):
    """And half of a step goes to the learner."""
    step = charge_step(price.currency)
    exact = Decimal(price.amount_minor) * (100 - percent) / 100
    off = (price - discount_of(price, percent)).amount_minor - exact
    assert -Decimal(step) / 2 <= off < Decimal(step) / 2


@given(prices(), percents, percents)
def test_more_off_never_costs_more(price, one, other):
    """A better coupon is not worse by rounding."""
    less, more = sorted([one, other])
    assert not discount_of(price, more) < discount_of(price, less)


@given(prices())
def test_all_off_leaves_nothing(price):
    """100 % is free to the last unit."""
    assert discount_of(price, Decimal(100)) == price


@given(st.integers(0, 10**12), st.sampled_from(CURRENCIES))
def test_amount_in_major_units_round_trips(minor, currency):
    """What is printed is read back to the unit, as text and as decimal."""
    amount = Money(minor, currency)
    assert from_major(amount.decimal, currency) == amount
    assert from_major(str(amount).split()[0], currency) == amount


@given(
    st.floats(0, 1e9, allow_nan=False, allow_infinity=False),
    st.sampled_from(CURRENCIES),
)
def test_json_number_is_read_to_the_nearest_unit(number, currency):
    """Never off by more than half a unit from the number's own text."""
    told = Decimal(str(number)).scaleb(exponent(currency))
    assert abs(from_major(number, currency).amount_minor - told) <= Decimal("0.5")


@given(prices(), percents, st.sampled_from(["free", "refused"]))
def test_quote_adds_up_and_can_be_charged(price, percent, below):
    """What a learner is asked for is nothing, or what the provider charges."""
    coupon = Coupon(code="ABC", percent_off=percent, created_at=NOW)
    course = Course(id="c", title="C", price=price)
    try:
        told = quote(
            course,
            coupon,
            free_courses=False,
            below_minimum=below,
            minimum=TRAITS.minimum_charge,
        )
    except AmountTooSmallError:
        assert below == "refused"
        rest = price - discount_of(price, percent)
        assert 0 < rest.amount_minor < TRAITS.minimum_charge(price.currency)
        return
    assert told.discount + told.amount == told.price == price
    least = TRAITS.minimum_charge(price.currency)
    assert told.amount.amount_minor == 0 or told.amount.amount_minor >= least
