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

from ..codec import require_text
from ..errors import ConflictError, ValidationError
from ..evolve import evolve
from ..interfaces.tables import Cell, Query, Row
from ..mailbox import mailbox_of
from ..models import (
    Enrollment,
    EnrollmentStats,
    HistoryEntry,
    LMSStatus,
    Opener,
    OpenResult,
    Page,
    SlotTaken,
    Status,
)
from ..states import ENTITLED, UNPAID
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
    return evolve(
        row,
        **changes,
        status=to,
        version=row.version + 1,
        due_at=due_at,
        tries=0,
        effects_owed=True,
        updated_at=entry.at,
        history=(*row.history, entry),
    )


def _derived(row: Enrollment) -> Mapping[str, Cell]:
    follows = row.status in ENTITLED or row.lms_enrollment_id is not None
    opened_at, unpaid = ms_of(row.created_at), row.status in UNPAID
    own = unpaid and row.opened_by is Opener.VOUCHED
    return {
        "held": 1 if row.holds_slot else None,
        "unpaid_at": opened_at if unpaid else None,
        "own_at": opened_at if own else None,
        "aside_at": opened_at if row.status in _ASIDE else None,
        "sync_at": opened_at if follows else None,
        "mailbox": mailbox_of(row.email),
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


#: Rows that are read for one that can be.
_FEW = 10
#: Statuses of rows whose money, or right, was set aside.
_ASIDE = frozenset({Status.ON_HOLD, Status.REVOKED})
_OF_STATUS = [Query("by_status", {"status": status.value}) for status in Status]


class _Seen(threading.local):
    """The row that a thread has last read or written."""

    row: Row | None = None


CODEC = Codec(
    Enrollment,
    ENROLLMENTS,
    lambda row: row.id,
    computed={"id": lambda row: row.key},
    derived=_derived,
    check=_check,
)


class Enrollments:
    """`EnrollmentStore` over tables."""

    def __init__(self, port: Port) -> None:
        self._records, self._seen = Records(port, CODEC), _Seen()

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
        if row is None and wanted.holds_slot:
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
        return self._first(Query("payment", {"payment_id": payment_id}, newest=True))

    def find_by_idempotency_key(self, key: str) -> Enrollment | None:
        """See `EnrollmentStore.find_by_idempotency_key`."""
        require_text(idempotency_key=key)
        return self._first(_by_key(key))

    def find_holder(self, email: str, course_id: str) -> Enrollment | None:
        """See `EnrollmentStore.find_holder`."""
        require_text(email=email, course_id=course_id)
        return self._first(_holder(email, course_id))

    def _first(self, query: Query) -> Enrollment | None:
        return self._noted(self._records.rows.first(query))

    def list_unpaid(
        self, email: str, course_id: str, *, vouched: bool = False, limit: int = 20
    ) -> tuple[Enrollment, ...]:
        """See `EnrollmentStore.list_unpaid`."""
        pair = {"email": email, "course_id": course_id}
        query = Query("own" if vouched else "unpaid", pair, newest=True)
        return self._page(query, limit)

    def list_set_aside(
        self, email: str, course_id: str, *, limit: int = 50
    ) -> tuple[Enrollment, ...]:
        """See `EnrollmentStore.list_set_aside`."""
        pair = {"email": email, "course_id": course_id}
        return self._page(Query("aside", pair), limit)

    def _page(self, query: Query, limit: int) -> tuple[Enrollment, ...]:
        require_text(**query.equal)
        return self._records.list(query, limit, None).items

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
    ) -> Enrollment | SlotTaken | None:
        """See `EnrollmentStore.transition`."""
        require_text(enrollment_id=enrollment_id)
        standing: list[Enrollment] = []

        def move(row: Enrollment) -> Enrollment | None:
            standing.append(row)
            if row.version != version:
                return None
            return moved(row, to, entry, due_at, changes)

        for _ in range(MAX_RACES):
            try:
                after = self._change(enrollment_id, version, move)
                break
            except SlotTakenError:
                holder = self._holder_beside(standing[-1])
                if holder is not None:
                    return SlotTaken(holder)
        else:
            raise ConflictError("the slot keeps being taken and left")
        if after is not None:
            return after
        ours = standing and [e.op_id for e in standing[-1].history[-1:]] == [
            entry.op_id
        ]
        return standing[-1] if ours else None

    def _holder_beside(self, row: Enrollment) -> Enrollment | None:
        """Return who has the slot, for sure; None: it has been left again."""
        rows = self._records.rows
        found = rows.first(_holder(row.email, row.course_id))
        found = found and rows.confirm(found.key)
        return None if found is None else self._records.read(found)

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
            lambda row: evolve(row, due_at=until, tries=row.tries + 1),
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
            return evolve(row, due_at=due_at, **changes)

        return self._change(enrollment_id, version, clear) is not None

    def bound_due(self, latest: datetime, limit: int) -> int:
        """See `EnrollmentStore.bound_due`."""
        far = Query("due", low=ms_of(latest) + 1)
        taken = self._records.take(
            far,
            limit,
            lambda row: evolve(row, due_at=latest),
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
        mailbox: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Enrollment]:
        """See `EnrollmentStore.list`."""
        require_text(
            email=email, course_id=course_id, coupon_code=coupon_code, mailbox=mailbox
        )
        query = query_of(
            {
                "mailbox": (mailbox, "of_mailbox"),
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
        # (Several: the first one may be damaged.)
        oldest = next(iter(self._records.list(owed, _FEW, None).items), None)
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
