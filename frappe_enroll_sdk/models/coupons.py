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
        code: What is typed, upper-case.
        percent_off: Above 0, at most 100.
        course_id: The one course it is good for; None = any course.
        email: The one learner it is good for, lower-case; None = anyone.
        max_redemptions: Seats.
        per_learner: Seats that one learner may have, or None (as many as there are).
        starts_at: First moment at which it may be reserved, or None.
        expires_at: First moment at which it may no longer be reserved, or None.
        disabled: True once an operator has disabled it.
        created_at: When it was created.
        reserved: Seats that are held or bound now (filled in by the store).
        redeemed: Seats that are redeemed (filled in by the store).
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
        """Tell whether its time has begun."""
        return self.starts_at is None or self.starts_at <= now

    def has_ended(self, now: datetime) -> bool:
        """Tell whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now

    def is_usable(self, now: datetime) -> bool:
        """Tell whether anybody may get a seat now, if there is one."""
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
        """Return the seat of a holder that has just got it."""
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
        outcome: reserved = the holder has a seat (now or from before); held = no seat
            is free, but one that is not redeemed may become free; exhausted = nothing
            to be had (all redeemed, disabled, outside its window, unknown).
        seat: The holder's own seat when reserved, or None.
        blocker: When held: the seat that has waited longest, whose holder may be
            settled for a takeover.
    """

    outcome: ReserveOutcome
    seat: Seat | None = None
    blocker: Seat | None = None
