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
