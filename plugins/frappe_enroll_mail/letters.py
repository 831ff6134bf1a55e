# SPDX-License-Identifier: MIT
"""
Who is told what of a fact: pure.

Each function gets the job's context and answers with a letter, or None where the fact
is nobody's news (an enrollment that has failed without a payment, say).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from email.headerregistry import Address
from typing import Any
from urllib.parse import quote

import attrs

from frappe_enroll_sdk.models import Enrollment, Grant, LedgerRow, Status
from frappe_enroll_sdk.outcomes import (
    AlertContext,
    DeathContext,
    FactContext,
    JobContext,
)

from .addresses import to_address
from .messages import Letter


#: Reasons for holding a payment that does not match its order.
_MISFITS = frozenset(
    {
        *("late_payment", "amount_mismatch", "currency_mismatch", "mode_mismatch"),
        "paid_twice",
    }
)
#: Alerts about somebody's money.
PAYMENT_CODES = frozenset(
    {
        *_MISFITS,
        *("account_mismatch", "unknown_enrollment", "foreign_session"),
        *("fraud_warning", "refund_failed", "coupon_gone", "paid_but_already_enrolled"),
        *("dispute_needs_response", "dispute_under_review", "dispute_lost"),
    }
)


@attrs.frozen(kw_only=True)
class Desk:
    """
    What letters need besides their fact.

    Attributes:
        operators: The operators' addresses.
        course_url: Link to a course, with ``{course_id}`` in it; "" = the course's own.
    """

    operators: tuple[Address, ...] = ()
    course_url: str = ""

    def link(self, course_id: str, own: str) -> str:
        """Return the link to a course: from the setting, or the course's own; or ""."""
        return self.course_url.replace("{course_id}", quote(course_id, safe="")) or own


def enrolled(context: JobContext, desk: Desk) -> Letter | None:
    """Tell the learner about the enrolment, unless it has been revoked meanwhile."""
    row = context.enrollment
    if row.status is not Status.ENROLLED:
        return None
    return _to_learner(
        context, "enrolled", desk, paid=str(row.paid) if row.paid else ""
    )


def payment_failed(context: JobContext, desk: Desk) -> Letter | None:
    """Tell the learner that a delayed payment has failed."""
    row = context.enrollment
    if row.reason != "payment_failed":
        return None
    return _to_learner(context, "payment_failed", desk, amount=str(row.amount))


def payment_held(context: JobContext, desk: Desk) -> Letter | None:
    """Tell the learner that the payment is being checked, and not to pay again."""
    row = context.enrollment
    if row.status is not Status.ON_HOLD or row.held_for not in _MISFITS:
        return None
    return _to_learner(context, "payment_held", desk)


def _to_learner(
    context: JobContext, template: str, desk: Desk, **values: Any
) -> Letter:
    row: Enrollment = context.enrollment
    return Letter(
        template=template,
        to=(to_address(row.email, row.full_name),),
        values={
            "name": row.full_name or "",
            "course": row.course_title or row.course_id,
            "course_url": desk.link(row.course_id, context.course_url),
            "enrollment_id": row.id,
            "enrollment": row,
            **values,
        },
        key=context.job.key,
        at=context.job.created_at,
    )


def grant_approved(context: FactContext, desk: Desk) -> Letter:
    """Send the learner the code."""
    grant = _grant(context)
    return _of_grant(
        context,
        "grant_approved",
        desk,
        code=grant.code or "",
        percent=_percent(grant.percent_off),
        until=_day(grant.expires_at),
    )


def grant_rejected(context: FactContext, desk: Desk) -> Letter:
    """Tell the learner that the application was rejected, and why."""
    return _of_grant(context, "grant_rejected", desk, reason=_grant(context).reason)


def _grant(context: FactContext) -> Grant:
    if not isinstance(context.subject, Grant):
        raise TypeError("not a grant")
    return context.subject


def _of_grant(context: FactContext, template: str, desk: Desk, **values: Any) -> Letter:
    grant = _grant(context)
    return Letter(
        template=template,
        to=(to_address(grant.email, grant.full_name),),
        values={
            "name": grant.full_name or "",
            "course": grant.course_id,
            "course_url": desk.link(grant.course_id, context.course_url),
            "grant": grant,
            **values,
        },
        key=context.job.key,
        at=context.job.created_at,
    )


def payout(context: FactContext, desk: Desk) -> Letter:  # noqa: ARG001  same signature as the others
    """Tell the affiliate how much was paid out."""
    row, affiliate = context.subject, context.affiliate
    if not isinstance(row, LedgerRow) or affiliate is None:
        raise TypeError("not a payout")
    after = row.totals_in(row.currency)
    return Letter(
        template="payout",
        to=(to_address(affiliate.email, affiliate.full_name),),
        values={
            "name": affiliate.full_name or "",
            "affiliate": affiliate.code,
            "amount": str(after.money(row.paid_minor)),
            "available": str(after.money(after.available_minor)),
            "held": str(after.money(after.held_minor)),
            "reason": row.reason,
            "row": row,
        },
        key=context.job.key,
        at=context.job.created_at,
    )


def alert(context: AlertContext, desk: Desk) -> Letter:
    """Tell the operators that something needs their attention."""
    payment = context.code in PAYMENT_CODES
    return Letter(
        template="payment_problem" if payment else "alert",
        to=desk.operators,
        values={
            "code": context.code,
            "about": " ".join((context.subject, *context.detail.values())),
            "at": f"{context.at:%Y-%m-%d %H:%M:%S} UTC",
        },
        key=context.job.key,
        at=context.at,
    )


def dead_letter(context: DeathContext, desk: Desk) -> Letter:
    """Tell the operators that a job is dead, and why."""
    return Letter(
        template="dead_letter",
        to=desk.operators,
        values={
            "about": context.dead.key,
            "kind": context.dead.kind,
            "tries": context.error.try_number,
            "cause": context.error.cause or context.error.code,
            "job": context.dead,
        },
        key=context.job.key,
        at=context.error.at,
    )


def _percent(percent: Decimal | None) -> str:
    """Return 100 of 100, and 12.5 of 12.50."""
    return f"{percent.normalize():f}" if percent is not None else ""


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment is not None else ""
