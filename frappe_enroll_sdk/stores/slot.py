# SPDX-License-Identifier: MIT
"""
Which row of a learner and course takes the slot where several entitle: pure.

That is how an upgrade finds rows of a time before the slot was unique. A migration to a
layout with the slot asks `take_over` for each row that `contends`, in any order and
however often: what it has moved already does not change what becomes of the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import attrs

from ..models import ENTITLED, Enrollment, HistoryEntry, LMSStatus, Status


#: Why a row is held whose learner has the course by another one: it was paid, or not.
PAID_TWICE, ALREADY_ENROLLED = "paid_twice", "already_enrolled"
#: Stamps what an upgrade writes into a history.
_UPGRADE = "upgrade"


def contends(row: Enrollment) -> bool:
    """Tell whether a row of an earlier layout may need the slot."""
    return row.status in ENTITLED or _claims(row)


def _claims(row: Enrollment) -> bool:
    """
    Tell whether it is about to entitle: what this layout marks by `claims_slot`.

    A full grant whose code is (to be) redeemed, or the new row of a reassignment.
    """
    if row.status is not Status.PENDING or not row.history:
        return False
    moves = "in_place_of" in row.history[0].detail
    return moves or (row.is_full_grant and row.history[-1].fact == "reserved")


def take_over(
    row: Enrollment,
    pair: Iterable[Enrollment],
    standing: Enrollment | None,
    now: datetime,
) -> Enrollment:
    """
    Return a row of an earlier layout as this one may keep it beside the others.

    Args:
        row: It `contends`.
        pair: The rows of its learner and course that were not moved yet; it is one.
        standing: Who has the slot in the new layout already, or None.
        now: The database's time.
    """
    left = tuple(pair)
    holder = standing or slot_first(left)
    if row.status in ENTITLED:
        if holder is None or holder.id == row.id:
            return row
        return held_beside(row, holder, now, _UPGRADE)
    first = min((r for r in left if _claims(r)), key=_age, default=row)
    claims = holder is None and first.id == row.id
    return attrs.evolve(row, claims_slot=True) if claims else row


def _age(row: Enrollment) -> tuple[datetime, str]:
    return row.created_at, row.id


def slot_first(rows: Iterable[Enrollment]) -> Enrollment | None:
    """
    Return which of a pair's rows takes the slot; None = none is entitled.

    Whoever has our row in the LMS, else whoever paid first, else the oldest.
    """
    entitled = [row for row in rows if row.status in ENTITLED]
    return min(entitled, key=_rank, default=None)


def _rank(row: Enrollment) -> tuple[bool, bool, datetime, str]:
    ours = row.lms_row_ours and row.lms_enrollment_id is not None
    paid = [e.at for e in row.history if e.status in ENTITLED and row.payment_id]
    return (not ours, not paid, min(paid, default=row.created_at), row.id)


def held_beside(
    row: Enrollment, holder: Enrollment, now: datetime, op_id: str
) -> Enrollment:
    """
    Return another entitled row of the pair as an upgrade writes it: held, and owed.

    Its first look alerts an operator with both ids. It has entitled before, so that no
    policy gives its money back.
    """
    why = ALREADY_ENROLLED if row.payment_id is None else PAID_TWICE
    entry = HistoryEntry(
        at=now,
        version=row.version + 1,
        status=Status.ON_HOLD,
        fact=why,
        op_id=op_id,
        detail={"other": holder.id},
    )
    return attrs.evolve(
        row,
        status=Status.ON_HOLD,
        version=row.version + 1,
        held_for=why,
        reason=why,
        lms_status=LMSStatus.PENDING,
        effects_owed=True,
        due_at=now,
        tries=0,
        updated_at=now,
        history=(*row.history, entry),
    )
