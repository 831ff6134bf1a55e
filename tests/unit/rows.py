# SPDX-License-Identifier: MIT
"""Records with everything filled in, so that a test names only what matters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from frappe_enroll_sdk.models import (
    CheckoutSession,
    Dispute,
    DisputeStatus,
    Enrollment,
    Fact,
    HistoryEntry,
    Job,
    Kind,
    PaymentEvent,
    PaymentStatus,
    Refund,
    RefundStatus,
    SessionStatus,
    Status,
)
from frappe_enroll_sdk.money import Money


NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PRICE = Money(4900, "usd")
NOTHING = Money(0, "usd")
CODE = "GRANT-7K2Q"


def later(seconds: float) -> datetime:
    """Return the moment that lies so many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


def make_row(
    status=Status.PENDING, *, before=None, fact="made", **changes
) -> Enrollment:
    """Return an enrollment; `before` = the status of its write before the last."""
    statuses = [status] if before is None else [before, status]
    history = tuple(
        HistoryEntry(at=NOW, version=n, status=s, fact=fact, op_id=str(n))
        for n, s in enumerate(statuses, 1)
    )
    fields = {
        "id": "enr_1",
        "email": "ada@example.com",
        "learner": "ada@example.com",
        "course_id": "python-101",
        "kind": Kind.PAID,
        "version": len(history),
        "price": PRICE,
        "discount": NOTHING,
        "amount": PRICE,
        "created_at": NOW,
        "updated_at": NOW,
        "history": history,
    }
    if changes.get("coupon_code") and not changes.get("amount", PRICE):
        fields["kind"] = Kind.FULL_GRANT
    return Enrollment(**fields | changes, status=status)


def make_session(
    status=SessionStatus.OPEN, payment=PaymentStatus.UNPAID, **changes
) -> CheckoutSession:
    """Return a checkout session that fits the row."""
    fields = {"id": "cs_1", "amount": PRICE, "livemode": False}
    return CheckoutSession(**fields | changes, status=status, payment_status=payment)


def make_event(fact=Fact.PAID, session=None, **changes) -> PaymentEvent:
    """Return a signed event about a session."""
    fields = {
        "id": "evt_1",
        "type": "checkout.session.completed",
        "created_at": NOW,
        "livemode": False,
        "session_id": session.id if session else None,
        "session": session,
    }
    return PaymentEvent(**fields | changes, fact=fact)


def make_refund(minor: int, status=RefundStatus.SUCCEEDED) -> Refund:
    """Return a refund of the row's payment."""
    return Refund(
        id=f"re_{minor}_{status}",
        payment_id="pi_1",
        amount=Money(minor, "usd"),
        status=status,
        created_at=NOW,
    )


def make_dispute(status=DisputeStatus.NEEDS_RESPONSE, minor=4900) -> Dispute:
    """Return a dispute of the row's payment."""
    return Dispute(
        id=f"dp_{minor}_{status}",
        payment_id="pi_1",
        amount=Money(minor, "usd"),
        status=status,
        created_at=NOW,
    )


def make_job(**changes) -> Job:
    """Return a due job."""
    fields = {"key": "mail:enr_1", "kind": "mail", "due_at": NOW}
    return Job(**fields | {"created_at": NOW, "updated_at": NOW} | changes)
