# SPDX-License-Identifier: MIT
"""Enrollments: one row each, compare-and-set on the version."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs
from sqlalchemy import ColumnElement, Connection, Select, select, tuple_

from frappe_enroll_sdk.codec import cursor_of, parts_of, require_text
from frappe_enroll_sdk.errors import ValidationError
from frappe_enroll_sdk.models import (
    Enrollment,
    EnrollmentStats,
    HistoryEntry,
    LMSStatus,
    OpenResult,
    Page,
    Status,
)
from frappe_enroll_sdk.states import ENTITLED, LIVE

from .engine import Database, capped_count
from .schema import enrollments as table
from .times import maybe_moment, maybe_ms, of_doc, to_doc, to_ms


logger = logging.getLogger(__name__)


class SQLEnrollments:
    """`EnrollmentStore` on SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, enrollment: Enrollment) -> OpenResult:
        """See `EnrollmentStore.open`."""
        row = _row_of(enrollment)
        with self._database.write() as connection:
            standing = (
                _find(connection, table.c.id == enrollment.id)
                or _find_by_key(connection, enrollment.idempotency_key)
                or _holder(connection, enrollment.email, enrollment.course_id)
            )
            if standing is not None:
                return OpenResult(enrollment=standing, opened=False)
            connection.execute(table.insert().values(row))
            return OpenResult(enrollment=enrollment, opened=True)

    def find(self, enrollment_id: str) -> Enrollment | None:
        """See `EnrollmentStore.find`."""
        require_text(enrollment_id=enrollment_id)
        with self._database.read() as connection:
            return _find(connection, table.c.id == enrollment_id)

    def find_by_session(self, session_id: str) -> Enrollment | None:
        """See `EnrollmentStore.find_by_session`."""
        require_text(session_id=session_id)
        with self._database.read() as connection:
            return _find(connection, table.c.session_id == session_id)

    def find_by_payment(self, payment_id: str) -> Enrollment | None:
        """See `EnrollmentStore.find_by_payment`."""
        require_text(payment_id=payment_id)
        with self._database.read() as connection:
            return _find(connection, table.c.payment_id == payment_id)

    def find_by_idempotency_key(self, key: str) -> Enrollment | None:
        """See `EnrollmentStore.find_by_idempotency_key`."""
        require_text(idempotency_key=key)
        with self._database.read() as connection:
            return _find_by_key(connection, key)

    def find_live(self, email: str, course_id: str) -> Enrollment | None:
        """See `EnrollmentStore.find_live`."""
        require_text(email=email, course_id=course_id)
        with self._database.read() as connection:
            return _holder(connection, email, course_id)

    def list_for_sync(self, email: str, course_id: str) -> tuple[Enrollment, ...]:
        """See `EnrollmentStore.list_for_sync`."""
        require_text(email=email, course_id=course_id)
        query = (
            select(table.c.doc)
            .where(
                table.c.email == email,
                table.c.course_id == course_id,
                table.c.for_sync == 1,
            )
            .order_by(table.c.created_at, table.c.id)
        )
        with self._database.read() as connection:
            docs = connection.execute(query).scalars().all()
        return tuple(of_doc(Enrollment, doc) for doc in docs)

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
        with self._database.write() as connection:
            row = _find(connection, table.c.id == enrollment_id)
            if row is None or row.version != version:
                ours = row is not None and row.history[-1].op_id == entry.op_id
                return row if ours else None
            free = row.holds_slot or not _holder(connection, row.email, row.course_id)
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
                holds_slot=to in LIVE and free,
            )
            _update(connection, row)
            return row

    def claim_due(
        self, now: datetime, lease_s: float, limit: int
    ) -> tuple[Enrollment, ...]:
        """See `EnrollmentStore.claim_due`."""
        until = now + timedelta(seconds=lease_s)
        query = (
            select(table.c.id, table.c.doc)
            .where(*_due(now))
            .order_by(table.c.due_at, table.c.id)
            .limit(limit)
        )
        claimed = []
        with self._database.write() as connection:
            for name, doc in connection.execute(query).all():
                row = _decode(name, doc)
                if row is None:
                    _put_aside(connection, name, until)
                else:
                    row = attrs.evolve(row, due_at=until, tries=row.tries + 1)
                    _update(connection, row)
                    claimed.append(row)
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
        require_text(enrollment_id=enrollment_id)
        with self._database.write() as connection:
            row = _find(connection, table.c.id == enrollment_id)
            if row is None or row.version != version:
                return False
            changes: dict[str, Any] = {"tries": 0, "effects_owed": False} if ok else {}
            _update(connection, attrs.evolve(row, due_at=due_at, **changes))
            return True

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
        wanted = {
            "email": email,
            "course_id": course_id,
            "status": status,
            "lms_status": lms_status,
            "coupon_code": coupon_code,
        }
        query = _newest_first(parts_of(cursor, (int, str))).limit(limit + 1)
        for name, value in wanted.items():
            if value is not None:
                query = query.where(table.c[name] == str(value))
        with self._database.read() as connection:
            docs = connection.execute(query).scalars().all()
        items = tuple(of_doc(Enrollment, doc) for doc in docs[:limit])
        if len(docs) <= limit:
            return Page(items=items)
        last = items[-1]
        return Page(items=items, next_cursor=cursor_of(to_ms(last.created_at), last.id))

    def stats(self, now: datetime, *, cap: int = 10_000) -> EnrollmentStats:
        """See `EnrollmentStore.stats`."""
        confirmed = table.c.status == str(Status.CONFIRMED)
        oldest = select(table.c.created_at).where(confirmed)
        with self._database.read() as connection:
            counts = {
                status: capped_count(
                    connection, table.c.id, cap, table.c.status == str(status)
                )
                for status in Status
            }
            due = capped_count(connection, table.c.id, cap, *_due(now))
            owed = connection.execute(
                oldest.order_by(table.c.created_at, table.c.id).limit(1)
            ).scalar()
        return EnrollmentStats(
            counts=counts, due_now=due, oldest_owed_at=maybe_moment(owed), cap=cap
        )


