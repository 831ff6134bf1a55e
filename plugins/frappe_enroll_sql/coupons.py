# SPDX-License-Identifier: MIT
"""Coupons: seats are rows, counted on the coupon's row in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
from sqlalchemy import Connection, Row, bindparam, delete, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from frappe_enroll_sdk.codec import AFTER_ALL, cursor_of, parts_of, require_text
from frappe_enroll_sdk.models import (
    Coupon,
    Page,
    ReleaseOutcome,
    Reservation,
    ReserveOutcome,
    Seat,
    SeatState,
)

from .engine import Database
from .schema import coupons as table
from .schema import seats
from .times import maybe_ms, of_doc, to_doc, to_ms


_HERE = table.c.code == bindparam("of_code")
_SEAT = (seats.c.code == bindparam("of_code"), seats.c.holder == bindparam("of_holder"))

# Built once: SQLAlchemy takes longer to build a statement than SQLite to run it.
_FIND = select(table).where(_HERE)
_IN_WINDOW = (
    _HERE,
    table.c.disabled == 0,
    or_(table.c.starts_at.is_(None), table.c.starts_at <= bindparam("now")),
    or_(table.c.expires_at.is_(None), table.c.expires_at > bindparam("now")),
)
_OPEN = select(table.c.code).where(*_IN_WINDOW)
_COUNT = (
    update(table)
    .where(_HERE)
    .values(
        taken=table.c.taken + bindparam("more_taken"),
        redeemed=table.c.redeemed + bindparam("more_redeemed"),
    )
)
_FIND_SEAT = select(seats).where(*_SEAT)
#: A seat for who has none, while there is one: tells in one statement.
_TAKE_SEAT = (
    insert(seats)
    .from_select(
        [column.name for column in seats.c],
        select(
            table.c.code,
            *(bindparam(c.name, type_=c.type) for c in seats.c if c.name != "code"),
        ).where(*_IN_WINDOW, table.c.taken < table.c.max_redemptions),
    )
    .on_conflict_do_nothing()
)
_RAISE_SEAT = (
    update(seats)
    .where(*_SEAT, seats.c.state != "redeemed")
    .values(state=bindparam("to_state"))
)
_PROLONG_SEAT = update(seats).where(*_SEAT).values(until=bindparam("to_until"))
_GIVE_SEAT = delete(seats).where(*_SEAT)
_LAPSED = (
    select(seats.c.holder)
    .where(
        seats.c.code == bindparam("of_code"),
        seats.c.state == "held",
        seats.c.until <= bindparam("now"),
    )
    .order_by(seats.c.until)
    .limit(1)
)
_OLDEST = (
    select(seats)
    .where(seats.c.code == bindparam("of_code"), seats.c.state != "redeemed")
    .order_by(seats.c.reserved_at, seats.c.holder)
    .limit(1)
)


class SQLCoupons:
    """`CouponStore` on SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, coupon: Coupon) -> bool:
        """See `CouponStore.create`."""
        return self.create_many([coupon])[0]

    def create_many(self, coupons: Sequence[Coupon]) -> tuple[bool, ...]:
        """See `CouponStore.create_many`."""
        rows = [_row_of_terms(coupon) for coupon in coupons]
        order = insert(table).on_conflict_do_nothing()
        with self._database.write() as connection:
            return tuple(connection.execute(order, row).rowcount == 1 for row in rows)

    def find(self, code: str, *, counted: bool = True) -> Coupon | None:  # noqa: ARG002  counting costs nothing here
        """See `CouponStore.find`."""
        require_text(code=code)
        row = self._database.first(_FIND, {"of_code": code})
        return _coupon(row) if row else None

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
        query = select(table).order_by(table.c.code).limit(limit + 1)
        if course_id is not None:
            query = query.where(table.c.course_id == course_id)
        if email is not None:
            query = query.where(table.c.email == email)
        if prefix:
            last = prefix + AFTER_ALL
            query = query.where(table.c.code >= prefix, table.c.code < last)
        after = parts_of(cursor, (str,))
        if after is not None:
            query = query.where(table.c.code > after[0])
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        items = tuple(_coupon(row) for row in rows[:limit])
        more = len(rows) > limit
        return Page(
            items=items, next_cursor=cursor_of(items[-1].code) if more else None
        )

    def disable(self, code: str) -> bool:
        """See `CouponStore.disable`."""
        require_text(code=code)
        with self._database.write() as connection:
            done = connection.execute(
                table.update().where(table.c.code == code).values(disabled=1)
            )
            return done.rowcount == 1

    def readdress(self, code: str, email: str) -> bool:
        """See `CouponStore.readdress`."""
        require_text(code=code, email=email)
        with self._database.write() as connection:
            row = _find(connection, code)
            if row is None:
                return False
            doc = to_doc(attrs.evolve(of_doc(Coupon, row.doc), email=email))
            change = update(table).where(table.c.code == code)
            connection.execute(change.values(email=email, doc=doc))
            return True

    def reserve(
        self, code: str, holder: str, now: datetime, until: datetime
    ) -> Reservation:
        """See `CouponStore.reserve`."""
        require_text(code=code, holder=holder)
        seat = Seat.held(code, holder, now, until)
        row = _row_of(seat)

        def take(connection: Connection) -> Reservation:
            if connection.execute(_TAKE_SEAT, {**row, **_at(code, now)}).rowcount:
                _count(connection, code, taken=1)
                return Reservation(outcome=ReserveOutcome.RESERVED, seat=seat)
            own = _find_seat(connection, code, holder)
            if own is not None:
                return _again(connection, own, until)
            if connection.execute(_OPEN, _at(code, now)).one_or_none() is None:
                return Reservation(outcome=ReserveOutcome.EXHAUSTED)
            if not _drop_lapsed(connection, code, now):
                return _full(connection, code)
            connection.execute(insert(seats).values(row))
            return Reservation(outcome=ReserveOutcome.RESERVED, seat=seat)

        return self._database.write_short(take)

    def bind(self, code: str, holder: str) -> bool:
        """See `CouponStore.bind`."""
        return self._raise_to(code, holder, SeatState.BOUND)

    def redeem(self, code: str, holder: str) -> bool:
        """See `CouponStore.redeem`."""
        return self._raise_to(code, holder, SeatState.REDEEMED)

    def _raise_to(self, code: str, holder: str, state: SeatState) -> bool:
        require_text(code=code, holder=holder)
        raised = {**_key(code, holder), "to_state": str(state)}

        def run(connection: Connection) -> bool:
            if not connection.execute(_RAISE_SEAT, raised).rowcount:
                # Redeemed before, or never reserved.
                return _find_seat(connection, code, holder) is not None
            if state is SeatState.REDEEMED:
                _count(connection, code, redeemed=1)
            return True

        return self._database.write_short(run)

    def release(self, code: str, holder: str) -> ReleaseOutcome:
        """See `CouponStore.release`."""
        require_text(code=code, holder=holder)
        with self._database.write() as connection:
            seat = _find_seat(connection, code, holder)
            if seat is None:
                return ReleaseOutcome.NOT_HELD
            if seat.state is SeatState.REDEEMED:
                return ReleaseOutcome.REDEEMED
            connection.execute(_GIVE_SEAT, _key(code, holder))
            _count(connection, code, taken=-1)
            return ReleaseOutcome.RELEASED

    def find_seat(self, code: str, holder: str) -> Seat | None:
        """See `CouponStore.find_seat`."""
        require_text(code=code, holder=holder)
        row = self._database.first(_FIND_SEAT, _key(code, holder))
        return _seat(row) if row else None


