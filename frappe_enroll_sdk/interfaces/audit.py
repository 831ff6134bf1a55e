# SPDX-License-Identifier: MIT
"""The store of the audit trail."""

from __future__ import annotations

from typing import Protocol

from ..models import (
    AuditEntry,
    Page,
)


class AuditStore(Protocol):
    """What operators did."""

    def append(self, entry: AuditEntry) -> None:
        """Write an entry; one with a known id is left as it is."""
        ...

    def list(
        self,
        *,
        subject: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[AuditEntry]:
        """Return entries, newest first."""
        ...
