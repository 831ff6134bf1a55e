# SPDX-License-Identifier: MIT
"""Grants, affiliates and their ledgers in memory."""

from __future__ import annotations

from threading import RLock

from ...codec import require_text
from ...models import Affiliate, Grant, GrantStatus, LedgerRow, Page
from .pages import page_of


class MemoryGrants:
    """`GrantStore` in memory."""

    def __init__(self, lock: RLock) -> None:
        self._lock = lock
        self._rows: dict[str, Grant] = {}

    def open(self, grant: Grant) -> Grant:
        """See `GrantStore.open`."""
        with self._lock:
            standing = self._rows.get(grant.id) or self._rival_of(grant)
            if standing is None:
                self._rows[grant.id] = grant
            return standing or grant

    def _rival_of(self, grant: Grant) -> Grant | None:
        slot = (grant.email, grant.course_id)
        rows = [row for row in self._rows.values() if row.id != grant.id]
        held = (r for r in rows if r.holds_slot and (r.email, r.course_id) == slot)
        return next(held, None) if grant.holds_slot else None

    def find(self, grant_id: str) -> Grant | None:
        """See `GrantStore.find`."""
        require_text(id=grant_id)
        with self._lock:
            return self._rows.get(grant_id)

    def replace(self, grant: Grant) -> bool:
        """See `GrantStore.replace`."""
        with self._lock:
            before = self._rows.get(grant.id)
            if before is None or before.version != grant.version - 1:
                return False
            if self._rival_of(grant) is not None:
                return False
            self._rows[grant.id] = grant
            return True

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
        with self._lock:
            rows = [
                row
                for row in self._rows.values()
                if email in (None, row.email)
                and course_id in (None, row.course_id)
                and status in (None, row.status)
            ]
        return page_of(rows, lambda r: (r.created_at, r.id), limit, cursor, newest=True)


class MemoryAffiliates:
    """`AffiliateStore` in memory."""

    def __init__(self, lock: RLock) -> None:
        self._lock = lock
        self._rows: dict[str, Affiliate] = {}
        self._ledger: dict[str, list[LedgerRow]] = {}

    def register(self, affiliate: Affiliate) -> Affiliate:
        """See `AffiliateStore.register`."""
        with self._lock:
            standing = self._rows.get(affiliate.code)
            standing = standing or self.find_by_email(affiliate.email)
            return standing or self._rows.setdefault(affiliate.code, affiliate)

    def find(self, code: str) -> Affiliate | None:
        """See `AffiliateStore.find`."""
        require_text(code=code)
        with self._lock:
            return self._rows.get(code)

    def find_by_email(self, email: str) -> Affiliate | None:
        """See `AffiliateStore.find_by_email`."""
        require_text(email=email)
        with self._lock:
            found = (row for row in self._rows.values() if row.email == email)
            return next(found, None)

    def replace(self, affiliate: Affiliate) -> bool:
        """See `AffiliateStore.replace`."""
        with self._lock:
            before = self._rows.get(affiliate.code)
            if before is None or before.version != affiliate.version - 1:
                return False
            self._rows[affiliate.code] = affiliate
            return True

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Affiliate]:
        """See `AffiliateStore.list`."""
        with self._lock:
            rows = list(self._rows.values())
        return page_of(rows, lambda r: (r.code,), limit, cursor)

    def append(self, row: LedgerRow) -> LedgerRow | None:
        """See `AffiliateStore.append`."""
        with self._lock:
            chain = self._ledger.setdefault(row.affiliate, [])
            for standing in chain:
                if standing.fact_key == row.fact_key:
                    return standing
            if any(standing.n == row.n for standing in chain):
                return None
            chain.append(row)
            return row

    def last(self, code: str) -> LedgerRow | None:
        """See `AffiliateStore.last`."""
        require_text(code=code)
        with self._lock:
            chain = self._ledger.get(code)
            return chain[-1] if chain else None

    def rows_of(self, code: str, enrollment_id: str) -> tuple[LedgerRow, ...]:
        """See `AffiliateStore.rows_of`."""
        with self._lock:
            chain = self._ledger.get(code, [])
            return tuple(r for r in chain if r.enrollment_id == enrollment_id)

    def list_rows(
        self, code: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[LedgerRow]:
        """See `AffiliateStore.list_rows`."""
        with self._lock:
            rows = list(self._ledger.get(code, []))
        return page_of(rows, lambda r: (r.n,), limit, cursor)
