# SPDX-License-Identifier: MIT
"""Enrollments: one document each, compare-and-set on the version."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import attrs
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from frappe_enroll_sdk.clock import SYSTEM
from frappe_enroll_sdk.codec import cursor_of, parts_of, require_text
from frappe_enroll_sdk.errors import ConflictError, ValidationError
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

from .documents import Document, of_document, to_document, to_value
from .failures import duplicate_of
from .pages import after_of, milliseconds
from .schema import ENROLLMENTS, SLOT


if TYPE_CHECKING:
    from pymongo.client_session import ClientSession
    from pymongo.collection import Collection

    from .link import Link, Run

logger = logging.getLogger(__name__)

#: How often `open` may find that the row in its way has gone.
_MOST_RACES = 20

#: Each field's kind, so that a changed field is stored as `open` stores it.
_KINDS = {
    field.name: field.type for field in attrs.fields(attrs.resolve_types(Enrollment))
}


class MongoEnrollments:
    """`EnrollmentStore` on MongoDB."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @property
    def _table(self) -> Collection[Document]:
        return self._link.collection(ENROLLMENTS)

    def open(self, enrollment: Enrollment) -> OpenResult:
        """See `EnrollmentStore.open`."""
        table, document = self._table, _to_document(enrollment)

        def act(run: Run) -> OpenResult:
            for _ in range(_MOST_RACES):
                try:
                    table.insert_one(document, session=run.session)
                except DuplicateKeyError:
                    standing = self._standing(enrollment, run.session)
                    if standing is None:
                        # It has just ended, or was rolled back with its primary.
                        continue
                    ours = run.again and _same_write(standing, enrollment)
                    return OpenResult(enrollment=standing, opened=ours)
                return OpenResult(enrollment=enrollment, opened=True)
            raise ConflictError("rows keep coming and going")

        return self._link.write(act)

    def _standing(
        self, wanted: Enrollment, session: ClientSession | None
    ) -> Enrollment | None:
        """
        Return the row that stands in the way, by a write; None when it has gone.

        A write, because the row that refused ours may not be durable yet.
        """
        ways: list[Document] = [{"_id": wanted.id}]
        if wanted.idempotency_key is not None:
            ways.append({"idempotency_key": wanted.idempotency_key})
        ways.append(_slot(wanted.email, wanted.course_id))
        stamp = {"$set": {"seen": SYSTEM.token_hex(8)}}
        for way in ways:
            found = self._table.find_one_and_update(
                way, stamp, return_document=ReturnDocument.AFTER, session=session
            )
            if found is not None:
                return _of_document(found)
        return None

    def find(self, enrollment_id: str) -> Enrollment | None:
        """See `EnrollmentStore.find`."""
        require_text(enrollment_id=enrollment_id)
        return self._find({"_id": enrollment_id})

    def find_by_session(self, session_id: str) -> Enrollment | None:
        """See `EnrollmentStore.find_by_session`."""
        require_text(session_id=session_id)
        return self._find({"session_id": session_id})

    def find_by_payment(self, payment_id: str) -> Enrollment | None:
        """See `EnrollmentStore.find_by_payment`."""
        require_text(payment_id=payment_id)
        return self._find({"payment_id": payment_id})

    def find_by_idempotency_key(self, key: str) -> Enrollment | None:
        """See `EnrollmentStore.find_by_idempotency_key`."""
        require_text(idempotency_key=key)
        return self._find({"idempotency_key": key})

    def find_live(self, email: str, course_id: str) -> Enrollment | None:
        """See `EnrollmentStore.find_live`."""
        require_text(email=email, course_id=course_id)
        return self._find(_slot(email, course_id))

    def _find(self, where: Document) -> Enrollment | None:
        table = self._table
        found = self._link.read(lambda run: table.find_one(where, session=run.session))
        return _of_document(found) if found else None

    def list_for_sync(self, email: str, course_id: str) -> tuple[Enrollment, ...]:
        """See `EnrollmentStore.list_for_sync`."""
        require_text(email=email, course_id=course_id)
        where = {"email": email, "course_id": course_id, "for_sync": True}
        order, table = [("created_at", 1), ("_id", 1)], self._table
        found = self._link.read(
            lambda run: [*table.find(where, sort=order, session=run.session)]
        )
        rows = (_of_document(one) for one in found)
        return tuple(row for row in rows if _needs_sync(row))

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
        fields = {
            name: to_value(value, _KINDS[name]) for name, value in changes.items()
        } | {
            "status": str(to),
            "version": version + 1,
            "due_at": due_at,
            "tries": 0,
            "effects_owed": True,
            "updated_at": entry.at,
            "holds_slot": to in LIVE,
        }
        if to in ENTITLED or fields.get("lms_enrollment_id") is not None:
            # It stays: whoever was once entitled may have left a row in the LMS.
            fields["for_sync"] = True
        line = {"history": to_value(entry, HistoryEntry)}
        where, table = {"_id": enrollment_id, "version": version}, self._table

        def write(session: ClientSession | None) -> Document | None:
            answer: Document | None = table.find_one_and_update(
                where,
                _update_of(fields, push=line),
                return_document=ReturnDocument.AFTER,
                session=session,
            )
            return answer

        def act(run: Run) -> Enrollment | None:
            try:
                written = write(run.session)
            except DuplicateKeyError as error:
                if not duplicate_of(error, SLOT):
                    raise
                # Another row has the slot by now: this one goes on without.
                fields["holds_slot"] = False
                written = write(run.session)
            if written is not None:
                return _of_document(written)
            stamp = {"_id": enrollment_id, "history.op_id": entry.op_id}
            found = table.find_one(stamp, session=run.session)
            row = _of_document(found) if found else None
            ours = row is not None and row.history[-1].op_id == entry.op_id
            return row if ours else None

        return self._link.write(act)

    def claim_due(
        self, now: datetime, lease_s: float, limit: int
    ) -> tuple[Enrollment, ...]:
        """See `EnrollmentStore.claim_due`."""
        until = now + timedelta(seconds=lease_s)
        claim, table = SYSTEM.token_hex(8), self._table
        wanted: list[str] = []
        due = {"due_at": {"$lte": now}}
        oldest = [("due_at", 1)]
        if limit <= 0:
            return ()

        def act(run: Run) -> list[Document]:
            if not wanted:
                # A second run takes the same rows: those that it has, nobody else does.
                found_now = table.find(
                    due, {"_id": 1}, sort=oldest, limit=limit, session=run.session
                )
                wanted.extend(one["_id"] for one in found_now)
            if not wanted:
                return []
            take = {"$set": {"due_at": until, "claim": claim}, "$inc": {"tries": 1}}
            table.update_many(
                {"_id": {"$in": wanted}, **due}, take, session=run.session
            )
            mine = {"_id": {"$in": wanted}, "claim": claim}
            found = {one["_id"]: one for one in table.find(mine, session=run.session)}
            return [found[name] for name in wanted if name in found]

        rows = (_decode(one) for one in self._link.write(act))
        return tuple(row for row in rows if row is not None)

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
        fields: Document = {"due_at": due_at}
        if ok:
            fields |= {"tries": 0, "effects_owed": False}
        where, table = {"_id": enrollment_id, "version": version}, self._table
        done = self._link.write(
            lambda run: table.update_one(where, _update_of(fields), session=run.session)
        )
        return done.matched_count == 1

    def bound_due(self, latest: datetime, limit: int) -> int:
        """See `EnrollmentStore.bound_due`."""
        far, table = {"due_at": {"$gt": latest}}, self._table
        names: list[str] = []
        if limit <= 0:
            return 0

        def act(run: Run) -> int:
            if not names:
                # A second run counts the rows that the first one may have written.
                found = table.find(far, {"_id": 1}, limit=limit, session=run.session)
                names.extend(one["_id"] for one in found)
            if names:
                sooner = {"$set": {"due_at": latest}}
                where = {"_id": {"$in": names}, **far}
                table.update_many(where, sooner, session=run.session)
            return len(names)

        return self._link.write(act)

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
        where: Document = {k: str(v) for k, v in wanted.items() if v is not None}
        where |= after_of(parts_of(cursor, (int, str)), "created_at", newest=True)
        order, table = [("created_at", -1), ("_id", -1)], self._table
        found = self._link.read(
            lambda run: [
                *table.find(where, sort=order, limit=limit + 1, session=run.session)
            ]
        )
        named = ((str(one["_id"]), one) for one in found[:limit])
        items, unreadable = readable(named, _of_document)
        last = found[limit - 1] if len(found) > limit else None
        more = last and cursor_of(milliseconds(last["created_at"]), last["_id"])
        return Page(items=items, next_cursor=more or None, unreadable=unreadable)

    def stats(self, now: datetime, *, cap: int = 10_000) -> EnrollmentStats:
        """See `EnrollmentStore.stats`."""
        table, owed = self._table, {"status": str(Status.CONFIRMED)}

        def count(where: Document) -> int:
            return self._link.read(
                lambda run: table.count_documents(where, limit=cap, session=run.session)
            )

        oldest = self._link.read(
            lambda run: table.find_one(
                owed, {"created_at": 1}, sort=[("created_at", 1)], session=run.session
            )
        )
        return EnrollmentStats(
            counts={status: count({"status": str(status)}) for status in Status},
            due_now=count({"due_at": {"$lte": now}}),
            oldest_owed_at=oldest["created_at"] if oldest else None,
            cap=cap,
        )


