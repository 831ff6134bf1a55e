# SPDX-License-Identifier: MIT
"""The enrollment store's part of the storage suite."""

from __future__ import annotations

from typing import Any

import pytest

from ...errors import ValidationError
from ...interfaces import Storage
from ...models import Enrollment, Kind, LMSStatus, Override, Status
from ...money import Money
from . import races
from .records import NOW, after, enrollment, entry


def write(storage: Storage, row: Enrollment, to: Status, **more: Any) -> Any:
    """Write a row's next version."""
    change = more.pop("entry", entry(row.version + 1, to))
    due_at = more.pop("due_at", None)
    return storage.enrollments.transition(row.id, row.version, to, change, due_at, more)


class EnrollmentChecks:
    """Rows: one live one per slot, changed by compare-and-set, never lost."""

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
        assert store.find_live("a@example.com", "x") is None
        assert store.list_for_sync("a@example.com", "x") == ()

    def test_operator_instead_of_an_id_is_refused(self, storage: Storage):
        """A dict never reaches a filter."""
        with pytest.raises(ValidationError):
            storage.enrollments.find({"$ne": None})  # type: ignore[arg-type]  # on purpose
        with pytest.raises(ValidationError):
            storage.enrollments.find_live({"$gt": ""}, "x")  # type: ignore[arg-type]  # on purpose

    def test_row_is_found_by_what_it_stores(self, storage: Storage):
        """By session, payment, key and slot."""
        row = enrollment(idempotency_key="key-1")
        storage.enrollments.open(row)
        done = write(
            storage, row, Status.AWAITING_PAYMENT, session_id="cs_1", payment_id="pi_1"
        )
        store = storage.enrollments
        assert done == store.find_by_session("cs_1")
        assert done == store.find_by_payment("pi_1")
        assert done == store.find_by_idempotency_key("key-1")
        assert done == store.find_live(row.email, row.course_id)

    def test_second_live_row_of_a_slot_is_not_opened(self, storage: Storage):
        """The row that stands is answered; nothing is written."""
        first, second = enrollment(1), enrollment(2, email="learner1@example.com")
        storage.enrollments.open(first)
        result = storage.enrollments.open(second)
        assert not result.opened
        assert result.enrollment == first
        assert storage.enrollments.find(second.id) is None

    def test_other_course_or_learner_is_another_slot(self, storage: Storage):
        """Slots do not touch each other."""
        storage.enrollments.open(enrollment(1))
        other = enrollment(2, email="learner1@example.com", course_id="rust-201")
        assert storage.enrollments.open(other).opened
        assert storage.enrollments.open(enrollment(3)).opened

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

    @pytest.mark.parametrize(
        "to", [Status.EXPIRED, Status.CANCELLED, Status.FAILED, Status.REVOKED]
    )
    def test_slot_is_given_back_by_an_exit(self, storage: Storage, to: Status):
        """After an exit the learner may begin anew."""
        row = enrollment(1)
        storage.enrollments.open(row)
        done = write(storage, row, to)
        assert not done.holds_slot
        assert storage.enrollments.find_live(row.email, row.course_id) is None
        assert storage.enrollments.open(enrollment(2, email=row.email)).opened

    def test_revived_row_takes_its_slot_back(self, storage: Storage):
        """A late payment makes the row live again."""
        row = enrollment(1)
        storage.enrollments.open(row)
        gone = write(storage, row, Status.EXPIRED)
        back = write(storage, gone, Status.ON_HOLD)
        assert back.holds_slot
        assert not storage.enrollments.open(enrollment(2, email=row.email)).opened

    def test_revived_row_goes_on_without_a_taken_slot(self, storage: Storage):
        """A fact is never refused because somebody else holds the slot."""
        row = enrollment(1)
        storage.enrollments.open(row)
        gone = write(storage, row, Status.EXPIRED)
        other = enrollment(2, email=row.email)
        assert storage.enrollments.open(other).opened
        back = write(storage, gone, Status.ON_HOLD)
        assert back.status is Status.ON_HOLD
        assert not back.holds_slot
        assert other == storage.enrollments.find_live(row.email, row.course_id)

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
        assert _numbers(storage, email="l0@x.org", status=Status.CONFIRMED) == [6]

    def test_race_for_a_slot_opens_one_row(self, storage: Storage, spread):
        """However many open at once: one row."""
        answers = spread(races.open_one_slot, 20)
        assert answers.count(True) == 1
        assert len(storage.enrollments.list().items) == 1

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
