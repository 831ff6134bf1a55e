# SPDX-License-Identifier: MIT
"""
Grants, affiliates and their ledgers on MongoDB.

Each write is an insert, or a replacement of one document where its version still
stands; unique indexes refuse the second grant of a slot, the second row of a place in a
chain and the second statement of a fact. A refused write looks for its own stamp: the
acknowledgement of an earlier run may have been lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pymongo.errors import DuplicateKeyError

from frappe_enroll_sdk.codec import cursor_of, parts_of, require_text
from frappe_enroll_sdk.errors import ConflictError
from frappe_enroll_sdk.models import Affiliate, Grant, GrantStatus, LedgerRow, Page

from .documents import Document, of_document, to_document
from .pages import after_of, milliseconds
from .schema import AFFILIATES, GRANTS, LEDGER


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .link import Link, Run

T = TypeVar("T")
#: How often a refused write is tried again whose reason is gone when it is looked for.
_MOST_RACES = 5


def _renamed(record: Any, field: str) -> Document:
    document = to_document(record)
    return {"_id": document.pop(field), **document}


class _Rows:
    """Documents of one collection, written once or where a version stands."""

    def __init__(self, link: Link, name: str) -> None:
        self._link, self._name = link, name

    def find(self, where: Mapping[str, Any], **options: Any) -> list[Document]:
        table = self._link.collection(self._name)
        return self._link.read(
            lambda run: [*table.find(where, session=run.session, **options)]
        )

    def insert(self, document: Document) -> bool:
        """Return False when a unique index refuses it."""
        table = self._link.collection(self._name)

        def act(run: Run) -> bool:
            try:
                table.insert_one(document, session=run.session)
            except DuplicateKeyError:
                ours = {"_id": document["_id"], "op_id": document["op_id"]}
                return self._touch(ours, run)
            return True

        return self._link.write(act)

    def insert_or_find(
        self, record: T, document: Document, standing: Callable[[], T | None]
    ) -> T:
        """Return the record that stands: this one, or the one that refused it."""
        for _ in range(_MOST_RACES):
            if self.insert(document):
                return record
            # None: it has just given way, or was rolled back with its primary.
            if (found := standing()) is not None:
                return found
        raise ConflictError("rows keep coming and going")

    def replace(self, document: Document) -> bool:
        """Write it where the version before it stands."""
        table = self._link.collection(self._name)
        where = {"_id": document["_id"], "version": document["version"] - 1}
        ours = {"_id": document["_id"], "op_id": document["op_id"]}

        def act(run: Run) -> bool:
            done = table.replace_one(where, document, session=run.session)
            return done.matched_count == 1 or self._touch(ours, run)

        return self._link.write(act)

    def _touch(self, ours: Document, run: Run) -> bool:
        """Make sure that our own earlier write is as durable as a new one."""
        table = self._link.collection(self._name)
        seen = {"$inc": {"seen": 1}}
        done = table.update_one(ours, seen, session=run.session)
        return done.matched_count == 1


def _one(kind: type[T], field: str, found: list[Document]) -> T | None:
    return of_document(kind, {**found[0], field: found[0]["_id"]}) if found else None


class MongoGrants:
    """`GrantStore` on MongoDB."""

    def __init__(self, link: Link) -> None:
        self._rows = _Rows(link, GRANTS)

    def open(self, grant: Grant) -> Grant:
        """See `GrantStore.open`."""
        slot = {
            "email": grant.email,
            "course_id": grant.course_id,
            "holds_slot": True,
        }
        return self._rows.insert_or_find(
            grant,
            _renamed(grant, "id"),
            lambda: self.find(grant.id) or _one(Grant, "id", self._rows.find(slot)),
        )

    def find(self, grant_id: str) -> Grant | None:
        """See `GrantStore.find`."""
        require_text(id=grant_id)
        return _one(Grant, "id", self._rows.find({"_id": grant_id}))

    def replace(self, grant: Grant) -> bool:
        """See `GrantStore.replace`."""
        return self._rows.replace(_renamed(grant, "id"))

    def list(
        self,
        *,
        email: str | None = None,
        course_id: str | None = None,
        status: GrantStatus | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Grant]:
        """See `GrantStore.list`."""
        wanted = {"email": email, "course_id": course_id, "status": status}
        require_text(**wanted)
        where: Document = {k: str(v) for k, v in wanted.items() if v is not None}
        where |= after_of(parts_of(cursor, (int, str)), "created_at", newest=True)
        found = self._rows.find(
            where, sort=[("created_at", -1), ("_id", -1)], limit=limit + 1
        )
        items = tuple(of_document(Grant, {**d, "id": d["_id"]}) for d in found[:limit])
        if len(found) <= limit:
            return Page(items=items)
        last = items[-1]
        cursor = cursor_of(milliseconds(last.created_at), last.id)
        return Page(items=items, next_cursor=cursor)


class MongoAffiliates:
    """`AffiliateStore` on MongoDB."""

    def __init__(self, link: Link) -> None:
        self._rows, self._ledger = _Rows(link, AFFILIATES), _Rows(link, LEDGER)

    def register(self, affiliate: Affiliate) -> Affiliate:
        """See `AffiliateStore.register`."""
        return self._rows.insert_or_find(
            affiliate,
            _renamed(affiliate, "code"),
            lambda: self.find(affiliate.code) or self.find_by_email(affiliate.email),
        )

    def find(self, code: str) -> Affiliate | None:
        """See `AffiliateStore.find`."""
        require_text(code=code)
        return _one(Affiliate, "code", self._rows.find({"_id": code}))

    def find_by_email(self, email: str) -> Affiliate | None:
        """See `AffiliateStore.find_by_email`."""
        require_text(email=email)
        return _one(Affiliate, "code", self._rows.find({"email": email}))

    def replace(self, affiliate: Affiliate) -> bool:
        """See `AffiliateStore.replace`."""
        return self._rows.replace(_renamed(affiliate, "code"))

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Affiliate]:
        """See `AffiliateStore.list`."""
        after = parts_of(cursor, (str,))
        where = {} if after is None else {"_id": {"$gt": after[0]}}
        found = self._rows.find(where, sort=[("_id", 1)], limit=limit + 1)
        items = tuple(
            of_document(Affiliate, {**d, "code": d["_id"]}) for d in found[:limit]
        )
        more = len(found) > limit
        return Page(
            items=items, next_cursor=cursor_of(items[-1].code) if more else None
        )

    def append(self, row: LedgerRow) -> LedgerRow | None:
        """See `AffiliateStore.append`."""
        document = {
            "_id": f"{row.affiliate}:{row.n}",
            "fact_key": row.fact_key,
            **to_document(row),
        }
        if self._ledger.insert(document):
            return row
        fact = {"affiliate": row.affiliate, "fact_key": row.fact_key}
        found = self._ledger.find(fact)
        return of_document(LedgerRow, found[0]) if found else None

    def last(self, code: str) -> LedgerRow | None:
        """See `AffiliateStore.last`."""
        require_text(code=code)
        found = self._ledger.find({"affiliate": code}, sort=[("n", -1)], limit=1)
        return of_document(LedgerRow, found[0]) if found else None

    def rows_of(self, code: str, enrollment_id: str) -> tuple[LedgerRow, ...]:
        """See `AffiliateStore.rows_of`."""
        require_text(code=code, enrollment_id=enrollment_id)
        where = {"affiliate": code, "enrollment_id": enrollment_id}
        found = self._ledger.find(where, sort=[("n", 1)])
        return tuple(of_document(LedgerRow, document) for document in found)

    def list_rows(
        self, code: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[LedgerRow]:
        """See `AffiliateStore.list_rows`."""
        require_text(code=code)
        after = parts_of(cursor, (int,))
        where: Document = {"affiliate": code}
        if after is not None:
            where["n"] = {"$gt": after[0]}
        found = self._ledger.find(where, sort=[("n", 1)], limit=limit + 1)
        items = tuple(of_document(LedgerRow, document) for document in found[:limit])
        more = len(found) > limit
        return Page(items=items, next_cursor=cursor_of(items[-1].n) if more else None)
