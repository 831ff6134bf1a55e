# SPDX-License-Identifier: MIT
"""Sixteen processes race for one code on a real server, round after round."""

from __future__ import annotations

import functools
import multiprocessing
import uuid
from decimal import Decimal

import pytest
from support.size import times

from frappe_enroll_mongo.storage import MongoStorage
from frappe_enroll_sdk.models import Coupon, ReserveOutcome
from frappe_enroll_sdk.testing.conformance.records import NOW, after


PROCESSES, CLAIMS = 16, 50
ROUNDS = times(20, 200)
_LONG_S = 600


@pytest.fixture
def database(mongo_uri):
    """Return what opens a database of the test's own."""
    factory = functools.partial(MongoStorage, mongo_uri, f"race_{uuid.uuid4().hex}")
    storage = factory()
    storage.setup()
    yield factory, storage
    storage._link.client().drop_database(storage._link.name)
    storage.close()


def race(factory, barrier, number, codes, winners) -> None:
    """Claim each round's code many times over, each time for another holder."""
    storage = factory()
    storage.now()
    for code in codes:
        won = []
        barrier.wait(_LONG_S)
        for claim in range(CLAIMS):
            holder = f"enr_{number:02d}_{claim:02d}"
            answer = storage.coupons.reserve(code, holder, after(1000), after(1900))
            if answer.outcome is ReserveOutcome.RESERVED:
                won.append(holder)
        winners.put((code, won))
    storage.close()


def run_races(factory, codes) -> dict[str, list[str]]:
    """Let the processes race for each code in turn; return the winners of each."""
    context = multiprocessing.get_context("spawn")
    barrier, winners = context.Barrier(PROCESSES), context.Queue()
    racers = [
        context.Process(target=race, args=(factory, barrier, number, codes, winners))
        for number in range(PROCESSES)
    ]
    for racer in racers:
        racer.start()
    won: dict[str, list[str]] = {code: [] for code in codes}
    for _ in range(PROCESSES * len(codes)):
        code, holders = winners.get(timeout=_LONG_S)
        won[code] += holders
    for racer in racers:
        racer.join(_LONG_S)
        assert racer.exitcode == 0
    return won


@pytest.mark.timeout(_LONG_S * 3)
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
