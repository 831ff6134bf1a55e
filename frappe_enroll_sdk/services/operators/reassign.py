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

import attrs

from ...errors import AlreadyEnrolledError, TransitionError
from ...ids import fingerprint, hash_token, new_token
from ...models import Enrollment, HistoryEntry, LMSStatus, Override, Status
from ...states import ENTITLED, EXITS
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
    actor: str,
    reason: str,
) -> Enrollment:
    """
    Move the right to the course to another address; return the new enrollment.

    Safe to repeat: the new row's id follows from the old one's and the address.

    Raises:
        TransitionError: The row is not entitled, or it is the learner's own.
        AlreadyEnrolledError: The new learner has an enrollment of this course.
    """
    name = f"enr_{fingerprint(row.id, email)[:32]}"
    if row.moved_to == name:
        # Whoever did it may have died before the payment had gone over.
        settle(row.id)
        return settle(name)
    if row.status not in ENTITLED or email == row.email:
        raise TransitionError(f"an enrollment that is {row.status} can't be reassigned")
    store = context.storage.enrollments
    new = store.open(_successor(context, row, name, email)).enrollment
    # An earlier try's new row may have lapsed, and gives nobody the slot back.
    standing = store.find_live(email, row.course_id) if new.status in EXITS else None
    if new.id != name or standing is not None:
        raise AlreadyEnrolledError(field="email")
    action = OperatorAction(
        override=Override.REVOKED, actor=actor, reason=reason, moved_to=name
    )
    settle(row.id, action=action)
    return settle(name)


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
    return attrs.evolve(
        row,
        id=name,
        email=email,
        # Frappe names a user by the address; the sync looks it up.
        learner=email,
        full_name=None,
        status=Status.PENDING,
        version=1,
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
        holds_slot=True,
        effects_owed=False,
        due_at=now + context.grace,
        tries=0,
        created_at=now,
        updated_at=now,
        history=(entry,),
    )
