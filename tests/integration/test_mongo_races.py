# SPDX-License-Identifier: MIT
"""Sixteen processes race for one code on a real server, round after round."""

from __future__ import annotations

import functools
import time
import uuid
from decimal import Decimal

import pytest
from support.coupon_races import LONG_S, run_races, use_up_by_many
from support.size import LEAST, SERVER_DIFFERS, times

from frappe_enroll_mongo.storage import MongoStorage
from frappe_enroll_sdk.models import Coupon
from frappe_enroll_sdk.testing.conformance.records import NOW, after


ROUNDS = times(10, 200)


@pytest.fixture
def database(mongo_uri):
    """Return what opens a database of the test's own."""
    factory = functools.partial(MongoStorage, mongo_uri, f"race_{uuid.uuid4().hex}")
    storage = factory()
    storage.setup()
    yield factory, storage
    storage.tables.link.client().drop_database(storage.tables.link.name)
    storage.close()


@pytest.mark.skipif(LEAST, reason=SERVER_DIFFERS)
@pytest.mark.timeout(LONG_S * 3)
@pytest.mark.parametrize(
    ("seats", "held"),
    [(1, 0), (5, 0), (1, 1)],
    ids=["one seat", "five seats", "a lapsed reservation"],
)
def test_race_of_processes_has_exactly_as_many_winners_as_seats(database, seats, held):
    """16 processes × 50 claims: each round has as many winners as the code allows."""
    factory, storage = database
    coupons = storage.coupons
    codes = [f"RACE-{number:03d}" for number in range(ROUNDS)]
    for code in codes:
        coupons.create(
            Coupon(
                code=code,
                percent_off=Decimal(100),
                max_redemptions=seats,
                created_at=NOW,
            )
        )
        for number in range(held):
            coupons.reserve(code, f"enr_lapsed_{number}", NOW, after(900))
    won = run_races(factory, codes)
    assert dict.fromkeys(codes, seats) == {c: len(w) for c, w in won.items()}
    for code, holders in won.items():
        seat_states = [coupons.find_seat(code, holder) for holder in holders]
        assert all(seat is not None for seat in seat_states)
        assert coupons.find(code).reserved == seats


@pytest.mark.skipif(LEAST, reason=SERVER_DIFFERS)
@pytest.mark.timeout(LONG_S * 3)
def test_code_with_many_redemptions_is_used_up_to_the_last_one(database):
    """64 clients at once get exactly as many seats as there are, each holder one."""
    factory, storage = database
    most = times(400, 10_000)
    storage.coupons.create(
        Coupon(
            code="HOT",
            percent_off=Decimal(100),
            max_redemptions=most,
            created_at=NOW,
        )
    )
    began = time.perf_counter()
    won = use_up_by_many(factory, "HOT")
    lasted = time.perf_counter() - began
    assert len(won) == len(set(won)) == most
    assert storage.coupons.find("HOT").reserved == most
    told = f"{most} seats, each claimed twice, by 64 clients in {lasted:.1f} s"
    print(told)  # noqa: T201  a figure of full-size runs
