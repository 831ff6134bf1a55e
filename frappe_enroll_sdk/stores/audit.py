# SPDX-License-Identifier: MIT
"""The audit trail."""

from __future__ import annotations

from ..codec import require_text
from ..interfaces.tables import Query
from ..models import AuditEntry, Page
from .layout import AUDIT
from .records import Codec
from .rows import Port, Records


_CODEC = Codec(
    AuditEntry,
    AUDIT,
    lambda entry: entry.id,
    computed={"id": lambda row: row.key},
)


class Audit:
    """`AuditStore` over tables."""

    def __init__(self, port: Port) -> None:
        self._records = Records(port, _CODEC)

    def append(self, entry: AuditEntry) -> None:
        """See `AuditStore.append`."""
        self._records.insert([entry])

    def list(
        self, *, subject: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[AuditEntry]:
        """See `AuditStore.list`."""
        require_text(subject=subject)
        query = Query("newest", newest=True)
        if subject is not None:
            query = Query("by_subject", {"subject": subject}, newest=True)
        return self._records.list(query, limit, cursor)
