# SPDX-License-Identifier: MIT
"""A ledger added up by course, and as a statement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from threading import Lock
from typing import Any

import attrs

from ...models import LedgerRow
from ...spreadsheets import cell


#: Seconds for which a breakdown is cached.
KEPT_S = 300
#: Most breakdowns that are cached.
_MAX_KEPT = 1000
#: Columns of a statement.
Cells = list[Any]
STATEMENT = (
    *("n", "at", "kind", "enrollment_id", "version", "course_id"),
    *("currency", "held_minor", "available_minor", "paid_minor"),
)


@attrs.frozen(kw_only=True)
class CourseTotals:
    """
    One course's commissions in one currency.

    Attributes:
        course_id: The course.
        currency: Lower-case ISO 4217 code.
        sales: Enrollments that currently earn a commission.
        earned_minor: Commission in minor units, less what was clawed back.
    """

    course_id: str
    currency: str
    sales: int
    earned_minor: int


@attrs.frozen(kw_only=True)
class Breakdown:
    """
    Commissions per course.

    Attributes:
        at: When it was calculated.
        courses: Totals by course and currency.
    """

    at: datetime
    courses: tuple[CourseTotals, ...]


def add_up(rows: Iterable[LedgerRow]) -> tuple[CourseTotals, ...]:
    """Return the commissions by course and currency."""
    nets: dict[tuple[str, str], dict[str, int]] = {}
    for row in rows:
        if not row.course_id:
            continue  # a payout
        sold = nets.setdefault((row.course_id, row.currency), {})
        change = row.held_minor + row.available_minor
        sold[row.enrollment_id] = sold.get(row.enrollment_id, 0) + change
    return tuple(
        CourseTotals(
            course_id=course_id,
            currency=currency,
            sales=sum(net != 0 for net in sold.values()),
            earned_minor=sum(sold.values()),
        )
        for (course_id, currency), sold in sorted(nets.items())
    )


class Breakdowns:
    """This process's cache of breakdowns. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: dict[str, Breakdown] = {}

    def get(
        self, code: str, now: datetime, rows: Callable[[], Iterable[LedgerRow]]
    ) -> Breakdown:
        """Return an affiliate's breakdown; calculate it again if it is too old."""
        with self._lock:
            kept = self._kept.get(code)
        if kept is not None and 0 <= (now - kept.at).total_seconds() < KEPT_S:
            return kept
        fresh = Breakdown(at=now, courses=add_up(rows()))
        with self._lock:
            self._kept.pop(code, None)
            self._kept[code] = fresh
            while len(self._kept) > _MAX_KEPT:
                del self._kept[next(iter(self._kept))]
        return fresh


def statement_of(rows: Iterable[LedgerRow]) -> Iterator[Cells]:
    """Yield the rows of a statement, header first."""
    yield [*STATEMENT]
    for row in rows:
        yield [cell(getattr(row, field)) for field in STATEMENT]
