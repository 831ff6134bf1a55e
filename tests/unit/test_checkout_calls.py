# SPDX-License-Identifier: MIT
"""What a checkout asks of its backends: each call once, none that is not needed."""

from __future__ import annotations

import pytest
from support.world import COURSE, World
from unit.rows import make_row

from frappe_enroll_sdk.codec import dump, load
from frappe_enroll_sdk.models import Enrollment, Status
from frappe_enroll_sdk.testing.faults import CrashPlan


BEFORE = [
    "coupons.find",
    "enrollments.find_holder",
    "lms.find_user",
    "enrollments.open",
]
FULL_GRANT = [
    *BEFORE,
    "coupons.reserve",
    "enrollments.transition",
    "coupons.redeem",
    "enrollments.transition",
    "jobs.enqueue",
    "enrollments.list_unpaid",
    "enrollments.list_set_aside",
    "enrollments.clear_due",
]
LIMIT = ["coupons.find", "enrollments.list"]


@pytest.fixture
def world():
    """Return a world whose checkouts leave the LMS to the worker."""
    return World(inline_s=0)


def calls_of(world, code):
    """Return the calls of one checkout, but for the course's price, which is kept."""
    plan = CrashPlan()
    world.sdk(plan).checkout(
        course_id=COURSE, email="ada@example.com", coupon_code=code
    )
    return [call for call in plan.calls if call != "lms.get_course"]


def test_full_grant_makes_each_call_once(world):
    """The row is not read again after it was written, nor a seat redeemed twice."""
    assert calls_of(world, world.coupon(100, max_redemptions=5)) == FULL_GRANT


def test_limit_of_a_code_is_looked_up_where_it_has_one(world):
    """Two reads more, after the seat was taken."""
    code = world.coupon(100, max_redemptions=5, per_learner=1)
    place = FULL_GRANT.index("coupons.reserve") + 1
    assert calls_of(world, code) == [*FULL_GRANT[:place], *LIMIT, *FULL_GRANT[place:]]


def test_row_that_does_not_tell_is_looked_at():
    """A row that was opened by an earlier version may be of a code with a limit."""
    told = dump(make_row(Status.PENDING))
    del told["is_limited"]
    assert load(Enrollment, told).is_limited
