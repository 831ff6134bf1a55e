# SPDX-License-Identifier: MIT
"""
What money decides: does a payment fit its enrollment, and does what came of it entitle?

Pure. The state of the money is what the provider lists now: a sum over all refunds and
the gravest dispute, kept on the row. Status follows from that, from the operator's word
and from the settings alone (`standing_of`), never from the order in which news came: so
every permutation of one life story ends in the same state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ...evolve import evolve
from ...models import (
    CheckoutSession,
    Dispute,
    DisputeStatus,
    Enrollment,
    Fact,
    LMSStatus,
    Override,
    Refund,
    Status,
)
from ...money import Money
from ...policies import SettlePolicy
from ...states import ENTITLED, EXITS, UNPAID
from .decision import Facts, Need, Step, Wish, Write


#: Reason of a row that was opened anew: it waits until its money was looked at.
REBUILT = "rebuilt"
#: In the history of a payment: the refunds are asked for before anything else.
LATE = "late"
#: Reasons of the money's own; it gives back what it took away, and nothing else.
MONEY_REASONS = frozenset({"refunded", "disputed", "dispute_lost", REBUILT})

_GRAVITY = {"keep": 0, "suspend": 1, "revoke": 2}
#: The gravest first.
_DISPUTES = (
    DisputeStatus.LOST,
    DisputeStatus.NEEDS_RESPONSE,
    DisputeStatus.UNDER_REVIEW,
    DisputeStatus.APPEAL_NEEDS_RESPONSE,
    DisputeStatus.APPEAL_UNDER_REVIEW,
    DisputeStatus.PREVENTED,
    DisputeStatus.WARNING_NEEDS_RESPONSE,
    DisputeStatus.WARNING_UNDER_REVIEW,
    DisputeStatus.WON,
    DisputeStatus.WARNING_CLOSED,
)
#: History fact that tells of words of the money's which nobody knows yet.
UNKNOWN_MONEY = "money_unknown"


def mismatch(
    row: Enrollment, session: CheckoutSession, policy: SettlePolicy
) -> str | None:
    """Name what does not fit between a paid session and its enrollment, or None."""
    if session.livemode is not policy.livemode:
        return "mode_mismatch"
    if session.amount is None or session.amount.currency != row.amount.currency:
        return "currency_mismatch"
    # Taxes that come on top are no part of the enrollment's amount; others are in it.
    on_top = session.tax_minor if row.tax_behavior == "exclusive" else 0
    if session.amount.amount_minor - on_top != row.amount.amount_minor:
        return "amount_mismatch"
    return None


def payment_changes(session: CheckoutSession) -> dict[str, Any]:
    """Return what a row keeps of the session that paid it."""
    return {
        "payment_id": session.payment_id,
        "paid": session.amount,
        "tax_minor": session.tax_minor,
    }


def is_held(row: Enrollment) -> bool:
    """Tell whether the row waits for an operator (and not for its money)."""
    return row.status is Status.ON_HOLD and (
        row.held_for is not None or row.reason not in MONEY_REASONS
    )


def decide_money(
    row: Enrollment, facts: Facts, policy: SettlePolicy
) -> Need | Write | None:
    """Bring the row to where its money is; None = it is there."""
    if row.status in UNPAID | EXITS:
        return None
    money: dict[str, Any] = {}
    looks = row.gone_at is not None and facts.wish is Wish.DUE
    asked = facts.check_money or looks or _came_late(row) or row.reason == REBUILT
    if facts.payment_gone:
        # What is known of it stands: another account's silence is no sum.
        if row.gone_at is None:
            gone = {"gone_at": facts.now}
            return Write(to=row.status, fact="payment_gone", changes=gone)
    elif asked and row.payment_id is not None:
        if facts.refunds is None and Step.REFUNDS not in facts.failed:
            return Need(Step.REFUNDS)
        if facts.disputes is None and Step.DISPUTES not in facts.failed:
            return Need(Step.DISPUTES)
        strange = _tell_strange(row, facts)
        if strange is not None:
            return strange
        if facts.refunds is not None or facts.disputes is not None:
            money = {**sums_of(row, facts.refunds, facts.disputes), "gone_at": None}
    if _is_flagged(row, facts, policy):
        money["held_for"] = "fraud_warning"
    return _write(row, money, facts, policy)


def _came_late(row: Enrollment) -> bool:
    """Tell whether the payment was told late, and nothing but words came after it."""
    entries = (e for e in reversed(row.history) if "actor" not in e.detail)
    return bool(next((e.detail.get(LATE) for e in entries), False))


def next_look(row: Enrollment, facts: Facts, policy: SettlePolicy) -> datetime | None:
    """
    Return when a payment that the provider did not know is asked for again.

    There was news of it, and a key that is put right brings none again. The looks grow
    rarer and end after a day: reconcile looks at any time.
    """
    if row.gone_at is None or row.payment_id is None:
        return None
    gone_s = (facts.now - row.gone_at).total_seconds()
    left_s = policy.gone_looks_s - gone_s
    if left_s <= 0:
        return None
    wait_s = min(max(policy.gone_look_s, gone_s / 2), left_s)
    return facts.now + timedelta(seconds=wait_s)


def sums_of(
    row: Enrollment,
    refunds: Sequence[Refund] | None,
    disputes: Sequence[Dispute] | None,
) -> dict[str, Any]:
    """
    Return the state of the money as a row keeps it; None = that list can't be had.

    Where a list, a word or an amount is in doubt, what the row knows stands as far as
    the rest allows: doubt takes no right away and gives none back.
    """
    prevented = [d for d in disputes or () if d.status is DisputeStatus.PREVENTED]
    clear = [r.amount for r in refunds or () if r.is_clear and r.counts]
    doubts = [r.amount for r in refunds or () if not r.is_clear]
    doubts += [None for d in prevented if d.amount is None]
    if refunds is None or disputes is None:
        doubts.append(None)
    currency = row.amount.currency
    least = _sum([*clear, *(d.amount for d in prevented)], currency)
    most = least + _sum(doubts, currency)
    if None in doubts:
        most = max(most, row.refunded_minor)
    statuses = {one.status for one in disputes or () if one.status.is_known}
    before = None
    if disputes is None or any(not one.status.is_known for one in disputes):
        before = row.dispute
        statuses |= {before} if before else set()
    return {
        "refunded_minor": min(max(row.refunded_minor, least), most),
        "dispute": next((s for s in _DISPUTES if s in statuses), before),
    }


def _sum(amounts: Iterable[Money | None], currency: str) -> int:
    # Stripe gives back in the payment's currency; anything else is not ours.
    ours = [a for a in amounts if a is not None and a.currency == currency]
    return sum(amount.amount_minor for amount in ours)


def _tell_strange(row: Enrollment, facts: Facts) -> Write | None:
    """Say once what the lists hold that nobody can read."""
    found = [f"{r.id}: {r.status}" for r in facts.refunds or () if not r.is_clear]
    found += [
        f"{d.id}: {d.status}" for d in facts.disputes or () if not d.status.is_known
    ]
    return say_once(row, UNKNOWN_MONEY, ", ".join(found))


def say_once(row: Enrollment, fact: str, words: str) -> Write | None:
    """Return the write that tells words which nobody knows, unless it was told."""
    said = (e.detail.get("words") for e in row.history if e.fact == fact)
    if not words or words in said:
        return None
    return Write(to=row.status, fact=fact, detail={"words": words})


def standing_of(row: Enrollment, policy: SettlePolicy) -> tuple[Status, str | None]:
    """
    Return the status (and its reason) that the row should have.

    Only of rows that were paid or redeemed, or wait for an operator.
    """
    if row.override is Override.REVOKED:
        return Status.REVOKED, row.reason
    if row.held_for is not None:
        if _all_back(row):
            return Status.REVOKED, "refunded"
        return (
            (Status.REVOKED, "dispute_lost")
            if row.dispute is DisputeStatus.LOST
            else (Status.ON_HOLD, row.held_for)
        )
    if row.override is Override.REINSTATED:
        return row.status, row.reason
    strange = row.dispute is not None and not row.dispute.is_known
    if strange and row.reason in {"disputed", "dispute_lost"}:
        # A newer version has written the word: what it made of it stands.
        return row.status, row.reason
    action, reason = _action_of(row, policy)
    if action == "keep":
        taken = row.status not in ENTITLED and row.reason in MONEY_REASONS
        return (Status.CONFIRMED, None) if taken else (row.status, row.reason)
    if row.status not in ENTITLED and row.reason not in MONEY_REASONS:
        return row.status, row.reason
    return Status.REVOKED if action == "revoke" else Status.ON_HOLD, reason


def _action_of(row: Enrollment, policy: SettlePolicy) -> tuple[str, str]:
    """Return the gravest action that the settings ask for, and its reason."""
    base = _base(row)
    asked = [("keep", "")]
    if base > 0 and row.refunded_minor > 0:
        full = row.refunded_minor * 100 >= base * policy.refund_threshold_percent
        action = policy.refund_policy if full else policy.partial_refund_policy
        asked.append((action, "refunded"))
    if row.dispute is DisputeStatus.LOST:
        asked.append((policy.dispute_lost_policy, "dispute_lost"))
    elif row.dispute is not None and row.dispute.is_open:
        asked.append((policy.dispute_policy, "disputed"))
    return max(asked, key=lambda pair: _GRAVITY[pair[0]])


def _base(row: Enrollment) -> int:
    """Return the minor units that refunds are a share of."""
    return (row.paid or row.amount).amount_minor


def _all_back(row: Enrollment) -> bool:
    return 0 < _base(row) <= row.refunded_minor


def _is_flagged(row: Enrollment, facts: Facts, policy: SettlePolicy) -> bool:
    flagged = facts.event is not None and facts.event.fact is Fact.FLAGGED
    free = row.override is None and row.held_for is None
    return flagged and free and policy.fraud_policy == "suspend"


def _write(
    row: Enrollment, money: Mapping[str, Any], facts: Facts, policy: SettlePolicy
) -> Write | None:
    new = evolve(row, **money) if money else row
    to, reason = standing_of(new, policy)
    if facts.failed and to in ENTITLED and row.status not in ENTITLED:
        # Half of the money is not seen: that may take a right away, and give none.
        return None
    changes = {k: v for k, v in money.items() if getattr(row, k) != v}
    if to is not row.status:
        changes |= {"lms_status": LMSStatus.PENDING, "reason": reason}
    elif reason != row.reason:
        changes["reason"] = reason
    if not changes:
        return None
    detail: dict[str, Any] = {}
    if new.refunded_minor or row.refunded_minor:
        detail["refunded_minor"] = new.refunded_minor
    if new.dispute is not None:
        detail["dispute"] = str(new.dispute)
    return Write(to=to, fact=_fact_of(row, new), changes=changes, detail=detail)


def _fact_of(row: Enrollment, new: Enrollment) -> str:
    """Return the history's word for what has changed."""
    if new.refunded_minor != row.refunded_minor:
        return (
            "refunded" if new.refunded_minor > row.refunded_minor else "refund_failed"
        )
    if new.dispute != row.dispute:
        return f"dispute_{new.dispute}" if new.dispute else "dispute_gone"
    if new.gone_at != row.gone_at:
        return "payment_found"
    return new.held_for if new.held_for != row.held_for and new.held_for else "money"
