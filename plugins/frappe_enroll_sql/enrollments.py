# SPDX-License-Identifier: MIT
"""Enrollments: one row each, compare-and-set on the version."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

import attrs
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Update,
    bindparam,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.sqlite import insert

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
from frappe_enroll_sdk.stores.reading import readable

from .engine import Database, capped_count
from .schema import enrollments as table
from .times import maybe_moment, maybe_ms, of_doc, to_doc, to_ms


logger = logging.getLogger(__name__)


def _one(**values: Any) -> Select[Any]:
    """Return the query for one row by columns: a value, or a parameter of its name."""
    where = [table.c[name] == value for name, value in values.items()]
    return select(table.c.doc).where(*where).limit(1)


# Built once: SQLAlchemy takes longer to build a statement than SQLite to run it.
_BY_ID = _one(id=bindparam("id"))
_BY_KEY = _one(idempotency_key=bindparam("key"))
_BY_SESSION = _one(session_id=bindparam("session_id"))
_BY_PAYMENT = _one(payment_id=bindparam("payment_id"))
_HOLDER = _one(email=bindparam("email"), course_id=bindparam("course_id"), holds_slot=1)
_OPEN = insert(table)
_OPEN_NEW = _OPEN.on_conflict_do_nothing()


class _Seen(threading.local):
    """The row that a thread has last read or written, with its text."""

    row: Enrollment | None = None
    doc: str = ""


class SQLEnrollments:
    """`EnrollmentStore` on SQL."""

    def __init__(self, database: Database) -> None:
        self._database, self._seen = database, _Seen()

    def open(self, enrollment: Enrollment) -> OpenResult:
        """See `EnrollmentStore.open`."""
        row = {**_columns_of(enrollment), "doc": to_doc(enrollment)}
        if self._database.write_one(_OPEN_NEW, row):
            self._seen.row, self._seen.doc = enrollment, row["doc"]
            return OpenResult(enrollment=enrollment, opened=True)
        with self._database.write() as connection:
            standing = (
                _find(connection, _BY_ID, id=enrollment.id)
                or _find_by_key(connection, enrollment.idempotency_key)
                or _holder(connection, enrollment.email, enrollment.course_id)
            )
            if standing is not None:
                return OpenResult(enrollment=standing, opened=False)
            # Whoever stood in the way has just ended.
            connection.execute(_OPEN, row)
            return OpenResult(enrollment=enrollment, opened=True)

    def _find(self, query: Select[Any], **values: str) -> Enrollment | None:
        found = self._database.first(query, values)
        if not found:
            return None
        self._seen.row, self._seen.doc = of_doc(Enrollment, found.doc), found.doc
        return self._seen.row

    def find(self, enrollment_id: str) -> Enrollment | None:
        """See `EnrollmentStore.find`."""
        require_text(enrollment_id=enrollment_id)
        return self._find(_BY_ID, id=enrollment_id)

    def find_by_session(self, session_id: str) -> Enrollment | None:
        """See `EnrollmentStore.find_by_session`."""
        require_text(session_id=session_id)
        return self._find(_BY_SESSION, session_id=session_id)

    def find_by_payment(self, payment_id: str) -> Enrollment | None:
        """See `EnrollmentStore.find_by_payment`."""
        require_text(payment_id=payment_id)
        return self._find(_BY_PAYMENT, payment_id=payment_id)

    def find_by_idempotency_key(self, key: str) -> Enrollment | None:
        """See `EnrollmentStore.find_by_idempotency_key`."""
        require_text(idempotency_key=key)
        return self._find(_BY_KEY, key=key)

    def find_live(self, email: str, course_id: str) -> Enrollment | None:
        """See `EnrollmentStore.find_live`."""
        require_text(email=email, course_id=course_id)
        return self._find(_HOLDER, email=email, course_id=course_id)

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
        for row, doc in self._as_read(enrollment_id, version):
            if row is None or row.version != version:
                ours = row is not None and row.history[-1].op_id == entry.op_id
                return row if ours else None
            after = attrs.evolve(
                row,
                **changes,
                status=to,
                version=version + 1,
                due_at=due_at,
                tries=0,
                effects_owed=True,
                updated_at=entry.at,
                history=(*row.history, entry),
                holds_slot=to in LIVE,
            )
            written = self._swap(row, doc, after)
            if written is not None:
                return written
        return None  # never: it is read again until it answers

    def _as_read(
        self, enrollment_id: str, version: int
    ) -> Iterator[tuple[Enrollment | None, str]]:
        """
        Read a row with its text, again and again.

        First as this thread has last seen it: who decides on a row writes it next, and
        a text that is no longer the row's is not written over.
        """
        row, doc = self._seen.row, self._seen.doc
        if row is not None and (row.id, row.version) == (enrollment_id, version):
            yield row, doc
        while True:
            found = self._database.first(_BY_ID, {"id": enrollment_id})
            yield (of_doc(Enrollment, found.doc), found.doc) if found else (None, "")

    def _swap(self, row: Enrollment, doc: str, after: Enrollment) -> Enrollment | None:
        """
        Write a row that still is as it was read; None when it no longer is.

        It is read and encoded before the file's write lock is taken, which all
        processes share.
        """
        statement, values = _swap(row, doc, after)
        if not after.holds_slot or row.holds_slot:
            swapped = self._database.write_one(statement, values)
        else:
            with self._database.write() as connection:
                if _holder(connection, row.email, row.course_id):
                    after = attrs.evolve(after, holds_slot=False)
                    statement, values = _swap(row, doc, after)
                swapped = connection.execute(statement, values).rowcount
        if not swapped:
            return None
        self._seen.row, self._seen.doc = after, values["doc"]
        return after

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
                    after = attrs.evolve(row, due_at=until, tries=row.tries + 1)
                    connection.execute(*_swap(row, doc, after))
                    claimed.append(after)
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
        changes: dict[str, Any] = {"tries": 0, "effects_owed": False} if ok else {}
        require_text(enrollment_id=enrollment_id)
        for row, doc in self._as_read(enrollment_id, version):
            if row is None or row.version != version:
                return False
            after = attrs.evolve(row, due_at=due_at, **changes)
            if self._swap(row, doc, after) is not None:
                return True
        return False  # never: it is read again until it answers

    def bound_due(self, latest: datetime, limit: int) -> int:
        """See `EnrollmentStore.bound_due`."""
        query = (
            select(table.c.id, table.c.doc)
            .where(table.c.due_at.is_not(None), table.c.due_at > to_ms(latest))
            .limit(limit)
        )
        with self._database.read() as connection:
            if not connection.execute(query.limit(1)).all():
                return 0
        with self._database.write() as connection:
            rows = connection.execute(query).all()
            for name, doc in rows:
                row = _decode(name, doc)
                if row is None:
                    _put_aside(connection, name, latest)
                else:
                    after = attrs.evolve(row, due_at=latest)
                    connection.execute(*_swap(row, doc, after))
            return len(rows)

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
        query = query.add_columns(table.c.id, table.c.created_at)
        for name, value in wanted.items():
            if value is not None:
                query = query.where(table.c[name] == str(value))
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        found = ((row.id, row.doc) for row in rows[:limit])
        items, unreadable = readable(found, partial(of_doc, Enrollment))
        last = rows[limit - 1] if len(rows) > limit else None
        more = None if last is None else cursor_of(last.created_at, last.id)
        return Page(items=items, next_cursor=more, unreadable=unreadable)

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


def _columns_of(row: Enrollment) -> dict[str, Any]:
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
    }


@cache
def _update_of(names: tuple[str, ...]) -> Update:
    values: dict[str, Any] = {name: bindparam(name) for name in names}
    here = (table.c.id == bindparam("of_id"), table.c.doc == bindparam("of_doc"))
    return update(table).where(*here).values(values)


def _swap(
    before: Enrollment, doc: str, row: Enrollment
) -> tuple[Update, dict[str, Any]]:
    """Return the write of what has changed (each column named costs its indexes)."""
    old, new = _columns_of(before), _columns_of(row)
    changed = {name: value for name, value in new.items() if value != old[name]}
    changed["doc"] = to_doc(row)
    values = {**changed, "of_id": row.id, "of_doc": doc}
    return _update_of(tuple(changed)), values


def _find(
    connection: Connection, query: Select[Any], **values: str
) -> Enrollment | None:
    doc = connection.execute(query, values).scalar()
    return of_doc(Enrollment, doc) if doc else None


def _find_by_key(connection: Connection, key: str | None) -> Enrollment | None:
    return None if key is None else _find(connection, _BY_KEY, key=key)


def _holder(connection: Connection, email: str, course_id: str) -> Enrollment | None:
    return _find(connection, _HOLDER, email=email, course_id=course_id)


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
