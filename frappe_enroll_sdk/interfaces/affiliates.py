# SPDX-License-Identifier: MIT
"""The store of affiliates and their ledger."""

from __future__ import annotations

from typing import Protocol

from ..models import (
    Affiliate,
    LedgerRow,
    Page,
)


class AffiliateStore(Protocol):
    """Affiliates and their ledgers: append-only chains of rows."""

    def register(self, affiliate: Affiliate) -> Affiliate:
        """Write it if code and e-mail are free; return it, or the conflicting one."""
        ...

    def find(self, code: str) -> Affiliate | None:
        """Return the affiliate, or None."""
        ...

    def find_by_email(self, email: str) -> Affiliate | None:
        """Return the affiliate with this address, or None."""
        ...

    def replace(self, affiliate: Affiliate) -> bool:
        """See `GrantStore.replace`."""
        ...

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Affiliate]:
        """Return affiliates in order of code."""
        ...

    def append(self, row: LedgerRow) -> LedgerRow | None:
        """
        Append the row to its chain; return the row that records its fact.

        Either this row, or an earlier one with the same affiliate and `fact_key` (then
        nothing is written). None = its `n` is taken: read the last row and start again.
        Of several callers racing for one `n`, or for one fact, exactly one writes.
        """
        ...

    def last(self, code: str) -> LedgerRow | None:
        """Return the last row of the affiliate's chain, or None."""
        ...

    def rows_of(self, code: str, enrollment_id: str) -> tuple[LedgerRow, ...]:
        """Return the chain's rows for one enrollment (or payout), in order."""
        ...

    def list_rows(
        self, code: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[LedgerRow]:
        """Return the chain's rows, oldest first."""
        ...
