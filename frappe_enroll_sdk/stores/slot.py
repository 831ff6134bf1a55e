# SPDX-License-Identifier: MIT
"""
Which row of a learner and course takes the slot where several entitle: pure.

That is how an upgrade finds rows of a time before the slot was unique. Each migration
to a layout with the slot calls it for every pair that has two entitled rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import attrs

from ..models import ENTITLED, Enrollment, HistoryEntry, Status


#: Why a row is held whose learner has the course by another one: it was paid, or not.
PAID_TWICE, ALREADY_ENROLLED = "paid_twice", "already_enrolled"


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
        effects_owed=True,
        due_at=now,
        tries=0,
        updated_at=now,
        history=(*row.history, entry),
    )
