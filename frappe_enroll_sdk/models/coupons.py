# SPDX-License-Identifier: MIT
"""Coupons and their seats."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Self

import attrs


class SeatState(StrEnum):
    """A coupon's seat: held (may lapse), bound to a checkout session, or redeemed."""

    HELD = "held"
    BOUND = "bound"
    REDEEMED = "redeemed"


class ReserveOutcome(StrEnum):
    """Answer of `CouponStore.reserve`."""

    RESERVED = "reserved"
    HELD = "held"
    EXHAUSTED = "exhausted"


class ReleaseOutcome(StrEnum):
    """Answer of `CouponStore.release`."""

    RELEASED = "released"
    REDEEMED = "redeemed"
    NOT_HELD = "not_held"


@attrs.frozen(kw_only=True)
class Coupon:
    """
    The terms of a code.

    Attributes:
        code: The code that learners type, upper-case.
        percent_off: Greater than 0, at most 100.
        course_id: The only course it is valid for; None = any course.
        email: The only learner it is valid for, lower-case; None = anyone.
        max_redemptions: Number of seats.
        per_learner: Number of seats that one learner may have, or None (no limit).
        starts_at: From when it may be reserved, or None.
        expires_at: From when it may no longer be reserved, or None.
        disabled: True once an operator has disabled it.
        created_at: When it was created.
        reserved: Seats held or bound now (filled in by the store).
        redeemed: Seats redeemed (filled in by the store).
    """

    code: str
    percent_off: Decimal
    course_id: str | None = None
    email: str | None = attrs.field(default=None, repr=False)
    max_redemptions: int = 1
    per_learner: int | None = None
    starts_at: datetime | None = None
    expires_at: datetime | None = None
    disabled: bool = False
    created_at: datetime
    reserved: int = 0
    redeemed: int = 0

    def has_begun(self, now: datetime) -> bool:
        """Tell whether its validity has begun."""
        return self.starts_at is None or self.starts_at <= now

    def has_ended(self, now: datetime) -> bool:
        """Tell whether its validity has ended."""
        return self.expires_at is not None and self.expires_at <= now

    def is_usable(self, now: datetime) -> bool:
        """Tell whether free seats may be reserved now."""
        return not self.disabled and self.has_begun(now) and not self.has_ended(now)

    @property
    def is_used_up(self) -> bool:
        """Whether every seat is redeemed."""
        return self.redeemed >= self.max_redemptions


@attrs.frozen(kw_only=True)
class Seat:
    """
    One holder's seat on a coupon.

    Attributes:
        code: The coupon's code.
        holder: The enrollment's id.
        state: held, bound or redeemed.
        reserved_at: When the holder first got the seat.
        until: When a held seat lapses (a bound one never lapses by time alone).
    """

    code: str
    holder: str
    state: SeatState
    reserved_at: datetime
    until: datetime

    @classmethod
    def held(cls, code: str, holder: str, now: datetime, until: datetime) -> Self:
        """Return a new held seat."""
        return cls(
            code=code,
            holder=holder,
            state=SeatState.HELD,
            reserved_at=now,
            until=until,
        )


@attrs.frozen(kw_only=True)
class Reservation:
    """
    Answer of `CouponStore.reserve`.

    Attributes:
        outcome: reserved = the holder has a seat (new or existing); held = no seat is
            free, but an unredeemed one may become free; exhausted = no seat is
            available (all redeemed, disabled, outside its window, unknown).
        seat: The holder's own seat when reserved, or None.
        blocker: When held: the seat held longest, whose holder may be settled for a
            takeover.
    """

    outcome: ReserveOutcome
    seat: Seat | None = None
    blocker: Seat | None = None
