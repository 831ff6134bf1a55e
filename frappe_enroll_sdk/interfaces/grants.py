# SPDX-License-Identifier: MIT
"""The store of grant applications."""

from __future__ import annotations

from typing import Protocol

from ..models import (
    Grant,
    GrantStatus,
    Page,
)


class GrantStore(Protocol):
    """
    Applications for grants: one row each, changed by compare-and-set on `version`.

    An approved one holds the slot for its e-mail and course; any number may be pending.
    """

    def open(self, grant: Grant) -> Grant:
        """Write the grant and return it, or return the one that has its id or slot."""
        ...

    def find(self, grant_id: str) -> Grant | None:
        """Return the grant, or None."""
        ...

    def replace(self, grant: Grant) -> bool:
        """
        Replace the grant whose version is `version` - 1.

        False = the stored version is another, or another grant holds the slot.

        Of callers racing for one version, exactly one gets True. A write whose
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
