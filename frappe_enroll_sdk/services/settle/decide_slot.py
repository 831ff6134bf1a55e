# SPDX-License-Identifier: MIT
"""
Whose is the slot of a learner and course: pure.

The slot is taken by the write that entitles (or claims to), and the store answers who
has it where that is another row. So nobody is entitled twice, and whoever loses with
money is held (`paid_twice`): never refused, never silent. A mere claim keeps nothing:
it is settled first, to an exit or to an entitlement.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from ...evolve import evolve
from ...models import (
    DisputeStatus,
    Enrollment,
    LMSStatus,
    Refund,
    RefundStatus,
    Status,
)
from ...policies import SettlePolicy
from ...states import ENTITLED, EXITS
from ...stores.slot import ALREADY_ENROLLED, PAID_TWICE
from .decision import Facts, Keep, Wish, Write


#: Both, as reasons of `Enrollment.held_for`.
TAKEN = frozenset({PAID_TWICE, ALREADY_ENROLLED})
#: Reason of an attempt whose code is redeemed, and whose learner has the course anyway.
CODE_SPENT = "code_spent"
#: Reason of an attempt that found the slot claimed.
CLAIMED = "slot_claimed"
#: History's word for a give-back that is about to be asked for.
REFUND_BEGUN = "refund_begun"
#: How long a give-back may be on its way before another one is begun.
BACK_AGAIN = timedelta(minutes=10)
#: Disputes that have ended well, or never were one.
_OVER = frozenset({None, DisputeStatus.WON, DisputeStatus.WARNING_CLOSED})
_FAILED = frozenset({RefundStatus.FAILED, RefundStatus.CANCELED})


def takes_slot(row: Enrollment, write: Write) -> bool:
    """Tell whether a write takes the slot, which the row has not had so far."""
    claims = write.changes.get("claims_slot", row.claims_slot)
    after = evolve(row, status=write.to, claims_slot=claims)
    return after.holds_slot and not row.holds_slot


def hold(row: Enrollment, write: Write, holder: Enrollment) -> Write:
    """Return what is written instead of a write whose slot another row has."""
    paid = write.changes.get("payment_id", row.payment_id)
    why = ALREADY_ENROLLED if paid is None else PAID_TWICE
    # A word that entitles does not take; what the money tells is written as it is.
    said = write.fact.endswith("_by_operator") or write.fact in {"paid", "free"}
    changes = {k: v for k, v in write.changes.items() if k != "override"}
    changes |= {"held_for": why, "reason": why, "lms_status": LMSStatus.PENDING}
    return Write(
        to=Status.ON_HOLD,
        fact=why if said else write.fact,
        changes=changes,
        detail={**write.detail, "other": holder.id},
    )


def spend(row: Enrollment, holder: Enrollment) -> Write:
    """Return the end of an attempt whose code is spent for nothing; it is alerted."""
    return Write(
        to=row.status if row.status in EXITS else Status.FAILED,
        fact=CODE_SPENT,
        changes={"reason": CODE_SPENT},
        detail={"other": holder.id},
    )


def decide_held(row: Enrollment, facts: Facts, policy: SettlePolicy) -> Write | None:
    """Let a payment that is held beside another one take the slot, or go back."""
    if not _is_held(row):
        return None
    if facts.wish is Wish.PROMOTE and may_promote(row):
        changes = {"held_for": None, "reason": None, "lms_status": LMSStatus.PENDING}
        return Write(to=Status.CONFIRMED, fact="promoted", changes=changes)
    begins = facts.wish is Wish.GIVE_BACK and facts.refunds is not None
    if begins and may_begin(row, facts.refunds or (), facts.now, policy):
        begun = {"refund_begun_at": facts.now}
        return Write(to=row.status, fact=REFUND_BEGUN, changes=begun)
    return None


def may_promote(row: Enrollment) -> bool:
    """Tell whether a held payment may entitle: all of it is here, and undisputed."""
    untouched = row.refund_begun_at is None and row.refunded_minor == 0
    return _is_held(row) and untouched and _is_sound(row)


def may_give_back(row: Enrollment, policy: SettlePolicy) -> bool:
    """
    Tell whether policy gives a held payment back without a word.

    Not one that has entitled before (its own refund failed, a dispute was won, an
    upgrade found it), nor one that came by a reassignment, nor one that the provider
    does not know (another account's).
    """
    if policy.paid_twice_policy != "refund" or not _is_held(row):
        return False
    was = any(entry.status in ENTITLED for entry in row.history)
    moved = any("in_place_of" in entry.detail for entry in row.history)
    return not (was or moved) and _is_sound(row)


def may_begin(
    row: Enrollment, refunds: Iterable[Refund], now: datetime, policy: SettlePolicy
) -> bool:
    """Tell whether a give-back may be asked for now, by what the provider lists."""
    known = tuple(refunds)
    if not may_give_back(row, policy) or any(r.status in _FAILED for r in known):
        return False
    if row.refund_begun_at is None:
        return True
    # Begun before: only where nothing has come of it, and nothing is on its way.
    return not known and now >= row.refund_begun_at + BACK_AGAIN


def was_freed_by_money(rows: Iterable[Enrollment]) -> bool:
    """
    Tell whether the slot was left last because of money, never by an operator's word.

    Args:
        rows: The pair's rows that may have left it.
    """
    leaves = [leave for row in rows for leave in _leaves(row)]
    if not leaves:
        return False
    return not max(leaves)[1].endswith("_by_operator")


def _leaves(row: Enrollment) -> list[tuple[datetime, str]]:
    pairs = zip(row.history, row.history[1:], strict=False)
    return [
        (after.at, after.fact)
        for before, after in pairs
        if before.status in ENTITLED and after.status not in ENTITLED
    ]


def _is_held(row: Enrollment) -> bool:
    return row.status is Status.ON_HOLD and row.held_for == PAID_TWICE


def _is_sound(row: Enrollment) -> bool:
    return row.gone_at is None and row.dispute in _OVER


def keeps(row: Enrollment) -> Keep | None:
    """Return the answer to a write that changes nothing: the row is held already."""
    return Keep() if row.held_for in TAKEN and row.status is Status.ON_HOLD else None