def _due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (table.c.due_at.is_not(None), table.c.due_at <= to_ms(now))


def _newest_first(after: list[Any] | None) -> Select[Any]:
    query = select(table.c.doc).order_by(table.c.created_at.desc(), table.c.id.desc())
    if after is None:
        return query
    return query.where(tuple_(table.c.created_at, table.c.id) < tuple_(*after))


def _row_of(row: Enrollment) -> dict[str, Any]:
    require_text(
        id=row.id,
        email=row.email,
        course_id=row.course_id,
        session_id=row.session_id,
        payment_id=row.payment_id,
        idempotency_key=row.idempotency_key,
    )
    return {
        "id": row.id,
        "email": row.email,
        "course_id": row.course_id,
        "status": str(row.status),
        "lms_status": str(row.lms_status),
        "coupon_code": row.coupon_code,
        "version": row.version,
        "holds_slot": int(row.holds_slot),
        "for_sync": int(row.status in ENTITLED or row.lms_enrollment_id is not None),
        "session_id": row.session_id,
        "payment_id": row.payment_id,
        "idempotency_key": row.idempotency_key,
        "price_minor": row.price.amount_minor,
        "discount_minor": row.discount.amount_minor,
        "amount_minor": row.amount.amount_minor,
        "due_at": maybe_ms(row.due_at),
        "created_at": to_ms(row.created_at),
        "doc": to_doc(row),
    }


def _update(connection: Connection, row: Enrollment) -> None:
    connection.execute(table.update().where(table.c.id == row.id).values(_row_of(row)))


def _find(connection: Connection, where: ColumnElement[bool]) -> Enrollment | None:
    doc = connection.execute(select(table.c.doc).where(where).limit(1)).scalar()
    return of_doc(Enrollment, doc) if doc else None


def _find_by_key(connection: Connection, key: str | None) -> Enrollment | None:
    return None if key is None else _find(connection, table.c.idempotency_key == key)


def _holder(connection: Connection, email: str, course_id: str) -> Enrollment | None:
    return _find(
        connection,
        (table.c.email == email)
        & (table.c.course_id == course_id)
        & (table.c.holds_slot == 1),
    )


def _decode(name: str, doc: str) -> Enrollment | None:
    try:
        return of_doc(Enrollment, doc)
    except (json.JSONDecodeError, ValidationError):
        logger.exception("row can't be decoded", extra={"enrollment_id": name})
        return None


def _put_aside(connection: Connection, name: str, until: datetime) -> None:
    """Let a row that can't be decoded fail alone: the others go on."""
    connection.execute(
        table.update().where(table.c.id == name).values(due_at=to_ms(until))
    )
