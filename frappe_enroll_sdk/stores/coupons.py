# SPDX-License-Identifier: MIT
"""
Coupons: numbered seats, so that no row is written by every claim.

Whoever claims a seat of a code for many takes a number of a block that its process has
drawn from the coupon's row (`issued`). The block is a hint that nothing depends on (it
may be lost with its process): the seat's key is the truth. A number whose block was
lost is found when the numbers have run out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from ..codec import AFTER_ALL, require_text
from ..errors import ConflictError, ValidationError
from ..interfaces.tables import KEY, Cell, Query, Row
from ..models import (
    Coupon,
    Page,
    ReleaseOutcome,
    Reservation,
    ReserveOutcome,
    Seat,
    SeatState,
)
from . import seats
from .layout import COUPONS, SEATS
from .records import Changes, Codec
from .rows import MAX_RACES, NOTHING, Port, Records, Rows, SlotTakenError, query_of


__all__ = ("Coupons",)


#: Numbers of a block at the most; of a small code, a 64th of its seats.
_MAX_BLOCK, _BLOCKS = 32, 64
#: Codes whose blocks a process keeps, and seats that it remembers.
_MAX_KNOWN = 1_000
#: Takeable seats that one claim looks at; it begins with any of them once it has lost
#: its race for the first one.
_MAX_LAPSED = 16
_EXHAUSTED = Reservation(outcome=ReserveOutcome.EXHAUSTED)


def _check(coupon: Coupon) -> None:
    if coupon.max_redemptions < 1:
        raise ValidationError("max_redemptions: begins with 1", field="max_redemptions")


def _derived(_coupon: Coupon) -> Mapping[str, Cell]:
    # Of a new one; changed by claims alone.
    return {"issued": 0, "complete": 0}


_CODEC = Codec(
    Coupon,
    COUPONS,
    lambda coupon: coupon.code,
    computed={"code": lambda row: row.key},
    derived=_derived,
    omitted=("reserved", "redeemed"),
    check=_check,
    is_key_secret=True,
)


class Coupons:
    """
    `CouponStore` over tables.

    A backend that can do more in one trip derives from it and overrides `reserve` or
    `take_lapsed`, on the declared tables; everything else goes on with what they wrote.
    """

    def __init__(self, port: Port) -> None:
        self.port, self.records = port, Records(port, _CODEC)
        self.seats = Rows(port, SEATS)
        #: Numbers that this process has drawn and not used, by code.
        self._spare: dict[str, list[int]] = {}
        #: Seats as this process has written them last, by code and holder.
        self._seen: dict[tuple[str, str], Row] = {}

    def create(self, coupon: Coupon) -> bool:
        """See `CouponStore.create`."""
        return self.create_many([coupon])[0]

    def create_many(self, coupons: Sequence[Coupon]) -> tuple[bool, ...]:
        """See `CouponStore.create_many`."""
        return tuple(self.records.insert(coupons))

    def find(self, code: str, *, counted: bool = True) -> Coupon | None:
        """See `CouponStore.find`."""
        require_text(code=code)
        coupon = self.records.find(code)
        if coupon is None or not counted:
            return coupon
        return self._counted([coupon])[0]

    def _counted(self, coupons: Sequence[Coupon]) -> tuple[Coupon, ...]:
        most = max((coupon.max_redemptions for coupon in coupons), default=0)
        queries = [query for one in coupons for query in seats.counts_of(one.code)]
        counts = iter(self.seats.count(queries, most))
        return tuple(
            attrs.evolve(coupon, reserved=next(counts), redeemed=next(counts))
            for coupon in coupons
        )

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
        require_text(course_id=course_id, email=email, prefix=prefix)
        query = query_of(
            {"email": (email, "by_email"), "course_id": (course_id, "by_course")},
            newest=False,
        )
        if not query.equal:
            query = Query(KEY)
        if prefix:
            query = attrs.evolve(query, low=prefix, high=prefix + AFTER_ALL)
        page = self.records.list(query, limit, cursor)
        return attrs.evolve(page, items=self._counted(page.items))

    def disable(self, code: str) -> bool:
        """See `CouponStore.disable`."""
        require_text(code=code)
        return self._change(code, disabled=True)

    def readdress(self, code: str, email: str) -> bool:
        """See `CouponStore.readdress`."""
        require_text(code=code, email=email)
        return self._change(code, email=email)

    def _change(self, code: str, **fields: Any) -> bool:
        done = self.records.change(
            code, lambda coupon: attrs.evolve(coupon, **fields), confirm=True
        )
        return done is not None

    # Reserve.

    def reserve(
        self, code: str, holder: str, now: datetime, until: datetime
    ) -> Reservation:
        """See `CouponStore.reserve`."""
        require_text(code=code, holder=holder)
        row = self.records.rows.one(code)
        if row is None:
            return _EXHAUSTED
        if not self.records.read(row).is_usable(now):
            return self._own(code, holder, until) or _EXHAUSTED
        cells = seats.held(code, holder, now, until)
        for race in range(MAX_RACES):
            try:
                taken = (
                    (self._take_fresh(row, cells, now) if not race else None)
                    or self.take_lapsed(code, cells, now)
                    or self._take_lost(code, cells)
                )
            except SlotTakenError:
                # The holder has a seat already, or again: a race with itself.
                own = self._own(code, holder, until)
                if own is not None:
                    return own
                continue
            if taken is not None:
                return self._reserved(taken)
            full = self._full(code, holder, until)
            if full is not None:
                return full
        raise ConflictError("the seats of a code keep changing")

    def _reserved(self, row: Row) -> Reservation:
        self._note(row)
        return Reservation(outcome=ReserveOutcome.RESERVED, seat=seats.seat_of(row))

    def _insert(self, number: int, cells: Mapping[str, Cell]) -> Row | None:
        """
        Take this number; None when it is taken.

        Raises:
            SlotTakenError: The holder has a seat.
        """
        code, holder = str(cells["code"]), str(cells["holder"])
        key = seats.key_of(code, number)
        if self.seats.insert({key: cells})[0]:
            # Its `rev` is 1: a later write of it begins with this.
            return Row(key, 1, "", cells)
        if self.seats.first(seats.of_holder(code, holder)) is not None:
            raise SlotTakenError(key)
        return None

    def _take_fresh(
        self, row: Row, cells: Mapping[str, Cell], now: datetime
    ) -> Row | None:
        """Take a number that nobody has had yet."""
        coupon = self.records.read(row)
        if coupon.max_redemptions == 1:
            return self._insert(0, cells)
        while (number := self._draw(row, now)) is not None:
            try:
                taken = self._insert(number, cells)
            except SlotTakenError:
                self._spare.setdefault(row.key, []).append(number)
                raise
            if taken is not None:
                return taken
        return None

    def _draw(self, row: Row, now: datetime) -> int | None:
        """Return the next number, of a code that has any left; None = it has not."""
        code = row.key
        with self.port.turn(code):
            for _ in range(MAX_RACES):
                spare = self._spare.get(code)
                if spare:
                    return spare.pop()
                coupon, issued = self.records.read(row), row.cells.get("issued")
                most, first = coupon.max_redemptions, int(str(issued))
                if first >= most or not coupon.is_usable(now):
                    return None
                block = min(_MAX_BLOCK, max(most // _BLOCKS, 1), most - first)
                drawn = Changes({"issued": first + block})
                if self.records.rows.swap(row, drawn) is not None:
                    if len(self._spare) >= _MAX_KNOWN:
                        self._spare.clear()
                    self._spare[code] = [*range(first + block - 1, first, -1)]
                    return first
                again = self.records.rows.one(code)
                if again is None:
                    return None
                row = again
        raise ConflictError("the terms of a code keep changing")

    def take_lapsed(
        self, code: str, cells: Mapping[str, Cell], now: datetime
    ) -> Row | None:
        """
        Take over the seat that has been free or lapsed for longest.

        None is only answered where none was found: whoever loses a race looks again.

        Args:
            code: The coupon's.
            cells: What the seat is to hold (``seats.held``).
            now: A seat that lapses then, or before, may be taken.

        Raises:
            SlotTakenError: The holder has a seat.
        """
        for race in range(MAX_RACES):
            found = self.seats.page(
                seats.takeable(code, now), _MAX_LAPSED if race else 1
            )
            if not found:
                return None
            # Of those who want the first one all but one have lost: they spread.
            place = int(self.port.stamp(), 16) % len(found) if race else 0
            taken = self.seats.swap(found[place], Changes(cells))
            if taken is not None:
                return taken
        raise ConflictError("the seats of a code keep changing")

    def _take_lost(self, code: str, cells: Mapping[str, Cell]) -> Row | None:
        """Take a number that somebody has drawn and never used."""
        row = self.records.rows.one(code)
        if row is None or row.cells.get("complete"):
            return None
        most = self.records.read(row).max_redemptions
        if most == 1:
            return None
        every = seats.all_of(code)
        if self.seats.count([every], most)[0] >= most:
            # Seats are never deleted: from now on nobody has to look again.
            self.records.rows.change(code, lambda _: Changes({"complete": 1}))
            return None
        known = {seats.number_of(row.key) for row in self.seats.each(every)}
        for number in range(most):
            if number not in known:
                taken = self._insert(number, cells)
                if taken is not None:
                    return taken
        return None

    def _full(self, code: str, holder: str, until: datetime) -> Reservation | None:
        """Answer that no seat is free; None when one has just been given back."""
        own = self._own(code, holder, until)
        if own is not None:
            return own
        # In one read: a seat that changes hands between two would be seen by neither.
        first = self.seats.first(seats.open_of(code))
        if first is None:
            return _EXHAUSTED
        if first.cells.get("state") == seats.FREE:
            return None
        blocker = seats.seat_of(first)
        return Reservation(outcome=ReserveOutcome.HELD, blocker=blocker)

    def _own(self, code: str, holder: str, until: datetime) -> Reservation | None:
        """Answer the holder's own seat, if it has one, by a write."""

        def prolong(row: Row) -> Changes:
            seat = seats.seat_of(row)
            if seat.state is SeatState.HELD and until > seat.until:
                return Changes(seats.prolonged(until))
            return NOTHING

        row = self._change_seat(code, holder, prolong)
        return None if row is None else self._reserved(row)

    # A holder's seat.

    def _note(self, row: Row) -> None:
        if len(self._seen) >= _MAX_KNOWN:
            self._seen.clear()
        self._seen[str(row.cells["code"]), str(row.cells["holder"])] = row

    def _change_seat(self, code: str, holder: str, change: Any) -> Row | None:
        """Change the holder's seat, or confirm it; None = the holder has none."""
        require_text(code=code, holder=holder)

        def mine(row: Row) -> Changes | None:
            has_it = row.cells.get("holder") == holder
            made: Changes | None = change(row) if has_it else None
            return made

        guess = self._seen.pop((code, holder), None)
        for _ in range(MAX_RACES):
            row = guess or self.seats.first(seats.of_holder(code, holder))
            if row is None:
                return None
            done = self.seats.change(row.key, mine, guess=row, confirm=True)
            if done is not None:
                return done
            guess = None
        raise ConflictError("the seats of a code keep changing")

    def bind(self, code: str, holder: str) -> bool:
        """See `CouponStore.bind`."""

        def bind(row: Row) -> Changes:
            is_held = row.cells.get("state") == SeatState.HELD.value
            return Changes(seats.BIND) if is_held else NOTHING

        row = self._change_seat(code, holder, bind)
        if row is not None:
            self._note(row)
        return row is not None

    def redeem(self, code: str, holder: str) -> bool:
        """See `CouponStore.redeem`."""

        def redeem(row: Row) -> Changes:
            is_redeemed = row.cells.get("state") == SeatState.REDEEMED.value
            return NOTHING if is_redeemed else Changes(seats.REDEEM)

        return self._change_seat(code, holder, redeem) is not None

    def release(self, code: str, holder: str) -> ReleaseOutcome:
        """See `CouponStore.release`."""

        def release(row: Row) -> Changes:
            is_redeemed = row.cells.get("state") == SeatState.REDEEMED.value
            return NOTHING if is_redeemed else Changes(seats.GIVE_BACK)

        row = self._change_seat(code, holder, release)
        if row is None:
            return ReleaseOutcome.NOT_HELD
        if row.cells.get("state") == SeatState.REDEEMED.value:
            return ReleaseOutcome.REDEEMED
        return ReleaseOutcome.RELEASED

    def find_seat(self, code: str, holder: str) -> Seat | None:
        """See `CouponStore.find_seat`."""
        require_text(code=code, holder=holder)
        row = self.seats.first(seats.of_holder(code, holder))
        return None if row is None else seats.seat_of(row)
