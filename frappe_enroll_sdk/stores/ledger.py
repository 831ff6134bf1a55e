# SPDX-License-Identifier: MIT
"""
The arithmetic of an affiliate's ledger: pure.

The level of an enrollment is what its affiliate is owed for it as it stands. Each of
its versions brings the chain's sum for the enrollment to that level by one row, so a
fact that is seen twice changes nothing the second time. What is taken back comes from
what the enrollment still holds, and the rest from what is available, which may become
negative: it is carried over.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal

import attrs

from ..models import Affiliate, Enrollment, LedgerRow, RowKind, Totals
from ..money import Money
from ..states import ENTITLED


def level_of(row: Enrollment, percent: Decimal) -> int:
    """
    Return the commission in minor units: a share of what is paid without taxes.

    Of a payment that was given back in part the same part of the base is gone. Rounded
    down.
    """
    if row.status not in ENTITLED or row.paid is None or row.paid.amount_minor <= 0:
        return 0
    paid = row.paid.amount_minor
    left = max(paid - row.refunded_minor, 0)
    base = Decimal(max(paid - row.tax_minor, 0)) * left / paid
    return int((base * percent / 100).to_integral_value(ROUND_DOWN))


def was_entitled(row: Enrollment) -> bool:
    """Tell whether a commission can ever have been due for the enrollment."""
    return any(entry.status in ENTITLED for entry in row.history)


def is_followed(row: Enrollment) -> bool:
    """Tell whether the LMS's following is all that the last write says."""
    last_two = [entry.fact for entry in row.history[-2:]]
    return last_two[-1:] == ["enrolled"] and row.status in ENTITLED


def add_up(rows: Iterable[LedgerRow]) -> tuple[Totals, ...]:
    """Return the totals of rows, computed from nothing, by currency."""
    sums: dict[str, Totals] = {}
    for row in rows:
        before = sums.get(row.currency, Totals(currency=row.currency))
        sums[row.currency] = _plus(before, row)
    return tuple(sums[currency] for currency in sorted(sums))


def _plus(before: Totals, row: LedgerRow) -> Totals:
    return attrs.evolve(
        before,
        held_minor=before.held_minor + row.held_minor,
        available_minor=before.available_minor + row.available_minor,
        paid_minor=before.paid_minor + row.paid_minor,
    )


def chained(last: LedgerRow | None, row: LedgerRow) -> LedgerRow:
    """Return the row at the end of the chain, with the totals that then stand."""
    totals = {one.currency: one for one in (last.totals if last else ())}
    before = totals.get(row.currency, Totals(currency=row.currency))
    if before.exponent is None:
        before = attrs.evolve(before, exponent=Money.zero(row.currency).exponent)
    totals[row.currency] = _plus(before, row)
    ordered = tuple(totals[currency] for currency in sorted(totals))
    return attrs.evolve(row, n=last.n + 1 if last else 1, totals=ordered)


@attrs.frozen(kw_only=True)
class Stamp:
    """
    What a row is written with.

    Attributes:
        now: When.
        op_id: Stamps the write.
        hold: How long what is earned is held.
    """

    now: datetime
    op_id: str
    hold: timedelta


def commission_row(
    affiliate: Affiliate,
    row: Enrollment,
    known: tuple[LedgerRow, ...],
    stamp: Stamp,
    *,
    own: bool = False,
) -> LedgerRow | None:
    """
    Return the row that brings the chain to the enrollment's level, or None.

    Args:
        affiliate: Whose chain.
        row: The enrollment.
        known: The chain's rows of this enrollment.
        stamp: When and how it is written.
        own: Whether the affiliate is the learner: nothing is earned.
    """
    if not was_entitled(row) or row.paid is None:
        return None
    if any(one.version >= row.version and _states(one) for one in known):
        return None  # a later version was stated, or this one
    percent = next((r.percent for r in known if _states(r)), affiliate.percent)
    held = sum(one.held_minor for one in known)
    net = held + sum(one.available_minor for one in known)
    change = level_of(row, percent) - net
    if change > 0 and (affiliate.suspended or own):
        change = 0
    if change == 0 and is_followed(row):
        return None
    blank = LedgerRow(
        affiliate=affiliate.code,
        n=0,
        kind=RowKind.CHECKED,
        enrollment_id=row.id,
        version=row.version,
        course_id=row.course_id,
        currency=row.paid.currency,
        percent=percent,
        op_id=stamp.op_id,
        at=stamp.now,
    )
    if change > 0:
        matures_at = stamp.now + stamp.hold
        return attrs.evolve(
            blank, kind=RowKind.EARNED, held_minor=change, matures_at=matures_at
        )
    if change < 0:
        from_held = min(held, -change)
        rest = -change - from_held
        return attrs.evolve(
            blank,
            kind=RowKind.CLAWED_BACK,
            held_minor=-from_held,
            available_minor=-rest,
        )
    return blank


def _states(row: LedgerRow) -> bool:
    return row.kind is not RowKind.MATURED


def matured_row(
    earned: LedgerRow, known: tuple[LedgerRow, ...], stamp: Stamp
) -> LedgerRow:
    """Return the row that makes available what is left of what was earned."""
    held = sum(one.held_minor for one in known)
    amount = max(min(earned.held_minor, held), 0)
    return attrs.evolve(
        earned,
        n=0,
        kind=RowKind.MATURED,
        held_minor=-amount,
        available_minor=amount,
        matures_at=None,
        op_id=stamp.op_id,
        at=stamp.now,
    )
