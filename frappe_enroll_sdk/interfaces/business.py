# SPDX-License-Identifier: MIT
"""Grants, affiliates and their ledgers."""

from __future__ import annotations

from typing import Protocol

from ..business import Affiliate, Grant, GrantStatus, LedgerRow
from ..models import (
    Page,
)


class GrantStore(Protocol):
    """
    Applications for grants: one row each, changed by compare-and-set on `version`.

    A pending or approved one holds the slot of its e-mail and course.
    """

    def open(self, grant: Grant) -> Grant:
        """Write it if its slot is free; return it, or the one that holds the slot."""
        ...

    def find(self, grant_id: str) -> Grant | None:
        """Return the grant, or None."""
        ...

    def replace(self, grant: Grant) -> bool:
        """
        Write the grant in the place of its `version` - 1; False = another one stands.

        Of callers that race for one version exactly one is answered True. A write whose
        acknowledgement was lost counts as ours, by `op_id`.
        """
        ...

    def list(
        self,
        *,
        email: str | None = None,
        course_id: str | None = None,
        status: GrantStatus | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Grant]:
        """Return grants, newest first."""
        ...


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
