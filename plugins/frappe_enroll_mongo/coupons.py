# SPDX-License-Identifier: MIT
"""The first lapsed seat, for which many compete, by one find-and-modify."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast

from frappe_enroll_sdk.errors import UnclearWriteError
from frappe_enroll_sdk.interfaces.tables import Cell, Row
from frappe_enroll_sdk.stores import seats
from frappe_enroll_sdk.stores.coupons import Coupons
from frappe_enroll_sdk.stores.rows import SlotTakenError

from .tables import MongoTables


class MongoCoupons(Coupons):
    """`CouponStore` on MongoDB: takes a contested seat in one operation."""

    def take_lapsed(
        self, code: str, cells: Mapping[str, Cell], now: datetime
    ) -> Row | None:
        """See `Coupons.take_lapsed`."""
        tables, op = cast("MongoTables", self.port.use()), self.port.stamp()
        takeable = seats.takeable(code, now)
        try:
            taken, has_slot = tables.take_first(self.seats.table, takeable, cells, op)
        except UnclearWriteError:
            # If the first one succeeded after all, this one is refused: the holder has
            # a seat.
            taken, has_slot = tables.take_first(self.seats.table, takeable, cells, op)
        if not has_slot:
            raise SlotTakenError(code)
        return taken
