# SPDX-License-Identifier: MIT
"""What a checkout costs and whether a coupon fits: pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import attrs

from ...errors import (
    AmountNotChargeableError,
    AmountTooSmallError,
    CouponExpiredError,
    CouponUnavailableError,
    CourseNotForSaleError,
)
from ...models import Coupon, Course, Kind
from ...money import Money, charge_step, discount_of, is_chargeable


#: Currency of the zero price of a course without a price.
_NO_CURRENCY = "usd"


@attrs.frozen(kw_only=True)
class Quote:
    """
    A price with its discount; discount + amount = price.

    Attributes:
        is_limited: Whether the coupon limits how many seats one learner may have.
    """

    price: Money
    discount: Money
    amount: Money
    kind: Kind
    is_limited: bool = False


def require_fit(
    coupon: Coupon | None, course_id: str, email: str, now: datetime
) -> Coupon:
    """
    Return the coupon, if it is valid for this learner, course and moment.

    Raises:
        CouponUnavailableError: It is not; the same answer for an unknown code and for
            one for another learner or course, so that nobody can probe codes.
        CouponExpiredError: It fits this learner and course, but has expired.
    """
    if coupon is None or not _fits(coupon, course_id, email, now):
        raise CouponUnavailableError(field="coupon_code")
    if coupon.has_ended(now):
        raise CouponExpiredError(field="coupon_code")
    return coupon


def _fits(coupon: Coupon, course_id: str, email: str, now: datetime) -> bool:
    right_course = coupon.course_id is None or coupon.course_id == course_id
    right_learner = coupon.email is None or coupon.email == email
    open_now = coupon.has_begun(now) and not coupon.disabled
    return right_course and right_learner and open_now


def quote(
    course: Course,
    coupon: Coupon | None,
    *,
    free_courses: bool,
    below_minimum: str,
    minimum: Callable[[str], int],
) -> Quote:
    """
    Return the price, discount and amount for a learner.

    Args:
        course: The course.
        coupon: A coupon that fits, or None.
        free_courses: Whether a course without a price needs no coupon.
        below_minimum: "free" or "refused": what to do with a remainder below the
            provider's minimum charge.
        minimum: Returns that minimum for a currency, in minor units.

    Raises:
        CourseNotForSaleError: It has no price, there is no coupon, and free courses are
            not allowed; or its price can't be read.
        AmountNotChargeableError: The price is not a multiple of the currency's charge
            step. (With a coupon, the remainder is rounded to it.)
        AmountTooSmallError: The remainder is below the provider's minimum charge and
            the setting refuses it.
    """
    if course.flaw:
        raise CourseNotForSaleError(course.flaw, field="course_id")
    price = Money.zero(_NO_CURRENCY) if course.price is None else course.price
    if coupon is None:
        return _without_coupon(price, minimum, free_courses=free_courses)
    discount = discount_of(price, coupon.percent_off) if price else price
    amount = price - discount
    if 0 < amount.amount_minor < minimum(price.currency):
        if below_minimum != "free":
            raise AmountTooSmallError(field="coupon_code")
        discount, amount = price, Money.zero(price.currency)
    kind = Kind.PARTIAL_GRANT if amount else Kind.FULL_GRANT
    return Quote(
        price=price,
        discount=discount,
        amount=amount,
        kind=kind,
        is_limited=coupon.per_learner is not None,
    )


def flaw_of(price: Money, minimum: Callable[[str], int]) -> str:
    """Return why the provider can't charge a price unchanged; "" = it can."""
    least, step = minimum(price.currency), charge_step(price.currency)
    if price.amount_minor < least:
        return f"{price} is below the minimum charge, {Money(least, price.currency)}"
    if not is_chargeable(price):
        unit = Money(step, price.currency)
        return f"{price} is not a multiple of {unit}, the charge step"
    return ""


def _without_coupon(
    price: Money, minimum: Callable[[str], int], *, free_courses: bool
) -> Quote:
    if not price and not free_courses:
        raise CourseNotForSaleError(field="course_id")
    if price and price.amount_minor < minimum(price.currency):
        raise AmountTooSmallError(field="course_id")
    if price and not is_chargeable(price):
        raise AmountNotChargeableError(flaw_of(price, minimum), field="course_id")
    zero = Money.zero(price.currency)
    kind = Kind.PAID if price else Kind.FREE
    return Quote(price=price, discount=zero, amount=price, kind=kind)
