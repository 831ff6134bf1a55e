# SPDX-License-Identifier: MIT
"""Numbers of the overview: money, outcomes and failed attempts by day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import attrs

from frappe_enroll_sdk.models import Enrollment, Job, Page, Status
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.states import ENTITLED


if TYPE_CHECKING:
    from frappe_enroll_sdk import EnrollSDK

DAYS = 14
#: Most rows that are counted; the page says if there are more.
_MAX_ROWS = 2000
_PAGE = 200


@attrs.frozen(kw_only=True)
class Bar:
    """
    One day of a chart.

    Attributes:
        day: The day.
        counts: Numbers by series, in the order of the chart's series.
    """

    day: date
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """Sum over all series."""
        return sum(self.counts)


@attrs.frozen(kw_only=True)
class Chart:
    """
    Stacked bars by day.

    Attributes:
        title: What it shows.
        series: Names of the series; the style sheet colours them by name.
        bars: The days, oldest first.
    """

    title: str
    series: tuple[str, ...]
    bars: tuple[Bar, ...]

    @property
    def top(self) -> int:
        """The highest bar, at least 1."""
        return max([bar.total for bar in self.bars] + [1])

    def stack(self, bar: Bar, height: int) -> Iterator[tuple[str, float, float]]:
        """Yield (series, y, height) of a bar's parts, from the bottom up."""
        y = float(height)
        for name, count in zip(self.series, bar.counts, strict=True):
            part = height * count / self.top
            y -= part
            if count:
                yield name, round(y, 1), round(part, 1)


@attrs.frozen(kw_only=True)
class Numbers:
    """
    The numbers of the overview.

    Attributes:
        money: Today's payments by currency.
        charts: Enrollments by outcome and failed attempts over the last days.
        complete: Whether all rows of these days were counted.
    """

    money: tuple[Money, ...]
    charts: tuple[Chart, ...]
    complete: bool


def numbers_of(sdk: EnrollSDK) -> Numbers:
    """Count the newest rows, up to a bound."""
    today = sdk.clock.now().date()
    first = today - timedelta(days=DAYS - 1)
    days = [first + timedelta(days=n) for n in range(DAYS)]
    rows, all_rows = _newest(sdk.enrollments.list, first)
    jobs, all_jobs = _newest(sdk.admin.jobs, first)
    return Numbers(
        money=_paid_on(today, rows),
        charts=(_outcomes(days, rows), _tries(days, jobs)),
        complete=all_rows and all_jobs,
    )


def _newest(listing: Callable[..., Page[Any]], first: date) -> tuple[list[Any], bool]:
    """Return the rows since a day, newest first, and whether they are complete."""
    found: list[Any] = []
    cursor: str | None = None
    while len(found) < _MAX_ROWS:
        page = listing(limit=_PAGE, cursor=cursor)
        found += [row for row in page.items if row.created_at.date() >= first]
        cursor = page.next_cursor
        # (None on a page whose rows can't be read: there may be more.)
        is_old = bool(page.items) and page.items[-1].created_at.date() < first
        if cursor is None or is_old:
            return found, True
    return found, False


def _paid_on(day: date, rows: list[Enrollment]) -> tuple[Money, ...]:
    """Return the payments of a day by currency (rows are at most hours older)."""
    sums: dict[str, Money] = {}
    for row in rows:
        paid = any(e.fact == "paid" and e.at.date() == day for e in row.history)
        if paid:
            known = sums.get(row.amount.currency)
            # (Its own exponent, not today's: a currency may have gone since.)
            sums[row.amount.currency] = known + row.amount if known else row.amount
    return tuple(sums[currency] for currency in sorted(sums))


def _outcomes(days: list[date], rows: list[Enrollment]) -> Chart:
    series = ("enrolled", "waiting", "ended")
    found: Counter[tuple[date, str]] = Counter()
    for row in rows:
        if row.status in ENTITLED:
            name = "enrolled" if row.status is Status.ENROLLED else "waiting"
        else:
            open_ = {Status.PENDING, Status.AWAITING_PAYMENT, Status.ON_HOLD}
            name = "waiting" if row.status in open_ else "ended"
        found[row.created_at.date(), name] += 1
    return _chart("Enrollments by outcome", series, days, found)


def _tries(days: list[date], jobs: list[Job]) -> Chart:
    found: Counter[tuple[date, str]] = Counter()
    for job in jobs:
        last = job.errors[-1:] if job.outcome and str(job.state) == "dead" else ()
        for error in job.errors:
            found[_day(error.at), "dead" if error in last else "retried"] += 1
    return _chart("Failed attempts", ("retried", "dead"), days, found)


def _day(moment: datetime) -> date:
    return moment.date()


def _chart(
    title: str,
    series: tuple[str, ...],
    days: list[date],
    found: Counter[tuple[date, str]],
) -> Chart:
    bars = tuple(
        Bar(day=day, counts=tuple(found[day, name] for name in series)) for day in days
    )
    return Chart(title=title, series=series, bars=bars)
