# SPDX-License-Identifier: MIT
"""Creating, previewing and disabling coupons."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import attrs

from ...errors import CodeTakenError, CouponExhaustedError, NotFoundError
from ...models import Coupon, Course, Page
from .. import validate
from .bulk import BulkCoupons
from .per_learner import has_enough
from .pricing import Quote, quote, require_fit


_TRIES_FOR_A_CODE = 20


class Coupons(BulkCoupons):
    """Coupons of one SDK. Thread-safe."""

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
    ) -> Coupon:
        """
        Create a coupon and return it.

        Args:
            percent_off: Above 0, at most 100.
            course_id: The course it is good for.
            code: What is typed; made up if not given.
            email: The one learner it is good for.
            max_redemptions: Seats.
            per_learner: Seats that one learner may have; all if not given.
            starts_at: Aware moment from which it is good.
            expires_at: Aware moment from which it no longer is.
            any_course: Good for every course (then no `course_id`).

        Raises:
            ValidationError: Names the field.
            CodeTakenError: The code is another one's.
        """
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
        return self._store(terms, chosen=code is not None)

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
        """Return coupons, by code; with `prefix`, those whose code begins so."""
        begin = validate.optional_text(prefix, "prefix", most=64)
        return self._context.storage.coupons.list(
            course_id=course_id,
            email=email,
            prefix=begin.upper() if begin else None,
            **validate.paging(limit, cursor),
        )

    def disable(self, code: str) -> None:
        """
        Disable a coupon: nobody gets a seat any more, taken ones stay.

        Raises:
            NotFoundError: There is none.
        """
        if not self._context.storage.coupons.disable(validate.code(code, "code")):
            raise NotFoundError(field="code")

    def preview(self, code: str, course_id: str, email: str) -> Quote:
        """
        Return what the learner would pay; nothing is reserved.

        Raises:
            CouponUnavailableError: It does not fit this learner or course, or is none.
            CouponExpiredError: It fits, but its time is over.
            CouponExhaustedError: It fits, but is used up (and not by this learner's
                standing enrollment).
        """
        address = validate.email(email)
        typed = validate.code(code)
        course = self._catalogue.get(validate.text(course_id, "course_id"))
        coupon = self.usable(typed, course.id, address)
        if coupon.redeemed >= coupon.max_redemptions:
            standing = self._context.storage.enrollments.find_live(address, course.id)
            if standing is None or standing.coupon_code != typed:
                raise CouponExhaustedError(field="coupon_code")
        if coupon.per_learner is not None and self._is_used_up(typed, address, course):
            raise CouponExhaustedError(field="coupon_code")
        settings = self._context.settings
        return quote(
            course,
            coupon,
            free_courses=settings.free_courses,
            below_minimum=settings.below_minimum,
        )

    def _is_used_up(self, code: str, email: str, course: Course) -> bool:
        store = self._context.storage
        standing = store.enrollments.find_live(email, course.id)
        own = standing.id if standing and standing.coupon_code == code else ""
        return has_enough(store, email, code, but=own)

    def usable(self, code: str, course_id: str, email: str) -> Coupon:
        """Return the coupon if its terms and the plugins allow it here."""
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
