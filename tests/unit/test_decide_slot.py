# SPDX-License-Identifier: MIT
"""Whose the slot of a learner and course is, case by case."""

from __future__ import annotations

import attrs
import pytest
from unit.rows import CODE, NOTHING, NOW, make_refund, make_row, make_session

from frappe_enroll_sdk.models import (
    DisputeStatus,
    HistoryEntry,
    Kind,
    Override,
    PaymentStatus,
    RefundStatus,
    ReleaseOutcome,
    Reservation,
    ReserveOutcome,
    Seat,
    SeatState,
    SessionStatus,
    Status,
)
from frappe_enroll_sdk.policies import SettlePolicy
from frappe_enroll_sdk.services.settle.decide import decide
from frappe_enroll_sdk.services.settle.decide_slot import (
    may_begin,
    may_give_back,
    may_promote,
    was_freed_by_money,
)
from frappe_enroll_sdk.services.settle.decision import (
    Attached,
    Facts,
    Keep,
    Need,
    OperatorAction,
    Refuse,
    Step,
    Wish,
    Write,
)
from frappe_enroll_sdk.services.settle.effects import EffectKind, detail_of, effects_of


CLAIM = make_row(Status.PENDING, id="enr_2", claims_slot=True)
ENROLLED = make_row(Status.ENROLLED, id="enr_2")
HELD = {"held_for": "paid_twice", "reason": "paid_twice"}
REFUND = SettlePolicy(paid_twice_policy="refund")


def paid(status, **changes):
    """Return a row that was paid."""
    return make_row(status, **{"payment_id": "pi_1"} | changes)


def ask(row, **facts):
    """Decide once."""
    return decide(row, Facts(now=NOW, **facts), SettlePolicy())


def word(override):
    """Return an operator's word."""
    return OperatorAction(override=override, actor="op", reason="why")


def taken(holder):
    """Return the facts of a write that was answered with who has the slot."""
    return {"looked": True, "holder": holder}


REVOKED = paid(Status.REVOKED, reason="refunded", refunded_minor=4900)
LATE = paid(Status.ON_HOLD, held_for="late_payment", reason="late_payment")
FULL = {"kind": Kind.FULL_GRANT, "coupon_code": CODE, "amount": NOTHING}
FAILED = {
    "check_money": True,
    "refunds": (make_refund(4900, RefundStatus.FAILED),),
    "disputes": (),
}
SESSION = make_session(SessionStatus.COMPLETE, PaymentStatus.PAID, payment_id="pi_1")
RESERVED = Reservation(
    outcome=ReserveOutcome.RESERVED,
    seat=Seat(
        code=CODE, holder="enr_1", state=SeatState.HELD, reserved_at=NOW, until=NOW
    ),
)
PAID = (make_row(Status.AWAITING_PAYMENT, session_id="cs_1"), {"session": SESSION})
SPENT = (
    make_row(Status.EXPIRED, effects_owed=True, **FULL),
    {"released": ReleaseOutcome.REDEEMED},
)
#: Everything that entitles: the row, and the facts that do it.
WAYS = {
    "reinstated": (REVOKED, {"action": word(Override.REINSTATED)}),
    "accepted": (LATE, {"action": word(Override.ACCEPTED)}),
    "paid": PAID,
    "refund_failed": (REVOKED, FAILED),
    "redeemed": SPENT,
    "claimed": (
        make_row(**FULL),
        {"wish": Wish.ADVANCE, "looked": True, "reservation": RESERVED},
    ),
    "free": (make_row(amount=NOTHING), {"wish": Wish.ADVANCE, "looked": True}),
}
WORDS, MONEY = ("reinstated", "accepted"), ("paid", "refund_failed")


@pytest.mark.parametrize("way", WAYS)
def test_free_slot_is_taken_by_the_write(way):
    """It entitles, or claims: nothing is asked before."""
    row, facts = WAYS[way]
    decision = ask(row, **facts)
    assert isinstance(decision, Write)
    changes = {k: v for k, v in decision.changes.items() if k == "claims_slot"}
    assert attrs.evolve(row, status=decision.to, **changes).holds_slot


@pytest.mark.parametrize("way", [*WORDS, *MONEY, "redeemed"])
def test_mere_claim_is_settled_first(way):
    """Whatever can't be undone, or an operator says, does not lose to a claim."""
    row, facts = WAYS[way]
    assert ask(row, **facts | taken(CLAIM)) == Need(Step.SETTLE_CLAIM)


@pytest.mark.parametrize("way", [*MONEY, "redeemed"])
def test_claim_that_can_not_be_settled_is_looked_at_again(way):
    """The store is down, say: nobody is held for a claim."""
    row, facts = WAYS[way]
    decision = ask(row, **facts | taken(CLAIM), claim_settled=True)
    assert isinstance(decision, Keep)
    assert decision.due_at > NOW


