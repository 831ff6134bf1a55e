# SPDX-License-Identifier: MIT
"""Rows that were entitled side by side before the slot was unique."""

from __future__ import annotations

from itertools import permutations

import attrs
import pytest
from unit.rows import NOTHING, NOW, PRICE, later, make_row

from frappe_enroll_sdk.models import Kind, Status
from frappe_enroll_sdk.policies import SettlePolicy
from frappe_enroll_sdk.services.settle.decide_slot import may_give_back
from frappe_enroll_sdk.services.settle.effects import EffectKind, effects_of
from frappe_enroll_sdk.states import is_allowed
from frappe_enroll_sdk.stores.slot import contends, held_beside, slot_first, take_over


FIRST = make_row(Status.ENROLLED, id="enr_1", payment_id="pi_1")
SECOND = attrs.evolve(
    FIRST,
    id="enr_2",
    payment_id="pi_2",
    history=(attrs.evolve(FIRST.history[0], at=later(60)),),
)
FREE = make_row(Status.ENROLLED, id="enr_0")
OURS = attrs.evolve(SECOND, id="enr_3", lms_row_ours=True, lms_enrollment_id="row")
ENDED = make_row(Status.REVOKED, id="enr_4", payment_id="pi_4")


def test_row_that_the_lms_follows_takes_the_slot_then_the_first_paid():
    """Then the oldest; what entitles nobody takes nothing."""
    assert slot_first([FREE, SECOND, FIRST, OURS, ENDED]) == OURS
    assert slot_first([FREE, SECOND, FIRST, ENDED]) == FIRST
    assert slot_first([FREE, ENDED]) == FREE
    assert slot_first([ENDED]) is None


def test_others_are_held_alerted_and_never_given_back():
    """By the first look after the upgrade, with both ids; whatever the policy says."""
    held = held_beside(SECOND, FIRST, NOW, "upgrade")
    assert is_allowed(SECOND.status, held.status)
    assert not held.holds_slot
    assert (held.held_for, held.version, held.due_at) == ("paid_twice", 2, NOW)
    assert held.history[-1].detail == {"other": FIRST.id}
    told = [e.fact for e in effects_of(held) if e.kind is EffectKind.ALERT]
    assert told == ["paid_twice"]
    assert not may_give_back(held, SettlePolicy(paid_twice_policy="refund"))
    assert held_beside(FREE, FIRST, NOW, "upgrade").held_for == "already_enrolled"


PAIR = (FREE, SECOND, FIRST, ENDED)
FULL = {"kind": Kind.FULL_GRANT, "coupon_code": "FREE", "amount": NOTHING}
CLAIM = make_row(Status.PENDING, fact="reserved", id="enr_5", **FULL)
LATER = attrs.evolve(CLAIM, id="enr_6", created_at=later(1))


@pytest.mark.parametrize("order", list(permutations((FREE, SECOND, FIRST))))
def test_order_and_interruptions_do_not_change_who_takes_the_slot(order):
    """Whatever was moved before, and is moved again because its end was not noted."""
    left, moved, standing = [*PAIR], {}, None
    for row in (*order, *order):
        after = take_over(row, left, standing, NOW)
        assert moved.setdefault(row.id, after) == after
        standing = after if after.holds_slot else standing
        left = [one for one in left if one.id not in moved]
    assert {name for name, row in moved.items() if row.holds_slot} == {FIRST.id}
    held = moved[SECOND.id]
    assert held == held_beside(SECOND, FIRST, NOW, held.history[-1].op_id)


def test_code_about_to_be_spent_claims_the_slot_where_nobody_is_entitled():
    """Of two the older one; beside whoever is entitled it claims nothing."""
    assert take_over(CLAIM, [LATER, CLAIM, ENDED], None, NOW).holds_slot
    assert take_over(LATER, [LATER, CLAIM], None, NOW) == LATER
    assert take_over(LATER, [LATER], CLAIM, NOW) == LATER
    assert take_over(CLAIM, [CLAIM, FIRST], None, NOW) == CLAIM
    assert take_over(FIRST, [CLAIM, FIRST], None, NOW) == FIRST


def test_attempts_that_nobody_has_paid_do_not_contend():
    """They stand side by side; neither does a claim that has ended."""
    moves = attrs.evolve(CLAIM.history[0], detail={"in_place_of": "enr_9"})
    heir = make_row(Status.PENDING, history=(moves,))
    assert [row for row in (FIRST, FREE, CLAIM, heir) if not contends(row)] == []
    paying = attrs.evolve(CLAIM, kind=Kind.PAID, amount=PRICE)
    ended = attrs.evolve(CLAIM, status=Status.EXPIRED)
    quiet = (ENDED, paying, ended, make_row(), make_row(history=()))
    assert [row for row in quiet if contends(row)] == []
