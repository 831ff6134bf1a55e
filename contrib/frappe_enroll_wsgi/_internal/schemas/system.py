# SPDX-License-Identifier: MIT
"""JSON schemas of health, settings and retention."""

from __future__ import annotations

from .parts import COUNT, DAYS, REASON, TEXT, Schema, record, request, words


SCHEMAS: dict[str, Schema] = {
    "Alive": record({"status": words(("ok",))}),
    "Ready": record(
        {
            "status": words(("ok", "unavailable")),
            "checks": {
                "type": "object",
                "additionalProperties": words(
                    ("ok", "down", "degraded", "unknown", "untrusted")
                ),
            },
        }
    ),
    "Stats": {
        "type": "object",
        "required": ["jobs", "events", "gates"],
        "additionalProperties": True,
    },
    "Gate": record({"backend": TEXT, "open": {"type": "boolean"}}),
    "RetentionRequest": request(
        {"events_days": DAYS, "jobs_days": DAYS, "reason": REASON}, "reason"
    ),
    "Pruned": record({"events": COUNT, "jobs": COUNT}),
    "OpenAPI": {"type": "object", "required": ["openapi", "info", "paths"]},
}
