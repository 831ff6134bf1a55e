# SPDX-License-Identifier: MIT
"""
What a write owes to the rest of the world: pure.

Each effect is keyed by (enrollment, version) or is harmless when repeated, so that
after a crash the next `settle` simply does them all again.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, auto

import attrs

from ...ids import fingerprint
from ...models import Enrollment, Status
from ...states import ENTITLED, EXITS
from ...stores.ledger import was_entitled
from .decide_slot import CODE_SPENT, REFUND_BEGUN, TAKEN


#: How the history fact of an operator's action ends.
BY_OPERATOR = "_by_operator"


class EffectKind(StrEnum):
    """What is to be done."""

    REDEEM = auto()
    RELEASE = auto()
    SYNC = auto()
    PAIR = auto()
    PLUGIN_JOBS = auto()
    SUCCEED = auto()
    COMMISSION = auto()
    ALERT = auto()
    AUDIT = auto()


@attrs.frozen(kw_only=True)
class Effect:
    """
    One thing to do after a write.

    Attributes:
        kind: What.
        fact: For plugin jobs: the fact that they hang on; for an alert: its code;
            for the audit trail: what an operator did.
    """

    kind: EffectKind
    fact: str = ""


def effects_of(row: Enrollment) -> tuple[Effect, ...]:
    """Return what the row's last write owes."""
    return (
        *_effects_of_action(row),
        *_effects_of_status(row),
        *_effects_of_money(row),
        *_effects_of_hold(row),
        *_effects_of_lapse(row),
        *_effects_to_tell(row),
    )


def _effects_of_action(row: Enrollment) -> tuple[Effect, ...]:
    fact = row.history[-1].fact if row.history else ""
    if not fact.endswith(BY_OPERATOR):
        return ()
    return (Effect(kind=EffectKind.AUDIT, fact=fact.removesuffix(BY_OPERATOR)),)


def _effects_to_tell(row: Enrollment) -> tuple[Effect, ...]:
    return tuple(Effect(kind=EffectKind.ALERT, fact=code) for code in alerts_of(row))


def _effects_of_money(row: Enrollment) -> tuple[Effect, ...]:
    # A refund in part changes no status, and the commission all the same.
    if row.affiliate is None or not was_entitled(row):
        return ()
    return (Effect(kind=EffectKind.COMMISSION),)


def _effects_of_hold(row: Enrollment) -> tuple[Effect, ...]:
    # Whatever is news of a payment beside another: it may go back, or have the slot.
    held = row.status is Status.ON_HOLD and row.held_for in TAKEN
    news = held and row.history[-1].fact != REFUND_BEGUN
    return (Effect(kind=EffectKind.PAIR),) if news else ()


def _effects_of_lapse(row: Enrollment) -> tuple[Effect, ...]:
    fact = row.history[-1].fact if row.history else ""
    return (Effect(kind=EffectKind.RELEASE),) if fact == "seat_lapsed" else ()


def _effects_of_status(row: Enrollment) -> tuple[Effect, ...]:
    if len(row.history) < 2 or row.history[-2].status is row.status:  # noqa: PLR2004
        return ()
    before, fact = row.history[-2].status, row.history[-1].fact
    effects: list[Effect] = []
    # A full grant is confirmed because its seat is redeemed, and stays so.
    unredeemed = row.status is Status.CONFIRMED and fact != "coupon_redeemed"
    if unredeemed and row.coupon_code is not None:
        effects.append(Effect(kind=EffectKind.REDEEM))
    if row.status in EXITS and row.coupon_code is not None:
        effects.append(Effect(kind=EffectKind.RELEASE))
    loses = before not in ENTITLED and row.status in {Status.REVOKED, Status.ON_HOLD}
    if loses and row.coupon_code is not None and not was_entitled(row):
        # Its payment is held beside another one, or has gone back: it keeps no seat.
        if row.status is Status.REVOKED or row.held_for in TAKEN:
            effects.append(Effect(kind=EffectKind.RELEASE))
    lost_right = before in ENTITLED and row.status not in ENTITLED
    if row.status is Status.CONFIRMED or lost_right:
        effects.append(Effect(kind=EffectKind.SYNC))
    if row.status is Status.CONFIRMED or lost_right:
        effects.append(Effect(kind=EffectKind.PAIR))
    if fact == "reassigned_by_operator":
        effects.append(Effect(kind=EffectKind.SUCCEED))
    if not is_quiet(row):
        effects.append(Effect(kind=EffectKind.PLUGIN_JOBS, fact=str(row.status)))
    return tuple(effects)


