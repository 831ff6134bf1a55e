# SPDX-License-Identifier: MIT
"""JSON schemas of the audit trail."""

from __future__ import annotations

from .parts import MOMENT, TEXT, Schema, page, record


SCHEMAS: dict[str, Schema] = {
    "AuditPage": page("AuditEntry"),
    "AuditEntry": record(
        {
            "id": TEXT,
            "at": MOMENT,
            "actor": TEXT,
            "action": TEXT,
            "subject": TEXT,
            "reason": TEXT,
            "detail": {"type": "object"},
        }
    ),
}
