# SPDX-License-Identifier: MIT
"""JSON schemas of jobs."""

from __future__ import annotations

from frappe_enroll_sdk.models import JobState

from .parts import (
    COUNT,
    LARGE_LIMIT,
    MAYBE_OBJECT,
    MAYBE_TEXT,
    MOMENT,
    REASON,
    TEXT,
    Schema,
    page,
    record,
    request,
    text,
    words,
)


STATE_QUERY = words(JobState)
_ADMIN_JOB: dict[str, Schema] = {
    "key": TEXT,
    "kind": TEXT,
    "type": MAYBE_TEXT,
    "state": words(JobState),
    "outcome": MAYBE_TEXT,
    "tries": COUNT,
    "due_at": MOMENT,
    "deliveries": COUNT,
    "owner": MAYBE_TEXT,
    "errors": {"type": "array", "items": {"type": "object"}},
    "created_at": MOMENT,
    "updated_at": MOMENT,
}
SCHEMAS: dict[str, Schema] = {
    "Pass": record(
        dict.fromkeys(
            ("claimed", "succeeded", "retried", "dead", "deferred", "due_left"), COUNT
        )
    ),
    "JobSummary": record(_ADMIN_JOB),
    "JobPage": page("JobSummary"),
    "Job": record({**_ADMIN_JOB, "payload": MAYBE_OBJECT}),
    "RequeueRequest": request(
        {
            "limit": LARGE_LIMIT,
            "kind": text(),
            "reason": REASON,
        },
        "reason",
    ),
    "Requeued": record({"requeued": COUNT}),
    "Due": record({"due": {"type": "boolean"}}),
}
