# SPDX-License-Identifier: MIT
"""The JSON schemas of reconciliation."""

from __future__ import annotations

from .parts import COUNT, MAYBE_TEXT, REASON, Schema, record, request, text


SCHEMAS: dict[str, Schema] = {
    "ReconcileRequest": request(
        {
            "repair": {"type": "boolean"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 200},
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
