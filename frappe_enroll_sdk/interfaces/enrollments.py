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

    A row that entitles the learner, or claims the slot (`Enrollment.holds_slot`), holds
    the slot for its e-mail and course; a unique index lets only one row hold it. Unpaid
    attempts hold none: any number may exist side by side.
    """

    def open(self, enrollment: Enrollment) -> OpenResult:
        """
        Write a new row if its id, its idempotency key and its slot are free.

        Otherwise write nothing and return the conflicting row (first the one with the
        same id or idempotency key). Only a row that claims its slot needs the slot to
        be free. The first history entry is part of the write.
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
        """Return the row that holds the slot, or None."""
        ...

    def list_unpaid(
        self, email: str, course_id: str, *, vouched: bool = False, limit: int = 20
    ) -> tuple[Enrollment, ...]:
        """
        Return the pair's unpaid attempts, newest first.

        With `vouched`, only those whose address the host vouched for. Uses an index:
        strangers may have opened thousands beside the learner's own.
        """
        ...

    def list_set_aside(
        self, email: str, course_id: str, *, limit: int = 50
    ) -> tuple[Enrollment, ...]:
        """Return the pair's rows that are on hold or revoked, oldest first."""
        ...

    def list_for_sync(self, email: str, course_id: str) -> tuple[Enrollment, ...]:
        """Return the pair's rows that are entitled or have an LMS row, oldest first."""
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
        Write the row if its version is still `version`, and return it.

        Status, `changes` (fields of `Enrollment` by name), the history entry, `due_at`,
        `updated_at` (the entry's `at`) and `version + 1` are one write; `tries` becomes
        0 and `effects_owed` true. The same write takes the slot if the new row holds it
        (nothing is written if another row has it), and gives it back if the new row no
        longer does. None = the row has another version, and its last entry's `op_id` is
        not this entry's (a write whose acknowledgement was lost counts as ours).
        """
        ...

    def claim_due(
        self, now: datetime, lease_s: float, limit: int
    ) -> tuple[Enrollment, ...]:
        """
        Claim due rows, oldest first, moving `due_at` to the end of the lease.

        `tries` increases by one. Two callers never get the same row within a lease.
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
        Set when the row is next due, if its version is still `version`.

        With `ok`, `tries` becomes 0 and `effects_owed` false. False = the row has
        another version, with a `due_at` of its own.
        """
        ...

    def bound_due(self, latest: datetime, limit: int) -> int:
        """
        Move up to `limit` rows that are due later than `latest` to `latest`.

        No policy defers a row for so long: a clock ran ahead. Returns how many.
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

        With `mailbox` (and `coupon_code`), those whose address is another spelling of
        it (``mailbox.py``).
        """
        ...

    def stats(self, now: datetime, *, cap: int = 10_000) -> EnrollmentStats:
        """Return capped counts; never a scan of all rows."""
        ...