def _slot(email: str, course_id: str) -> Document:
    return {"email": email, "course_id": course_id, "holds_slot": True}


def _needs_sync(row: Enrollment) -> bool:
    return row.status in ENTITLED or row.lms_enrollment_id is not None


def _same_write(standing: Enrollment, ours: Enrollment) -> bool:
    return standing.id == ours.id and standing.history[:1] == ours.history[:1]


def _update_of(fields: Document, *, push: Document | None = None) -> Document:
    """Return the update that sets these fields; None takes a field away."""
    update: Document = {"$set": {k: v for k, v in fields.items() if v is not None}}
    gone = {name: "" for name, value in fields.items() if value is None}
    if gone:
        update["$unset"] = gone
    if push:
        update["$push"] = push
    return update


def _to_document(row: Enrollment) -> Document:
    require_text(
        id=row.id,
        email=row.email,
        course_id=row.course_id,
        session_id=row.session_id,
        payment_id=row.payment_id,
        idempotency_key=row.idempotency_key,
    )
    document = to_document(row)
    return {
        "_id": document.pop("id"),
        **document,
        "for_sync": _needs_sync(row),
    }


def _of_document(document: Document) -> Enrollment:
    return of_document(Enrollment, {**document, "id": document["_id"]})


def _decode(document: Document) -> Enrollment | None:
    """Let a row that can't be decoded fail alone: the others go on."""
    try:
        return _of_document(document)
    except ValidationError:
        logger.exception(
            "row can't be decoded", extra={"enrollment_id": document["_id"]}
        )
        return None
