# SPDX-License-Identifier: MIT
"""P1: coupons of every store against a model that a reader can hold in the head."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.size import times

from frappe_enroll_sdk.models import Coupon
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sql.storage import SQLStorage


CODE, LIFE_S = "GRANT-ABCD", 900
START = datetime(2026, 1, 1, tzinfo=UTC)
holders = st.sampled_from([f"enr_{n}" for n in range(5)])


@attrs.define
class Place:
    """The model's seat: held until a moment, bound, or redeemed."""

    state: str
    until: datetime
    since: datetime


class CouponMachine(RuleBasedStateMachine):
    """Many holders reserve, bind, redeem, release and let time pass."""

    def __init__(self):
        super().__init__()
        self.store = self.open()
        self.now, self.disabled = START, False
        self.seats: dict[str, Place] = {}
        self.redeemed: set[str] = set()

    def open(self):
        """Return an empty coupon store."""
        raise NotImplementedError

    @initialize(size=st.integers(1, 3))
    def create(self, size):
        """Create the coupon; its code can't be taken a second time."""
        self.size = size
        self.window_ends = START + timedelta(seconds=6 * LIFE_S)
        coupon = Coupon(
            code=CODE,
            percent_off=Decimal(100),
            max_redemptions=size,
            expires_at=self.window_ends,
            created_at=START,
        )
        assert self.store.create(coupon)
        assert not self.store.create(attrs.evolve(coupon, max_redemptions=99))

    @rule(seconds=st.sampled_from([1, LIFE_S - 1, LIFE_S, 2 * LIFE_S]))
    def let_time_pass(self, seconds):
        """Held seats may lapse."""
        self.now += timedelta(seconds=seconds)

    @rule(holder=holders, life_s=st.sampled_from([1, LIFE_S]))
    def reserve(self, holder, life_s):
        """Ask for a seat: own, free, lapsed, or none."""
        until = self.now + timedelta(seconds=life_s)
        answer = self.store.reserve(CODE, holder, self.now, until)
        expected, blockers = self.expect_reserve(holder, until)
        assert answer.outcome == expected
        if expected == "reserved":
            mine = self.seats[holder]
            told = (answer.seat.holder, answer.seat.state, answer.seat.until)
            assert told == (holder, mine.state, mine.until)
        else:
            assert answer.seat is None
        assert (answer.blocker.holder if answer.blocker else None) in blockers

    def expect_reserve(self, holder, until):
        """
        Do it in the model; return outcome and whom a takeover would settle.

        Of two that have waited equally long, the store may tell either.
        """
        mine = self.seats.get(holder)
        if mine is not None:
            if mine.state == "held":
                mine.until = max(mine.until, until)
            return "reserved", {None}
        if self.disabled or self.now >= self.window_ends:
            return "exhausted", {None}
        if len(self.seats) >= self.size and not self.drop_lapsed():
            waiting = {
                h: p.since for h, p in self.seats.items() if p.state != "redeemed"
            }
            if not waiting:
                return "exhausted", {None}
            first = min(waiting.values())
            return "held", {h for h, since in waiting.items() if since == first}
        self.seats[holder] = Place("held", until, self.now)
        return "reserved", {None}

    def drop_lapsed(self):
        """Free the one seat that lapsed first."""
        lapsed = [
            (place.until, holder)
            for holder, place in self.seats.items()
            if place.state == "held" and place.until <= self.now
        ]
        if not lapsed:
            return False
        earliest = min(lapsed)[0]
        # Two that lapsed at one moment: the store may take either.
        gone = [h for until, h in lapsed if until == earliest]
        taken = [h for h in gone if self.store.find_seat(CODE, h) is None]
        assert len(taken) == 1
        del self.seats[taken[0]]
        return True

    @rule(holder=holders)
    def bind(self, holder):
        """Bind: True for whoever has a seat, and it no longer lapses."""
        has = holder in self.seats
        assert self.store.bind(CODE, holder) is has
        if has and self.seats[holder].state == "held":
            self.seats[holder].state = "bound"

    @rule(holder=holders)
    def redeem(self, holder):
        """Redeem: True for whoever has a seat, for good."""
        has = holder in self.seats
        assert self.store.redeem(CODE, holder) is has
        if has:
            self.seats[holder].state = "redeemed"
            self.redeemed.add(holder)

    @rule(holder=holders)
    def release(self, holder):
        """Release: a redeemed seat stays, any other is free again."""
        mine = self.seats.get(holder)
        expected = "not_held" if mine is None else "released"
        if mine is not None and mine.state == "redeemed":
            expected = "redeemed"
        assert self.store.release(CODE, holder) == expected
        if expected == "released":
            del self.seats[holder]

    @rule()
    def disable(self):
        """Nobody gets a seat any more; taken ones stay."""
        assert self.store.disable(CODE)
        self.disabled = True

    @invariant()
    def seats_are_the_models(self):
        """Never over the limit, one seat a holder, redeemed never freed."""
        coupon = self.store.find(CODE)
        if coupon is None:
            return
        assert coupon.reserved + coupon.redeemed <= self.size
        assert coupon.redeemed == len(self.redeemed)
        assert coupon.reserved == len(self.seats) - len(self.redeemed)
        for number in range(5):
            holder = f"enr_{number}"
            seat, mine = self.store.find_seat(CODE, holder), self.seats.get(holder)
            assert (seat and seat.state) == (mine and mine.state)

    @rule()
    def unknown_code_changes_nothing(self):
        """A code that nobody made is exhausted and holds no seat."""
        until = self.now + timedelta(seconds=LIFE_S)
        answer = self.store.reserve("OTHER", "enr_0", self.now, until)
        assert answer.outcome == "exhausted"
        assert not self.store.bind("OTHER", "enr_0")
        assert not self.store.redeem("OTHER", "enr_0")
        assert self.store.release("OTHER", "enr_0") == "not_held"


class InMemory(CouponMachine):
    """The fake."""

    def open(self):
        """Return its coupons."""
        return MemoryStorage().coupons


class OnSQLite(CouponMachine):
    """A file."""

    def open(self):
        """Open a new file, in memory where there is a folder for that."""
        memory = Path("/dev/shm")
        place = memory if memory.is_dir() else None
        self.folder = tempfile.TemporaryDirectory(dir=place)
        self.storage = SQLStorage(f"sqlite:///{self.folder.name}/coupons.sqlite3")
        self.storage.setup()
        return self.storage.coupons

    def teardown(self):
        """Close the file."""
        self.storage.close()
        self.folder.cleanup()


@pytest.mark.parametrize(
    ("machine", "examples"), [(InMemory, times(150, 3000)), (OnSQLite, times(40, 400))]
)
def test_coupons_keep_to_the_model(machine, examples):
    """Whatever the order of the verbs."""
    case = machine.TestCase()
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=40,
        suppress_health_check=list(HealthCheck),
    )
    case.runTest()
