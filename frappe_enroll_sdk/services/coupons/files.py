# SPDX-License-Identifier: MIT
"""Coupons as CSV: read row by row, every bad row named by its line."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any

import attrs

from ... import spreadsheets as written
from ... import wall
from ...codec import dump
from ...errors import EnrollError, ValidationError
from ...models import Coupon
from .. import validate
from .batches import BATCH


if TYPE_CHECKING:
    from ...interfaces import CouponStore

#: Columns that a file may have, in any order.
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
#: Further columns of an export; an import ignores them.
COUNTED = ("disabled", "created_at", "reserved", "redeemed")
#: Most problems that a report keeps; all are counted and reported as they are found.
MAX_PROBLEMS = 1000
_YES, _NO = frozenset({"yes", "true", "1"}), frozenset({"no", "false", "0", ""})
#: Other separators: for locales with a decimal comma, and tabs.
_OTHER_SEPARATOR = re.compile(r"[;\t|]")


@attrs.frozen(kw_only=True)
class Problem:
    """
    Why a row of the file is not a coupon.

    Attributes:
        line: The line on which it ends; the header's is 1.
        field: The column.
        text: The reason.
    """

    line: int
    field: str
    text: str


@attrs.define(kw_only=True)
class Imported:
    """
    The result of an import.

    Attributes:
        created: Coupons written.
        known: Rows whose coupon already existed with the same terms.
        bad: Rows that are not coupons, or whose code is taken by other terms.
        problems: The reasons for the first thousand.
    """

    created: int = 0
    known: int = 0
    bad: int = 0
    problems: list[Problem] = attrs.field(factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """Only the numbers."""
        return {"created": self.created, "known": self.known, "bad": self.bad}


@attrs.frozen(kw_only=True)
class Row:
    """A valid row: its coupon, its line, and whether the file chose the code."""

    line: int
    coupon: Coupon
    chosen: bool


Terms = Callable[..., Coupon]


class Import:
    """
    The import of one file; owned by one thread.

    Args:
        store: The target.
        terms: Makes a coupon from a row's fields, or raises `ValidationError`.
        new_code: Makes a code for a row without one.
        tell: Called with each problem as it is found.
        report: Filled in during the import.
    """

    def __init__(
        self,
        store: CouponStore,
        terms: Terms,
        new_code: Callable[[], str],
        tell: Callable[[Problem], None],
        report: Imported,
    ) -> None:
        self._store, self._terms, self._tell = store, terms, tell
        self._new_code = new_code
        self.report = report

    def run(
        self,
        source: IO[str],
        *,
        all_or_nothing: bool,
        on_progress: Callable[[int], object],
    ) -> None:
        """Write the file's coupons; with `all_or_nothing`, only if all are good."""
        if all_or_nothing:
            begin = source.tell()
            if not self.check(source):
                return
            source.seek(begin)
        for behind in self.write(source):
            on_progress(behind)

    def check(self, lines: Iterable[str]) -> bool:
        """Check the whole file without writing; tell whether every row is good."""
        seen: set[str] = set()
        for row in self._rows(lines):
            if not row.chosen:
                continue
            if row.coupon.code in seen:
                self._complain(row.line, "code", "appears twice in the file")
            seen.add(row.coupon.code)
            there = self._store.find(row.coupon.code, counted=False)
            if there is not None and not is_same(there, row.coupon):
                self._complain(row.line, "code", "is taken")
        return self.report.bad == 0

    def write(self, lines: Iterable[str]) -> Iterator[int]:
        """Write the good rows in batches; yield the number of rows processed."""
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
        """Classify a row whose code is taken: already imported, or a problem."""
        if not row.chosen:
            again = attrs.evolve(row.coupon, code=self._new_code())
            if self._store.create(again):
                self.report.created += 1
                return
        there = self._store.find(row.coupon.code, counted=False)
        if there is not None and is_same(there, row.coupon):
            self.report.known += 1
        else:
            self._complain(row.line, "code", "is taken")

    def _rows(self, lines: Iterable[str]) -> Iterator[Row]:
        reader = csv.reader(_texts(lines), strict=True)
        columns = _columns(reader)
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except UnicodeDecodeError:
                words = "is not UTF-8 from here on: the rest was not read"
                self._complain(reader.line_num + 1, "file", words)
                return
            except csv.Error:
                self._complain(reader.line_num, "row", "is not CSV")
                continue
            row = self._row(columns, cells, reader.line_num)
            if row is not None:
                yield row

    def _row(self, columns: list[str], cells: list[str], line: int) -> Row | None:
        # Spreadsheets may add empty rows at the end and empty cells at the right.
        if not any(map(str.strip, cells)):
            return None
        if len(cells) < len(columns) or any(map(str.strip, cells[len(columns) :])):
            self._complain(line, "row", "does not have as many cells as the header")
            return None
        pairs = list(zip(columns, cells, strict=False))
        if any(cell.strip() for name, cell in pairs if not name):
            self._complain(line, "row", "has a cell in a column without a name")
            return None
        named = {name: cell for name, cell in pairs if name}
        try:
            fields = fields_of(named)
            chosen = "code" in fields
            coupon = self._terms(**{"code": self._new_code(), **fields})
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
        if len(self.report.problems) < MAX_PROBLEMS:
            self.report.problems.append(problem)
        self._tell(problem)


