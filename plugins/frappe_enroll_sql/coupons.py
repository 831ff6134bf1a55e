# SPDX-License-Identifier: MIT
"""`reserve` in one transaction: SQLite has one writer, so its numbers have no gaps."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from frappe_enroll_sdk.codec import require_text
from frappe_enroll_sdk.interfaces.tables import Row
from frappe_enroll_sdk.models import Reservation, ReserveOutcome
from frappe_enroll_sdk.stores import seats
from frappe_enroll_sdk.stores.coupons import Coupons
from frappe_enroll_sdk.stores.layout import SEATS
from frappe_enroll_sdk.stores.records import ms_of

from .tables import SQLiteTables


_HELD = ("code", "holder", "state", "reserved_at", "until", "lapses_at", "open_at")
_CELLS, _VALUES = ", ".join(_HELD), ", ".join(f":{name}" for name in _HELD)
_USABLE = (
    "key = :code AND disabled = 0 AND coalesce(starts_at, :now) <= :now "
    "AND coalesce(expires_at, :now + 1) > :now"
)
#: Takes the next number, for a holder without a seat.
_FRESH = (
    f"INSERT INTO coupon_seats (key, rev, op, {_CELLS}) "  # noqa: S608  ours
    f"SELECT key || printf('#%08d', issued), 1, :op, {_VALUES} "
    f"FROM coupons WHERE {_USABLE} AND issued < max_redemptions "
    "ON CONFLICT DO NOTHING RETURNING key, rev"
)
_COUNT = (
    "UPDATE coupons SET issued = issued + 1, rev = rev + 1, op = :op "
    "WHERE key = :code AND max_redemptions > 1"
)
#: Takes the seat that has been free or lapsed for longest, for a holder without one.
_LAPSED = (
    f"UPDATE OR IGNORE coupon_seats SET (rev, op, {_CELLS}) = "  # noqa: S608  ours
    f"(rev + 1, :op, {_VALUES}) "
    "WHERE key = (SELECT key FROM coupon_seats INDEXED BY coupon_seats_takeable "
    "WHERE code = :code AND lapses_at <= :now ORDER BY lapses_at, key LIMIT 1) "
    f"AND EXISTS (SELECT 1 FROM coupons WHERE {_USABLE}) RETURNING key, rev"
)


#: The holder's own seat, or else the first one held by others; and whether all seats of
#: the code have a row, so that there is no other to look for.
_FULL = f"""
SELECT complete OR max_redemptions = 1 AS has_all, seat.* FROM coupons
LEFT JOIN coupon_seats AS seat ON seat.key = coalesce(
(SELECT key FROM coupon_seats WHERE code = :code AND holder = :holder),
(SELECT key FROM coupon_seats INDEXED BY coupon_seats_open
WHERE code = :code AND open_at IS NOT NULL ORDER BY open_at, key LIMIT 1))
WHERE coupons.{_USABLE}"""  # noqa: S608  ours


class SQLiteCoupons(Coupons):
    """`CouponStore` over SQLite's tables."""

    def reserve(
        self, code: str, holder: str, now: datetime, until: datetime
    ) -> Reservation:
        """See `CouponStore.reserve`."""
        require_text(code=code, holder=holder)
        cells, op = seats.held(code, holder, now, until), self.port.stamp()
        values = {**cells, "op": op, "now": ms_of(now)}
        tables = self.port.use()
        assert isinstance(tables, SQLiteTables)  # noqa: S101  the only tables of this store
        layout = tables.layout_of(SEATS)

        def take(connection: Connection) -> Row | Any:
            run = connection.exec_driver_sql
            taken = run(_FRESH, values).one_or_none()
            if taken is not None:
                run(_COUNT, values)
            else:
                taken = run(_LAPSED, values).one_or_none()
            if taken is not None:
                return Row(taken.key, taken.rev, op, cells)
            return run(_FULL, values).one_or_none()

        answer = tables.database.write(take)
        if isinstance(answer, Row):
            return self._reserved(answer)
        if answer is not None and answer.holder == holder:
            self._note(layout.row(answer[1:]))
            own = self._own(code, holder, until)
            if own is not None:
                return own
        elif answer is not None and answer.has_all:
            if answer.key is None:
                return Reservation(outcome=ReserveOutcome.EXHAUSTED)
            blocker = seats.seat_of(layout.row(answer[1:]))
            return Reservation(outcome=ReserveOutcome.HELD, blocker=blocker)
        return super().reserve(code, holder, now, until)
