# SPDX-License-Identifier: MIT
"""`reserve` in one transaction: SQLite has one writer, so its numbers have no gaps."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from frappe_enroll_sdk.codec import require_text
from frappe_enroll_sdk.interfaces.tables import Cell, Row
from frappe_enroll_sdk.models import Reservation
from frappe_enroll_sdk.stores import seats
from frappe_enroll_sdk.stores.coupons import Coupons
from frappe_enroll_sdk.stores.records import ms_of

from .tables import SQLiteTables


_HELD = ("code", "holder", "state", "reserved_at", "until", "lapses_at", "open_at")
_USABLE = (
    "key = :code AND disabled = 0 AND coalesce(starts_at, :now) <= :now "
    "AND coalesce(expires_at, :now + 1) > :now"
)
#: The next number, for who has no seat.
_FRESH = (
    f"INSERT INTO coupon_seats (key, rev, op, {', '.join(_HELD)}) "  # noqa: S608  ours
    f"SELECT key || printf('#%08d', issued), 1, :op, {', '.join(f':{n}' for n in _HELD)} "
    f"FROM coupons WHERE {_USABLE} AND issued < max_redemptions "
    "ON CONFLICT DO NOTHING RETURNING key, rev"
)
_COUNT = (
    "UPDATE coupons SET issued = issued + 1, rev = rev + 1, op = :op WHERE key = :code"
)
#: The one that is free, or has lapsed, for longest; for who has no seat.
_LAPSED = (
    f"UPDATE OR IGNORE coupon_seats SET rev = rev + 1, op = :op, "  # noqa: S608  ours
    f"{', '.join(f'{n} = :{n}' for n in _HELD)} "
    "WHERE key = (SELECT key FROM coupon_seats INDEXED BY coupon_seats_takeable "
    "WHERE code = :code AND lapses_at <= :now ORDER BY lapses_at, key LIMIT 1) "
    f"AND EXISTS (SELECT 1 FROM coupons WHERE {_USABLE}) RETURNING key, rev"
)


class SQLiteCoupons(Coupons):
    """`CouponStore` over SQLite's tables."""

    def reserve(
        self, code: str, holder: str, now: datetime, until: datetime
    ) -> Reservation:
        """See `CouponStore.reserve`."""
        require_text(code=code, holder=holder)
        cells: dict[str, Cell] = seats.held(code, holder, now, until)
        op = self.port.stamp()
        values = {**cells, "op": op, "now": ms_of(now)}

        def take(connection: Connection) -> Any:
            fresh = connection.exec_driver_sql(_FRESH, values).one_or_none()
            if fresh is not None:
                connection.exec_driver_sql(_COUNT, values)
                return fresh
            return connection.exec_driver_sql(_LAPSED, values).one_or_none()

        tables = self.port.use()
        assert isinstance(tables, SQLiteTables)  # noqa: S101  whose store this is
        taken = tables.database.write(take)
        if taken is None:
            return self._own(code, holder, until) or super().reserve(
                code, holder, now, until
            )
        return self._reserved(Row(taken.key, taken.rev, op, cells))
