# SPDX-License-Identifier: MIT
"""The coupon store's part of the storage suite."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from ...errors import ValidationError
from ...interfaces import Storage
from ...models import ReleaseOutcome, ReserveOutcome, SeatState
from . import races
from .records import NOW, after, coupon


class CouponChecks:
    """Seats: never too many, never two for one holder, never freed once redeemed."""

    def test_coupon_comes_back_as_it_was_written(self, storage: Storage):
        """Every field of a coupon survives, decimals and moments exactly."""
        made = coupon(
            percent_off=Decimal("33.333"),
            course_id="python-101",
            email="ada@example.com",
            max_redemptions=7,
            starts_at=after(-1),
            expires_at=after(1),
        )
        assert storage.coupons.create(made)
        assert made == storage.coupons.find(made.code)

    def test_coupon_code_is_taken_once(self, storage: Storage):
        """A second coupon of the same code is not written."""
        assert storage.coupons.create(coupon())
        assert not storage.coupons.create(coupon(max_redemptions=9))
        found = storage.coupons.find("GRANT-1")
        assert found is not None
        assert found.max_redemptions == 1

    def test_batch_of_coupons_is_created_as_one_by_one(self, storage: Storage):
        """Taken codes, in the store or in the batch, do not stop the others."""
        storage.coupons.create(coupon("TAKEN", max_redemptions=7))
        batch = [coupon(code) for code in ("A-1", "TAKEN", "A-2", "A-1")]
        assert storage.coupons.create_many(batch) == (True, False, True, False)
        found = [one.code for one in storage.coupons.list().items]
        assert found == ["A-1", "A-2", "TAKEN"]
        kept = storage.coupons.find("TAKEN")
        assert kept is not None
        assert kept.max_redemptions == 7
        assert storage.coupons.create_many(batch) == (False,) * 4
        assert storage.coupons.create_many([]) == ()
        seat = storage.coupons.reserve("A-2", "enr_1", NOW, after(900))
        assert seat.outcome is ReserveOutcome.RESERVED

    def test_large_batch_of_coupons_is_whole(self, storage: Storage):
        """A batch larger than any statement's list of values is written."""
        batch = [coupon(f"B-{number:04d}") for number in range(1200)]
        assert storage.coupons.create_many(batch) == (True,) * 1200
        assert len(storage.coupons.list(limit=2000).items) == 1200

    def test_coupons_are_listed_by_prefix(self, storage: Storage):
        """Over pages, with their counts, and nothing else."""
        codes = ("A-1", "AB-1", "AB-2", "AB.3", "AB-Z9", "ABC", "AC-1")
        storage.coupons.create_many([coupon(c, max_redemptions=2) for c in codes])
        storage.coupons.reserve("AB-2", "enr_1", NOW, after(900))
        storage.coupons.reserve("AB-2", "enr_2", NOW, after(900))
        storage.coupons.redeem("AB-2", "enr_2")
        first = storage.coupons.list(prefix="AB-", limit=2)
        rest = storage.coupons.list(prefix="AB-", limit=2, cursor=first.next_cursor)
        assert [one.code for one in (*first.items, *rest.items)] == [
            "AB-1",
            "AB-2",
            "AB-Z9",
        ]
        assert rest.next_cursor is None
        assert [(one.reserved, one.redeemed) for one in first.items] == [(0, 0), (1, 1)]

    def test_race_of_batches_creates_each_code_once(self, storage: Storage, spread):
        """Whoever creates the same codes at once: each is one caller's."""
        answers = spread(races.create_same, 6)
        assert [sum(column) for column in zip(*answers, strict=True)] == [1] * 10
        assert len(storage.coupons.list().items) == 10

    def test_unknown_code_is_answered_not_raised(self, storage: Storage):
        """Nothing is known of an unknown code."""
        assert storage.coupons.find("NONE") is None
        assert not storage.coupons.disable("NONE")
        assert not storage.coupons.bind("NONE", "enr_1")
        assert not storage.coupons.redeem("NONE", "enr_1")
        assert storage.coupons.release("NONE", "enr_1") is ReleaseOutcome.NOT_HELD
        answer = storage.coupons.reserve("NONE", "enr_1", NOW, after(900))
        assert answer.outcome is ReserveOutcome.EXHAUSTED

    def test_operator_instead_of_a_code_is_refused(self, storage: Storage):
        """A dict never reaches a filter."""
        with pytest.raises(ValidationError) as caught:
            storage.coupons.find({"$gt": ""})  # type: ignore[arg-type]  # on purpose
        assert caught.value.field == "code"

    def test_holder_has_one_seat(self, storage: Storage):
        """Reserving again keeps the seat until the later of the two ends."""
        storage.coupons.create(coupon(max_redemptions=2))
        storage.coupons.reserve("GRANT-1", "enr_1", NOW, after(900))
        again = storage.coupons.reserve("GRANT-1", "enr_1", after(1), after(1000))
        earlier = storage.coupons.reserve("GRANT-1", "enr_1", after(2), after(10))
        assert again.seat is not None
        assert earlier.seat is not None
        assert again.seat.until == after(1000) == earlier.seat.until
        found = storage.coupons.find("GRANT-1")
        assert found is not None
        assert (found.reserved, found.redeemed) == (1, 0)

    def test_full_coupon_names_who_has_waited_longest(self, storage: Storage):
        """A caller that finds no seat learns whose holder may be settled."""
        storage.coupons.create(coupon(max_redemptions=2))
        storage.coupons.reserve("GRANT-1", "enr_2", NOW, after(900))
        storage.coupons.reserve("GRANT-1", "enr_1", after(1), after(900))
        answer = storage.coupons.reserve("GRANT-1", "enr_3", after(2), after(900))
        assert answer.outcome is ReserveOutcome.HELD
        assert answer.seat is None
        assert answer.blocker is not None
        assert answer.blocker.holder == "enr_2"
        assert answer.blocker.reserved_at == NOW

    def test_lapsed_seat_is_free_at_once(self, storage: Storage):
        """A held seat is free for anyone from the moment it lapses."""
        storage.coupons.create(coupon())
        storage.coupons.reserve("GRANT-1", "enr_1", NOW, after(900))
        early = storage.coupons.reserve("GRANT-1", "enr_2", after(899.999), after(1800))
        on_time = storage.coupons.reserve("GRANT-1", "enr_2", after(900), after(1800))
        assert early.outcome is ReserveOutcome.HELD
        assert on_time.outcome is ReserveOutcome.RESERVED
        assert not storage.coupons.bind("GRANT-1", "enr_1")
        assert not storage.coupons.redeem("GRANT-1", "enr_1")
        released = storage.coupons.release("GRANT-1", "enr_1")
        assert released is ReleaseOutcome.NOT_HELD
        assert storage.coupons.find_seat("GRANT-1", "enr_1") is None
        assert storage.coupons.find_seat("GRANT-1", "enr_2") == on_time.seat

    def test_lapsed_seat_that_nobody_took_is_still_the_holders(self, storage: Storage):
        """Binding late works as long as nobody else has taken the seat."""
        storage.coupons.create(coupon())
        storage.coupons.reserve("GRANT-1", "enr_1", NOW, after(1))
        assert storage.coupons.bind("GRANT-1", "enr_1")

    def test_bound_seat_never_lapses_by_time(self, storage: Storage):
        """What is bound to a session waits for the session's end."""
        storage.coupons.create(coupon())
        storage.coupons.reserve("GRANT-1", "enr_1", NOW, after(1))
        assert storage.coupons.bind("GRANT-1", "enr_1")
        assert storage.coupons.bind("GRANT-1", "enr_1")
        late = storage.coupons.reserve("GRANT-1", "enr_2", after(1e6), after(2e6))
        assert late.outcome is ReserveOutcome.HELD
        assert late.blocker is not None
        assert late.blocker.state is SeatState.BOUND

    def test_released_seat_is_free(self, storage: Storage):
        """Held and bound seats can be given back, once."""
        storage.coupons.create(coupon())
        for bound in (False, True):
            storage.coupons.reserve("GRANT-1", "enr_1", NOW, after(900))
            assert not bound or storage.coupons.bind("GRANT-1", "enr_1")
            first = storage.coupons.release("GRANT-1", "enr_1")
            second = storage.coupons.release("GRANT-1", "enr_1")
            assert (first, second) == (
                ReleaseOutcome.RELEASED,
                ReleaseOutcome.NOT_HELD,
            )
        answer = storage.coupons.reserve("GRANT-1", "enr_2", NOW, after(900))
        assert answer.outcome is ReserveOutcome.RESERVED

    def test_redeemed_seat_is_never_freed(self, storage: Storage):
        """Not by release, not by bind, not by time."""
        storage.coupons.create(coupon())
        storage.coupons.reserve("GRANT-1", "enr_1", NOW, after(1))
        assert storage.coupons.redeem("GRANT-1", "enr_1")
        assert storage.coupons.redeem("GRANT-1", "enr_1")
        assert storage.coupons.bind("GRANT-1", "enr_1")
        released = storage.coupons.release("GRANT-1", "enr_1")
        assert released is ReleaseOutcome.REDEEMED
        late = storage.coupons.reserve("GRANT-1", "enr_2", after(1e6), after(2e6))
        assert late.outcome is ReserveOutcome.EXHAUSTED
        assert late.blocker is None
        own = storage.coupons.reserve("GRANT-1", "enr_1", after(1e6), after(2e6))
        assert own.outcome is ReserveOutcome.RESERVED
        assert own.seat is not None
        assert own.seat.state is SeatState.REDEEMED

    @pytest.mark.parametrize(
        "terms",
        [
            {"starts_at": after(1)},
            {"expires_at": NOW},
            {"disabled": True},
        ],
        ids=["not yet", "over", "disabled"],
    )
    def test_coupon_out_of_its_window_gives_no_seat(self, storage: Storage, terms):
        """A coupon that is not valid now looks exhausted."""
        storage.coupons.create(coupon(**terms))
        answer = storage.coupons.reserve("GRANT-1", "enr_1", NOW, after(900))
        assert answer.outcome is ReserveOutcome.EXHAUSTED

    def test_disabled_coupon_keeps_its_seats(self, storage: Storage):
        """Holders keep their seats; nobody new gets one."""
        storage.coupons.create(coupon(max_redemptions=2))
        storage.coupons.reserve("GRANT-1", "enr_1", NOW, after(900))
        assert storage.coupons.disable("GRANT-1")
        own = storage.coupons.reserve("GRANT-1", "enr_1", NOW, after(900))
        other = storage.coupons.reserve("GRANT-1", "enr_2", NOW, after(900))
        assert own.outcome is ReserveOutcome.RESERVED
        assert other.outcome is ReserveOutcome.EXHAUSTED
        assert storage.coupons.redeem("GRANT-1", "enr_1")

    def test_code_is_readdressed(self, storage: Storage):
        """It belongs to another learner from now on; taken seats stay."""
        storage.coupons.create(coupon(email="ada@example.com"))
        storage.coupons.reserve("GRANT-1", "enr_1", NOW, after(900))
        assert storage.coupons.readdress("GRANT-1", "eve@example.com")
        assert not storage.coupons.readdress("NONE", "eve@example.com")
        assert _codes(storage, email="ada@example.com") == []
        assert _codes(storage, email="eve@example.com") == ["GRANT-1"]
        stands = storage.coupons.find("GRANT-1")
        assert stands is not None
        assert (stands.email, stands.reserved) == ("eve@example.com", 1)
        assert storage.coupons.redeem("GRANT-1", "enr_1")

    def test_coupons_are_paged_by_code(self, storage: Storage):
        """Every coupon is on exactly one page, and filters hold on every page."""
        for number in range(7):
            course = "python-101" if number % 2 else "rust-201"
            made = coupon(f"C-{number}", course_id=course, email="ada@example.com")
            storage.coupons.create(made)
        assert [f"C-{n}" for n in range(7)] == _codes(storage)
        assert _codes(storage, course_id="python-101") == ["C-1", "C-3", "C-5"]
        assert _codes(storage, email="bob@example.com") == []

    def test_foreign_cursor_is_refused(self, storage: Storage):
        """A cursor that is not ours is a typed error."""
        with pytest.raises(ValidationError) as caught:
            storage.coupons.list(cursor="%%%")
        assert caught.value.field == "cursor"

    @pytest.mark.parametrize("seats", [1, 5])
    def test_race_of_threads_gives_exactly_the_seats(
        self, storage: Storage, storage_factory, seats
    ):
        """Any number of threads race: exactly `max_redemptions` get a seat."""
        storage.coupons.create(coupon(max_redemptions=seats))
        outcomes = races.race_threads(storage_factory, races.reserve_one, seats + 20)
        assert Counter(outcomes) == {"reserved": seats, "held": 20}

    def test_race_of_processes_gives_exactly_the_seats(self, storage: Storage, spread):
        """Processes race: exactly `max_redemptions` racers get a seat."""
        storage.coupons.create(coupon(max_redemptions=4))
        outcomes = spread(races.reserve_one, 24)
        assert Counter(outcomes) == {"reserved": 4, "held": 20}

    def test_race_with_rollbacks_is_exact(self, storage: Storage, spread):
        """Half of the racers give back; redeemed seats never exceed the terms."""
        storage.coupons.create(coupon(max_redemptions=3))
        outcomes = Counter(spread(races.redeem_or_release, 30))
        found = storage.coupons.find("GRANT-1")
        assert found is not None
        assert found.redeemed == outcomes["redeemed"] <= 3
        assert found.reserved == 0
        assert outcomes["lost"] == 0


def _codes(storage: Storage, **filters: str) -> list[str]:
    codes: list[str] = []
    cursor = None
    while True:
        page = storage.coupons.list(limit=2, cursor=cursor, **filters)
        codes += [item.code for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return codes
