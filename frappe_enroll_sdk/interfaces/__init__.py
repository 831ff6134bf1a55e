# SPDX-License-Identifier: MIT
"""
The three interfaces: storage, payments, LMS.

Every storage verb is **one conditional write on one document or row**, so that a
standalone MongoDB server, a replica set and SQLite keep the same promises. A yes that
promises something comes from a durable write. Ids, tokens and `now` come from the
caller; a store never reads a clock but in `Storage.now`. All verbs are safe to call
from many threads and processes. A driver's exception never leaves a store: it becomes
`StorageUnavailableError` (or `SchemaError`).

Public conformance suites for all three live in ``frappe_enroll_sdk.testing``.
"""

from __future__ import annotations

from .affiliates import AffiliateStore
from .audit import AuditStore
from .coupons import CouponStore
from .enrollments import EnrollmentStore
from .gates import GateStore
from .grants import GrantStore
from .jobs import EventStore, JobStore
from .lms import LMS, HoldingLMS, SellingLMS
from .news import Watch
from .payments import PaymentGateway
from .storage import Storage
from .workers import WorkerStore


__all__ = (
    "LMS",
    "AffiliateStore",
    "AuditStore",
    "CouponStore",
    "EnrollmentStore",
    "EventStore",
    "GateStore",
    "GrantStore",
    "HoldingLMS",
    "JobStore",
    "PaymentGateway",
    "SellingLMS",
    "Storage",
    "Watch",
    "WorkerStore",
)
