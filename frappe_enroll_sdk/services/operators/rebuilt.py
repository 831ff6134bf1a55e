# SPDX-License-Identifier: MIT
"""The enrollment made anew of what its session keeps: pure."""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs

from ...errors import ValidationError
from ...models import (
    CheckoutSession,
    Enrollment,
    HistoryEntry,
    Kind,
    Opener,
    Status,
)
from .. import validate


def is_enough(session: CheckoutSession) -> bool:
    """Tell whether an enrollment can be restored from its session's metadata."""
    try:
        validate.stored_email(session.email)
    except ValidationError:
        return False
    return None not in (session.terms, session.enrollment_id, session.amount)


def row_of(
    session: CheckoutSession, op_id: str, now: datetime, grace: timedelta
) -> Enrollment:
    """Return the enrollment as it was opened, from a session with enough metadata."""
    terms, charged = session.terms, session.amount
    if terms is None or charged is None or session.enrollment_id is None:
        raise ValueError("the session's metadata is not enough")
    # Taxes added on top are not part of the amount asked for.
    on_top = session.tax_minor if terms.tax_behavior == "exclusive" else 0
    amount = attrs.evolve(charged, amount_minor=charged.amount_minor - on_top)
    discount = attrs.evolve(charged, amount_minor=terms.discount_minor)
    email, opened_at = validate.stored_email(session.email), session.created_at or now
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
