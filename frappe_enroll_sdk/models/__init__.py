# SPDX-License-Identifier: MIT
"""
The records of the domain: frozen, storage-independent, safe to share between threads.

Moments are aware UTC datetimes with millisecond precision; money is integer minor
units. Secrets are never part of a record: a learner's token is kept as its hash.
"""

from __future__ import annotations

from .affiliates import Affiliate, LedgerRow, RowKind, Totals
from .answers import Checkout, JobReport, WebhookResult
from .audit import Actor, AuditEntry
from .coupons import (
    Coupon,
    ReleaseOutcome,
    Reservation,
    ReserveOutcome,
    Seat,
    SeatState,
)
from .enrollments import (
    ENTITLED,
    Enrollment,
    EnrollmentStats,
    HistoryEntry,
    Kind,
    LMSStatus,
    Opener,
    OpenResult,
    Override,
    SlotTaken,
    Status,
)
from .gates import Admission, GatePolicy
from .grants import Grant, GrantField, GrantStatus
from .jobs import Job, JobEnd, JobState, JobStats, NewJob, Recorded, TryError
from .lms import Course, Learner, LMSEnrollment, Sale
from .pages import Page, Trail, walk
from .payments import (
    CheckoutSession,
    Dispute,
    DisputeStatus,
    ExpireOutcome,
    Fact,
    PaymentEvent,
    PaymentStatus,
    PaymentTraits,
    Refund,
    RefundStatus,
    SessionOrder,
    SessionStatus,
    SessionTerms,
)
from .workers import WorkerSeen


__all__ = (
    "ENTITLED",
    "Actor",
    "Admission",
    "Affiliate",
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
    "Grant",
    "GrantField",
    "GrantStatus",
    "HistoryEntry",
    "Job",
    "JobEnd",
    "JobReport",
    "JobState",
    "JobStats",
    "Kind",
    "LMSEnrollment",
    "LMSStatus",
    "Learner",
    "LedgerRow",
    "NewJob",
    "OpenResult",
    "Opener",
    "Override",
    "Page",
    "PaymentEvent",
    "PaymentStatus",
    "PaymentTraits",
    "Recorded",
    "Refund",
    "RefundStatus",
    "ReleaseOutcome",
    "Reservation",
    "ReserveOutcome",
    "RowKind",
    "Sale",
    "Seat",
    "SeatState",
    "SessionOrder",
    "SessionStatus",
    "SessionTerms",
    "SlotTaken",
    "Status",
    "Totals",
    "Trail",
    "TryError",
    "WebhookResult",
    "WorkerSeen",
    "walk",
)