def _coupon(row: Row[Any]) -> Coupon:
    return attrs.evolve(
        of_doc(Coupon, row.doc),
        disabled=bool(row.disabled),
        reserved=row.taken - row.redeemed,
        redeemed=row.redeemed,
    )


def _row_of_terms(coupon: Coupon) -> dict[str, Any]:
    require_text(code=coupon.code, course_id=coupon.course_id, email=coupon.email)
    return {
        "code": coupon.code,
        "course_id": coupon.course_id,
        "email": coupon.email,
        "max_redemptions": coupon.max_redemptions,
        "starts_at": maybe_ms(coupon.starts_at),
        "expires_at": maybe_ms(coupon.expires_at),
        "disabled": int(coupon.disabled),
        "doc": to_doc(coupon),
    }


def _key(code: str, holder: str) -> dict[str, str]:
    return {"of_code": code, "of_holder": holder}


def _row_of(seat: Seat) -> dict[str, Any]:
    return {
        "code": seat.code,
        "holder": seat.holder,
        "state": str(seat.state),
        "reserved_at": to_ms(seat.reserved_at),
        "until": to_ms(seat.until),
    }


def _seat(row: Row[Any]) -> Seat:
    return Seat(
        code=row.code,
        holder=row.holder,
        state=SeatState(row.state),
        reserved_at=datetime.fromtimestamp(row.reserved_at / 1000, UTC),
        until=datetime.fromtimestamp(row.until / 1000, UTC),
    )


def _find(connection: Connection, code: str) -> Row[Any] | None:
    return connection.execute(_FIND, {"of_code": code}).one_or_none()


def _find_seat(connection: Connection, code: str, holder: str) -> Seat | None:
    row = connection.execute(_FIND_SEAT, _key(code, holder)).one_or_none()
    return _seat(row) if row else None


def _again(connection: Connection, own: Seat, until: datetime) -> Reservation:
    if own.state is SeatState.HELD and until > own.until:
        own = attrs.evolve(own, until=until)
        connection.execute(
            _PROLONG_SEAT, {**_key(own.code, own.holder), "to_until": to_ms(until)}
        )
    return Reservation(outcome=ReserveOutcome.RESERVED, seat=own)


def _at(code: str, now: datetime) -> dict[str, Any]:
    return {"of_code": code, "now": to_ms(now)}


def _count(
    connection: Connection, code: str, *, taken: int = 0, redeemed: int = 0
) -> None:
    more = {"more_taken": taken, "more_redeemed": redeemed}
    connection.execute(_COUNT, {"of_code": code, **more})


def _drop_lapsed(connection: Connection, code: str, now: datetime) -> bool:
    """Free the longest lapsed held seat, if there is one."""
    holder = connection.execute(_LAPSED, _at(code, now)).scalar_one_or_none()
    if holder is None:
        return False
    connection.execute(_GIVE_SEAT, _key(code, holder))
    return True


def _full(connection: Connection, code: str) -> Reservation:
    row = connection.execute(_OLDEST, {"of_code": code}).one_or_none()
    if row is None:
        return Reservation(outcome=ReserveOutcome.EXHAUSTED)
    return Reservation(outcome=ReserveOutcome.HELD, blocker=_seat(row))
