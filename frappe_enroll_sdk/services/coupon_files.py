# SPDX-License-Identifier: MIT
"""Coupons as CSV: read row by row, every bad row named by its line."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import attrs

from .. import cells as written
from ..codec import dump
from ..errors import EnrollError, ValidationError
from ..ids import new_coupon_code
from ..models import Coupon
from . import validate
from .coupon_batches import BATCH


if TYPE_CHECKING:
    from ..interfaces import CouponStore

#: What a row of the file may say; a file has those that it needs, in any order.
FIELDS = (
    "code",
    "percent_off",
    "course_id",
    "any_course",
    "email",
    "max_redemptions",
    "per_learner",
    "starts_at",
    "expires_at",
)
#: What the export says besides; an import passes over it.
COUNTED = ("disabled", "created_at", "reserved", "redeemed")
#: Problems that a report keeps; all of them are counted and told as they are found.
MOST_PROBLEMS = 1000
_YES, _NO = frozenset({"yes", "true", "1"}), frozenset({"no", "false", "0", ""})


@attrs.frozen(kw_only=True)
class Problem:
    """
    Why a row of the file is no coupon.

    Attributes:
        line: The line that it ends on, the header's being 1.
        field: The column.
        text: Why, in words.
    """

    line: int
    field: str
    text: str


@attrs.define(kw_only=True)
class Imported:
    """
    What became of a file.

    Attributes:
        created: Coupons that were written.
        known: Rows whose coupon was there already, with the same terms.
        bad: Rows that are no coupon, or whose code is taken by other terms.
        problems: Why, of the first thousand.
    """

    created: int = 0
    known: int = 0
    bad: int = 0
    problems: list[Problem] = attrs.field(factory=list)


@attrs.frozen(kw_only=True)
class Row:
    """A row that is a coupon: its line, and whether the file chose the code."""

    line: int
    coupon: Coupon
    chosen: bool


Terms = Callable[..., Coupon]


class Import:
    """
    One file on its way into the store; owned by one thread.

    Args:
        store: Where to.
        terms: Makes a coupon of a row's fields, or raises `ValidationError`.
        tell: Called with each problem, as it is found.
    """

    def __init__(
        self, store: CouponStore, terms: Terms, tell: Callable[[Problem], None]
    ) -> None:
        self._store, self._terms, self._tell = store, terms, tell
        self.report = Imported()

    def check(self, lines: Iterable[str]) -> bool:
        """Look at the whole file without writing; tell whether every row is good."""
        seen: set[str] = set()
        for row in self._rows(lines):
            if not row.chosen:
                continue
            if row.coupon.code in seen:
                self._complain(row.line, "code", "stands in the file twice")
            seen.add(row.coupon.code)
            there = self._store.find(row.coupon.code, counted=False)
            if there is not None and not is_same(there, row.coupon):
                self._complain(row.line, "code", "is taken")
        return self.report.bad == 0

    def write(self, lines: Iterable[str]) -> Iterator[int]:
        """Write the good rows in batches; yield how many rows are behind."""
        rows, behind = self._rows(lines), 0
        while batch := list(itertools.islice(rows, BATCH)):
            written = self._store.create_many([row.coupon for row in batch])
            for row, new in zip(batch, written, strict=True):
                if new:
                    self.report.created += 1
                else:
                    self._meet(row)
            behind += len(batch)
            yield behind

    def _meet(self, row: Row) -> None:
        """Say what a row whose code is taken is: there already, or a problem."""
        if not row.chosen:
            again = attrs.evolve(row.coupon, code=new_coupon_code())
            if self._store.create(again):
                self.report.created += 1
                return
        there = self._store.find(row.coupon.code, counted=False)
        if there is not None and is_same(there, row.coupon):
            self.report.known += 1
        else:
            self._complain(row.line, "code", "is taken")

    def _rows(self, lines: Iterable[str]) -> Iterator[Row]:
        reader = csv.DictReader(lines, strict=True)
        columns = _columns(reader)
        if unknown := sorted(columns - {*FIELDS, *COUNTED}):
            raise ValidationError(
                f"header: there is no column {unknown[0][:40]!r}", field="header"
            )
        if "percent_off" not in columns:
            raise ValidationError("header: has no percent_off", field="header")
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except UnicodeDecodeError as error:
                raise ValidationError("file: is not UTF-8", field="file") from error
            except csv.Error:
                self._complain(reader.reader.line_num, "row", "is not CSV")
                continue
            row = self._row(cells, reader.line_num)
            if row is not None:
                yield row

    def _row(self, cells: dict[Any, Any], line: int) -> Row | None:
        if None in cells or None in cells.values():
            self._complain(line, "row", "has another number of cells than the header")
            return None
        try:
            fields = fields_of(cells)
            chosen = "code" in fields
            coupon = self._terms(**{"code": new_coupon_code(), **fields})
        except EnrollError as error:
            if error.retryable:
                raise
            text = str(error).partition(": ")[2] or str(error)
            self._complain(line, error.field or "row", text)
            return None
        return Row(line=line, coupon=coupon, chosen=chosen)

    def _complain(self, line: int, field: str, text: str) -> None:
        problem = Problem(line=line, field=field, text=text)
        self.report.bad += 1
        if len(self.report.problems) < MOST_PROBLEMS:
            self.report.problems.append(problem)
        self._tell(problem)


def _columns(reader: csv.DictReader[str]) -> set[str]:
    try:
        names = [
            (name or "").strip().lstrip("\ufeff") for name in reader.fieldnames or ()
        ]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValidationError("header: is not CSV", field="header") from error
    if len(set(names)) != len(names):
        raise ValidationError("header: names a column twice", field="header")
    reader.fieldnames = names
    return set(names)


def is_same(there: Coupon, wanted: Coupon) -> bool:
    """Tell whether two coupons have the same terms."""
    names = (*FIELDS[1:3], *FIELDS[4:])
    return all(getattr(there, name) == getattr(wanted, name) for name in names)


def fields_of(cells: dict[str, str]) -> dict[str, Any]:
    """
    Return the terms that a row states; empty cells state nothing.

    Raises:
        ValidationError: Names the column.
    """
    said = {
        name: written.read(text.strip())
        for name, text in cells.items()
        if name in FIELDS and text.strip()
    }
    fields: dict[str, Any] = dict(said)
    for name in ("max_redemptions", "per_learner"):
        if name in said:
            fields[name] = _whole(said[name], name)
    for name in ("starts_at", "expires_at"):
        if name in said:
            fields[name] = validate.moment_of(said[name], name)
    word = said.get("any_course", "").lower()
    if word not in _YES | _NO:
        raise ValidationError("any_course: must be yes or no", field="any_course")
    fields["any_course"] = word in _YES
    fields.setdefault("percent_off", "")
    return fields


def _whole(text: str, field: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 9:  # noqa: PLR2004
        raise ValidationError(f"{field}: must be a whole number", field=field)
    return int(text)


def export(coupons: Iterable[Coupon]) -> Iterator[list[str]]:
    """Yield the rows of a file, the header first: what `Import` reads, and counts."""
    yield [*FIELDS, *COUNTED]
    for coupon in coupons:
        told = dump(coupon) | {"any_course": coupon.course_id is None}
        yield [written.cell(told[name]) for name in (*FIELDS, *COUNTED)]