@pytest.mark.parametrize("way", WORDS)
def test_word_is_refused_while_another_row_has_the_slot(way):
    """The answer names it."""
    row, facts = WAYS[way]
    for holder, more in ((ENROLLED, {}), (CLAIM, {"claim_settled": True})):
        decision = ask(row, **facts | taken(holder), **more)
        assert isinstance(decision, Refuse)
        assert holder.id in decision.why


@pytest.mark.parametrize("way", MONEY)
def test_money_is_held_while_another_row_has_the_slot(way):
    """On hold with the other's id: never refused, never entitled beside it."""
    row, facts = WAYS[way]
    decision = ask(row, **facts | taken(ENROLLED))
    assert decision.to is Status.ON_HOLD
    assert HELD.items() <= decision.changes.items()
    assert decision.changes.get("payment_id", row.payment_id) == "pi_1"
    assert decision.detail["other"] == ENROLLED.id


def test_code_that_is_spent_for_nothing_ends_quietly_and_is_alerted():
    """The third caller would loop: released, redeemed, taken, released again."""
    row, facts = SPENT
    decision = ask(row, **facts | taken(ENROLLED))
    assert (decision.to, decision.fact) == (Status.EXPIRED, "code_spent")
    ended = attrs.evolve(row, **decision.changes)
    assert ask(ended, **facts) == Keep()
    pending = make_row(**FULL)
    redeemed = attrs.evolve(
        RESERVED, seat=attrs.evolve(RESERVED.seat, state=SeatState.REDEEMED)
    )
    asked = WAYS["claimed"][1] | taken(ENROLLED) | {"reservation": redeemed}
    decision = ask(pending, **asked)
    assert (decision.to, decision.fact) == (Status.FAILED, "code_spent")
    entry = attrs.evolve(pending.history[0], fact="code_spent", detail=decision.detail)
    told = effects_of(attrs.evolve(pending, history=(entry,)))
    assert [e.fact for e in told if e.kind is EffectKind.ALERT] == ["code_spent"]


@pytest.mark.parametrize(
    ("holder", "why"), [(ENROLLED, "already_enrolled"), (CLAIM, "slot_claimed")]
)
@pytest.mark.parametrize("way", ["claimed", "free"])
def test_what_costs_nobody_anything_ends(way, holder, why):
    """No second code is used up: it is released before the end is written."""
    row, facts = WAYS[way]
    facts = facts | taken(holder)
    if row.coupon_code:
        assert ask(row, **facts) == Need(Step.RELEASE)
        facts["released"] = ReleaseOutcome.RELEASED
    decision = ask(row, **facts)
    assert (decision.to, decision.changes["reason"]) == (Status.FAILED, why)
    assert "other" not in decision.detail


def test_page_is_made_only_after_the_slot_was_looked_at():
    """Opened, then looked, then created: whoever wins in between ends this row."""
    asked = {"wish": Wish.ADVANCE}
    for more in ({}, {"session_request": {"amount": 4900}}):
        row = make_row(**more)
        assert ask(row, **asked) == Need(Step.HOLDER)
        decision = ask(row, **asked | taken(ENROLLED))
        assert decision.changes["reason"] == "already_enrolled"
        assert not isinstance(ask(row, **asked | taken(CLAIM)), Write)


def test_money_that_comes_back_to_a_taken_slot_is_one_write():
    """The sums and the holding: there is no moment in which it is entitled."""
    decision = ask(REVOKED, **FAILED | taken(ENROLLED))
    assert (decision.fact, decision.changes["refunded_minor"]) == ("refund_failed", 0)
    held = attrs.evolve(REVOKED, status=decision.to, **decision.changes)
    assert ask(held, **FAILED) == Keep()


def test_payment_of_a_reassignment_takes_the_slot_that_was_claimed_for_it():
    """In one write: nobody gets in between."""
    facts = {
        "attached": Attached(reason="reassigned", payment_id="pi_1"),
        "action": word(Override.ACCEPTED),
    }
    decision = ask(make_row(claims_slot=True), **facts)
    assert (decision.to, decision.fact) == ("confirmed", "accepted_by_operator")
    assert decision.changes["payment_id"] == "pi_1"


def test_payment_of_a_reassignment_is_held_where_it_was_to_go():
    """It is not refused: whoever passes it on would try for ever."""
    facts = taken(ENROLLED) | {
        "attached": Attached(reason="reassigned", payment_id="pi_1"),
        "action": word(Override.ACCEPTED),
    }
    row = paid(Status.ON_HOLD, held_for="reassigned", reason="reassigned")
    decision = ask(row, **facts)
    assert (decision.to, decision.detail["other"]) == (Status.ON_HOLD, "enr_2")
    assert "override" not in decision.changes
    held = attrs.evolve(row, **decision.changes)
    assert ask(held, **facts) == Keep()


