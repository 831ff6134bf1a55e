# SPDX-License-Identifier: MIT
"""Seats on SQLite: the verb in one transaction, and the default over the same rows."""

from __future__ import annotations

import functools

import pytest

from frappe_enroll_sdk.stores.storage import TableStorage
from frappe_enroll_sdk.testing.conformance.records import NOW, after, coupon
from frappe_enroll_sdk.testing.conformance.storage import StorageConformance
from frappe_enroll_sdk.testing.conformance.storage_coupons import CouponChecks
from frappe_enroll_sql.tables import SQLiteTables


def open_default(path) -> TableStorage:
    """Open the file without any verb of SQLite's own."""
    return TableStorage(SQLiteTables(f"sqlite:///{path}"))


class TestDefault(CouponChecks):
    """The suite on what SQLite's `reserve` stands in for."""

    prepared = StorageConformance.prepared
    storage = StorageConformance.storage
    spread = StorageConformance.spread

    @pytest.fixture
    def storage_factory(self, sql_path):
        """Return what opens the file."""
        return functools.partial(open_default, sql_path)


@pytest.mark.parametrize("seats", [1, 2, 70, 200])
def test_both_ways_share_the_seats(sql_storage, sql_path, seats):
    """Each seat is had once, by processes of both kinds; none is lost; all lapse."""
    sql_storage.coupons.create(coupon(max_redemptions=seats))
    default = open_default(sql_path)
    ways = (default.coupons, sql_storage.coupons)
    for begins, ends in ((0, 100), (100, 200)):
        had = []
        for n in range(2 * seats + 3):
            holder = f"{begins}-{n}"
            told = ways[n % 3 % 2].reserve(
                "GRANT-1", holder, after(begins), after(ends)
            )
            had += [holder] if told.outcome == "reserved" else []
        assert len(had) == seats
        found = [ways[n % 2].find_seat("GRANT-1", h) for n, h in enumerate(had)]
        assert [seat.holder for seat in found] == had
        assert sql_storage.coupons.find("GRANT-1").reserved == seats
    default.close()


def test_holder_that_asks_again_keeps_its_seat(sql_storage):
    """Held for longer, never for less; from the one write on."""
    coupons = sql_storage.coupons
    coupons.create(coupon(max_redemptions=3))
    for until, stands in ((900, 900), (1800, 1800), (1000, 1800)):
        told = coupons.reserve("GRANT-1", "enr_1", NOW, after(until))
        assert (told.outcome, told.seat.until) == ("reserved", after(stands))
        assert coupons.find_seat("GRANT-1", "enr_1") == told.seat
    assert coupons.find("GRANT-1").reserved == 1
