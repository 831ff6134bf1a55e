# SPDX-License-Identifier: MIT
"""The terms of a coupon: validated."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from ...errors import ValidationError
from ...ids import new_coupon_code
from ...models import Coupon
from ...money import share
from .. import validate


if TYPE_CHECKING:
    from ..catalogue import Catalogue
    from ..context import Context

_MOST_REDEMPTIONS = 10_000_000


class CouponTerms:
    """What makes a coupon of terms. Thread-safe."""

    def __init__(self, context: Context, catalogue: Catalogue) -> None:
        self._context = context
        self._catalogue = catalogue

    def new_code(self) -> str:
        """Return a new code; nothing is written."""
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
        """Return the coupon of these terms, validated and not written; see `create`."""
        if any_course == (course_id is not None):
            raise ValidationError(
                "course_id: give a course, or any_course", field="course_id"
            )
        name = None
        if course_id is not None:
            name = self._catalogue.get(validate.text(course_id, "course_id")).id
        seats = validate.whole(
            max_redemptions, "max_redemptions", most=_MOST_REDEMPTIONS
        )
        if per_learner is not None:
            validate.whole(per_learner, "per_learner", most=_MOST_REDEMPTIONS)
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
