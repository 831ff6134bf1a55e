# SPDX-License-Identifier: MIT
"""
The records of the domain: frozen, storage-independent, safe to share between threads.

Moments are aware UTC datetimes with millisecond precision; money is integer minor
units. Secrets are never part of a record: a learner's token is kept as its hash.
"""

from __future__ import annotations

from .answers import Checkout, JobReport, WebhookResult
from .coupons import (
    Coupon,
    ReleaseOutcome,
    Reservation,
    ReserveOutcome,
    Seat,
    SeatState,
)
from .enrollments import (
    Enrollment,
    EnrollmentStats,
    HistoryEntry,
    Kind,
    LMSStatus,
    OpenResult,
    Override,
    Status,
)
from .jobs import Job, JobEnd, JobOrder, JobState, JobStats, Recorded, TryError
from .lms import Course, Learner, LMSEnrollment, Sale
from .operations import Admission, AuditEntry, GatePolicy, WorkerSeen
from .pages import Page, Trail
from .payments import (
    CheckoutSession,
    Dispute,
    DisputeStatus,
    ExpireOutcome,
    Fact,
    PaymentEvent,
    PaymentStatus,
    Refund,
    RefundStatus,
    SessionOrder,
    SessionStatus,
    SessionTerms,
)


__all__ = (
    "Admission",
    "AuditEntry",
    "Checkout",
    "CheckoutSession",
    "Coupon",
    "Course",
    "Dispute",
    "DisputeStatus",
    "Enrollment",
    "EnrollmentStats",
    "ExpireOutcome",
    "Fact",
    "GatePolicy",
    "HistoryEntry",
    "Job",
    "JobEnd",
    "JobOrder",
    "JobReport",
    "JobState",
    "JobStats",
    "Kind",
    "LMSEnrollment",
    "LMSStatus",
    "Learner",
    "OpenResult",
    "Override",
    "Page",
    "PaymentEvent",
    "PaymentStatus",
    "Recorded",
    "Refund",
    "RefundStatus",
    "ReleaseOutcome",
    "Reservation",
    "ReserveOutcome",
    "Sale",
    "Seat",
    "SeatState",
    "SessionOrder",
    "SessionStatus",
    "SessionTerms",
    "Status",
    "Trail",
    "TryError",
    "WebhookResult",
    "WorkerSeen",
)
