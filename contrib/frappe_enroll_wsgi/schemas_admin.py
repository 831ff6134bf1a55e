# SPDX-License-Identifier: MIT
"""The JSON schemas of the admin API's requests and answers."""

from __future__ import annotations

from frappe_enroll_sdk.models import JobState, Kind, LMSStatus, Status

from .schema_parts import (
    CODE_TEXT,
    COUNT,
    EMAIL_TEXT,
    MAYBE_MOMENT,
    MAYBE_TEXT,
    MOMENT,
    MONEY,
    PRICES,
    TEXT,
    Schema,
    page,
    record,
    ref,
    request,
    text,
    words,
)


_DAYS: Schema = {"type": "integer", "minimum": 1, "maximum": 3650}
_ADMIN_ENROLLMENT: dict[str, Schema] = {
    "id": TEXT,
    "email": TEXT,
    "full_name": MAYBE_TEXT,
    "learner": TEXT,
    "course_id": TEXT,
    "course_title": TEXT,
    "kind": words(Kind),
    "status": words(Status),
    "lms_status": words(LMSStatus),
    "reason": MAYBE_TEXT,
    "override": MAYBE_TEXT,
    **PRICES,
    "refunded_minor": COUNT,
    "coupon_code": MAYBE_TEXT,
    "affiliate": MAYBE_TEXT,
    "session_id": MAYBE_TEXT,
    "payment_id": MAYBE_TEXT,
    "lms_enrollment_id": MAYBE_TEXT,
    "due_at": MAYBE_MOMENT,
    "tries": COUNT,
    "version": COUNT,
    "created_at": MOMENT,
    "updated_at": MOMENT,
}
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
_REASON: Schema = text(500)
_MAYBE_OBJECT: Schema = {"type": ["object", "null"]}
ADMIN_SCHEMAS: dict[str, Schema] = {
    "Stats": {
        "type": "object",
        "required": ["jobs", "events", "gates"],
        "additionalProperties": True,
    },
    "AdminEnrollment": record(_ADMIN_ENROLLMENT),
    "EnrollmentPage": page("AdminEnrollment"),
    "JobSummary": record(_ADMIN_JOB),
    "JobPage": page("JobSummary"),
    "Job": record({**_ADMIN_JOB, "payload": _MAYBE_OBJECT}),
    "Timeline": record(
        {
            "enrollment": ref("AdminEnrollment"),
            "moments": {
                "type": "array",
                "items": record(
                    {
                        "at": MOMENT,
                        "kind": words(("status", "event", "try", "audit")),
                        "title": TEXT,
                        "subject": TEXT,
                        "text": TEXT,
                        "detail": {"type": "object"},
                    }
                ),
            },
            "coupon": _MAYBE_OBJECT,
            "seat": _MAYBE_OBJECT,
            "jobs": {"type": "array", "items": ref("JobSummary")},
            "events": {"type": "array", "items": ref("JobSummary")},
        }
    ),
    "Coupon": record(
        {
            "code": TEXT,
            "percent_off": TEXT,
            "course_id": MAYBE_TEXT,
            "email": MAYBE_TEXT,
            "max_redemptions": COUNT,
            "per_learner": {"type": ["integer", "null"], "minimum": 1},
            "starts_at": MAYBE_MOMENT,
            "expires_at": MAYBE_MOMENT,
            "disabled": {"type": "boolean"},
            "created_at": MOMENT,
            "reserved": COUNT,
            "redeemed": COUNT,
        },
        closed=False,
    ),
    "CouponPage": page("Coupon"),
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
    "Items": record({"items": {"type": "array", "items": {"type": "object"}}}),
    "SearchRequest": request(
        {
            "q": text(255),
            "email": EMAIL_TEXT,
            "coupon_code": CODE_TEXT,
            "course_id": text(),
            "status": words(Status),
            "lms_status": words(LMSStatus),
            "limit": {"type": "integer", "minimum": 1, "maximum": 200},
            "cursor": text(500),
        }
    ),
    "CodeRequest": request({"code": CODE_TEXT}, "code"),
    "DisableRequest": request(
        {"code": CODE_TEXT, "reason": _REASON},
        "code",
        "reason",
    ),
    "Reason": request({"reason": _REASON}, "reason"),
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
    "AcceptRequest": request({"enrollment_id": text(), "reason": _REASON}, "reason"),
    "Dismissed": record({"id": TEXT, "state": TEXT}),
    "ReassignRequest": request(
        {"email": EMAIL_TEXT, "reason": _REASON}, "email", "reason"
    ),
    "ReplayRequest": request(
        {"notify": {"type": "boolean"}, "reason": _REASON}, "reason"
    ),
    "PullRequest": request(
        {
            "since": MOMENT,
            "notify": {"type": "boolean"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
            "reason": _REASON,
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
        }
    ),
    "RequeueRequest": request(
        {
            "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
            "kind": text(),
            "reason": _REASON,
        },
        "reason",
    ),
    "CouponRequest": request(
        {
            "percent_off": {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 100,
            },
            "course_id": text(),
            "code": CODE_TEXT,
            "email": EMAIL_TEXT,
            "max_redemptions": {"type": "integer", "minimum": 1, "maximum": 10_000_000},
            "per_learner": {"type": "integer", "minimum": 1, "maximum": 10_000_000},
            "starts_at": MOMENT,
            "expires_at": MOMENT,
            "reason": _REASON,
        },
        "percent_off",
        "reason",
    ),
    "RetentionRequest": request(
        {"events_days": _DAYS, "jobs_days": _DAYS, "reason": _REASON}, "reason"
    ),
    "ReconcileRequest": request(
        {
            "repair": {"type": "boolean"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 200},
            "cursor": text(500),
            "reason": _REASON,
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
    "Due": record({"due": {"type": "boolean"}}),
    "Requeued": record({"requeued": COUNT}),
    "Pruned": record({"events": COUNT, "jobs": COUNT}),
    "Gate": record({"backend": TEXT, "open": {"type": "boolean"}}),
}
