# SPDX-License-Identifier: MIT
"""JSON schemas of reconciliation."""

from __future__ import annotations

from .parts import COUNT, LIMIT, MAYBE_TEXT, REASON, Schema, record, request, text


SCHEMAS: dict[str, Schema] = {
    "ReconcileRequest": request(
        {
            "repair": {"type": "boolean"},
            "limit": LIMIT,
            "cursor": text(500),
            "reason": REASON,
        },
        "reason",
    ),
    "Reconciled": record(
        {
            "findings": {"type": "array", "items": {"type": "object"}},
            "checked": {"type": "object", "additionalProperties": COUNT},
            "next_cursor": MAYBE_TEXT,
        }
    ),
}
