# SPDX-License-Identifier: MIT
"""What an enrollment's state means, and which command comes next."""

from __future__ import annotations

from frappe_enroll_sdk.models import Enrollment, LMSStatus, Status
from frappe_enroll_sdk.services.settle.decide_money import is_held


_WORDS = "--actor … --reason …"


def verdict_of(row: Enrollment, heir: Enrollment) -> tuple[str, str]:
    """
    Return a description of the state and the next command ("" = none).

    `heir` is the enrollment that holds the right after all reassignments.
    """
    if row.moved_to is not None:
        return "reassigned to another learner", f"enrollments show {heir.id}"
    if is_held(row):
        return (
            f"paid, but on hold: {row.held_for or row.reason}",
            f"quarantine accept|dismiss {row.id} {_WORDS}",
        )
    if row.status is Status.ON_HOLD:
        return (
            f"suspended because of its payment: {row.reason}",
            f"enrollments reinstate|revoke {row.id} {_WORDS}",
        )
    if row.status in {Status.CONFIRMED, Status.ENROLLED}:
        return _of_entitled(row)
    if row.status is Status.REVOKED:
        return (
            f"no longer entitled: {row.reason}",
            f"enrollments reinstate {row.id} {_WORDS}",
        )
    if row.status in {Status.PENDING, Status.AWAITING_PAYMENT}:
        return _of_unpaid(row)
    return f"ended without a payment: {row.reason}", ""


def _of_unpaid(row: Enrollment) -> tuple[str, str]:
    if row.gone_at is not None:
        return (
            "not paid yet; the payment provider no longer knows its session",
            f"enrollments revoke {row.id} {_WORDS}",
        )
    return "not paid yet; a payment or its expiry ends it", ""


def _of_entitled(row: Enrollment) -> tuple[str, str]:
    if row.lms_status is LMSStatus.DEAD:
        return "entitled, but the LMS has refused it", f"jobs retry {row.id} {_WORDS}"
    if row.status is Status.ENROLLED:
        return "enrolled in the LMS", ""
    return "entitled; not yet enrolled in the LMS", f"jobs show {row.id}"
