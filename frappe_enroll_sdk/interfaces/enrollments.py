# SPDX-License-Identifier: MIT
"""Enrollments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from ..models import (
    Enrollment,
    EnrollmentStats,
    HistoryEntry,
    LMSStatus,
    OpenResult,
    Page,
    SlotTaken,
    Status,
)


class EnrollmentStore(Protocol):
    """
    Enrollments: one row each, changed by compare-and-set on `version`.

    A row that entitles, or claims to (`Enrollment.holds_slot`), has the slot of its
    e-mail and course; a unique index lets only one row have it. Attempts that nobody
    has paid hold none: any number of them stand side by side.
    """

    def open(self, enrollment: Enrollment) -> OpenResult:
        """
        Write a new row if its id and its idempotency key are free, and its slot.

        Otherwise nothing is written and the row that stands in the way is answered
        (the one with the same id or idempotency key first). Only a row that claims its
        slot needs that one free. The first history entry is written with it.
        """
        ...

    def find(self, enrollment_id: str) -> Enrollment | None:
        """Return the row, or None."""
        ...

    def find_by_session(self, session_id: str) -> Enrollment | None:
        """Return the row that stores this checkout session, or None."""
        ...

    def find_by_payment(self, payment_id: str) -> Enrollment | None:
        """
        Return the row that stores this payment, or None.

        The newest one: a payment goes over with a reassignment, and stays named behind.
        """
        ...

    def find_by_idempotency_key(self, key: str) -> Enrollment | None:
        """Return the row that was opened with this key, or None."""
        ...

    def find_holder(self, email: str, course_id: str) -> Enrollment | None:
        """Return the row that has the slot, or None."""
        ...

    def list_unpaid(
        self, email: str, course_id: str, *, vouched: bool = False, limit: int = 20
    ) -> tuple[Enrollment, ...]:
        """
        Return the pair's attempts that nobody has paid, newest first.

        With `vouched`, those that were opened under the host's word. By an index:
        strangers may have opened thousands beside one learner's own.
        """
        ...

    def list_set_aside(
        self, email: str, course_id: str, *, limit: int = 50
    ) -> tuple[Enrollment, ...]:
        """Return the pair's rows that are on hold or revoked, oldest first."""
        ...

    def list_for_sync(self, email: str, course_id: str) -> tuple[Enrollment, ...]:
        """Return the pair's rows that are entitled or know an LMS row, oldest first."""
        ...

    def transition(
        self,
        enrollment_id: str,
        version: int,
        to: Status,
        entry: HistoryEntry,
        due_at: datetime | None,
        changes: Mapping[str, Any],
    ) -> Enrollment | SlotTaken | None:
        """
        Write the row where its version is still `version`, and return it.

        Status, `changes` (fields of `Enrollment` by name), the history entry, `due_at`,
        `updated_at` (the entry's `at`) and `version + 1` are one write; `tries` becomes
        0 and `effects_owed` true. A row that has the slot after it takes it in the same
        write, and is not written where another one has it. A row that has it no more
        gives it back in the same write.
        None = another version stands (and its last entry's `op_id` is not this entry's:
        a write whose acknowledgement was lost counts as ours).
        """
        ...

    def claim_due(
        self, now: datetime, lease_s: float, limit: int
    ) -> tuple[Enrollment, ...]:
        """
        Take due rows, oldest first, moving `due_at` to the lease's end.

        `tries` grows by one. Two callers never get the same row within a lease.
        """
        ...

    def clear_due(
        self,
        enrollment_id: str,
        version: int,
        due_at: datetime | None = None,
        *,
        ok: bool = True,
    ) -> bool:
        """
        Set when the next look is owed, where the version is still `version`.

        With `ok`, `tries` becomes 0 and `effects_owed` false. False = another version
        stands: it has its own.
        """
        ...

    def bound_due(self, latest: datetime, limit: int) -> int:
        """
        Let up to `limit` rows that are owed a look later than that be owed it then.

        No policy puts a look off for so long: a clock ran ahead. Returns how many.
        """
        ...

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
        """
        Return rows, newest first.

        With `mailbox` (beside `coupon_code`), those whose address is a spelling of that
        one (``mailbox.py``).
        """
        ...

    def stats(self, now: datetime, *, cap: int = 10_000) -> EnrollmentStats:
        """Return capped counts; never a scan of all rows."""
        ...