def _texts(lines: Iterable[str]) -> Iterator[str]:
    """Yield a file's lines, without byte order mark or separator hint."""
    for number, line in enumerate(lines):
        text = line.removeprefix("\ufeff") if number == 0 else line
        # Keep it as a line, so that later lines keep their numbers.
        is_hint = number == 0 and text.strip().lower() == "sep=,"
        yield "\n" if is_hint else text


def _columns(reader: Any) -> list[str]:
    """
    Return the names of the columns; "" for those that have none.

    Raises:
        ValidationError: It is not a valid header.
    """
    try:
        names = [name.strip() for name in next((r for r in reader if any(r)), ())]
    except (csv.Error, UnicodeDecodeError) as error:
        raise _no_header("is not CSV in UTF-8") from error
    while names and not names[-1]:
        names.pop()
    given = [name for name in names if name]
    if len(names) == 1 and (found := _OTHER_SEPARATOR.search(names[0])):
        raise _no_header(f"is separated by {found[0]!r}: save the file with commas")
    if not all(map(wall.is_storable, given)):
        raise _no_header("is not text in UTF-8: save the file as UTF-8")
    if len(set(given)) != len(given):
        raise _no_header("names a column twice")
    if unknown := sorted({*given} - {*FIELDS, *COUNTED}):
        raise _no_header(f"there is no column {unknown[0][:40]!r}")
    if "percent_off" not in given:
        raise _no_header("has no percent_off")
    return names


def _no_header(words: str) -> ValidationError:
    return ValidationError(f"header: {words}", field="header")


def is_same(there: Coupon, wanted: Coupon) -> bool:
    """Tell whether two coupons have the same terms."""
    names = (*FIELDS[1:3], *FIELDS[4:])
    return all(getattr(there, name) == getattr(wanted, name) for name in names)


def fields_of(cells: dict[str, str]) -> dict[str, Any]:
    """
    Return the terms given in a row; ignore empty cells.

    Raises:
        ValidationError: Names the column.
    """
    given = {
        name: written.read(text.strip())
        for name, text in cells.items()
        if name in FIELDS and text.strip()
    }
    for name, text in given.items():
        if not wall.is_storable(text):
            raise ValidationError(f"{name}: is not text in UTF-8", field=name)
    fields: dict[str, Any] = dict(given)
    for name in ("max_redemptions", "per_learner"):
        if name in given:
            fields[name] = _whole(given[name], name)
    for name in ("starts_at", "expires_at"):
        if name in given:
            fields[name] = validate.moment_of(given[name], name)
    word = given.get("any_course", "").lower()
    if word not in _YES | _NO:
        raise ValidationError("any_course: must be yes or no", field="any_course")
    fields["any_course"] = word in _YES
    fields.setdefault("percent_off", "")
    return fields


def _whole(text: str, field: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 9:  # noqa: PLR2004
        raise ValidationError(f"{field}: must be an integer", field=field)
    return int(text)


def export(coupons: Iterable[Coupon]) -> Iterator[list[str]]:
    """Yield a file's rows, header first: the columns of `Import`, and counts."""
    yield [*FIELDS, *COUNTED]
    for coupon in coupons:
        cells = dump(coupon) | {"any_course": coupon.course_id is None}
        yield [written.cell(cells[name]) for name in (*FIELDS, *COUNTED)]
