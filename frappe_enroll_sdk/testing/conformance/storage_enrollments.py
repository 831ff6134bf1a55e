# SPDX-License-Identifier: MIT
"""The enrollment store's part of the storage suite."""

from __future__ import annotations

from typing import Any

import pytest

from ...errors import ValidationError
from ...interfaces import Storage
from ...models import (
    Enrollment,
    Kind,
    LMSStatus,
    Opener,
    Override,
    SlotTaken,
    Status,
)
from ...money import Money
from . import races
from .records import NOW, after, enrollment, entry


def write(storage: Storage, row: Enrollment, to: Status, **more: Any) -> Any:
    """Write a row's next version."""
    change = more.pop("entry", entry(row.version + 1, to))
    due_at = more.pop("due_at", None)
    return storage.enrollments.transition(row.id, row.version, to, change, due_at, more)


class EnrollmentChecks:
    """Rows: one has its slot, each is changed by compare-and-set, none is lost."""

    def test_enrollment_comes_back_as_it_was_written(self, storage: Storage):
        """Every field survives."""
        row = enrollment(
            kind=Kind.PARTIAL_GRANT,
            discount=Money(1900, "usd"),
            amount=Money(3000, "usd"),
            coupon_code="GRANT-1",
            session_request={"params": {"a": [1, None, "ü"]}},
            lms_progress=12.5,
            full_name="Ada",
            idempotency_key="key-1",
        )
        result = storage.enrollments.open(row)
        assert result.opened
        assert row == result.enrollment == storage.enrollments.find(row.id)

    def test_unknown_enrollment_is_none(self, storage: Storage):
        """Each finder answers None for what is not there."""
        store = storage.enrollments
        assert store.find("enr_x") is None
        assert store.find_by_session("cs_x") is None
        assert store.find_by_payment("pi_x") is None
        assert store.find_by_idempotency_key("x") is None
        assert store.find_holder("a@example.com", "x") is None
        assert store.list_for_sync("a@example.com", "x") == ()

    def test_operator_instead_of_an_id_is_refused(self, storage: Storage):
        """A dict never reaches a filter."""
        with pytest.raises(ValidationError):
            storage.enrollments.find({"$ne": None})  # type: ignore[arg-type]  # on purpose
        with pytest.raises(ValidationError):
            storage.enrollments.find_holder({"$gt": ""}, "x")  # type: ignore[arg-type]  # on purpose

    def test_row_is_found_by_what_it_stores(self, storage: Storage):
        """By session, payment and key."""
        row = enrollment(idempotency_key="key-1")
        storage.enrollments.open(row)
        done = write(
            storage, row, Status.AWAITING_PAYMENT, session_id="cs_1", payment_id="pi_1"
        )
        store = storage.enrollments
        assert done == store.find_by_session("cs_1")
        assert done == store.find_by_payment("pi_1")
        assert done == store.find_by_idempotency_key("key-1")

    def test_payment_that_went_over_is_found_where_it_is(self, storage: Storage):
        """By age, whatever the ids are: a reassignment's rows all store it."""
        for number, at in ((2, 3), (3, 1), (1, 2)):
            row = enrollment(number, created_at=after(at), updated_at=after(at))
            storage.enrollments.open(row)
            write(storage, row, Status.AWAITING_PAYMENT, payment_id="pi_1")
        found = storage.enrollments.find_by_payment("pi_1")
        assert found is not None
        assert found.id == enrollment(2).id

    def test_attempts_stand_side_by_side(self, storage: Storage):
        """Whoever opens one takes nothing from another one of learner and course."""
        rows = [enrollment(n, email="ada@example.com") for n in (1, 2, 3)]
        assert all(storage.enrollments.open(row).opened for row in rows)
        assert storage.enrollments.find_holder("ada@example.com", "python-101") is None

    def test_row_that_claims_a_taken_slot_is_not_opened(self, storage: Storage):
        """The holder is answered; nothing is written."""
        first = enrollment(1, claims_slot=True)
        assert storage.enrollments.open(first).opened
        second = enrollment(2, email=first.email, claims_slot=True)
        result = storage.enrollments.open(second)
        assert (result.opened, result.enrollment) == (False, first)
        assert storage.enrollments.find(second.id) is None
        other = enrollment(2, email=first.email, course_id="rust-201", claims_slot=True)
        assert storage.enrollments.open(other).opened

    def test_idempotency_key_is_used_once(self, storage: Storage):
        """A key that was used answers its row, whatever the slot."""
        first = enrollment(1, idempotency_key="key-1")
        storage.enrollments.open(first)
        result = storage.enrollments.open(enrollment(2, idempotency_key="key-1"))
        assert not result.opened
        assert result.enrollment == first

    def test_reopening_the_same_row_answers_it(self, storage: Storage):
        """A write whose acknowledgement was lost is recognised by its id."""
        row = enrollment()
        storage.enrollments.open(row)
        again = storage.enrollments.open(row)
        assert not again.opened
        assert again.enrollment == row

    def test_slot_is_taken_by_the_write_that_entitles(self, storage: Storage):
        """Another row's is not written, and is answered with who has the slot."""
        first, second = enrollment(1), enrollment(2, email="learner1@example.com")
        for row in (first, second):
            storage.enrollments.open(row)
        done = write(storage, first, Status.CONFIRMED)
        assert done == storage.enrollments.find_holder(first.email, first.course_id)
        assert write(storage, second, Status.CONFIRMED) == SlotTaken(done)
        assert second == storage.enrollments.find(second.id)
        held = write(storage, second, Status.ON_HOLD, held_for="paid_twice")
        assert (held.status, held.version) == (Status.ON_HOLD, 2)

    def test_slot_is_taken_by_a_claim(self, storage: Storage):
        """The claim's own row then entitles; an exit gives it back."""
        first, second = enrollment(1), enrollment(2, email="learner1@example.com")
        for row in (first, second):
            storage.enrollments.open(row)
        claim = write(storage, first, Status.PENDING, claims_slot=True)
        assert write(storage, second, Status.CONFIRMED) == SlotTaken(claim)
        assert write(storage, second, Status.PENDING, claims_slot=True) == SlotTaken(
            claim
        )
        gone = write(storage, claim, Status.EXPIRED)
        assert not gone.holds_slot
        done = write(storage, second, Status.CONFIRMED)
        assert done == storage.enrollments.find_holder(first.email, first.course_id)

    @pytest.mark.parametrize("to", [Status.ON_HOLD, Status.REVOKED])
    def test_slot_is_left_by_the_write_that_ends_the_right(
        self, storage: Storage, to: Status
    ):
        """Its way back is a race like any other."""
        first, second = enrollment(1), enrollment(2, email="learner1@example.com")
        for row in (first, second):
            storage.enrollments.open(row)
        left = write(storage, write(storage, first, Status.CONFIRMED), to)
        assert storage.enrollments.find_holder(first.email, first.course_id) is None
        taken = write(storage, second, Status.CONFIRMED)
        assert write(storage, left, Status.CONFIRMED) == SlotTaken(taken)
        assert left == storage.enrollments.find(first.id)

    def test_stale_version_is_lost_even_where_the_slot_is_taken(self, storage: Storage):
        """Whoever has lost reads again, and decides anew."""
        first, second = enrollment(1), enrollment(2, email="learner1@example.com")
        for row in (first, second):
            storage.enrollments.open(row)
        write(storage, first, Status.CONFIRMED)
        write(storage, second, Status.EXPIRED)
        stale = entry(2, Status.CONFIRMED, op_id="another")
        assert write(storage, second, Status.CONFIRMED, entry=stale) is None

    def test_unpaid_attempts_are_listed_newest_first(self, storage: Storage):
        """The pair's only; those under the host's word apart from strangers'."""
        mine = {"email": "ada@example.com"}
        for number in range(1, 6):
            by = Opener.VOUCHED if number == 2 else Opener.ANYBODY
            storage.enrollments.open(enrollment(number, opened_by=by, **mine))
        storage.enrollments.open(enrollment(6, course_id="rust-201", **mine))
        write(storage, enrollment(4, **mine), Status.EXPIRED)
        store, pair = storage.enrollments, ("ada@example.com", "python-101")
        assert [r.id[-1] for r in store.list_unpaid(*pair)] == ["5", "3", "2", "1"]
        assert [r.id[-1] for r in store.list_unpaid(*pair, limit=2)] == ["5", "3"]
        assert [r.id[-1] for r in store.list_unpaid(*pair, vouched=True)] == ["2"]

    def test_rows_that_are_set_aside_are_listed_oldest_first(self, storage: Storage):
        """What is on hold or revoked, of the pair."""
        mine = {"email": "ada@example.com"}
        for number, to in enumerate(
            (Status.ON_HOLD, Status.EXPIRED, Status.REVOKED, Status.CONFIRMED), 1
        ):
            storage.enrollments.open(enrollment(number, **mine))
            write(storage, enrollment(number, **mine), to)
        found = storage.enrollments.list_set_aside("ada@example.com", "python-101")
        assert [row.id[-1] for row in found] == ["1", "3"]
        assert found[0] == storage.enrollments.find(found[0].id)

    def test_transition_writes_all_at_once(self, storage: Storage):
        """Status, fields, history, due time and version are one write."""
        row = enrollment()
        storage.enrollments.open(row)
        change = entry(2, Status.AWAITING_PAYMENT, "session_created", at=after(9))
        done = write(
            storage,
            row,
            Status.AWAITING_PAYMENT,
            entry=change,
            due_at=after(77),
            session_id="cs_1",
        )
        assert done == storage.enrollments.find(row.id)
        assert (done.status, done.version) == (Status.AWAITING_PAYMENT, 2)
        assert (done.session_id, done.due_at) == ("cs_1", after(77))
        assert done.updated_at == after(9)
        assert done.history == (*row.history, change)
        assert (done.tries, done.effects_owed) == (0, True)

    def test_every_kind_of_field_survives_a_transition(self, storage: Storage):
        """Text, moments, money, JSON and words come back from a change as they went."""
        before = enrollment()
        storage.enrollments.open(before)
        request = {"params": {"a.b": [1, None, {"$set": "ü"}]}, "key": before.id}
        changes = {
            "session_request": request,
            "session_id": "cs_1",
            "session_expires_at": after(7200),
            "lms_progress": 12.5,
            "lms_row_ours": True,
            "override": Override.ACCEPTED,
            "lms_status": LMSStatus.RETRYING,
            "discount": Money(900, "usd"),
            "amount": Money(4000, "usd"),
            "refunded_minor": 17,
        }
        change = entry(2, Status.PENDING)
        written = storage.enrollments.transition(
            before.id, 1, Status.PENDING, change, None, changes
        )
        assert written == storage.enrollments.find(before.id)
        assert changes == {name: getattr(written, name) for name in changes}
        gone = dict.fromkeys(("session_request", "lms_progress", "override"))
        again = storage.enrollments.transition(
            before.id, 2, Status.PENDING, entry(3, Status.PENDING), None, gone
        )
        assert again == storage.enrollments.find(before.id)
        assert gone == {name: getattr(again, name) for name in gone}

    def test_stale_version_writes_nothing(self, storage: Storage):
        """Compare-and-set: who read an old version has lost."""
        row = enrollment()
        storage.enrollments.open(row)
        done = write(storage, row, Status.CONFIRMED)
        stale = entry(2, Status.CANCELLED, op_id="another")
        assert write(storage, row, Status.CANCELLED, entry=stale) is None
        assert done == storage.enrollments.find(row.id)

    def test_lost_acknowledgement_is_a_success(self, storage: Storage):
        """The same write again finds its own stamp and answers the row."""
        row = enrollment()
        storage.enrollments.open(row)
        done = write(storage, row, Status.CONFIRMED)
        assert done == write(storage, row, Status.CONFIRMED)
        assert done == storage.enrollments.find(row.id)

    def test_unknown_row_is_not_written(self, storage: Storage):
        """No transition of what is not there."""
        assert write(storage, enrollment(), Status.CONFIRMED) is None

    def test_due_rows_are_claimed_oldest_first_and_leased(self, storage: Storage):
        """A claim moves the due time to the lease's end and counts the try."""
        for number, due in ((1, 30), (2, 10), (3, 20), (4, 5000)):
            storage.enrollments.open(enrollment(number, due_at=after(due)))
        claimed = storage.enrollments.claim_due(after(30), 60, 2)
        assert [row.id for row in claimed] == ["enr_0002", "enr_0003"]
        assert all((row.due_at, row.tries) == (after(90), 1) for row in claimed)
        rest = storage.enrollments.claim_due(after(30), 60, 10)
        assert [row.id for row in rest] == ["enr_0001"]
        assert storage.enrollments.claim_due(after(89), 60, 10) == ()
        again = storage.enrollments.claim_due(after(90), 60, 10)
        assert {row.id: row.tries for row in again} == {
            "enr_0001": 2,
            "enr_0002": 2,
            "enr_0003": 2,
        }

    def test_row_that_owes_nothing_is_not_claimed(self, storage: Storage):
        """No due time = nothing owed."""
        storage.enrollments.open(enrollment(due_at=None))
        assert storage.enrollments.claim_due(after(1e9), 60, 10) == ()

    def test_clear_due_is_fenced_by_the_version(self, storage: Storage):
        """A newer version's due time is its own."""
        row = enrollment()
        storage.enrollments.open(row)
        done = write(storage, row, Status.CONFIRMED, due_at=after(5))
        assert not storage.enrollments.clear_due(row.id, 1)
        assert storage.enrollments.clear_due(row.id, done.version)
        cleared = storage.enrollments.find(row.id)
        assert cleared is not None
        assert (cleared.due_at, cleared.effects_owed) == (None, False)
        assert cleared.version == done.version

    def test_put_off_row_keeps_what_it_owes(self, storage: Storage):
        """Without `ok` the tries and the owed effects stay."""
        row = enrollment()
        storage.enrollments.open(row)
        done = write(storage, row, Status.CONFIRMED, due_at=after(5))
        storage.enrollments.claim_due(after(5), 60, 1)
        assert storage.enrollments.clear_due(row.id, done.version, after(99), ok=False)
        found = storage.enrollments.find(row.id)
        assert found is not None
        assert (found.due_at, found.tries, found.effects_owed) == (after(99), 1, True)

    def test_look_that_is_owed_too_late_is_owed_by_then(self, storage: Storage):
        """A clock ran ahead: of those rows some at a time, and no others."""
        rows = [enrollment(n, due_at=after(due)) for n, due in enumerate((5, 99, 99))]
        for row in (*rows, enrollment(9, due_at=None)):
            storage.enrollments.open(row)
        store = storage.enrollments
        assert [store.bound_due(after(50), 1) for _ in range(3)] == [1, 1, 0]
        assert [r.id for r in store.claim_due(after(49), 60, 9)] == [rows[0].id]
        claimed = store.claim_due(after(50), 60, 9)
        assert {r.id for r in claimed} == {rows[1].id, rows[2].id}

    def test_rows_for_sync_are_the_pairs_own(self, storage: Storage):
        """Entitled rows and those that know an LMS row, oldest first."""
        first = enrollment(1)
        storage.enrollments.open(first)
        one = write(storage, first, Status.CONFIRMED, lms_enrollment_id="row-1")
        gone = write(storage, one, Status.REVOKED)
        second = enrollment(2, email=first.email)
        storage.enrollments.open(second)
        assert (gone,) == storage.enrollments.list_for_sync(first.email, "python-101")
        two = write(storage, second, Status.CONFIRMED)
        rows = storage.enrollments.list_for_sync(first.email, "python-101")
        assert (gone, two) == rows

    def test_rows_are_paged_newest_first(self, storage: Storage):
        """Every row is on exactly one page; each filter holds on every page."""
        for number in range(1, 8):
            row = enrollment(
                number,
                email=f"l{number % 2}@x.org",
                course_id=f"c{number}",
                coupon_code="CODE-1" if number < 4 else None,
            )
            storage.enrollments.open(row)
            if number > 4:
                write(storage, row, Status.CONFIRMED, lms_status=LMSStatus.RETRYING)
        assert _numbers(storage) == [7, 6, 5, 4, 3, 2, 1]
        assert _numbers(storage, email="l1@x.org") == [7, 5, 3, 1]
        assert _numbers(storage, course_id="c3") == [3]
        assert _numbers(storage, status=Status.CONFIRMED) == [7, 6, 5]
        assert _numbers(storage, lms_status=LMSStatus.RETRYING) == [7, 6, 5]
        assert _numbers(storage, coupon_code="CODE-1") == [3, 2, 1]
        assert _numbers(storage, coupon_code="CODE-2") == []
        same = {"coupon_code": "CODE-1", "mailbox": "l1@x.org"}
        assert _numbers(storage, **same) == [3, 1]
        assert _numbers(storage, email="l0@x.org", status=Status.CONFIRMED) == [6]

    def test_race_for_a_slot_opens_one_row(self, storage: Storage, spread):
        """However many claim at once: one row."""
        answers = spread(races.open_one_slot, 20)
        assert answers.count(True) == 1
        assert len(storage.enrollments.list().items) == 1

    def test_race_to_entitle_has_one_winner(self, storage: Storage, spread):
        """Each row of a pair is its own; whoever loses hears who has the slot."""
        for number in range(20):
            storage.enrollments.open(enrollment(number, email="ada@example.com"))
        answers = spread(races.entitle_one, 20)
        (winner,) = set(answers)
        row = storage.enrollments.find(winner)
        assert row is not None
        assert row.holds_slot
        assert len(storage.enrollments.list(status=Status.CONFIRMED).items) == 1

    def test_stats_count_by_status(self, storage: Storage):
        """Counts, what is due, and since when the LMS owes the oldest row."""
        for number in range(1, 6):
            storage.enrollments.open(enrollment(number, due_at=after(number)))
        for number in (4, 2):
            row, change = enrollment(number), entry(2, Status.CONFIRMED)
            storage.enrollments.transition(
                row.id, 1, Status.CONFIRMED, change, None, {}
            )
        stats = storage.enrollments.stats(after(3))
        assert (stats.counts[Status.PENDING], stats.counts[Status.CONFIRMED]) == (3, 2)
        assert (stats.due_now, stats.oldest_owed_at) == (2, after(2))
        capped = storage.enrollments.stats(after(3), cap=2)
        assert (capped.counts[Status.PENDING], capped.cap) == (2, 2)

    def test_stats_of_nothing(self, storage: Storage):
        """Where nothing is owed, nothing is old."""
        stats = storage.enrollments.stats(NOW)
        assert stats.oldest_owed_at is None
        assert set(stats.counts.values()) == {0}

    def test_race_for_a_version_has_one_winner(self, storage: Storage, spread):
        """However many write one version at once: one of them wins."""
        storage.enrollments.open(enrollment())
        answers = spread(races.write_version_one, 20)
        assert answers.count(True) == 1
        row = storage.enrollments.find(enrollment().id)
        assert row is not None
        assert (row.version, len(row.history)) == (2, 2)

    def test_race_for_due_rows_claims_each_once(self, storage: Storage, spread):
        """Two claimers never get the same row within a lease."""
        for number in range(30):
            storage.enrollments.open(enrollment(number, due_at=NOW))
        answers = spread(races.claim_rows, 6)
        claimed = sorted(row_id for ids in answers for row_id in ids)
        assert [f"enr_{number:04d}" for number in range(30)] == claimed


def _numbers(storage: Storage, **filters: Any) -> list[int]:
    found: list[int] = []
    cursor = None
    while True:
        page = storage.enrollments.list(limit=2, cursor=cursor, **filters)
        found += [int(row.id[4:]) for row in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found
