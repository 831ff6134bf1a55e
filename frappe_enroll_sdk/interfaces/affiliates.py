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
    """Affiliates, and each one's ledger: a chain of rows that are never changed."""

    def register(self, affiliate: Affiliate) -> Affiliate:
        """Write it if code and e-mail are free; return it, or the one in the way."""
        ...

    def find(self, code: str) -> Affiliate | None:
        """Return the affiliate, or None."""
        ...

    def find_by_email(self, email: str) -> Affiliate | None:
        """Return the affiliate of this address, or None."""
        ...

    def replace(self, affiliate: Affiliate) -> bool:
        """See `GrantStore.replace`."""
        ...

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Affiliate]:
        """Return affiliates, by code."""
        ...

    def append(self, row: LedgerRow) -> LedgerRow | None:
        """
        Write the row at the end of its chain; return the row that states its fact.

        That is this one, or an earlier one (same affiliate and `fact_key`: nothing is
        written). None = its `n` is taken: read the last row and begin anew. Of callers
        that race for one `n`, or for one fact, exactly one writes.
        """
        ...

    def last(self, code: str) -> LedgerRow | None:
        """Return the last row of the affiliate's chain, or None."""
        ...

    def rows_of(self, code: str, enrollment_id: str) -> tuple[LedgerRow, ...]:
        """Return the chain's rows of one enrollment (or payout), in their order."""
        ...

    def list_rows(
        self, code: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[LedgerRow]:
        """Return the chain's rows, the first one first."""
        ...
