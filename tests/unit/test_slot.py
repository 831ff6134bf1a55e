# SPDX-License-Identifier: MIT
"""Rows that were entitled side by side before the slot was unique."""

from __future__ import annotations

import attrs
from unit.rows import NOW, later, make_row

from frappe_enroll_sdk.models import Status
from frappe_enroll_sdk.policies import SettlePolicy
from frappe_enroll_sdk.services.settle.decide_slot import may_give_back
from frappe_enroll_sdk.services.settle.effects import EffectKind, effects_of
from frappe_enroll_sdk.states import is_allowed
from frappe_enroll_sdk.stores.slot import held_beside, slot_first


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
