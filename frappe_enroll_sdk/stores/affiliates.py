# SPDX-License-Identifier: MIT
"""Affiliates and their ledgers."""

from __future__ import annotations

from collections.abc import Mapping

from ..codec import require_text
from ..errors import ValidationError
from ..interfaces.tables import KEY, Cell, Query, Row
from ..models import Affiliate, LedgerRow, Page
from .layout import AFFILIATES, LEDGER
from .records import Codec
from .rows import Port, Records
from .versions import replace


def _check_row(row: LedgerRow) -> None:
    if row.n < 1:
        raise ValidationError("n: a chain begins with 1", field="n")


def _facts_of(row: LedgerRow) -> Mapping[str, Cell]:
    return {"fact_key": row.fact_key}


_LEDGER = Codec(
    LedgerRow,
    LEDGER,
    lambda row: f"{row.affiliate}#{row.n:010d}",
    derived=_facts_of,
    check=_check_row,
)


_AFFILIATES = Codec(
    Affiliate,
    AFFILIATES,
    lambda affiliate: affiliate.code,
    computed={"code": lambda row: row.key},
)


class Affiliates:
    """`AffiliateStore` over tables."""

    def __init__(self, port: Port) -> None:
        self._records, self._ledger = Records(port, _AFFILIATES), Records(port, _LEDGER)

    def register(self, affiliate: Affiliate) -> Affiliate:
        """See `AffiliateStore.register`."""

        def standing() -> Row | None:
            rows = self._records.rows
            by_email = Query("by_email", {"email": affiliate.email})
            return rows.one(affiliate.code) or rows.first(by_email)

        return self._records.stand(affiliate, standing)

    def find(self, code: str) -> Affiliate | None:
        """See `AffiliateStore.find`."""
        require_text(code=code)
        return self._records.find(code)

    def find_by_email(self, email: str) -> Affiliate | None:
        """See `AffiliateStore.find_by_email`."""
        require_text(email=email)
        return self._records.first(Query("by_email", {"email": email}))

    def replace(self, affiliate: Affiliate) -> bool:
        """See `AffiliateStore.replace`."""
        return replace(self._records, affiliate)

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Affiliate]:
        """See `AffiliateStore.list`."""
        return self._records.list(Query(KEY), limit, cursor)

    def append(self, row: LedgerRow) -> LedgerRow | None:
        """See `AffiliateStore.append`."""
        if self._ledger.insert([row])[0]:
            return row
        fact = {"affiliate": row.affiliate, "fact_key": row.fact_key}
        standing = self._ledger.rows.first(Query("facts", fact))
        standing = standing and self._ledger.rows.confirm(standing.key)
        return None if standing is None else self._ledger.read(standing)

    def last(self, code: str) -> LedgerRow | None:
        """See `AffiliateStore.last`."""
        require_text(code=code)
        return self._ledger.first(Query("chain", {"affiliate": code}, newest=True))

    def rows_of(self, code: str, enrollment_id: str) -> tuple[LedgerRow, ...]:
        """See `AffiliateStore.rows_of`."""
        require_text(code=code, enrollment_id=enrollment_id)
        own = {"affiliate": code, "enrollment_id": enrollment_id}
        found = self._ledger.rows.each(Query("by_enrollment", own))
        return tuple(map(self._ledger.read, found))

    def list_rows(
        self, code: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[LedgerRow]:
        """See `AffiliateStore.list_rows`."""
        require_text(code=code)
        return self._ledger.list(Query("chain", {"affiliate": code}), limit, cursor)
