# SPDX-License-Identifier: MIT
"""Grants, affiliates and their ledgers on SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import or_, select, tuple_, update
from sqlalchemy.dialects.sqlite import insert

from frappe_enroll_sdk.codec import cursor_of, parts_of, require_text
from frappe_enroll_sdk.models import Affiliate, Grant, GrantStatus, LedgerRow, Page

from . import schema
from .times import of_doc, to_doc, to_ms


if TYPE_CHECKING:
    from .engine import Database


class SQLGrants:
    """`GrantStore` on SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, grant: Grant) -> Grant:
        """See `GrantStore.open`."""
        table = schema.grants
        row = {
            "id": grant.id,
            "email": grant.email,
            "course_id": grant.course_id,
            "status": grant.status,
            "holds_slot": int(grant.holds_slot),
            "version": grant.version,
            "created_at": to_ms(grant.created_at),
            "doc": to_doc(grant),
        }
        slot = (
            (table.c.email == grant.email)
            & (table.c.course_id == grant.course_id)
            & (table.c.holds_slot == 1)
        )
        standing = select(table.c.doc).where(or_(table.c.id == grant.id, slot))
        with self._database.write() as connection:
            doc = connection.execute(standing).scalar()
            if doc is not None:
                return of_doc(Grant, doc)
            connection.execute(insert(table).values(row))
        return grant

    def find(self, grant_id: str) -> Grant | None:
        """See `GrantStore.find`."""
        require_text(id=grant_id)
        query = select(schema.grants.c.doc).where(schema.grants.c.id == grant_id)
        with self._database.read() as connection:
            doc = connection.execute(query).scalar()
        return of_doc(Grant, doc) if doc is not None else None

    def replace(self, grant: Grant) -> bool:
        """See `GrantStore.replace`."""
        table = schema.grants
        change = (
            update(table)
            .where(table.c.id == grant.id, table.c.version == grant.version - 1)
            .values(
                email=grant.email,
                status=grant.status,
                holds_slot=int(grant.holds_slot),
                version=grant.version,
                doc=to_doc(grant),
            )
        )
        with self._database.write() as connection:
            return connection.execute(change).rowcount == 1

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
        table = schema.grants
        wanted = {"email": email, "course_id": course_id, "status": status}
        require_text(**wanted)
        query = select(table).order_by(table.c.created_at.desc(), table.c.id.desc())
        for name, value in wanted.items():
            if value is not None:
                query = query.where(table.c[name] == value)
        after = parts_of(cursor, (int, str))
        if after is not None:
            query = query.where(tuple_(table.c.created_at, table.c.id) < tuple_(*after))
        with self._database.read() as connection:
            rows = connection.execute(query.limit(limit + 1)).all()
        items = tuple(of_doc(Grant, row.doc) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(items=items)
        last = rows[limit - 1]
        return Page(items=items, next_cursor=cursor_of(last.created_at, last.id))


class SQLAffiliates:
    """`AffiliateStore` on SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, affiliate: Affiliate) -> Affiliate:
        """See `AffiliateStore.register`."""
        table = schema.affiliates
        row = {
            "code": affiliate.code,
            "email": affiliate.email,
            "version": affiliate.version,
            "doc": to_doc(affiliate),
        }
        same = or_(table.c.code == affiliate.code, table.c.email == affiliate.email)
        with self._database.write() as connection:
            standing = connection.execute(select(table.c.doc).where(same)).scalar()
            if standing is not None:
                return of_doc(Affiliate, standing)
            connection.execute(insert(table).values(row))
        return affiliate

    def _find(self, column: str, value: str) -> Affiliate | None:
        require_text(**{column: value})
        table = schema.affiliates
        with self._database.read() as connection:
            doc = connection.execute(
                select(table.c.doc).where(table.c[column] == value)
            ).scalar()
        return of_doc(Affiliate, doc) if doc is not None else None

    def find(self, code: str) -> Affiliate | None:
        """See `AffiliateStore.find`."""
        return self._find("code", code)

    def find_by_email(self, email: str) -> Affiliate | None:
        """See `AffiliateStore.find_by_email`."""
        return self._find("email", email)

    def replace(self, affiliate: Affiliate) -> bool:
        """See `AffiliateStore.replace`."""
        table, before = schema.affiliates, affiliate.version - 1
        change = (
            update(table)
            .where(table.c.code == affiliate.code, table.c.version == before)
            .values(
                email=affiliate.email,
                version=affiliate.version,
                doc=to_doc(affiliate),
            )
        )
        with self._database.write() as connection:
            return connection.execute(change).rowcount == 1

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Affiliate]:
        """See `AffiliateStore.list`."""
        table = schema.affiliates
        query = select(table).order_by(table.c.code).limit(limit + 1)
        after = parts_of(cursor, (str,))
        if after is not None:
            query = query.where(table.c.code > after[0])
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        items = tuple(of_doc(Affiliate, row.doc) for row in rows[:limit])
        more = len(rows) > limit
        return Page(
            items=items, next_cursor=cursor_of(items[-1].code) if more else None
        )

    def append(self, row: LedgerRow) -> LedgerRow | None:
        """See `AffiliateStore.append`."""
        table = schema.ledger
        known = select(table.c.doc).where(
            table.c.affiliate == row.affiliate, table.c.fact_key == row.fact_key
        )
        written = insert(table).values(
            affiliate=row.affiliate,
            n=row.n,
            fact_key=row.fact_key,
            enrollment_id=row.enrollment_id,
            doc=to_doc(row),
        )
        with self._database.write() as connection:
            standing = connection.execute(known).scalar()
            if standing is not None:
                return of_doc(LedgerRow, standing)
            done = connection.execute(written.on_conflict_do_nothing())
        return row if done.rowcount == 1 else None

    def last(self, code: str) -> LedgerRow | None:
        """See `AffiliateStore.last`."""
        require_text(code=code)
        table = schema.ledger
        query = select(table.c.doc).where(table.c.affiliate == code)
        with self._database.read() as connection:
            doc = connection.execute(query.order_by(table.c.n.desc()).limit(1)).scalar()
        return of_doc(LedgerRow, doc) if doc is not None else None

    def rows_of(self, code: str, enrollment_id: str) -> tuple[LedgerRow, ...]:
        """See `AffiliateStore.rows_of`."""
        require_text(code=code, enrollment_id=enrollment_id)
        table = schema.ledger
        query = select(table.c.doc).where(
            table.c.affiliate == code, table.c.enrollment_id == enrollment_id
        )
        with self._database.read() as connection:
            docs = connection.execute(query.order_by(table.c.n)).scalars().all()
        return tuple(of_doc(LedgerRow, doc) for doc in docs)

    def list_rows(
        self, code: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[LedgerRow]:
        """See `AffiliateStore.list_rows`."""
        require_text(code=code)
        table = schema.ledger
        query = select(table).where(table.c.affiliate == code).order_by(table.c.n)
        after = parts_of(cursor, (int,))
        if after is not None:
            query = query.where(table.c.n > after[0])
        with self._database.read() as connection:
            rows = connection.execute(query.limit(limit + 1)).all()
        items = tuple(of_doc(LedgerRow, row.doc) for row in rows[:limit])
        more = len(rows) > limit
        return Page(items=items, next_cursor=cursor_of(items[-1].n) if more else None)
