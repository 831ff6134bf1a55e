# SPDX-License-Identifier: MIT
"""Records as operators get them: what people need, no token, no hash, no request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import attrs

from frappe_enroll_sdk.codec import shown
from frappe_enroll_sdk.models import (
    Affiliate,
    AuditEntry,
    Coupon,
    Enrollment,
    Grant,
    Job,
    LedgerRow,
    Page,
)
from frappe_enroll_sdk.services.operators.search import Timeline


T = TypeVar("T")

#: What operators see of an enrollment, in this order (in the CSV too).
ENROLLMENT_FIELDS = (
    "id",
    "email",
    "full_name",
    "learner",
    "course_id",
    "course_title",
    "kind",
    "status",
    "lms_status",
    "reason",
    "override",
    "price",
    "discount",
    "amount",
    "refunded_minor",
    "coupon_code",
    "affiliate",
    "session_id",
    "payment_id",
    "lms_enrollment_id",
    "due_at",
    "tries",
    "version",
    "created_at",
    "updated_at",
)
JOB_FIELDS = (
    "key",
    "kind",
    "state",
    "outcome",
    "tries",
    "due_at",
    "deliveries",
    "owner",
    "errors",
    "created_at",
    "updated_at",
)


def page_json(page: Page[T], of_item: Callable[[T], Any]) -> dict[str, Any]:
    """Return a page."""
    return {"items": [of_item(i) for i in page.items], "next_cursor": page.next_cursor}


def row_json(row: Enrollment) -> dict[str, Any]:
    """Return an enrollment."""
    told = shown(row)
    return {name: told[name] for name in ENROLLMENT_FIELDS}


def job_json(job: Job) -> dict[str, Any]:
    """Return a job or event, without its payload."""
    told = shown(job)
    kind = (job.payload or {}).get("type") if job.deliveries else None
    return {name: told[name] for name in JOB_FIELDS} | {"type": kind}


def full_job_json(job: Job, *, payload: bool) -> dict[str, Any]:
    """Return a job or event; its payload is for operators only."""
    return job_json(job) | {"payload": shown(job.payload) if payload else None}


def coupon_json(coupon: Coupon) -> dict[str, Any]:
    """Return a coupon with its counts."""
    return dict(shown(coupon))


def audit_json(entry: AuditEntry) -> dict[str, Any]:
    """Return what an operator did."""
    return dict(shown(entry))


GRANT_FIELDS = (
    *("id", "email", "full_name", "course_id", "answers", "status", "code"),
    *("percent_off", "expires_at", "actor", "reason", "created_at", "updated_at"),
)
AFFILIATE_FIELDS = ("code", "email", "full_name", "percent", "suspended", "created_at")
LEDGER_FIELDS = (
    *("n", "at", "kind", "enrollment_id", "version", "course_id", "currency"),
    *("held_minor", "available_minor", "paid_minor", "totals"),
)


def grant_json(grant: Grant) -> dict[str, Any]:
    """Return an application."""
    told = shown(grant)
    return {name: told[name] for name in GRANT_FIELDS}


def affiliate_json(affiliate: Affiliate) -> dict[str, Any]:
    """Return an affiliate."""
    told = shown(affiliate)
    return {name: told[name] for name in AFFILIATE_FIELDS}


def ledger_json(row: LedgerRow) -> dict[str, Any]:
    """Return a row of a ledger."""
    told = shown(row)
    return {name: told[name] for name in LEDGER_FIELDS}


def timeline_json(timeline: Timeline) -> dict[str, Any]:
    """Return all that happened to one enrollment."""
    return {
        "enrollment": row_json(timeline.enrollment),
        "moments": [shown(moment) for moment in timeline.moments],
        "coupon": coupon_json(timeline.coupon) if timeline.coupon else None,
        "seat": shown(timeline.seat) if timeline.seat else None,
        "jobs": [job_json(job) for job in timeline.jobs],
        "events": [job_json(event) for event in timeline.events],
    }


def plain(record: Any) -> dict[str, Any]:
    """Return any record as JSON data."""
    return dict(shown(record)) if attrs.has(type(record)) else dict(record)
