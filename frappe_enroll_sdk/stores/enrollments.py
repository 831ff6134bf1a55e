# SPDX-License-Identifier: MIT
"""
Enrollments: one row each, compare-and-set on the version.

Who decides on a row writes it next: a thread remembers the row that it has last read or
written, and writes that without reading it again.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs

from ..codec import require_text
from ..errors import ConflictError, ValidationError
from ..interfaces.tables import Cell, Query, Row
from ..models import (
    Enrollment,
    EnrollmentStats,
    HistoryEntry,
    LMSStatus,
    OpenResult,
    Page,
    Status,
)
from ..states import ENTITLED, LIVE
from .layout import ENROLLMENTS
from .records import Codec, ms_of
from .rows import MAX_RACES, Port, Records, SlotTakenError, cell_of, query_of


def moved(
    row: Enrollment,
    to: Status,
    entry: HistoryEntry,
    due_at: datetime | None,
    changes: Mapping[str, Any],
) -> Enrollment:
    """Return a row after a transition: the fields that every one of them fixes."""
    return attrs.evolve(
        row,
        **changes,
        status=to,
        version=row.version + 1,
        due_at=due_at,
        tries=0,
        effects_owed=True,
        updated_at=entry.at,
        history=(*row.history, entry),
        holds_slot=to in LIVE,
    )


def _derived(row: Enrollment) -> Mapping[str, Cell]:
    follows = row.status in ENTITLED or row.lms_enrollment_id is not None
    return {
        "held": 1 if row.holds_slot else None,
        "sync_at": ms_of(row.created_at) if follows else None,
    }


def _check(row: Enrollment) -> None:
    price, discount, amount = row.price, row.discount, row.amount
    if amount.amount_minor < 0 or discount.amount_minor < 0:
        raise ValidationError("amount: is negative", field="amount")
    # (As numbers: every write comes by here.)
    adds_up = discount.amount_minor + amount.amount_minor == price.amount_minor
    if not (adds_up and discount.currency == amount.currency == price.currency):
        raise ValidationError("amount: does not add up to the price", field="amount")
    if row.version < 1:
        raise ValidationError("version: begins with 1", field="version")


_OF_STATUS = [Query("by_status", {"status": status.value}) for status in Status]


class _Seen(threading.local):
    """The row that a thread has last read or written."""

    row: Row | None = None


_CODEC = Codec(
    Enrollment,
    ENROLLMENTS,
    lambda row: row.id,
    computed={
        "id": lambda row: row.key,
        "holds_slot": lambda row: row.cells.get("held") == 1,
    },
    derived=_derived,
    check=_check,
)


class Enrollments:
    """`EnrollmentStore` over tables."""

    def __init__(self, port: Port) -> None:
        self._records, self._seen = Records(port, _CODEC), _Seen()

    def _noted(self, row: Row | None) -> Enrollment | None:
        if row is None:
            return None
        self._seen.row = row
        return self._records.read(row)

    def open(self, enrollment: Enrollment) -> OpenResult:
        """See `EnrollmentStore.open`."""
        for _ in range(MAX_RACES):
            written = self._noted(self._records.add(enrollment))
            if written is not None:
                return OpenResult(enrollment=written, opened=True)
            standing = self._standing(enrollment)
            # None: it has just ended, or was rolled back with its primary.
            if standing is not None:
                return OpenResult(enrollment=standing, opened=False)
        raise ConflictError("rows keep coming and going")

    def _standing(self, wanted: Enrollment) -> Enrollment | None:
        rows, key = self._records.rows, wanted.idempotency_key
        row = rows.one(wanted.id)
        if row is None and key is not None:
            row = rows.first(_by_key(key))
        if row is None:
            row = rows.first(_holder(wanted.email, wanted.course_id))
        return self._noted(row and rows.confirm(row.key))

    def find(self, enrollment_id: str) -> Enrollment | None:
        """See `EnrollmentStore.find`."""
        require_text(enrollment_id=enrollment_id)
        return self._noted(self._records.rows.one(enrollment_id))

    def find_by_session(self, session_id: str) -> Enrollment | None:
        """See `EnrollmentStore.find_by_session`."""
        require_text(session_id=session_id)
        return self._first(Query("session", {"session_id": session_id}))

    def find_by_payment(self, payment_id: str) -> Enrollment | None:
        """See `EnrollmentStore.find_by_payment`."""
        require_text(payment_id=payment_id)
        return self._first(Query("payment", {"payment_id": payment_id}))

    def find_by_idempotency_key(self, key: str) -> Enrollment | None:
        """See `EnrollmentStore.find_by_idempotency_key`."""
        require_text(idempotency_key=key)
        return self._first(_by_key(key))

    def find_live(self, email: str, course_id: str) -> Enrollment | None:
        """See `EnrollmentStore.find_live`."""
        require_text(email=email, course_id=course_id)
        return self._first(_holder(email, course_id))

    def _first(self, query: Query) -> Enrollment | None:
        return self._noted(self._records.rows.first(query))

    def list_for_sync(self, email: str, course_id: str) -> tuple[Enrollment, ...]:
        """See `EnrollmentStore.list_for_sync`."""
        require_text(email=email, course_id=course_id)
        pair = {"email": email, "course_id": course_id}
        found = self._records.rows.each(Query("for_sync", pair))
        return tuple(map(self._records.read, found))

    def transition(
        self,
        enrollment_id: str,
        version: int,
        to: Status,
        entry: HistoryEntry,
        due_at: datetime | None,
        changes: Mapping[str, Any],
    ) -> Enrollment | None:
        """See `EnrollmentStore.transition`."""
        require_text(enrollment_id=enrollment_id)
        standing: list[Enrollment] = []

        def move(row: Enrollment) -> Enrollment | None:
            standing.append(row)
            if row.version != version:
                return None
            return moved(row, to, entry, due_at, changes)

        def go_without(row: Enrollment) -> Enrollment | None:
            after = move(row)
            return after and attrs.evolve(after, holds_slot=False)

        try:
            after = self._change(enrollment_id, version, move)
        except SlotTakenError:
            # Another row has the slot by now: this one goes on without.
            after = self._change(enrollment_id, version, go_without)
        if after is not None:
            return after
        ours = standing and [e.op_id for e in standing[-1].history[-1:]] == [
            entry.op_id
        ]
        return standing[-1] if ours else None

    def _change(self, key: str, version: int, change: Any) -> Enrollment | None:
        guess = self._seen.row
        if guess is None or (guess.key, cell_of(guess, "version")) != (key, version):
            guess = None
        row = self._records.rows.change(
            key, self._records.changing(change), guess=guess
        )
        return self._noted(row)

    def claim_due(
        self, now: datetime, lease_s: float, limit: int
    ) -> tuple[Enrollment, ...]:
        """See `EnrollmentStore.claim_due`."""
        until = now + timedelta(seconds=lease_s)
        due = Query("due", high=ms_of(now) + 1)
        taken = self._records.take(
            due,
            limit,
            lambda row: attrs.evolve(row, due_at=until, tries=row.tries + 1),
            damaged={"due_at": ms_of(until)},
        )
        return tuple(map(self._records.read, taken))

    def clear_due(
        self,
        enrollment_id: str,
        version: int,
        due_at: datetime | None = None,
        *,
        ok: bool = True,
    ) -> bool:
        """See `EnrollmentStore.clear_due`."""
        require_text(enrollment_id=enrollment_id)
        changes: dict[str, Any] = {"tries": 0, "effects_owed": False} if ok else {}

        def clear(row: Enrollment) -> Enrollment | None:
            if row.version != version:
                return None
            return attrs.evolve(row, due_at=due_at, **changes)

        return self._change(enrollment_id, version, clear) is not None

    def bound_due(self, latest: datetime, limit: int) -> int:
        """See `EnrollmentStore.bound_due`."""
        far = Query("due", low=ms_of(latest) + 1)
        taken = self._records.take(
            far,
            limit,
            lambda row: attrs.evolve(row, due_at=latest),
            damaged={"due_at": ms_of(latest)},
        )
        return len(taken)

    def list(
        self,
        *,
        email: str | None = None,
        course_id: str | None = None,
        status: Status | None = None,
        lms_status: LMSStatus | None = None,
        coupon_code: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Enrollment]:
        """See `EnrollmentStore.list`."""
        require_text(email=email, course_id=course_id, coupon_code=coupon_code)
        query = query_of(
            {
                "email": (email, "by_email"),
                "coupon_code": (coupon_code, "by_code"),
                "course_id": (course_id, "by_course"),
                "status": (status and str(status), "by_status"),
                "lms_status": (lms_status and str(lms_status), "by_lms_status"),
            }
        )
        return self._records.list(query, limit, cursor)

    def stats(self, now: datetime, *, cap: int = 10_000) -> EnrollmentStats:
        """See `EnrollmentStore.stats`."""
        rows = self._records.rows
        due_now = Query("due", high=ms_of(now) + 1)
        *counts, due = rows.count([*_OF_STATUS, due_now], cap)
        owed = Query("by_status", {"status": Status.CONFIRMED.value})
        oldest = self._records.first(owed)
        return EnrollmentStats(
            counts=dict(zip(Status, counts, strict=True)),
            due_now=due,
            oldest_owed_at=None if oldest is None else oldest.created_at,
            cap=cap,
        )


def _by_key(key: str) -> Query:
    return Query("idempotency", {"idempotency_key": key})


def _holder(email: str, course_id: str) -> Query:
    return Query("slot", {"email": email, "course_id": course_id, "held": 1})