def test_held_row_ends_when_its_money_goes_back_whatever_was_said_before():
    """A word of before the holding says nothing about it."""
    held = paid(Status.ON_HOLD, override=Override.REINSTATED, **HELD)
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


def test_loser_keeps_no_seat():
    """Neither beside another payment nor after its money has gone back."""
    for status, changes in ((Status.ON_HOLD, HELD), (Status.REVOKED, {})):
        row = make_row(
            status, before=Status.AWAITING_PAYMENT, coupon_code=CODE, **changes
        )
        kinds = [effect.kind for effect in effects_of(row)]
        assert EffectKind.RELEASE in kinds


@pytest.mark.parametrize(
    ("changes", "able"),
    [
        ({}, True),
        ({"dispute": DisputeStatus.WON}, True),
        ({"dispute": DisputeStatus.NEEDS_RESPONSE}, False),
        ({"dispute": DisputeStatus.WARNING_NEEDS_RESPONSE}, False),
        ({"refund_begun_at": NOW}, False),
        ({"refunded_minor": 1}, False),
        ({"gone_at": NOW}, False),
        ({"held_for": "late_payment"}, False),
    ],
    ids=str,
)
def test_held_payment_is_promoted_while_all_of_it_is_here(changes, able):
    """Undisputed, and its way back has not begun."""
    row = paid(Status.ON_HOLD, **HELD | changes)
    assert may_promote(row) is able
    asked = {"wish": Wish.PROMOTE, "check_money": True, "refunds": (), "disputes": ()}
    if able and not changes:
        decision = ask(row, **asked)
        assert (decision.to, decision.changes["held_for"]) == ("confirmed", None)


ENTRY = HistoryEntry(at=NOW, version=1, status=Status.ENROLLED, fact="x", op_id="1")


@pytest.mark.parametrize(
    ("changes", "able"),
    [
        ({}, True),
        ({"dispute": DisputeStatus.WON}, True),
        ({"dispute": DisputeStatus.WARNING_CLOSED}, True),
        ({"dispute": DisputeStatus.UNDER_REVIEW}, False),
        ({"held_for": "amount_mismatch"}, False),
        ({"gone_at": NOW}, False),
        ({"history": (ENTRY,)}, False),
        ({"history": (attrs.evolve(ENTRY, status=Status.PENDING),)}, True),
        (
            {
                "history": (
                    attrs.evolve(
                        ENTRY, status=Status.PENDING, detail={"in_place_of": "enr_0"}
                    ),
                )
            },
            False,
        ),
    ],
    ids=str,
)
def test_only_a_plain_second_payment_goes_back_without_a_word(changes, able):
    """Not what has entitled before, came by a word, or is another account's."""
    row = paid(Status.ON_HOLD, **HELD | changes)
    assert may_give_back(row, REFUND) is able
    assert not may_give_back(row, SettlePolicy())


def test_give_back_begins_once_and_again_only_after_an_empty_list():
    """A refund that failed is an operator's; one on its way is waited for."""
    row = paid(Status.ON_HOLD, **HELD)
    assert may_begin(row, (), NOW, REFUND)
    assert may_begin(row, (make_refund(1000),), NOW, REFUND)
    failed = make_refund(4900, RefundStatus.FAILED)
    assert not may_begin(row, (failed,), NOW, REFUND)
    begun = attrs.evolve(row, refund_begun_at=NOW)
    later = NOW.replace(hour=NOW.hour + 1)
    assert not may_begin(begun, (), NOW, REFUND)
    assert may_begin(begun, (), later, REFUND)
    assert not may_begin(begun, (make_refund(1000),), later, REFUND)


def left(fact, minute):
    """Return a row that has left the slot so."""
    row = make_row(Status.REVOKED, before=Status.ENROLLED, fact=fact)
    at = NOW.replace(minute=minute)
    last = attrs.evolve(row.history[-1], at=at)
    return attrs.evolve(row, history=(row.history[0], last))


def test_slot_is_freed_by_whoever_left_it_last():
    """By money a held payment may follow; by an operator's word never."""
    money, by_word = left("refunded", 1), left("revoked_by_operator", 2)
    assert was_freed_by_money([money])
    assert not was_freed_by_money([money, by_word])
    assert was_freed_by_money([left("dispute_lost", 3), by_word])
    assert not was_freed_by_money([paid(Status.ON_HOLD, **HELD)])
