# SPDX-License-Identifier: MIT
"""Coupons: made one by one and in bulk, previewed, disabled, counted."""

from __future__ import annotations

import csv
from collections.abc import Callable, Generator, Iterator
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import IO, TYPE_CHECKING, Any

import attrs

from ...errors import (
    CodeTakenError,
    CouponExhaustedError,
    CourseNotFoundError,
    NotFoundError,
    ValidationError,
)
from ...ids import new_coupon_code
from ...mailbox import mailbox_of
from ...models import (
    Actor,
    Coupon,
    Course,
    Enrollment,
    Opener,
    Page,
    Seat,
    SeatState,
    walk,
)
from ...money import share
from ...states import EXITS
from .. import audit, validate
from . import batches, files
from .pricing import Quote, quote, require_fit


if TYPE_CHECKING:
    from ...interfaces import Storage
    from ..catalogue import Catalogue
    from ..context import Context

_TRIES_FOR_A_CODE = 20
_MAX_REDEMPTIONS = 10_000_000
_PAGE = 200
#: The LMS's name for each course in a file, or why there is none.
Names = dict[Any, str | CourseNotFoundError]


def _ignore(_: object) -> None:
    """Do nothing."""


class Coupons:
    """The coupons of one SDK. Thread-safe."""

    def __init__(self, context: Context, catalogue: Catalogue) -> None:
        self._context = context
        self._catalogue = catalogue

    def create(
        self,
        percent_off: Decimal | int | str,
        course_id: str | None = None,
        *,
        code: str | None = None,
        email: str | None = None,
        max_redemptions: int = 1,
        per_learner: int | None = None,
        starts_at: datetime | None = None,
        expires_at: datetime | None = None,
        any_course: bool = False,
        actor: str = "",
        reason: str = "",
    ) -> Coupon:
        """
        Create a coupon and return it.

        Args:
            percent_off: Greater than 0, at most 100.
            course_id: The course it is valid for.
            code: The code to type; generated if not given.
            email: The only learner it is valid for.
            max_redemptions: Number of seats.
            per_learner: Number of seats that one learner may have; no limit if not
                given.
            starts_at: Aware moment from which it is valid.
            expires_at: Aware moment from which it no longer is.
            any_course: Valid for every course (then without `course_id`).
            actor: Who creates it, for the audit trail.
            reason: Why, for the audit trail.

        Raises:
            ValidationError: Names the field.
            CodeTakenError: Another coupon has the code.
        """
        by = audit.actor_of(actor, reason)
        terms = self.terms(
            code=self.new_code() if code is None else code,
            percent_off=percent_off,
            course_id=course_id,
            email=email,
            max_redemptions=max_redemptions,
            per_learner=per_learner,
            starts_at=starts_at,
            expires_at=expires_at,
            any_course=any_course,
        )
        made = self._store(terms, chosen=code is not None)
        audit.write(self._context, by, "create_coupon", made.code)
        return made

    def _store(self, coupon: Coupon, *, chosen: bool) -> Coupon:
        for _ in range(_TRIES_FOR_A_CODE):
            if self._context.storage.coupons.create(coupon):
                return coupon
            if chosen:
                break
            coupon = attrs.evolve(coupon, code=self.new_code())
        raise CodeTakenError("code: is taken", field="code")

    def get(self, code: str) -> Coupon:
        """
        Return a coupon with its counts.

        Raises:
            NotFoundError: There is none.
        """
        coupon = self._context.storage.coupons.find(validate.code(code, "code"))
        if coupon is None:
            raise NotFoundError(field="code")
        return coupon

    def list(
        self,
        *,
        course_id: str | None = None,
        email: str | None = None,
        prefix: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Coupon]:
        """Return coupons in order of code; with `prefix`, those that start with it."""
        begin = validate.optional_text(prefix, "prefix", most=64)
        return self._context.storage.coupons.list(
            course_id=course_id,
            email=email,
            prefix=begin.upper() if begin else None,
            **validate.paging(limit, cursor),
        )

    def disable(self, code: str, *, actor: str = "", reason: str = "") -> Coupon:
        """
        Disable and return a coupon: it gives no more seats, taken ones stay.

        Raises:
            NotFoundError: There is none.
        """
        by = audit.actor_of(actor, reason)
        # Audit first: nothing is disabled without an entry, even if the process dies.
        found = self.get(code)
        audit.write(self._context, by, "disable_coupon", found.code)
        self._context.storage.coupons.disable(found.code)
        return attrs.evolve(found, disabled=True)

    def preview(self, code: str, course_id: str, email: str) -> Quote:
        """
        Return what the learner would pay; nothing is reserved.

        Raises:
            CouponUnavailableError: It does not fit this learner or course, or does not
                exist.
            CouponExpiredError: It fits, but has expired.
            CouponExhaustedError: It fits, but is used up.
        """
        address = validate.email(email)
        typed = validate.code(code)
        course = self._catalogue.get(validate.text(course_id, "course_id"))
        coupon = self.usable(typed, course.id, address)
        # Counted only for a learner whom it fits: guessing reveals nothing about usage.
        used_up = self.get(typed).is_used_up
        limited = coupon.per_learner is not None
        if used_up or (limited and has_enough(self._context.storage, address, typed)):
            raise CouponExhaustedError(field="coupon_code")
        return self.quote(course, coupon)

    def quote(self, course: Course, coupon: Coupon | None) -> Quote:
        """Return what a learner pays for a course; see ``pricing.quote``."""
        settings = self._context.settings
        return quote(
            course,
            coupon,
            free_courses=settings.free_courses,
            below_minimum=settings.below_minimum,
            minimum=self._context.payments.traits.minimum_charge,
        )

    def usable(self, code: str, course_id: str, email: str) -> Coupon:
        """Return the coupon, if its terms and the plugins allow its use here."""
        coupon = require_fit(
            self._context.storage.coupons.find(code, counted=False),
            course_id,
            email,
            self._context.now(),
        )
        self._context.plugins.check(
            "check_coupon", code=code, course_id=course_id, email=email
        )
        return coupon

    def new_code(self) -> str:
        """Return a new code; write nothing."""
        return new_coupon_code(ambient=self._context.ambient)

    def terms(
        self,
        *,
        code: str,
        percent_off: Decimal | int | str,
        course_id: str | None = None,
        email: str | None = None,
        max_redemptions: int = 1,
        per_learner: int | None = None,
        starts_at: datetime | None = None,
        expires_at: datetime | None = None,
        any_course: bool = False,
    ) -> Coupon:
        """Return a validated coupon with these terms; write nothing; see `create`."""
        if any_course == (course_id is not None):
            raise ValidationError(
                "course_id: give a course, or any_course", field="course_id"
            )
        name = None
        if course_id is not None:
            name = self._catalogue.get(validate.text(course_id, "course_id")).id
        seats = validate.whole(
            max_redemptions, "max_redemptions", most=_MAX_REDEMPTIONS
        )
        if per_learner is not None:
            validate.whole(per_learner, "per_learner", most=_MAX_REDEMPTIONS)
        since, until = (
            _moment(starts_at, "starts_at"),
            _moment(expires_at, "expires_at"),
        )
        if since is not None and until is not None and until <= since:
            raise ValidationError(
                "expires_at: must come after starts_at", field="expires_at"
            )
        return Coupon(
            code=validate.code(code, "code"),
            percent_off=percent_off_of(percent_off),
            course_id=name,
            email=validate.email(email) if email is not None else None,
            max_redemptions=seats,
            per_learner=per_learner,
            starts_at=since,
            expires_at=until,
            created_at=self._context.now(),
        )

    # In bulk.

    def create_many(
        self,
        count: int,
        percent_off: Decimal | int | str,
        course_id: str | None = None,
        **more: Any,
    ) -> tuple[Coupon, ...]:
        """Create many coupons with the same terms; return them; see `create_each`."""
        return tuple(self.create_each(count, percent_off, course_id, **more))

    def create_each(
        self,
        count: int,
        percent_off: Decimal | int | str,
        course_id: str | None = None,
        *,
        prefix: str = "GRANT",
        pattern: str = batches.PATTERN,
        on_progress: Callable[[int], None] | None = None,
        actor: str = "",
        reason: str = "",
        **terms: Any,
    ) -> Generator[Coupon, None, None]:
        """
        Create many coupons with the same terms; yield each as soon as it is written.

        Each has a random code. They are written in batches: if a call fails or the
        process dies, those already written stay, and can be found by their prefix
        (`each`).

        Args:
            count: How many, up to a million.
            percent_off: As in `create`.
            course_id: As in `create`.
            prefix: The start of each code; may be empty.
            pattern: The rest; each ``#`` becomes an unambiguous letter or digit.
            on_progress: Called from time to time with the number so far.
            actor: Who creates them, for the audit trail.
            reason: Why, for the audit trail.
            **terms: `email`, `max_redemptions`, `per_learner`, `starts_at`,
                `expires_at`, `any_course`, as in `create`.

        Raises:
            ValidationError: Names the field; also for a pattern with too few codes.
                Nothing was written.
            ConflictError: All codes of the pattern seem to be taken.
        """
        by = audit.actor_of(actor, reason)
        validate.whole(count, "count", most=batches.MAX_COUPONS)
        codes = batches.Codes(count, prefix, pattern, self._context.ambient)
        made = self.terms(
            code=codes.new(), percent_off=percent_off, course_id=course_id, **terms
        )
        store = self._context.storage.coupons
        written = batches.write(store, made, codes, count, on_progress or _ignore)
        # Whatever is refused up to here has not begun, and is not audited.
        return self._audited(written, by, prefix, count)

    def _audited(
        self, written: Iterator[Coupon], by: Actor | None, prefix: str, wanted: int
    ) -> Generator[Coupon, None, None]:
        """Yield coupons as they are written; audit them as one action."""
        with audit.acting(
            self._context, by, "create_coupons", prefix, wanted=wanted
        ) as result:
            for count, coupon in enumerate(written, 1):
                result["count"] = count
                yield coupon

    def each(
        self,
        *,
        prefix: str | None = None,
        course_id: str | None = None,
        unreadable: Callable[[str], object] | None = None,
    ) -> Iterator[Coupon]:
        """
        Yield all coupons with their counts, by code, reading a page at a time.

        Args:
            prefix: Those whose code begins so.
            course_id: Those of a course.
            unreadable: Called with each coupon that can't be read: "code: why".
        """
        begin = validate.optional_text(prefix, "prefix", most=64)
        store = self._context.storage.coupons
        return batches.each(
            store, prefix=begin, course_id=course_id, unreadable=unreadable
        )

    def usage(
        self, *, prefix: str | None = None, course_id: str | None = None
    ) -> batches.Usage:
        """Count how coupons were used; reads all that match."""
        found, now = batches.Usage(), self._context.now()
        for coupon in self.each(prefix=prefix, course_id=course_id):
            found = found.plus(coupon, now)
        return found

    def export_csv(
        self,
        out: IO[str],
        *,
        prefix: str | None = None,
        course_id: str | None = None,
        unreadable: Callable[[str], object] | None = None,
    ) -> int:
        """Write coupons with their counts as CSV, a page at a time; return how many."""
        found = self.each(prefix=prefix, course_id=course_id, unreadable=unreadable)
        writer, count = csv.writer(out), -1
        for count, row in enumerate(files.export(found)):  # noqa: B007  the count is the answer
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
        actor: str = "",
        reason: str = "",
    ) -> files.Imported:
        """
        Create the coupons of a CSV file, row by row; return the result.

        A partly imported file can be imported again: rows whose coupon exists with the
        same terms count as `known`.

        Args:
            source: The file, with column names in the first line (listed in
                ``files.py``); rows without a code get one.
            all_or_nothing: Read the file twice (it must be seekable) and write nothing
                if any row is bad or any code is already taken.
            on_problem: Called with each bad row as it is found.
            on_progress: Called from time to time with the number of rows processed.
            report: Filled in during the import, so that it is accurate however the
                import ends.
            actor: Who imports it, for the audit trail.
            reason: Why, for the audit trail.

        Raises:
            ValidationError: The header is not valid.
        """
        known: Names = {}
        work = files.Import(
            self._context.storage.coupons,
            partial(self._terms_of_row, known),
            self.new_code,
            on_problem or _ignore,
            files.Imported() if report is None else report,
        )
        by = audit.actor_of(actor, reason)
        name = str(getattr(source, "name", "csv"))
        with audit.acting(self._context, by, "import_coupons", name) as result:
            try:
                work.run(
                    source,
                    all_or_nothing=all_or_nothing,
                    on_progress=on_progress or _ignore,
                )
            finally:
                result.update(work.report.counts)
        return work.report

    def _terms_of_row(self, known: Names, **fields: Any) -> Coupon:
        """Return a row's coupon; each course is looked up once per file."""
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
                "any_course: the row also names a course", field="any_course"
            )
        return attrs.evolve(whole, course_id=name)

    def _name_of(self, course: Any) -> str | CourseNotFoundError:
        """Return the LMS's name for a course, or why there is none."""
        try:
            return self._catalogue.get(validate.text(course, "course_id")).id
        except CourseNotFoundError as error:
            return error


