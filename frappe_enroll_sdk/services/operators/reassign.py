# SPDX-License-Identifier: MIT
"""
Giving an enrollment to another learner.

A row's learner never changes: it is its identity for the LMS and for its slot. So a new
row takes the old one's place. It is opened first, which takes the slot, and rolled back
by itself if nothing follows; then one write revokes the old row and names the new one;
that write owes, as its effect, that the new row gets the payment and is accepted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import AlreadyEnrolledError, TransitionError
from ...evolve import evolve
from ...ids import ENROLLMENT_PREFIX, fingerprint, hash_token, new_token
from ...models import (
    Actor,
    Enrollment,
    HistoryEntry,
    LMSStatus,
    Opener,
    Override,
    Status,
)
from ...states import ENTITLED
from ..settle.decision import OperatorAction


if TYPE_CHECKING:
    from ..context import Context
    from ..settle.settle import Settle


def reassign(
    context: Context,
    settle: Settle,
    row: Enrollment,
    email: str,
    *,
    by: Actor,
) -> Enrollment:
    """
    Move the entitlement to another address; return the new enrollment.

    Safe to repeat: the new row's id is derived from the old one's and the address.

    Raises:
        TransitionError: The row is not entitled, or already belongs to this learner.
        AlreadyEnrolledError: The new learner already has an enrollment in this course.
    """
    name = f"{ENROLLMENT_PREFIX}{fingerprint(row.id, email)[:32]}"
    if row.moved_to == name:
        # An earlier call may have died before the payment was moved.
        settle.run(row.id)
        return settle.run(name)
    if row.status not in ENTITLED or email == row.email:
        raise TransitionError(f"an enrollment that is {row.status} can't be reassigned")
    store = context.storage.enrollments
    new = store.open(_successor(context, row, name, email)).enrollment
    # An earlier try's new row may have lapsed, and can't get the slot back.
    holder = store.find_holder(email, row.course_id)
    if new.id != name or (holder is not None and holder.id != name):
        raise AlreadyEnrolledError(field="email")
    action = OperatorAction(
        override=Override.REVOKED, actor=by.name, reason=by.reason, moved_to=name
    )
    settle.run(row.id, action=action)
    return settle.run(name)


def _successor(context: Context, row: Enrollment, name: str, email: str) -> Enrollment:
    now = context.now()
    entry = HistoryEntry(
        at=now,
        version=1,
        status=Status.PENDING,
        fact="opened",
        op_id=context.new_op_id(),
        detail={"in_place_of": row.id},
    )
    return evolve(
        row,
        id=name,
        email=email,
        # Frappe names a user by the address; the sync looks it up.
        learner=email,
        full_name=None,
        status=Status.PENDING,
        version=1,
        opened_by=Opener.OPERATOR,
        # Before the old row loses its entitlement, or another row could take the slot.
        claims_slot=True,
        # The seat stays redeemed by the first holder.
        coupon_code=None,
        token_hash=hash_token(new_token(context.ambient)),
        idempotency_key=None,
        terms="",
        session_request=None,
        session_try=1,
        session_id=None,
        payment_url=None,
        gone_at=None,
        seat_lapsed=False,
        payment_id=None,
        paid=None,
        tax_minor=0,
        refunded_minor=0,
        dispute=None,
        lms_status=LMSStatus.PENDING,
        lms_enrollment_id=None,
        lms_row_ours=False,
        lms_progress=None,
        override=None,
        reason=None,
        held_for=None,
        refund_begun_at=None,
        effects_owed=False,
        due_at=now + context.grace,
        tries=0,
        created_at=now,
        updated_at=now,
        history=(entry,),
    )
