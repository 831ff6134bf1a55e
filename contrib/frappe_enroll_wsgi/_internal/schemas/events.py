# SPDX-License-Identifier: MIT
"""JSON schemas of payment events."""

from __future__ import annotations

from .parts import (
    COUNT,
    LARGE_LIMIT,
    MOMENT,
    REASON,
    TEXT,
    Schema,
    record,
    request,
    words,
)


SCHEMAS: dict[str, Schema] = {
    "Webhook": record(
        {
            "outcome": words(
                ("processed", "duplicate", "ignored", "queued", "quarantined")
            ),
            "event_id": TEXT,
        }
    ),
    "ReplayRequest": request(
        {"notify": {"type": "boolean"}, "reason": REASON}, "reason"
    ),
    "PullRequest": request(
        {
            "since": MOMENT,
            "notify": {"type": "boolean"},
            "limit": LARGE_LIMIT,
            "reason": REASON,
        },
        "since",
        "reason",
    ),
    "Pulled": record(
        {
            "listed": COUNT,
            "known": COUNT,
            "fed": COUNT,
            "more": {"type": "boolean"},
            "unreadable": {"type": "array", "items": TEXT},
        }
    ),
}