def percent_off_of(value: Decimal | float | str) -> Decimal:
    """Return a discount above 0 and at most 100; ValidationError otherwise."""
    percent = share(value)
    if percent is None or not percent:
        raise ValidationError(
            "percent_off: must be above 0 and at most 100", field="percent_off"
        )
    return percent


def _moment(value: object, field: str) -> datetime | None:
    return None if value is None else validate.moment(value, field)


def has_enough(
    storage: Storage,
    email: str,
    code: str,
    *,
    opened_by: Opener = Opener.ANYBODY,
    but: str = "",
) -> bool:
    """
    Tell whether a learner has all the seats that the code allows one person.

    Counts redeemed seats, under any spelling of the mailbox; seats about to be redeemed
    (a code that leaves nothing to pay); and attempts that the host vouches for, if it
    also vouches for the caller. Does not count a stranger's attempt under the learner's
    address, who could lock the learner out.

    Exact if the caller has already taken its own seat: the second of two callers then
    sees the first one's seat. (Two at once may both be told yes, never both no.)

    Args:
        storage: The store.
        email: The learner's address, normalised.
        code: The coupon's code.
        opened_by: How far the caller's identity is known.
        but: An enrollment whose seat does not count: the caller's own.
    """
    coupon = storage.coupons.find(code, counted=False)
    if coupon is None or coupon.per_learner is None:
        return False
    taken = 0
    for row, seat in _seats(storage, email, coupon, but):
        own = opened_by is row.opened_by is Opener.VOUCHED
        sure = seat.state is SeatState.REDEEMED or not row.amount
        taken += own or sure
        if taken >= coupon.per_learner:
            return True
    return False


def is_over(storage: Storage, email: str, code: str) -> bool:
    """Tell whether a learner has redeemed more seats than the code allows."""
    coupon = storage.coupons.find(code, counted=False)
    if coupon is None or coupon.per_learner is None:
        return False
    seats = _seats(storage, email, coupon)
    redeemed = sum(seat.state is SeatState.REDEEMED for _, seat in seats)
    return redeemed > coupon.per_learner


def _seats(
    storage: Storage, email: str, coupon: Coupon, but: str = ""
) -> Iterator[tuple[Enrollment, Seat]]:
    """Yield the learner's attempts that have a seat (exits have none that counts)."""
    find, whose = storage.enrollments.list, mailbox_of(email)
    for row in walk(
        lambda cursor: find(
            mailbox=whose, coupon_code=coupon.code, limit=_PAGE, cursor=cursor
        )
    ):
        if row.status not in EXITS and row.id != but:
            seat = storage.coupons.find_seat(coupon.code, row.id)
            if seat is not None:
                yield row, seat
