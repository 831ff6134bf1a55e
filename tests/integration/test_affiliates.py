# SPDX-License-Identifier: MIT
"""Affiliates over the whole SDK: earned, held, taken back, paid out."""

from __future__ import annotations

import io

import pytest
from support.world import COURSE, World

from frappe_enroll_sdk.errors import (
    SelfReferralError,
    TransitionError,
    ValidationError,
)
from frappe_enroll_sdk.models import RowKind
from frappe_enroll_sdk.money import Money


_DAY_S = 86_400


@pytest.fixture
def world():
    """Return a world with the affiliate bob, at ten percent."""
    world = World(commission_hold_days=30, commission_percent=10)
    world.sdk().affiliates.register("bob.b@gmail.com", code="bob")
    return world


def sell(world, email="ada@example.com", affiliate="bob"):
    """Let a learner pay; return the SDK and the enrollment's id."""
    sdk = world.sdk()
    done = sdk.checkout(course_id=COURSE, email=email, affiliate=affiliate)
    world.deliver(sdk, world.pay(done.enrollment_id))
    return sdk, done.enrollment_id


def standing(sdk):
    """Return (held, available, paid) in dollars' cents."""
    totals = sdk.affiliates.stats("bob")
    if not totals:
        return None
    return totals[0].held_minor, totals[0].available_minor, totals[0].paid_minor


def test_commission_is_earned_held_and_matures(world):
    """Earned at once, available after the hold, each once, whatever is redelivered."""
    sdk, _ = sell(world)
    world.redeliver_all(sdk)
    assert standing(sdk) == (490, 0, 0)
    world.clock.advance(29 * _DAY_S)
    sdk.run_jobs()
    assert standing(sdk) == (490, 0, 0)
    world.clock.advance(2 * _DAY_S)
    sdk.run_jobs()
    sdk.run_jobs()
    assert standing(sdk) == (0, 490, 0)


def test_commission_is_clawed_back_and_earned_again(world):
    """A right that is lost takes the commission with it, exactly once; and back."""
    sdk, name = sell(world)
    sdk.enrollments.revoke(name, "op", "refunded by hand")
    sdk.settle(name)
    assert standing(sdk) == (0, 0, 0)
    sdk.enrollments.reinstate(name, "op", "a mistake")
    assert standing(sdk) == (490, 0, 0)
    kinds = [row.kind for row in sdk.affiliates.rows("bob").items]
    assert kinds.count(RowKind.CLAWED_BACK) == 1
    assert kinds.count(RowKind.EARNED) == 2


def test_negative_balance_carries_over(world):
    """What was paid out and is taken back is set against what follows."""
    sdk, name = sell(world)
    world.clock.advance(31 * _DAY_S)
    sdk.run_jobs()
    sdk.affiliates.pay_out("bob", "usd", "op", "January")
    sdk.enrollments.revoke(name, "op", "refunded")
    assert standing(sdk) == (0, -490, 490)
    sell(world, "eve@example.com")
    world.clock.advance(31 * _DAY_S)
    sdk.run_jobs()
    assert standing(sdk) == (0, 0, 490)
    with pytest.raises(TransitionError):
        sdk.affiliates.pay_out("bob", "usd", "op", "February")


def test_payout_with_a_known_id_pays_once(world):
    """A retried payout answers the first one's row."""
    sdk, _ = sell(world)
    world.clock.advance(31 * _DAY_S)
    sdk.run_jobs()
    first = sdk.affiliates.pay_out("bob", "usd", "op", "x", payout_id="p-1")
    assert sdk.affiliates.pay_out("bob", "usd", "op", "x", payout_id="p-1") == first
    assert standing(sdk) == (0, 0, 490)


@pytest.mark.parametrize("affiliate", ["bob", "BOB", "bob.b@gmail.com", None])
@pytest.mark.parametrize(
    "email", ["bob.b@gmail.com", "b.ob.b+x@gmail.com", "bobb@googlemail.com"]
)
def test_own_referral_is_refused(world, email, affiliate):
    """Dots, tags and the domain's other name are the same mailbox; nothing opens."""
    sdk = world.sdk()
    affiliate = affiliate or email.upper()
    with pytest.raises(SelfReferralError):
        sdk.checkout(course_id=COURSE, email=email, affiliate=affiliate)
    assert world.rows() == ()


def test_own_referral_from_before_earns_nothing(world):
    """Whoever buys by a code and registers it afterwards has referred nobody."""
    sdk, name = sell(world, "eve+x@example.com", affiliate="eve")
    sdk.affiliates.register("e.ve@example.com", code="eve")
    sdk.enrollments.revoke(name, "op", "once")
    sdk.enrollments.reinstate(name, "op", "more")
    totals = sdk.affiliates.stats("eve")
    assert [(t.held_minor, t.available_minor) for t in totals] in ([], [(0, 0)])


def test_affiliate_is_named_by_code_or_address(world):
    """A link may say either, in any case; the enrollment keeps the code."""
    for number, said in enumerate(("BOB", "Bob.B@Gmail.com")):
        sdk, name = sell(world, f"a{number}@example.com", affiliate=said)
        assert sdk.enrollments.get(name).affiliate == "bob"
    assert standing(sdk) == (980, 0, 0)


def test_breakdown_is_kept_for_five_minutes(world):
    """Totals are exact at once; a course's share shows a refund within the time."""
    world.lms.add_course("rust-101", Money(10_000, "usd"))
    sdk, name = sell(world)
    sell(world, "eve@example.com")
    course = sdk.affiliates.by_course("bob").courses
    assert [(c.course_id, c.currency, c.sales, c.earned_minor) for c in course] == [
        (COURSE, "usd", 2, 980)
    ]
    sdk.enrollments.revoke(name, "op", "refunded")
    assert standing(sdk) == (490, 0, 0)
    world.clock.advance(299)
    assert sdk.affiliates.by_course("bob").courses == course
    world.clock.advance(1)
    fresh = sdk.affiliates.by_course("bob")
    assert [(c.sales, c.earned_minor) for c in fresh.courses] == [(1, 490)]
    assert fresh.at == world.clock.now()


def test_suspended_affiliate_earns_nothing(world):
    """What was earned stays, and nothing is added."""
    sdk, _ = sell(world)
    sdk.affiliates.suspend("bob", "op", "spam")
    sell(world, "eve@example.com")
    assert standing(sdk) == (490, 0, 0)


def test_unknown_affiliate_is_no_obstacle(world):
    """A learner with a stale link pays like anybody else."""
    for said, kept in (("nobody", "nobody"), ("no@example.com", None)):
        sdk, name = sell(world, f"a{len(said)}@example.com", affiliate=said)
        row = sdk.enrollments.get(name)
        assert (row.status, row.affiliate) == ("enrolled", kept)


def test_affiliate_is_registered_once(world):
    """The same address gets its code back, another one's code is refused."""
    sdk = world.sdk()
    assert sdk.affiliates.register("bob.b@gmail.com", code="else").code == "bob"
    with pytest.raises(ValidationError):
        sdk.affiliates.register("eve@example.com", code="bob")


def test_statement_is_the_whole_ledger(world):
    """One line for each row, after the head."""
    sdk, _ = sell(world)
    out = io.StringIO()
    assert sdk.affiliates.statement("bob", out) == 1
    assert len(out.getvalue().splitlines()) == 2
