# SPDX-License-Identifier: MIT
"""
Whose is the slot of a learner and course: pure.

Nobody is entitled twice, and no second payment is silent. A row that may become
entitled without the slot is decided in two steps: attempts that nobody has paid are
ended first (their page no longer takes money); what then still has the slot keeps it.
An operator's word is refused then, and money is held for one. A row that was written as
entitled and came too late for the slot is held the same way: whoever looks at it next
(its own `settle`, its due moment, its pair's sync, reconcile) finds it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...models import Enrollment, LMSStatus, Status
from ...states import ENTITLED, UNPAID
from .decision import Facts, Need, Step, Write


#: Why a row is held whose learner has the course by another one: it was paid, or not.
PAID_TWICE, ALREADY_ENROLLED = "paid_twice", "already_enrolled"
#: Both, as reasons of `Enrollment.held_for`.
TAKEN = frozenset({PAID_TWICE, ALREADY_ENROLLED})


def rivals_of(row: Enrollment, facts: Facts) -> Need | tuple[Enrollment, ...]:
    """Return the rows that keep the slot from this one, once all is tried."""
    if row.holds_slot:
        return ()
    if facts.rivals is None:
        return Need(Step.RIVALS)
    if not facts.rivals_ended and any(r.status in UNPAID for r in facts.rivals):
        return Need(Step.END_RIVALS)
    return facts.rivals


def taken_by(row: Enrollment) -> Mapping[str, Any]:
    """Return the changes that hold a row whose slot others have."""
    why = ALREADY_ENROLLED if row.payment_id is None else PAID_TWICE
    return {"held_for": why, "reason": why}


def others(rivals: tuple[Enrollment, ...]) -> Mapping[str, Any]:
    """Return the history's detail that names who has the slot."""
    return {"other": rivals[0].id}


def hold(row: Enrollment, rivals: tuple[Enrollment, ...]) -> Write:
    """Return the write that holds a row whose slot others have."""
    changes = taken_by(row)
    return Write(
        to=Status.ON_HOLD,
        fact=changes["held_for"],
        changes={**changes, "lms_status": LMSStatus.PENDING},
        detail=others(rivals),
    )


def decide_slot(row: Enrollment, facts: Facts) -> Need | Write | None:
    """Let a row that was entitled too late take the slot, or hold it."""
    if row.status not in ENTITLED or row.holds_slot:
        return None
    rivals = rivals_of(row, facts)
    if isinstance(rivals, Need):
        return rivals
    if rivals:
        return hold(row, rivals)
    return Write(to=row.status, fact="slot_taken")
