# SPDX-License-Identifier: MIT
"""
Coupons: numbered seats, so that no document is written by every claim.

Measured beside a counter document and beside seats within the coupon (ADR 0014).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
from pymongo import ReturnDocument
from pymongo.errors import BulkWriteError

from frappe_enroll_sdk.codec import AFTER_ALL, cursor_of, parts_of, require_text
from frappe_enroll_sdk.errors import ConflictError
from frappe_enroll_sdk.models import (
    Coupon,
    Page,
    ReleaseOutcome,
    Reservation,
    ReserveOutcome,
    Seat,
)

from . import seats
from .documents import Document, of_document, to_document
from .failures import only_duplicates
from .schema import COUPONS, SEATS
from .taking import Take, new_op


if TYPE_CHECKING:
    from pymongo.collection import Collection

    from .link import Link, Run

#: Codes whose terms a process remembers, and what it remembers of them.
_MOST_KNOWN = 1_000
_KEPT = ("_id", "max_redemptions", "starts_at", "expires_at", "disabled", "issued")

#: How often a claim looks for a seat anew because one has just been given back.
_MOST_RACES = 100


@attrs.frozen
class _Known:
    """
    What a process remembers of a code of many seats that has had fresh numbers.

    Attributes:
        terms: They never change; the ticket is drawn only if they are these.
        spare: Numbers that were drawn and not used.
    """

    terms: Document
    spare: list[int]


class MongoCoupons:
    """`CouponStore` on MongoDB."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._known: dict[str, _Known] = {}

    @property
    def _coupons(self) -> Collection[Document]:
        return self._link.collection(COUPONS)

    @property
    def _seats(self) -> Collection[Document]:
        return self._link.collection(SEATS)

    def create(self, coupon: Coupon) -> bool:
        """See `CouponStore.create`."""
        return self.create_many([coupon])[0]

    def create_many(self, coupons: Sequence[Coupon]) -> tuple[bool, ...]:
        """See `CouponStore.create_many`."""
        documents = [_terms_of(coupon) for coupon in coupons]
        if not documents:
            return ()
        table = self._coupons

        def act(run: Run) -> tuple[bool, ...]:
            taken = _insert_all(table, documents, run)
            if taken and run.again:
                # The first run may have written them: the stamps tell.
                codes = [documents[place]["_id"] for place in sorted(taken)]
                found = table.find({"_id": {"$in": codes}}, session=run.session)
                ours = {document["op"] for document in found}
                taken = {n for n in taken if documents[n]["op"] not in ours}
            return tuple(n not in taken for n in range(len(documents)))

        return self._link.write(act)

    def find(self, code: str, *, counted: bool = True) -> Coupon | None:
        """See `CouponStore.find`."""
        require_text(code=code)
        found = self._terms(code)
        if found is None:
            return None
        coupon = _coupon(found)
        return self._counted([coupon])[0] if counted else coupon

    def _terms(self, code: str) -> Document | None:
        coupons = self._coupons
        found = self._link.read(
            lambda run: coupons.find_one({"_id": code}, session=run.session)
        )
        if found is not None and found["issued"] < found["max_redemptions"] > 1:
            known = self._known.get(code)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            # Without the learner's address, which may be erased.
            terms = {name: found.get(name) for name in _KEPT}
            self._known[code] = _Known(terms, [] if known is None else known.spare)
        return found

    def _counted(self, coupons: Sequence[Coupon]) -> tuple[Coupon, ...]:
        """Return coupons with their counts, by two reads."""
        table, codes = self._seats, [coupon.code for coupon in coupons]

        def count(where: Mapping[str, Any], hint: str) -> dict[str, int]:
            steps = [
                {"$match": {"code": {"$in": codes}, **where}},
                {"$group": {"_id": "$code", "count": {"$sum": 1}}},
            ]
            found = self._link.read(
                lambda run: [*table.aggregate(steps, hint=hint, session=run.session)]
            )
            return {one["_id"]: one["count"] for one in found}

        reserved = count({"open_at": {"$exists": True}}, "waiting")
        redeemed = count({"state": seats.REDEEMED}, "redeemed")
        return tuple(
            attrs.evolve(
                coupon,
                reserved=reserved.get(coupon.code, 0),
                redeemed=redeemed.get(coupon.code, 0),
            )
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
        where: Document = {}
        if course_id is not None:
            where["course_id"] = course_id
        if email is not None:
            where["email"] = email
        after = parts_of(cursor, (str,))
        if prefix:
            where["_id"] = {"$gte": prefix, "$lt": prefix + AFTER_ALL}
        if after is not None:
            where["_id"] = where.get("_id", {}) | {"$gt": after[0]}
        coupons = self._coupons
        found = self._link.read(
            lambda run: [
                *coupons.find(where, session=run.session)
                .sort("_id", 1)
                .limit(limit + 1),
            ]
        )
        items = self._counted([_coupon(one) for one in found[:limit]])
        more = len(found) > limit
        return Page(
            items=items, next_cursor=cursor_of(items[-1].code) if more else None
        )

    def disable(self, code: str) -> bool:
        """See `CouponStore.disable`."""
        require_text(code=code)
        return self._change(code, disabled=True)

    def readdress(self, code: str, email: str) -> bool:
        """See `CouponStore.readdress`."""
        require_text(code=code, email=email)
        return self._change(code, email=email)

    def _change(self, code: str, **fields: object) -> bool:
        coupons, change = self._coupons, {"$set": fields}
        done = self._link.write(
            lambda run: coupons.update_one({"_id": code}, change, session=run.session)
        )
        return done.matched_count == 1

    def reserve(
        self, code: str, holder: str, now: datetime, until: datetime
    ) -> Reservation:
        """See `CouponStore.reserve`."""
        require_text(code=code, holder=holder)
        quick = self._reserve_fresh(code, holder, now, until)
        if quick is not None:
            return quick
        found = self._terms(code)
        if found is None:
            return Reservation(outcome=ReserveOutcome.EXHAUSTED)
        good, single = _is_good(found, now), found["max_redemptions"] == 1
        # A ticket drawn for a holder that has a seat would be a number lost; a single
        # seat has no tickets, and the index tells.
        own = None if good and single else self._own(code, holder, until)
        if own is not None or not good:
            return own or Reservation(outcome=ReserveOutcome.EXHAUSTED)
        take = self._take(found, holder, now, until)
        ways: list[Callable[[], Seat | None]]
        ways = [take.fresh, partial(take.lapsed, now), take.lost_number]
        for _ in range(_MOST_RACES):
            for way in ways:
                seat = way()
                if seat is not None:
                    return Reservation(outcome=ReserveOutcome.RESERVED, seat=seat)
                # A race with itself (one holder, two callers): it may have one now.
                own = self._own(code, holder, until) if take.has_collided else None
                if own is not None:
                    return own
            full = self._full(code)
            if full is not None:
                return full
            ways = ways[-2:]  # there are no more fresh numbers
        raise ConflictError("the seats of a code keep changing")

    def _reserve_fresh(
        self, code: str, holder: str, now: datetime, until: datetime
    ) -> Reservation | None:
        """
        Take a number of a code whose terms this process has read before.

        Terms never change, and the ticket says whether the code may still be used.
        None: the code has to be looked at.
        """
        known = self._known.get(code)
        if known is None or not _is_good(known.terms, now):
            return None
        take = self._take(known.terms, holder, now, until)
        seat = take.fresh()
        if seat is not None:
            return Reservation(outcome=ReserveOutcome.RESERVED, seat=seat)
        if take.has_collided:
            # The index knows that the holder has a seat; the number is still free.
            return self._own(code, holder, until)
        self._known.pop(code, None)
        return None

    def _take(
        self, coupon: Document, holder: str, now: datetime, until: datetime
    ) -> Take:
        known = self._known.get(coupon["_id"])
        spare = [] if known is None else known.spare
        held = seats.held_by(holder, now, until, new_op())
        return Take(self._link, coupon, held, spare)

    def _own(self, code: str, holder: str, until: datetime) -> Reservation | None:
        """Look whether the holder has a seat; if so, answer it durably."""
        has_one = self.find_seat(code, holder) is not None
        return self._again(code, holder, until) if has_one else None

    def _again(self, code: str, holder: str, until: datetime) -> Reservation | None:
        """
        Answer the holder's own seat, if it still has it, by a write.

        A write, because a "yes" that was only read might still be rolled back.
        """
        table, mine = self._seats, {"code": code, "holder": holder}
        stamp = {"op": new_op()}
        longer = {"$max": {"until": until, "lapses_at": until}, "$set": stamp}

        def act(run: Run) -> Document | None:
            answer: Document | None = table.find_one_and_update(
                {**mine, "state": seats.HELD},
                longer,
                return_document=ReturnDocument.AFTER,
                session=run.session,
            ) or table.find_one_and_update(
                mine,
                {"$set": stamp},
                return_document=ReturnDocument.AFTER,
                session=run.session,
            )
            return answer

        found = self._link.write(act)
        if found is None:
            return None
        return Reservation(outcome=ReserveOutcome.RESERVED, seat=seats.to_seat(found))

    def _full(self, code: str) -> Reservation | None:
        """Answer that no seat is free; None when one has just been given back."""
        table = self._seats
        waiting = {"code": code, "open_at": {"$exists": True}}
        first = self._link.read(
            lambda run: table.find_one(
                waiting, sort=[("open_at", 1), ("holder", 1)], session=run.session
            )
        )
        if first is not None:
            blocker = seats.to_seat(first)
            return Reservation(outcome=ReserveOutcome.HELD, blocker=blocker)
        # In one read: a seat that changes hands between two would be seen by neither.
        open_ = {"code": code, "$or": [waiting, seats.GIVEN_BACK]}
        if self._link.read(lambda run: table.find_one(open_, session=run.session)):
            return None
        return Reservation(outcome=ReserveOutcome.EXHAUSTED)

    def bind(self, code: str, holder: str) -> bool:
        """See `CouponStore.bind`."""
        require_text(code=code, holder=holder)
        table, mine = self._seats, {"code": code, "holder": holder}
        stamp = {"$set": {"op": new_op()}}

        def act(run: Run) -> bool:
            held = {**mine, "state": seats.HELD}
            if table.update_one(held, seats.BIND, session=run.session).matched_count:
                return True
            # Bound or redeemed already: a write tells it durably. (Not held: such a
            # seat has come between the two writes, and would lapse.)
            kept = {**mine, "state": {"$in": [seats.BOUND, seats.REDEEMED]}}
            return table.update_one(kept, stamp, session=run.session).matched_count == 1

        return self._link.write(act)

    def redeem(self, code: str, holder: str) -> bool:
        """See `CouponStore.redeem`."""
        require_text(code=code, holder=holder)
        table, mine = self._seats, {"code": code, "holder": holder}
        done = self._link.write(
            lambda run: table.update_one(
                mine, _stamped(seats.REDEEM, new_op()), session=run.session
            )
        )
        return done.matched_count == 1

    def release(self, code: str, holder: str) -> ReleaseOutcome:
        """See `CouponStore.release`."""
        require_text(code=code, holder=holder)
        table, mine, op = self._seats, {"code": code, "holder": holder}, new_op()
        open_ = {**mine, "open_at": {"$exists": True}}

        def act(run: Run) -> ReleaseOutcome:
            change = seats.given_back(op)
            if table.update_one(open_, change, session=run.session).matched_count:
                return ReleaseOutcome.RELEASED
            # Its own state, not what is left: a held seat may have come meanwhile.
            redeemed = {**mine, "state": seats.REDEEMED}
            stamp = {"$set": {"op": new_op()}}
            if table.update_one(redeemed, stamp, session=run.session).matched_count:
                return ReleaseOutcome.REDEEMED
            stamped = {**seats.seats_of(code), "op": op}
            if run.again and table.find_one(stamped, session=run.session):
                return ReleaseOutcome.RELEASED
            return ReleaseOutcome.NOT_HELD

        return self._link.write(act)

    def find_seat(self, code: str, holder: str) -> Seat | None:
        """See `CouponStore.find_seat`."""
        require_text(code=code, holder=holder)
        table, mine = self._seats, {"code": code, "holder": holder}
        found = self._link.read(lambda run: table.find_one(mine, session=run.session))
        return seats.to_seat(found) if found else None


def _stamped(change: Document, op: str) -> Document:
    return {**change, "$set": {**change["$set"], "op": op}}


def _terms_of(coupon: Coupon) -> Document:
    require_text(code=coupon.code, course_id=coupon.course_id, email=coupon.email)
    document = to_document(coupon)
    document = {"_id": document.pop("code"), **document}
    for counted in ("reserved", "redeemed"):
        del document[counted]
    return document | {"issued": 0, "full": False, "op": new_op()}


def _insert_all(
    table: Collection[Document], documents: list[Document], run: Run
) -> set[int]:
    """Insert what is not there; return the places of the others."""
    try:
        table.insert_many(documents, ordered=False, session=run.session)
    except BulkWriteError as error:
        if not only_duplicates(error):
            raise
        return {problem["index"] for problem in error.details["writeErrors"]}
    return set()


def _coupon(document: Document) -> Coupon:
    return of_document(Coupon, {**document, "code": document["_id"]})


def _is_good(coupon: Document, now: datetime) -> bool:
    started = coupon.get("starts_at") is None or coupon["starts_at"] <= now
    ended = coupon.get("expires_at") is not None and coupon["expires_at"] <= now
    return started and not ended and not coupon["disabled"]
