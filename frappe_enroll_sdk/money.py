# SPDX-License-Identifier: MIT
"""
Exact money: integer minor units, and every rounding rule in this one place.

* An amount that the LMS tells as a JSON number is read through its decimal text and
  rounded half up to the currency's exponent.
* What is left after a discount is rounded half down to what the currency can charge,
  and the discount is the rest of the price: discount + amount = price, always.
* Three-decimal currencies are charged in steps of ten minor units (Stripe, "Supported
  currencies": the last digit must be 0).
* Today's table says what may be sold, never what was: money remembers its exponent, so
  that a currency which leaves ISO 4217 (HRK, BGN, ANG did) is shown for ever.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_DOWN, ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cache
from typing import Any

import attrs

from .errors import MissingExtraError, ValidationError


__all__ = ("Money", "exponent", "from_major")


#: Range of the position of an amount's first digit, before and after the point.
_MAX_DIGITS, _MIN_DIGIT = 15, -400
#: Most characters of a percentage, and most digits after its point.
_MAX_TEXT, _MAX_PLACES = 40, 20
_CURRENCY = re.compile(r"[a-z]{3}")

# Stripe, "Supported currencies", special cases: no decimals in use, sent times 100.
_SENT_AS_TWO_DECIMAL = frozenset({"isk", "ugx"})
_USUAL_DIGITS = 2
# Stripe, "Zero-decimal currencies": MGA has a fifth as minor unit and is sent whole.
_SENT_WHOLE = frozenset({"mga"})


def _check_currency(_: object, __: object, value: Any) -> None:
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value):
        raise ValidationError(
            "currency: must be a lower-case ISO 4217 code", field="currency"
        )


def _check_minor(_: object, __: object, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValidationError("amount_minor: must be an integer", field="amount_minor")


@attrs.frozen
class Money:
    """
    An amount in a currency.

    Attributes:
        amount_minor: Integer minor units (cents; whole yen).
        currency: Lower-case ISO 4217 code, current or withdrawn.
        exponent: Decimals of the currency when the amount was first stored; None =
            unknown to every table.
    """

    amount_minor: int = attrs.field(validator=_check_minor)
    currency: str = attrs.field(validator=_check_currency)
    exponent: int | None = attrs.field(eq=False, repr=False)

    @exponent.default
    def _exponent_of_today(self) -> int | None:
        if not isinstance(self.currency, str):
            return None  # its own validator refuses it
        try:
            return exponent(self.currency)
        except (ValidationError, MissingExtraError):
            return None

    @classmethod
    def zero(cls, currency: str) -> Money:
        """Return an amount of zero in a currency."""
        return cls(0, currency)

    def __add__(self, other: Money) -> Money:
        return self._beside(other, self.amount_minor + self._same(other))

    def __sub__(self, other: Money) -> Money:
        return self._beside(other, self.amount_minor - self._same(other))

    def _beside(self, other: Money, amount_minor: int) -> Money:
        """Return a sum with the exponent that either of the two remembers."""
        known = other.exponent if self.exponent is None else self.exponent
        return attrs.evolve(self, amount_minor=amount_minor, exponent=known)

    def __lt__(self, other: Money) -> bool:
        return self.amount_minor < self._same(other)

    def __bool__(self) -> bool:
        return self.amount_minor != 0

    def __str__(self) -> str:
        return f"{self.decimal:.{self._digits}f} {self.currency.upper()}"

    @property
    def decimal(self) -> Decimal:
        """The amount in major units."""
        return Decimal(self.amount_minor).scaleb(-self._digits)

    @property
    def _digits(self) -> int:
        # Nearly every withdrawn currency had two.
        return _USUAL_DIGITS if self.exponent is None else self.exponent

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise ValidationError(
                f"currency: {self.currency} and {other.currency} do not mix",
                field="currency",
            )
        return other.amount_minor


@cache
def exponent(currency: str) -> int:
    """
    Return the currency's number of decimals at the payment provider.

    ISO 4217's exponents, except where Stripe documents its own (MGA, ISK, UGX).

    Raises:
        ValidationError: It is not a current currency: not in ISO 4217, or a metal in
            it.
    """
    if currency in _SENT_AS_TWO_DECIMAL:
        return 2
    if currency in _SENT_WHOLE:
        return 0
    try:
        from iso4217 import Currency  # noqa: PLC0415  an extra, loaded when used
    except ImportError as error:
        raise MissingExtraError("all", "iso4217") from error
    try:
        digits = Currency(currency.upper()).exponent
    except ValueError as error:
        raise ValidationError(
            "currency: is not in ISO 4217", field="currency"
        ) from error
    if digits is None:
        raise ValidationError("currency: is not a currency", field="currency")
    return int(digits)


def from_major(amount: Decimal | float | str, currency: str) -> Money:
    """
    Read an amount in major units, rounded half up to minor units.

    Raises:
        ValidationError: It is not a finite, non-negative number, or its currency is not
            a current one.
    """
    try:
        number = Decimal(str(amount))
    except (InvalidOperation, ValueError) as error:
        raise ValidationError("amount: is not a number", field="amount") from error
    # Beyond the range of a float, decimals raise their own errors.
    sane = number.is_finite() and _MIN_DIGIT <= number.adjusted() <= _MAX_DIGITS
    if not sane or number < 0:
        raise ValidationError("amount: must be finite and not negative", field="amount")
    minor = number.scaleb(exponent(currency))
    return Money(int(minor.quantize(Decimal(1), ROUND_HALF_UP)), currency)


def share(value: Any) -> Decimal | None:
    """Return a percentage from 0 to 100 that can be calculated with, or None."""
    try:
        text = str(value)
        number = Decimal(text) if len(text) <= _MAX_TEXT else Decimal("NaN")
    except (InvalidOperation, ValueError):
        return None
    if not number.is_finite() or not 0 <= number <= 100:  # noqa: PLR2004  percent
        return None
    places = number.as_tuple().exponent
    if not isinstance(places, int) or places < -_MAX_PLACES:
        return None
    return number if places <= 0 else number.quantize(Decimal(1))


def charge_step(currency: str) -> int:
    """Return the step, in minor units, in which the provider can charge."""
    return 10 if exponent(currency) == 3 else _whole_step(currency)  # noqa: PLR2004


def _whole_step(currency: str) -> int:
    return 100 if currency in _SENT_AS_TWO_DECIMAL else 1


def is_chargeable(amount: Money) -> bool:
    """Tell whether an amount is a multiple of the provider's charge step."""
    return amount.amount_minor % charge_step(amount.currency) == 0


def discount_of(price: Money, percent_off: Decimal) -> Money:
    """
    Return the discount for `percent_off`, such that the rest can be charged.

    The rest is rounded half down to the currency's charge step (half of a step goes
    to the learner), and the discount is price minus rest.

    Raises:
        ValidationError: The percentage is not above 0 and at most 100.
    """
    if not Decimal(0) < percent_off <= Decimal(100):
        raise ValidationError(
            "percent_off: must be above 0 and at most 100", field="percent_off"
        )
    step = charge_step(price.currency)
    exact = Decimal(price.amount_minor) * (100 - percent_off) / 100
    steps = (exact / step).to_integral_value(ROUND_HALF_DOWN)
    return Money(price.amount_minor - int(steps) * step, price.currency)
