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

    A holder (an enrollment's id) never has two seats on one coupon, and never more
    than `max_redemptions` seats are taken. A held seat that has lapsed is free for
    anybody at once; a bound one never lapses by time alone; a redeemed one is never
    freed.
    """

    def create(self, coupon: Coupon) -> bool:
        """Write a new coupon; False when the code is taken."""
        ...

    def create_many(self, coupons: Sequence[Coupon]) -> tuple[bool, ...]:
        """
        Do `create` for each coupon; return its answer for each, in their order.

        As many conditional writes as there are coupons, sent at once where the store
        can: a code that is taken (or comes twice: the second one) keeps none of the
        others from being written. Not all or nothing: after an error any of them may
        have been written.
        """
        ...

    def find(self, code: str, *, counted: bool = True) -> Coupon | None:
        """
        Return the coupon, or None.

        Its counts are exact at some moment of the call; without `counted` they may stay
        0, where counting would cost a checkout time.
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
        """Return coupons, by code; with `prefix`, those whose code begins so."""
        ...

    def readdress(self, code: str, email: str) -> bool:
        """Make the code good for this learner only; False when there is no such."""
        ...

    def disable(self, code: str) -> bool:
        """Disable the coupon (seats that are taken stay); False when unknown."""
        ...

    def reserve(
        self, code: str, holder: str, now: datetime, until: datetime
    ) -> Reservation:
        """
        Take a seat for the holder, or keep the one that it has.

        A holder that has a held seat gets it again until the later of the two ends;
        a bound or redeemed one is answered unchanged. The coupon must not be disabled
        and `now` must lie in its window, unless the holder already has a seat. Any
        number of callers may race: at most `max_redemptions` holders have a seat.
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
        """Free a held or bound seat; a redeemed one stays and is answered so."""
        ...

    def find_seat(self, code: str, holder: str) -> Seat | None:
        """Return the holder's seat (a lapsed one too, while nobody took it)."""
        ...
