# SPDX-License-Identifier: MIT
"""Coupons in bulk: made, read from files and written to them, counted."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import IO, Any

import attrs

from ...errors import CourseNotFoundError, ValidationError
from ...models import Coupon
from .. import validate
from . import batches, files
from .terms import CouponTerms


#: The LMS's name of each course of a file, or why there is none.
Names = dict[Any, str | CourseNotFoundError]


class BulkCoupons(CouponTerms):
    """What `Coupons` does with many at once. Thread-safe."""

    def create_many(
        self,
        count: int,
        percent_off: Decimal | int | str,
        course_id: str | None = None,
        *,
        prefix: str = "GRANT",
        pattern: str = batches.PATTERN,
        on_progress: Callable[[int], None] | None = None,
        **terms: Any,
    ) -> tuple[Coupon, ...]:
        """
        Create many coupons of the same terms, each with a random code; return them.

        Written in batches: what was written when a call fails or dies stays, and is
        found by its prefix (`each`).

        Args:
            count: How many, up to a million.
            percent_off: As in `create`.
            course_id: As in `create`.
            prefix: What each code begins with; may be empty.
            pattern: The rest; each ``#`` is a letter or digit that nobody confuses.
            on_progress: Called now and then with how many there are.
            **terms: `email`, `max_redemptions`, `per_learner`, `starts_at`,
                `expires_at`, `any_course`, as in `create`.

        Raises:
            ValidationError: Names the field; a pattern with too few codes counts as
                one.
            ConflictError: All codes of the pattern seem to be taken.
        """
        return tuple(
            self.create_each(
                count,
                percent_off,
                course_id,
                prefix=prefix,
                pattern=pattern,
                on_progress=on_progress,
                **terms,
            )
        )

    def create_each(
        self,
        count: int,
        percent_off: Decimal | int | str,
        course_id: str | None = None,
        *,
        prefix: str = "GRANT",
        pattern: str = batches.PATTERN,
        on_progress: Callable[[int], None] | None = None,
        **terms: Any,
    ) -> Iterator[Coupon]:
        """Do `create_many`, yielding each coupon as soon as it is written."""
        validate.whole(count, "count", most=batches.MOST)
        codes = batches.Codes(count, prefix, pattern, self._context.ambient)
        made = self.terms(
            code=codes.new(), percent_off=percent_off, course_id=course_id, **terms
        )
        store = self._context.storage.coupons
        return batches.write(store, made, codes, count, on_progress or _ignore)

    def each(
        self, *, prefix: str | None = None, course_id: str | None = None
    ) -> Iterator[Coupon]:
        """Yield all coupons with their counts, by code, reading a page at a time."""
        begin = validate.optional_text(prefix, "prefix", most=64)
        store = self._context.storage.coupons
        return batches.each(store, prefix=begin, course_id=course_id)

    def usage(
        self, *, prefix: str | None = None, course_id: str | None = None
    ) -> batches.Usage:
        """Count what became of coupons; reads all of those that are meant."""
        found, now = batches.Usage(), self._context.now()
        for coupon in self.each(prefix=prefix, course_id=course_id):
            found = found.plus(coupon, now)
        return found

    def export_csv(
        self, out: IO[str], *, prefix: str | None = None, course_id: str | None = None
    ) -> int:
        """Write coupons with their counts as CSV, a page at a time; count them."""
        writer, count = csv.writer(out), -1
        for count, row in enumerate(  # noqa: B007  the count is the answer
            files.export(self.each(prefix=prefix, course_id=course_id))
        ):
            writer.writerow(row)
        return count

    def import_csv(
        self,
        source: IO[str],
        *,
        all_or_nothing: bool = False,
        on_problem: Callable[[files.Problem], None] | None = None,
        on_progress: Callable[[int], None] | None = None,
        report: files.Imported | None = None,
    ) -> files.Imported:
        """
        Create the coupons of a CSV file, read row by row; return what became of it.

        A file that was imported in part is imported again: rows whose coupon is there
        with the same terms count as `known`.

        Args:
            source: The file, its columns named in the first line (``coupon_files``
                lists them); rows without a code get one.
            all_or_nothing: Read the file twice (it must be seekable) and write nothing
                if any row is bad or any code is taken by then.
            on_problem: Called with each bad row, as it is found.
            on_progress: Called now and then with how many rows are behind.
            report: Filled in as the work goes on, so that it tells what was done
                whatever ends it.

        Raises:
            ValidationError: The header is not one.
        """
        known: Names = {}
        work = files.Import(
            self._context.storage.coupons,
            partial(self._terms_of_row, known),
            self.new_code,
            on_problem or _ignore,
            files.Imported() if report is None else report,
        )
        if all_or_nothing:
            begin = source.tell()
            if not work.check(source):
                return work.report
            source.seek(begin)
        for behind in work.write(source):
            if on_progress is not None:
                on_progress(behind)
        return work.report

    def _terms_of_row(self, known: Names, **fields: Any) -> Coupon:
        """Return a row's coupon; a course is asked for once in a file."""
        course = fields.get("course_id")
        if course is None:
            return self.terms(**fields)
        if course not in known:
            known[course] = self._name_of(course)
        name = known[course]
        if isinstance(name, CourseNotFoundError):
            raise name
        whole = self.terms(**{**fields, "course_id": None, "any_course": True})
        if fields.get("any_course"):
            raise ValidationError(
                "any_course: there is a course too", field="any_course"
            )
        return attrs.evolve(whole, course_id=name)

    def _name_of(self, course: Any) -> str | CourseNotFoundError:
        """Return the LMS's name of a course, or why there is none."""
        try:
            return self._catalogue.get(validate.text(course, "course_id")).id
        except CourseNotFoundError as error:
            return error


def _ignore(_: object) -> None:
    """Tell nobody."""