def is_quiet(row: Enrollment) -> bool:
    """
    Tell whether the row's last write is told to no plugin.

    An operator has asked for it, then or when the row was confirmed: that the LMS
    follows is no news of its own.
    """
    last = row.history[-1]
    if last.status is Status.ENROLLED:
        confirmed = (e for e in row.history[::-1] if e.status is Status.CONFIRMED)
        last = next(confirmed, last)
    return bool(last.detail.get("quiet"))


#: The history's word for the row that has the slot (see ``decide_slot.py``).
_OTHER = "other"
#: Facts that an operator has to hear of.
ALERTS = frozenset(
    {
        "dispute_needs_response",
        "dispute_under_review",
        "dispute_appeal_needs_response",
        "dispute_appeal_under_review",
        "dispute_lost",
        "refund_failed",
        "session_gone",
        "payment_gone",
        "money_unknown",
        "session_unknown",
        CODE_SPENT,
    }
)


def alerts_of(row: Enrollment) -> tuple[str, ...]:
    """Return the codes of the alerts that the row's last write asks for."""
    if not row.history:
        return ()
    last = row.history[-1]
    codes = [last.fact] if last.fact in ALERTS else []
    held = last.fact in {"paid_mismatch", "paid_late"} or _OTHER in last.detail
    if held and last.fact != CODE_SPENT:
        codes.append(row.held_for or "on_hold")
    return tuple(codes)


def detail_of(row: Enrollment, code: str) -> dict[str, str]:
    """Return what an alert of the row's last write tells beside its code."""
    told = row.history[-1].detail
    if "words" in told and code == row.history[-1].fact:
        return {"words": str(told["words"])}
    other = told.get(_OTHER)
    return {_OTHER: str(other)} if other and code in {row.held_for, CODE_SPENT} else {}


#: Which observers hear of a history fact.
_HOOKS: Mapping[str, tuple[str, ...]] = {
    "reserved": ("on_coupon_reserved",),
    "coupon_redeemed": ("on_coupon_redeemed",),
    "seat_lapsed": ("on_coupon_released",),
    "paid": ("on_payment_confirmed",),
    "payment_failed": ("on_payment_failed",),
    "refunded": ("on_payment_refunded",),
    "enrolled": ("on_enrolled",),
}


def hooks_of(row: Enrollment, fact: str) -> tuple[str, ...]:
    """Return the observers that hear of this write."""
    hooks = list(_HOOKS.get(fact, ()))
    changed = len(row.history) > 1 and row.history[-2].status is not row.status
    if changed and row.status is Status.REVOKED:
        hooks.append("on_enrollment_revoked")
    exited = row.status in EXITS and changed
    if row.coupon_code is not None and exited and not row.seat_lapsed:
        hooks.append("on_coupon_released")
    if row.coupon_code is not None and fact == "paid":
        hooks.append("on_coupon_redeemed")
    return tuple(hooks)


def pair_key(email: str, course_id: str) -> str:
    """Return the key of the one job that tidies up beside a pair's slot."""
    return f"pair:{fingerprint(email, course_id)[:40]}"


def refund_key(row: Enrollment) -> str:
    """Return the key of the one job that gives a payment back."""
    return f"refund:{row.id}"


def sync_key(email: str, course_id: str) -> str:
    """Return the key of the one sync job of a learner and course (no address in it)."""
    return f"sync:{fingerprint(email, course_id)[:40]}"


def sync_payload(row: Enrollment) -> dict[str, str | None]:
    """Return what the sync job of a learner and course is given."""
    return {
        "email": row.email,
        "learner": row.learner,
        "course_id": row.course_id,
        "full_name": row.full_name,
    }


def plugin_job_key(kind: str, row: Enrollment, fact: str) -> str:
    """Return the key of the one job of this kind for this fact."""
    return f"{kind}:{row.id}:{fact}:{row.version}"
