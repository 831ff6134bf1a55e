# SPDX-License-Identifier: MIT
"""Coupons in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from threading import RLock
from typing import Any

import attrs

from ...codec import require_text
from ...models import (
    Coupon,
    Page,
    ReleaseOutcome,
    Reservation,
    ReserveOutcome,
    Seat,
    SeatState,
)
from .pages import page_of


class MemoryCoupons:
    """`CouponStore` in memory."""

    def __init__(self, lock: RLock) -> None:
        self._lock = lock
        self._rows: dict[str, Coupon] = {}
        self._seats: dict[str, dict[str, Seat]] = {}

    def create(self, coupon: Coupon) -> bool:
        """See `CouponStore.create`."""
        with self._lock:
            if coupon.code in self._rows:
                return False
            self._rows[coupon.code] = coupon
            self._seats[coupon.code] = {}
            return True

    def create_many(self, coupons: Sequence[Coupon]) -> tuple[bool, ...]:
        """See `CouponStore.create_many`."""
        with self._lock:
            return tuple(self.create(coupon) for coupon in coupons)

    def find(self, code: str, *, counted: bool = True) -> Coupon | None:
        """See `CouponStore.find`."""
        require_text(code=code)
        with self._lock:
            coupon = self._rows.get(code)
            return coupon and self._counted(coupon)

    def _counted(self, coupon: Coupon) -> Coupon:
        seats = self._seats[coupon.code].values()
        redeemed = sum(seat.state is SeatState.REDEEMED for seat in seats)
        return attrs.evolve(coupon, reserved=len(seats) - redeemed, redeemed=redeemed)

    def list(
        self,
        *,
        course_id: str | None = None,
        email: str | None = None,
        prefix: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Coupon]:
        """See `CouponStore.list`."""
        with self._lock:
            rows = [
                self._counted(row)
                for row in self._rows.values()
                if course_id in (None, row.course_id)
                and email in (None, row.email)
                and row.code.startswith(prefix or "")
            ]
        return page_of(rows, lambda row: (row.code,), limit, cursor)

    def disable(self, code: str) -> bool:
        """See `CouponStore.disable`."""
        return self._change(code, disabled=True)

    def readdress(self, code: str, email: str) -> bool:
        """See `CouponStore.readdress`."""
        require_text(code=code, email=email)
        return self._change(code, email=email)

    def _change(self, code: str, **fields: Any) -> bool:
        with self._lock:
            if code not in self._rows:
                return False
            self._rows[code] = attrs.evolve(self._rows[code], **fields)
            return True

    def reserve(
        self, code: str, holder: str, now: datetime, until: datetime
    ) -> Reservation:
        """See `CouponStore.reserve`."""
        require_text(code=code, holder=holder)
        with self._lock:
            coupon, seats = self._rows.get(code), self._seats.get(code, {})
            if holder in seats:
                return self._again(seats, holder, until)
            if coupon is None or not _in_window(coupon, now):
                return Reservation(outcome=ReserveOutcome.EXHAUSTED)
            if len(seats) >= coupon.max_redemptions and not _drop_lapsed(seats, now):
                return _full(seats)
            seat = Seat.held(code, holder, now, until)
            seats[holder] = seat
            return Reservation(outcome=ReserveOutcome.RESERVED, seat=seat)

    @staticmethod
    def _again(seats: dict[str, Seat], holder: str, until: datetime) -> Reservation:
        seat = seats[holder]
        if seat.state is SeatState.HELD and until > seat.until:
            seat = seats[holder] = attrs.evolve(seat, until=until)
        return Reservation(outcome=ReserveOutcome.RESERVED, seat=seat)

    def bind(self, code: str, holder: str) -> bool:
        """See `CouponStore.bind`."""
        return self._raise_to(code, holder, SeatState.BOUND)

    def redeem(self, code: str, holder: str) -> bool:
        """See `CouponStore.redeem`."""
        return self._raise_to(code, holder, SeatState.REDEEMED)

    def _raise_to(self, code: str, holder: str, state: SeatState) -> bool:
        with self._lock:
            seats = self._seats.get(code, {})
            seat = seats.get(holder)
            if seat is None:
                return False
            if seat.state is not SeatState.REDEEMED:
                seats[holder] = attrs.evolve(seat, state=state)
            return True

    def release(self, code: str, holder: str) -> ReleaseOutcome:
        """See `CouponStore.release`."""
        with self._lock:
            seats = self._seats.get(code, {})
            seat = seats.get(holder)
            if seat is None:
                return ReleaseOutcome.NOT_HELD
            if seat.state is SeatState.REDEEMED:
                return ReleaseOutcome.REDEEMED
            del seats[holder]
            return ReleaseOutcome.RELEASED

    def find_seat(self, code: str, holder: str) -> Seat | None:
        """See `CouponStore.find_seat`."""
        with self._lock:
            return self._seats.get(code, {}).get(holder)


def _in_window(coupon: Coupon, now: datetime) -> bool:
    started = coupon.starts_at is None or coupon.starts_at <= now
    ended = coupon.expires_at is not None and coupon.expires_at <= now
    return started and not ended and not coupon.disabled


def _drop_lapsed(seats: dict[str, Seat], now: datetime) -> bool:
    """Free the longest lapsed held seat, if there is one."""
    lapsed = [s for s in seats.values() if s.state is SeatState.HELD and s.until <= now]
    if not lapsed:
        return False
    del seats[min(lapsed, key=lambda seat: seat.until).holder]
    return True


def _full(seats: dict[str, Seat]) -> Reservation:
    open_seats = [s for s in seats.values() if s.state is not SeatState.REDEEMED]
    if not open_seats:
        return Reservation(outcome=ReserveOutcome.EXHAUSTED)
    blocker = min(open_seats, key=lambda seat: (seat.reserved_at, seat.holder))
    return Reservation(outcome=ReserveOutcome.HELD, blocker=blocker)
