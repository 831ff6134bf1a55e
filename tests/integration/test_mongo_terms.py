# SPDX-License-Identifier: MIT
"""What a process remembers of a code never decides: its row, and the seats do."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

import pytest
from pymongo import MongoClient
from support.mongofaults import CommandPlan
from support.size import LEAST, SERVER_DIFFERS

from frappe_enroll_mongo.storage import MongoStorage
from frappe_enroll_sdk.models import Coupon, ReserveOutcome
from frappe_enroll_sdk.stores import coupons as module
from frappe_enroll_sdk.stores.records import ms_of


pytestmark = pytest.mark.skipif(LEAST, reason=SERVER_DIFFERS)
NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=15)
SOON = NOW + timedelta(minutes=5)


@pytest.fixture
def stores(mongo_uri):
    """Return two processes' stores on one database."""
    name = f"terms_{secrets.token_hex(4)}"
    both = [MongoStorage(mongo_uri, name) for _ in range(2)]
    both[0].setup()
    yield both
    both[0].tables.link.client().drop_database(name)
    for store in both:
        store.close()


@pytest.fixture
def known(stores):
    """Return both stores, and a code of five seats that the first one remembers."""
    first, second = stores
    first.coupons.create(
        Coupon(
            code="FIVE",
            percent_off=100,
            max_redemptions=5,
            expires_at=SOON,
            created_at=NOW,
        )
    )
    assert reserve(first, "enr_0") is ReserveOutcome.RESERVED
    return first, second


def reserve(store, holder, now=NOW):
    """Claim a seat; return what came of it."""
    return store.coupons.reserve("FIVE", holder, now, LATER).outcome


def test_claim_reads_the_terms_and_takes_a_number(known, mongo_uri):
    """Two commands; a block of numbers costs one more."""
    first, _ = known
    plan = CommandPlan()
    first.tables.link.close()
    client = MongoClient(mongo_uri, event_listeners=[plan])
    first.tables.link._make_client = lambda: client
    first.coupons.create(
        Coupon(code="MANY", percent_off=100, max_redemptions=999, created_at=NOW)
    )
    blocks = 0
    for number in range(40):
        plan.log.clear()
        taken = first.coupons.reserve("MANY", f"enr_{number}", NOW, LATER)
        assert taken.outcome is ReserveOutcome.RESERVED
        sent = [step.removeprefix("before ") for step in plan.log[::2]]
        blocks += sent == ["find", "update", "insert"]
        assert sent in (["find", "insert"], ["find", "update", "insert"])
    assert blocks == 3, "a 64th of the seats each"


def numbers_of(store):
    """Return the numbers of the seats that somebody has."""
    held = {"code": "FIVE", "holder": {"$exists": True}}
    found = store.tables.link.collection("coupon_seats").find(held, sort=[("_id", 1)])
    return [int(seat["_id"][-1]) for seat in found]


def test_holder_that_asks_again_loses_no_number(known):
    """What it has drawn is the next one's, with one look at the code."""
    first, second = known
    for _ in range(3):
        assert reserve(first, "enr_0") is ReserveOutcome.RESERVED
    assert first.coupons._spare["FIVE"] == [1]
    assert reserve(second, "enr_1") is ReserveOutcome.RESERVED
    for holder in ("enr_2", "enr_3"):
        assert reserve(first, holder) is ReserveOutcome.RESERVED
    assert first.coupons._spare["FIVE"] == []
    assert numbers_of(first) == [0, 1, 2, 3]
    assert reserve(second, "enr_4") is ReserveOutcome.RESERVED
    assert reserve(first, "enr_5") is ReserveOutcome.HELD


def test_number_that_died_with_its_process_is_found(known):
    """When the tickets have run out: no seat is lost."""
    first, second = known
    assert reserve(first, "enr_0") is ReserveOutcome.RESERVED, "draws, and dies"
    for number in range(1, 5):
        assert reserve(second, f"enr_{number}") is ReserveOutcome.RESERVED
    assert numbers_of(second) == [0, 1, 2, 3, 4]
    assert reserve(first, "enr_5") is ReserveOutcome.HELD, "its spare one is taken"


def test_spare_number_of_a_disabled_code_is_no_seat(known):
    """It is looked at like a ticket."""
    first, second = known
    assert reserve(first, "enr_0") is ReserveOutcome.RESERVED
    assert second.coupons.disable("FIVE")
    assert reserve(first, "enr_1") is ReserveOutcome.EXHAUSTED
    assert numbers_of(first) == [0]


def test_code_that_another_process_disables_gives_no_seat(known):
    """At once, whatever is remembered."""
    first, second = known
    assert second.coupons.disable("FIVE")
    assert reserve(first, "enr_1") is ReserveOutcome.EXHAUSTED
    assert reserve(first, "enr_0") is ReserveOutcome.RESERVED, "its own"


def test_code_that_another_process_uses_up_gives_no_seat(known):
    """Held while seats may come back, exhausted when they are all redeemed."""
    first, second = known
    for number in range(1, 5):
        assert reserve(second, f"enr_{number}") is ReserveOutcome.RESERVED
    assert reserve(first, "enr_5") is ReserveOutcome.HELD
    for number in range(5):
        assert second.coupons.redeem("FIVE", f"enr_{number}")
    assert reserve(first, "enr_5") is ReserveOutcome.EXHAUSTED
    assert reserve(first, "enr_6") is ReserveOutcome.EXHAUSTED


def test_code_whose_time_is_over_gives_no_seat(known):
    """The remembered end is the end."""
    first, _ = known
    assert reserve(first, "enr_1", now=SOON) is ReserveOutcome.EXHAUSTED


def test_code_that_was_put_there_anew_is_read_again(known):
    """By hand, from a backup for instance: its new terms hold."""
    first, second = known
    table = second.tables.link.collection("coupons")
    table.update_one({"_id": "FIVE"}, {"$set": {"max_redemptions": 2}})
    assert reserve(first, "enr_1") is ReserveOutcome.RESERVED
    assert reserve(first, "enr_2") is ReserveOutcome.HELD
    table.update_one({"_id": "FIVE"}, {"$set": {"max_redemptions": 5}})
    assert reserve(first, "enr_2") is ReserveOutcome.RESERVED
    table.update_one({"_id": "FIVE"}, {"$set": {"expires_at": ms_of(NOW)}})
    assert reserve(first, "enr_3") is ReserveOutcome.EXHAUSTED


def test_what_is_remembered_is_bounded(known, monkeypatch):
    """A shop with a million codes fills no memory."""
    monkeypatch.setattr(module, "_MAX_KNOWN", 3)
    first, _ = known
    for number in range(10):
        code = f"C{number}"
        first.coupons.create(
            Coupon(code=code, percent_off=100, max_redemptions=200, created_at=NOW)
        )
        first.coupons.reserve(code, "enr_0", NOW, LATER)
        assert 0 < len(first.coupons._spare) <= 3
        assert 0 < len(first.coupons._seen) <= 3
