# SPDX-License-Identifier: MIT
"""The store of the audit trail."""

from __future__ import annotations

from typing import Protocol

from ..models import (
    AuditEntry,
    Page,
)


class AuditStore(Protocol):
    """The trail of operators' actions."""

    def append(self, entry: AuditEntry) -> None:
        """Write an entry; leave an existing one with the same id unchanged."""
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
