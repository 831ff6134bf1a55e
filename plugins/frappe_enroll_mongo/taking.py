# SPDX-License-Identifier: MIT
"""
The ways to a seat: a number that nobody has had, a lapsed seat, a lost number.

A multi-use code hands out numbers by a ticket on its coupon. The ticket is a hint that
nothing depends on (it may be lost, or given twice after an election): the seat's `_id`
is the truth. A number whose ticket was lost is found when the tickets have run out.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from pymongo import ReturnDocument, WriteConcern
from pymongo.errors import DuplicateKeyError

from frappe_enroll_sdk.clock import SYSTEM
from frappe_enroll_sdk.models import Seat

from . import seats
from .documents import Document
from .failures import duplicate_of
from .schema import COUPONS, HOLDER, SEATS


if TYPE_CHECKING:
    from .link import Link, Run

#: Numbers that one claim tries before it looks elsewhere.
_MOST_DRAWS = 200
#: What a claim has looked at before it draws a ticket.
_TERMS = ("max_redemptions", "starts_at", "expires_at")
#: A ticket is a hint: it need not be durable.
_HINT = WriteConcern(1)


def new_op() -> str:
    """Return a stamp for one write."""
    return SYSTEM.token_hex(8)


class Take:
    """
    One claim's ways to a seat, each one conditional write; owned by one thread.

    Args:
        link: The connection.
        coupon: The coupon's document.
        seat: The fields that the seat will have.
        spare: Numbers of this code that this process has drawn and not used; shared by
            its threads. (Where it dies, they are lost numbers.)

    Attributes:
        has_collided: Whether the last way was refused because the holder has a seat (a
            single one: perhaps).
    """

    def __init__(
        self, link: Link, coupon: Document, seat: Document, spare: list[int]
    ) -> None:
        self._link, self._coupon, self._seat = link, coupon, seat
        self._spare = spare
        self._code: str = coupon["_id"]
        self._most: int = coupon["max_redemptions"]
        self.has_collided = False

    def fresh(self) -> Seat | None:
        """Take a number that nobody has had yet."""
        self.has_collided = False
        if self._most == 1:
            return self._insert(0)
        if self._coupon["issued"] >= self._most:
            return None
        for _ in range(_MOST_DRAWS):
            number = self._draw()
            if number >= self._most:
                return None
            seat = self._insert(number)
            if seat is None and self.has_collided:
                self._spare.append(number)
            if seat is not None or self.has_collided:
                return seat
        return None

    def _draw(self) -> int:
        """Return the next number, of a code that is as it was read and not used up."""
        usable = {
            "_id": self._code,
            "disabled": False,
            **{name: self._coupon.get(name) for name in _TERMS},
        }
        if self._spare:
            with suppress(IndexError):  # another thread has just taken it
                return self._take_spare(usable)
        usable["issued"] = {"$lt": self._most}
        coupons = self._link.collection(COUPONS).with_options(write_concern=_HINT)
        drawn = self._link.write(
            lambda run: coupons.find_one_and_update(
                usable,
                {"$inc": {"issued": 1}},
                projection={"issued": 1},
                session=run.session,
            ),
            is_hint=True,
        )
        return int(drawn["issued"]) if drawn else self._most

    def _take_spare(self, usable: Document) -> int:
        number = self._spare.pop()
        coupons = self._link.collection(COUPONS)
        if self._link.read(lambda run: coupons.find_one(usable, session=run.session)):
            return number
        self._spare.append(number)
        return self._most

    def _insert(self, number: int) -> Seat | None:
        """Take this number; None when it is taken, or the holder has a seat."""
        name = seats.seat_id(self._code, number)
        document = {"_id": name, "code": self._code, **self._seat}
        table = self._link.collection(SEATS)

        def act(run: Run) -> Seat | None:
            try:
                table.insert_one(document, session=run.session)
            except DuplicateKeyError as error:
                refused = duplicate_of(error, HOLDER)
                self.has_collided = refused or self._most == 1
                return self._landed(run)
            return seats.to_seat(document)

        return self._link.write(act)

    def _landed(self, run: Run) -> Seat | None:
        """Return the seat that the first run took without learning of it, durably."""
        if not run.again:
            return None
        mine = {"code": self._code, "holder": self._seat["holder"]}
        found = self._link.collection(SEATS).find_one_and_update(
            mine | {"op": self._seat["op"]},
            {"$set": {"seen": True}},
            return_document=ReturnDocument.AFTER,
            session=run.session,
        )
        return seats.to_seat(found) if found else None

    def lapsed(self, now: datetime) -> Seat | None:
        """Take over the seat that has been free or lapsed for longest."""
        self.has_collided = False
        table = self._link.collection(SEATS)
        takeable = {"code": self._code, "lapses_at": {"$lte": now}}

        def act(run: Run) -> Seat | None:
            try:
                found = table.find_one_and_update(
                    takeable,
                    {"$set": self._seat},
                    sort=[("lapses_at", 1)],
                    return_document=ReturnDocument.AFTER,
                    session=run.session,
                )
            except DuplicateKeyError:
                # The holder has a seat by now.
                self.has_collided = True
                found = None
            return seats.to_seat(found) if found else self._landed(run)

        return self._link.write(act)

    def lost_number(self) -> Seat | None:
        """Take a number whose ticket was drawn by somebody who never used it."""
        self.has_collided = False
        if self._most == 1 or self._coupon["full"]:
            return None
        for number in self._lost_numbers():
            seat = self._insert(number)
            if seat is not None or self.has_collided:
                return seat
        return None

    def _lost_numbers(self) -> list[int]:
        """Return numbers below the maximum that no seat has (a scan, until none is)."""
        table = self._link.collection(SEATS)
        known = self._link.read(
            lambda run: {
                seats.number_of(one)
                for one in table.find(
                    seats.seats_of(self._code),
                    projection={"_id": 1},
                    session=run.session,
                )
            }
        )
        lost = [number for number in range(self._most) if number not in known]
        if not lost:
            # Seats are never deleted: from now on nobody has to look again.
            coupons = self._link.collection(COUPONS)
            full = {"$set": {"full": True}}
            self._link.write(
                lambda run: coupons.update_one(
                    {"_id": self._code}, full, session=run.session
                )
            )
        return lost[:_MOST_DRAWS]
