# SPDX-License-Identifier: MIT
"""Whose the slot of a learner and course is, case by case."""

from __future__ import annotations

import attrs
import pytest
from unit.rows import CODE, NOTHING, NOW, make_refund, make_row

from frappe_enroll_sdk.models import (
    Kind,
    Override,
    RefundStatus,
    ReleaseOutcome,
    Status,
)
from frappe_enroll_sdk.services.settle.decide import decide
from frappe_enroll_sdk.services.settle.decision import (
    Attached,
    Facts,
    Keep,
    Need,
    OperatorAction,
    Refuse,
    SettlePolicy,
    Step,
    Write,
)
from frappe_enroll_sdk.services.settle.effects import EffectKind, detail_of, effects_of
from frappe_enroll_sdk.states import LIVE


OPEN = make_row(Status.AWAITING_PAYMENT, id="enr_2")
ENROLLED = make_row(Status.ENROLLED, id="enr_2")
HELD = {"held_for": "paid_twice", "reason": "paid_twice"}


def without(status, **changes):
    """Return a row that was paid and has no slot."""
    return make_row(status, **{"payment_id": "pi_1", "holds_slot": False} | changes)


def ask(row, **facts):
    """Decide once."""
    return decide(row, Facts(now=NOW, **facts), SettlePolicy())


def word(override):
    """Return an operator's word."""
    return OperatorAction(override=override, actor="op", reason="why")


REVOKED = without(Status.REVOKED, reason="refunded", refunded_minor=4900)
LATE = without(Status.ON_HOLD, held_for="late_payment", reason="late_payment")
FAILED = {
    "check_money": True,
    "refunds": (make_refund(4900, RefundStatus.FAILED),),
    "disputes": (),
}
#: Everything that entitles again: the row, and the facts that do it.
WAYS = [
    (REVOKED, {"action": word(Override.REINSTATED)}),
    (LATE, {"action": word(Override.ACCEPTED)}),
    (REVOKED, FAILED),
    (
        without(
            Status.EXPIRED,
            kind=Kind.FULL_GRANT,
            coupon_code=CODE,
            amount=NOTHING,
            payment_id=None,
            effects_owed=True,
        ),
        {"released": ReleaseOutcome.REDEEMED},
    ),
    (without(Status.ENROLLED), {}),
    (without(Status.CONFIRMED), {}),
]
IDS = ["reinstated", "accepted", "refund_failed", "redeemed", "enrolled", "confirmed"]


@pytest.mark.parametrize(("row", "facts"), WAYS, ids=IDS)
def test_slot_is_looked_at_and_an_unpaid_rival_is_ended_first(row, facts):
    """Whatever entitles: who has the slot, and does its page take money still?"""
    assert ask(row, **facts) == Need(Step.RIVALS)
    assert ask(row, **facts, rivals=(OPEN,)) == Need(Step.END_RIVALS)


@pytest.mark.parametrize(("row", "facts"), WAYS, ids=IDS)
def test_free_slot_entitles(row, facts):
    """Nobody has it, or nobody has it any more."""
    decision = ask(row, **facts, rivals=())
    assert isinstance(decision, Write)
    entitled = row.status if row.status in LIVE - {Status.ON_HOLD} else "confirmed"
    assert decision.to == entitled


@pytest.mark.parametrize("rival", [ENROLLED, OPEN], ids=["enrolled", "unclear"])
@pytest.mark.parametrize(("row", "facts"), WAYS[:2], ids=IDS[:2])
def test_word_is_refused_while_another_row_has_the_slot(row, facts, rival):
    """The answer names it."""
    decision = ask(row, **facts, rivals=(rival,), rivals_ended=True)
    assert isinstance(decision, Refuse)
    assert rival.id in decision.why


@pytest.mark.parametrize("rival", [ENROLLED, OPEN], ids=["enrolled", "unclear"])
@pytest.mark.parametrize(("row", "facts"), WAYS[2:], ids=IDS[2:])
def test_row_is_held_while_another_has_the_slot(row, facts, rival):
    """On hold with the other's id, and never entitled beside it."""
    decision = ask(row, **facts, rivals=(rival,), rivals_ended=True)
    assert isinstance(decision, Write)
    why = "paid_twice" if row.payment_id else "already_enrolled"
    assert (decision.to, decision.changes["held_for"]) == (Status.ON_HOLD, why)
    assert decision.detail["other"] == rival.id


def test_money_that_comes_back_to_a_taken_slot_is_one_write():
    """The sums and the holding: there is no moment in which it is entitled."""
    decision = ask(REVOKED, **FAILED, rivals=(ENROLLED,))
    assert (decision.fact, decision.changes["refunded_minor"]) == ("refund_failed", 0)
    assert HELD.items() <= decision.changes.items()
    held = attrs.evolve(REVOKED, status=decision.to, **decision.changes)
    assert ask(held, **FAILED) == Keep()


def test_payment_of_a_reassignment_is_held_where_it_was_to_go():
    """It is not refused: whoever passes it on would try for ever."""
    facts = {
        "attached": Attached(reason="reassigned", payment_id="pi_1"),
        "action": word(Override.ACCEPTED),
        "rivals": (ENROLLED,),
    }
    row = without(Status.ON_HOLD, held_for="reassigned", reason="reassigned")
    decision = ask(row, **facts)
    assert (decision.to, decision.detail) == (Status.ON_HOLD, {"other": "enr_2"})
    held = attrs.evolve(row, **decision.changes)
    assert ask(held, **facts) == Keep()


def test_held_row_ends_when_its_money_goes_back_whatever_was_said_before():
    """A word of before the holding says nothing about it."""
    held = without(Status.ON_HOLD, override=Override.REINSTATED, **HELD)
    back = {"check_money": True, "refunds": (make_refund(4900),), "disputes": ()}
    decision = ask(held, **back)
    assert (decision.to, decision.changes["reason"]) == (Status.REVOKED, "refunded")


def test_row_with_the_slot_asks_for_nothing():
    """The usual case costs no call."""
    assert ask(make_row(Status.ENROLLED)) == Keep()


def test_holding_alerts_with_both_ids_beside_what_else_is_news():
    """A refund that failed is told as such, too."""
    row = make_row(Status.ON_HOLD, before=Status.REVOKED, fact="refund_failed", **HELD)
    last = attrs.evolve(row.history[-1], detail={"other": "enr_2"})
    row = attrs.evolve(row, history=(row.history[0], last))
    told = [e.fact for e in effects_of(row) if e.kind is EffectKind.ALERT]
    assert told == ["refund_failed", "paid_twice"]
    assert [detail_of(row, code) for code in told] == [{}, {"other": "enr_2"}]
