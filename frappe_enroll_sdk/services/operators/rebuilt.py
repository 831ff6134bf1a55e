# SPDX-License-Identifier: MIT
"""What a session keeps of its enrollment, and the enrollment made of it anew: pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from ...errors import ValidationError
from ...models import (
    CheckoutSession,
    Enrollment,
    HistoryEntry,
    Kind,
    Opener,
    SessionTerms,
    Status,
)
from ...money import Money
from .. import validate


def terms_of(row: Enrollment, tax_behavior: str) -> SessionTerms:
    """
    Return what a session is to keep of its enrollment.

    Nothing personal: the session is made for the learner's address anyway. The code is
    kept as it is typed: whoever may read a session may give its money back, too.
    """
    return SessionTerms(
        course_id=row.course_id,
        discount_minor=row.discount.amount_minor,
        coupon_code=row.coupon_code,
        affiliate=row.affiliate,
        tax_behavior=tax_behavior,
    )


def is_enough(session: CheckoutSession) -> bool:
    """Tell whether an enrollment can be opened from what the session keeps."""
    try:
        validate.email(session.email)
    except ValidationError:
        return False
    return None not in (session.terms, session.enrollment_id, session.amount)


def row_of(
    session: CheckoutSession, op_id: str, now: datetime, grace: timedelta
) -> Enrollment:
    """Return the enrollment as it was opened, of a session that keeps enough."""
    terms, charged = session.terms, session.amount
    if terms is None or charged is None or session.enrollment_id is None:
        raise ValueError("the session keeps too little")
    # Taxes that came on top are no part of what was asked for.
    on_top = session.tax_minor if terms.tax_behavior == "exclusive" else 0
    amount = Money(charged.amount_minor - on_top, charged.currency)
    discount = Money(terms.discount_minor, charged.currency)
    email, opened_at = validate.email(session.email), session.created_at or now
    entry = HistoryEntry(
        at=now,
        version=1,
        status=Status.PENDING,
        fact="opened",
        op_id=op_id,
        detail={"of_session": session.id},
    )
    return Enrollment(
        id=session.enrollment_id,
        email=email,
        # Frappe names a user by the address; the sync looks it up.
        learner=email,
        course_id=terms.course_id,
        course_title=terms.course_id,
        kind=Kind.PARTIAL_GRANT if terms.coupon_code else Kind.PAID,
        price=amount + discount,
        discount=discount,
        amount=amount,
        coupon_code=terms.coupon_code,
        affiliate=terms.affiliate,
        opened_by=Opener.OPERATOR,
        tax_behavior=terms.tax_behavior,
        due_at=now + grace,
        created_at=opened_at,
        updated_at=now,
        history=(entry,),
    )
