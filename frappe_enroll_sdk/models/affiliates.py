# SPDX-License-Identifier: MIT
"""Affiliates and their ledger."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum, auto

import attrs

from ..money import Money


@attrs.frozen(kw_only=True)
class Affiliate:
    """
    Somebody who refers learners.

    Attributes:
        code: The code in the link; unique.
        email: The affiliate's address, normalised; unique.
        full_name: Name, or None.
        percent: Commission on what is paid without taxes.
        suspended: Whether new commissions are refused.
        version: Increases by one with each write.
        op_id: Stamps the last write.
        created_at: When it was registered.
    """

    code: str
    email: str = attrs.field(repr=False)
    full_name: str | None = attrs.field(default=None, repr=False)
    percent: Decimal
    suspended: bool = False
    version: int = 1
    op_id: str = ""
    created_at: datetime


class RowKind(StrEnum):
    """What a row of the ledger records."""

    EARNED = auto()
    CLAWED_BACK = auto()
    CHECKED = auto()
    MATURED = auto()
    PAYOUT = auto()


@attrs.frozen(kw_only=True)
class Totals:
    """
    Running totals in one currency, minor units; the first two may be negative.

    Attributes:
        currency: Lower-case ISO 4217 code.
        held_minor: Earned, but not yet payable.
        available_minor: May be paid out; negative = offset against later commissions.
        paid_minor: Paid out so far.
        exponent: Decimals of the currency when it was first earned in; None = no table
            has known it.
    """

    currency: str
    held_minor: int = 0
    available_minor: int = 0
    paid_minor: int = 0
    exponent: int | None = attrs.field(default=None, eq=False)

    def money(self, minor: int) -> Money:
        """Return an amount of this balance, as the currency was written."""
        known = () if self.exponent is None else (self.exponent,)
        return Money(minor, self.currency, *known)


@attrs.frozen(kw_only=True)
class LedgerRow:
    """
    One row of an affiliate's chain; never changed.

    Attributes:
        affiliate: The affiliate's code.
        n: 1, 2, 3 …: one more than the row before.
        kind: See `RowKind`.
        enrollment_id: The enrollment, or the id of the payout.
        version: The enrollment's version that caused it; 0 for a payout.
        course_id: The course, or "" for a payout.
        currency: Lower-case ISO 4217 code of the three changes below.
        held_minor: Change in what is held.
        available_minor: Change in what is available.
        paid_minor: Change in what was paid out.
        percent: The commission on this enrollment.
        matures_at: When the commission becomes available, or None.
        totals: The totals after this row, per currency.
        actor: Who paid out, or "".
        reason: Why, in the actor's words.
        op_id: Stamps the write.
        at: When.
    """

    affiliate: str
    n: int
    kind: RowKind
    enrollment_id: str
    version: int = 0
    course_id: str = ""
    currency: str
    held_minor: int = 0
    available_minor: int = 0
    paid_minor: int = 0
    percent: Decimal = Decimal(0)
    matures_at: datetime | None = None
    totals: tuple[Totals, ...] = ()
    actor: str = ""
    reason: str = ""
    op_id: str
    at: datetime

    @property
    def fact_key(self) -> str:
        """The fact this row records, once: enrollment (or payout), version, kind."""
        return f"{self.enrollment_id}:{self.version}:{self.kind}"

    def totals_in(self, currency: str) -> Totals:
        """Return the totals in a currency."""
        found = (total for total in self.totals if total.currency == currency)
        return next(found, Totals(currency=currency))
