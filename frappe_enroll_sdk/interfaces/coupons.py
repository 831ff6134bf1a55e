# SPDX-License-Identifier: MIT
"""Coupons and their seats."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from ..models import (
    Coupon,
    Page,
    ReleaseOutcome,
    Reservation,
    Seat,
)


class CouponStore(Protocol):
    """
    Coupons and their seats.

    A holder (an enrollment's id) never has two seats on one coupon, and at most
    `max_redemptions` seats are taken. A held seat is free for anyone as soon as it
    lapses; a bound one never lapses by time alone; a redeemed one is never freed.
    """

    def create(self, coupon: Coupon) -> bool:
        """Write a new coupon; False when the code is taken."""
        ...

    def create_many(self, coupons: Sequence[Coupon]) -> tuple[bool, ...]:
        """
        Call `create` for each coupon; return the answers in the same order.

        One conditional write per coupon, batched where the store can: a taken code (or
        the second of a duplicate) does not stop the others from being written. Not all
        or nothing: after an error, any of them may have been written.
        """
        ...

    def find(self, code: str, *, counted: bool = True) -> Coupon | None:
        """
        Return the coupon, or None.

        Its counts are exact at some moment during the call; without `counted` they may
        stay 0 where counting would slow a checkout down.
        """
        ...

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
        ...

    def readdress(self, code: str, email: str) -> bool:
        """Restrict the code to this learner; False when the code is unknown."""
        ...

    def disable(self, code: str) -> bool:
        """Disable the coupon (taken seats stay taken); False when unknown."""
        ...

    def reserve(
        self, code: str, holder: str, now: datetime, until: datetime
    ) -> Reservation:
        """
        Take a seat for the holder, or keep the one it has.

        A holder's held seat is extended to the later of the two ends; a bound or
        redeemed one is returned unchanged. The coupon must not be disabled and `now`
        must lie in its window, unless the holder already has a seat. Any number of
        callers may race: at most `max_redemptions` holders have a seat.
        """
        ...

    def bind(self, code: str, holder: str) -> bool:
        """
        Bind the holder's seat to its checkout session: it no longer lapses.

        True when the seat is now bound (or was bound or redeemed); False when the
        holder has no seat (lapsed and taken, or released).
        """
        ...

    def redeem(self, code: str, holder: str) -> bool:
        """
        Redeem the holder's seat for good: the point of no return.

        True when it is now redeemed (or was); False when the holder has no seat.
        """
        ...

    def release(self, code: str, holder: str) -> ReleaseOutcome:
        """Free a held or bound seat; a redeemed one stays, and the answer says so."""
        ...

    def find_seat(self, code: str, holder: str) -> Seat | None:
        """Return the holder's seat (even a lapsed one, until somebody takes it)."""
        ...
