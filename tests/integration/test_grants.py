# SPDX-License-Identifier: MIT
"""Grants over the whole SDK: one outcome, one coupon, whatever dies."""

from __future__ import annotations

import pytest
from support.world import COURSE, World

from frappe_enroll_sdk import hookimpl
from frappe_enroll_sdk.errors import TransitionError, ValidationError, VetoedError
from frappe_enroll_sdk.testing.faults import Crash, CrashPlan


@pytest.fixture
def world():
    """Return a world."""
    return World()


def apply(world, email="ada@example.com"):
    """Apply for the course."""
    sdk = world.sdk()
    answers = {"why": "I teach"}
    return sdk, sdk.grants.apply(course_id=COURSE, email=email, answers=answers)


def approve(sdk, grant, percent=100):
    """Approve as the operator."""
    return sdk.grants.approve(grant.id, percent, actor="op", reason="fits")


def test_approved_grant_enrolls_its_learner(world):
    """The coupon is the learner's alone, for the course, for thirty days."""
    sdk, grant = apply(world)
    code = approve(sdk, grant).code
    coupon = sdk.coupons.get(code)
    assert (coupon.email, coupon.course_id) == (grant.email, COURSE)
    assert (coupon.expires_at - world.clock.now()).days == 30
    done = sdk.checkout(course_id=COURSE, email=grant.email, coupon_code=code)
    assert done.status == "enrolled"


def test_grant_is_decided_once(world):
    """The second decision is refused, and changes nothing."""
    sdk, grant = apply(world)
    first = approve(sdk, grant)
    with pytest.raises(TransitionError):
        approve(sdk, grant, 50)
    with pytest.raises(TransitionError):
        sdk.grants.reject(grant.id, actor="op", reason="no")
    assert sdk.grants.get(grant.id) == first
    assert len(sdk.coupons.list().items) == 1


def test_one_grant_stands_until_it_is_rejected(world):
    """A repeated application is the first one; after a rejection it is a new one."""
    sdk, grant = apply(world)
    assert apply(world)[1] == grant
    sdk.grants.reject(grant.id, actor="op", reason="too few details")
    assert apply(world)[1].id != grant.id


@pytest.mark.parametrize("answer", [["a"], {"$gt": ""}, 1.5, b"x"])
def test_answers_are_plain(world, answer):
    """A form's field is a text, a number or a flag."""
    with pytest.raises(ValidationError):
        world.sdk().grants.apply(
            course_id=COURSE, email="a@example.com", answers={"why": answer}
        )


def test_plugin_checks_the_form(world):
    """A host's own rule refuses the application."""

    class Form:
        @hookimpl
        def check_grant(self, answers):
            """Ask for a reason."""
            if not answers.get("why"):
                raise VetoedError("why: is needed")

    sdk = world.sdk(plugins=[Form()])
    with pytest.raises(VetoedError):
        sdk.grants.apply(course_id=COURSE, email="a@example.com")


def test_bulk_approval_answers_for_each(world):
    """One that is decided already keeps no other from its coupon."""
    sdk, first = apply(world)
    _, second = apply(world, "eve@example.com")
    approve(sdk, first)
    ids = [first.id, second.id]
    answers = sdk.grants.approve_many(ids, 50, actor="op", reason="all")
    assert answers[first.id] == "error: transition"
    assert sdk.coupons.get(answers[second.id]).email == second.email


@pytest.mark.parametrize("lost_answer", [False, True])
def test_approval_that_dies_anywhere_converges(lost_answer):
    """Whichever call is the last: an approved grant gets its coupon, by time alone."""
    point = 1
    while True:
        world = World()
        _, grant = apply(world)
        sdk = world.sdk(CrashPlan(point, lost_answer=lost_answer))
        try:
            approve(sdk, grant)
        except Crash:
            point += 1
        else:
            break
        for _ in range(8):
            world.clock.advance(1000)
            world.sdk().run_jobs()
        stands = world.sdk().grants.get(grant.id)
        codes = [coupon.code for coupon in world.sdk().coupons.list().items]
        assert codes == ([stands.code] if stands.code else [])
    assert point > 4
