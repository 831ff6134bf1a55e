# SPDX-License-Identifier: MIT
"""Enrollments in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from threading import RLock
from typing import Any

import attrs

from ...codec import require_text
from ...mailbox import mailbox_of
from ...models import (
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
from ...states import ENTITLED, UNPAID
from .pages import page_of


class MemoryEnrollments:
    """`EnrollmentStore` in memory."""

    def __init__(self, lock: RLock) -> None:
        self._lock = lock
        self._rows: dict[str, Enrollment] = {}

    def open(self, enrollment: Enrollment) -> OpenResult:
        """See `EnrollmentStore.open`."""
        key = enrollment.idempotency_key
        with self._lock:
            standing = (
                self._rows.get(enrollment.id)
                or (key and self._first(lambda row: row.idempotency_key == key))
                or (enrollment.holds_slot and self._holder_of(enrollment))
            )
            if standing:
                return OpenResult(enrollment=standing, opened=False)
            self._rows[enrollment.id] = enrollment
            return OpenResult(enrollment=enrollment, opened=True)

    def _first(self, test: Callable[[Enrollment], bool]) -> Enrollment | None:
        return next((row for row in self._rows.values() if test(row)), None)

    def _holder_of(self, other: Enrollment) -> Enrollment | None:
        slot = (other.email, other.course_id)
        return self._first(lambda r: r.holds_slot and (r.email, r.course_id) == slot)

    def find(self, enrollment_id: str) -> Enrollment | None:
        """See `EnrollmentStore.find`."""
        require_text(enrollment_id=enrollment_id)
        with self._lock:
            return self._rows.get(enrollment_id)

    def find_by_session(self, session_id: str) -> Enrollment | None:
        """See `EnrollmentStore.find_by_session`."""
        require_text(session_id=session_id)
        with self._lock:
            return self._first(lambda row: row.session_id == session_id)

    def find_by_payment(self, payment_id: str) -> Enrollment | None:
        """See `EnrollmentStore.find_by_payment`."""
        require_text(payment_id=payment_id)
        with self._lock:
            return self._first(lambda row: row.payment_id == payment_id)

    def find_by_idempotency_key(self, key: str) -> Enrollment | None:
        """See `EnrollmentStore.find_by_idempotency_key`."""
        require_text(idempotency_key=key)
        with self._lock:
            return self._first(lambda row: row.idempotency_key == key)

    def find_holder(self, email: str, course_id: str) -> Enrollment | None:
        """See `EnrollmentStore.find_holder`."""
        require_text(email=email, course_id=course_id)
        slot = (email, course_id)
        with self._lock:
            return self._first(
                lambda r: r.holds_slot and (r.email, r.course_id) == slot
            )

    def list_unpaid(
        self,
        email: str,
        course_id: str,
        *,
        opened_by: Opener | None = None,
        limit: int = 20,
    ) -> tuple[Enrollment, ...]:
        """See `EnrollmentStore.list_unpaid`."""
        with self._lock:
            rows = [
                row
                for row in self._rows.values()
                if (row.email, row.course_id) == (email, course_id)
                and row.status in UNPAID
                and opened_by in (None, row.opened_by)
            ]
        rows.sort(key=lambda row: (row.created_at, row.id), reverse=True)
        return tuple(rows[:limit])

    def list_for_sync(self, email: str, course_id: str) -> tuple[Enrollment, ...]:
        """See `EnrollmentStore.list_for_sync`."""
        with self._lock:
            rows = [
                row
                for row in self._rows.values()
                if (row.email, row.course_id) == (email, course_id)
                and (row.status in ENTITLED or row.lms_enrollment_id is not None)
            ]
        return tuple(sorted(rows, key=lambda row: (row.created_at, row.id)))

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
        with self._lock:
            row = self._rows.get(enrollment_id)
            if row is None or row.version != version:
                ours = row is not None and row.history[-1].op_id == entry.op_id
                return row if ours else None
            row = attrs.evolve(
                row,
                **changes,
                status=to,
                version=version + 1,
                due_at=due_at,
                tries=0,
                effects_owed=True,
                updated_at=entry.at,
                history=(*row.history, entry),
            )
            holder = self._holder_of(row) if row.holds_slot else None
            if holder is not None and holder.id != row.id:
                return SlotTaken(holder)
            self._rows[enrollment_id] = row
            return row

    def claim_due(
        self, now: datetime, lease_s: float, limit: int
    ) -> tuple[Enrollment, ...]:
        """See `EnrollmentStore.claim_due`."""
        until = now + timedelta(seconds=lease_s)
        with self._lock:
            due = [r for r in self._rows.values() if r.due_at and r.due_at <= now]
            due.sort(key=lambda row: (row.due_at, row.id))
            claimed = [
                attrs.evolve(row, due_at=until, tries=row.tries + 1)
                for row in due[:limit]
            ]
            self._rows.update({row.id: row for row in claimed})
            return tuple(claimed)

    def clear_due(
        self,
        enrollment_id: str,
        version: int,
        due_at: datetime | None = None,
        *,
        ok: bool = True,
    ) -> bool:
        """See `EnrollmentStore.clear_due`."""
        with self._lock:
            row = self._rows.get(enrollment_id)
            if row is None or row.version != version:
                return False
            changes: dict[str, Any] = {"tries": 0, "effects_owed": False} if ok else {}
            self._rows[row.id] = attrs.evolve(row, due_at=due_at, **changes)
            return True

    def bound_due(self, latest: datetime, limit: int) -> int:
        """See `EnrollmentStore.bound_due`."""
        with self._lock:
            far = [r for r in self._rows.values() if r.due_at and r.due_at > latest]
            for row in far[:limit]:
                self._rows[row.id] = attrs.evolve(row, due_at=latest)
            return len(far[:limit])

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
        require_text(email=email, course_id=course_id, coupon_code=coupon_code)
        with self._lock:
            rows = [
                row
                for row in self._rows.values()
                if email in (None, row.email)
                and course_id in (None, row.course_id)
                and status in (None, row.status)
                and lms_status in (None, row.lms_status)
                and coupon_code in (None, row.coupon_code)
                and mailbox in (None, mailbox_of(row.email))
            ]
        return page_of(rows, lambda r: (r.created_at, r.id), limit, cursor, newest=True)

    def stats(self, now: datetime, *, cap: int = 10_000) -> EnrollmentStats:
        """See `EnrollmentStore.stats`."""
        with self._lock:
            rows = list(self._rows.values())
        counts = Counter(row.status for row in rows)
        owed = [r.created_at for r in rows if r.status is Status.CONFIRMED]
        due = sum(row.due_at is not None and row.due_at <= now for row in rows)
        return EnrollmentStats(
            counts={status: min(counts[status], cap) for status in Status},
            due_now=min(due, cap),
            oldest_owed_at=min(owed, default=None),
            cap=cap,
        )
