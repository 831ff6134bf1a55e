# SPDX-License-Identifier: MIT
"""JSON schemas of the quarantine."""

from __future__ import annotations

from .parts import (
    MAYBE_TEXT,
    MOMENT,
    MONEY,
    REASON,
    TEXT,
    Schema,
    page,
    record,
    request,
    text,
    words,
)


SCHEMAS: dict[str, Schema] = {
    "Quarantined": record(
        {
            "id": TEXT,
            "kind": words(("enrollment", "event")),
            "reason": TEXT,
            "since": MOMENT,
            "enrollment_id": MAYBE_TEXT,
            "session_id": MAYBE_TEXT,
            "payment_id": MAYBE_TEXT,
            "paid": {"anyOf": [MONEY, {"type": "null"}]},
        }
    ),
    "QuarantinePage": page("Quarantined"),
    "AcceptRequest": request({"enrollment_id": text(), "reason": REASON}, "reason"),
    "Dismissed": record({"id": TEXT, "state": TEXT}),
}
