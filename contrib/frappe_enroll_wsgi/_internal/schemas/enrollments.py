# SPDX-License-Identifier: MIT
"""JSON schemas of enrollments."""

from __future__ import annotations

from frappe_enroll_sdk.models import Kind, LMSStatus, Status

from .parts import (
    CODE_TEXT,
    COUNT,
    EMAIL_TEXT,
    LIMIT,
    MAYBE_MOMENT,
    MAYBE_OBJECT,
    MAYBE_TEXT,
    MOMENT,
    MONEY,
    PRICES,
    REASON,
    TEXT,
    Schema,
    page,
    record,
    ref,
    request,
    text,
    words,
)


STATUS_QUERY = words(Status)
LMS_STATUS_QUERY = words(LMSStatus)
#: What an operator may do about an enrollment.
VERBS = ("revoke", "reinstate", "accept", "dismiss")
#: Filters that may appear in a URL: they identify nobody.
FILTERS = {
    "course_id": text(),
    "status": STATUS_QUERY,
    "lms_status": LMS_STATUS_QUERY,
}


_ENROLLMENT = {
    "id": TEXT,
    "course_id": TEXT,
    "kind": words(Kind),
    "status": words(Status),
    "lms_status": words(LMSStatus),
    "price": MONEY,
    "discount": MONEY,
    "amount": MONEY,
    "created_at": MOMENT,
    "updated_at": MOMENT,
}
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
SCHEMAS: dict[str, Schema] = {
    "Enrollment": record(_ENROLLMENT),
    "AdminEnrollment": record(_ADMIN_ENROLLMENT),
    "EnrollmentPage": page("AdminEnrollment"),
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
            "coupon": MAYBE_OBJECT,
            "seat": MAYBE_OBJECT,
            "jobs": {"type": "array", "items": ref("JobSummary")},
            "events": {"type": "array", "items": ref("JobSummary")},
        }
    ),
    "SearchRequest": request(
        {
            "q": text(255),
            "email": EMAIL_TEXT,
            "coupon_code": CODE_TEXT,
            "course_id": text(),
            "status": words(Status),
            "lms_status": words(LMSStatus),
            "limit": LIMIT,
            "cursor": text(500),
        }
    ),
    "ReassignRequest": request(
        {"email": EMAIL_TEXT, "reason": REASON}, "email", "reason"
    ),
}
