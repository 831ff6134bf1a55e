# SPDX-License-Identifier: MIT
"""Arguments of hosts that are of another type or out of bounds are refused by name."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from support.world import COURSE, World

from frappe_enroll_sdk.errors import EnrollError


WRONG = {
    "a status that there is not": (
        "status",
        lambda sdk: sdk.enrollments.list(status="gone"),
    ),
    "a status of the LMS that there is not": (
        "lms_status",
        lambda sdk: sdk.enrollments.list(lms_status="gone"),
    ),
    "a state that there is not": ("state", lambda sdk: sdk.admin.jobs(state="gone")),
    "an event's state that there is not": (
        "state",
        lambda sdk: sdk.admin.events(state="gone"),
    ),
    "no rows": ("limit", lambda sdk: sdk.enrollments.list(limit=0)),
    "fewer than no rows": ("limit", lambda sdk: sdk.coupons.list(limit=-1)),
    "rows as text": ("limit", lambda sdk: sdk.admin.quarantine(limit="5")),
    "rows as a truth": ("limit", lambda sdk: sdk.admin.audit(limit=True)),
    "too many rows": ("limit", lambda sdk: sdk.admin.jobs(limit=10**9)),
    "a cursor of no text": ("cursor", lambda sdk: sdk.enrollments.list(cursor={})),
    "a cursor of somebody else": (
        "cursor",
        lambda sdk: sdk.enrollments.list(cursor="x"),
    ),
    "a moment as text": (
        "expires_at",
        lambda sdk: sdk.coupons.create(10, COURSE, expires_at="2030"),
    ),
    "a moment without zone": (
        "starts_at",
        lambda sdk: sdk.coupons.create(10, COURSE, starts_at=datetime(2030, 1, 1)),  # noqa: DTZ001  that is the point
    ),
    "seats as text": (
        "max_redemptions",
        lambda sdk: sdk.coupons.create(10, COURSE, max_redemptions="3"),
    ),
    "a body that was decoded": ("body", lambda sdk: sdk.handle_webhook("{}", {})),
    "no headers": ("headers", lambda sdk: sdk.handle_webhook(b"{}", None)),
    "jobs as text": ("limit", lambda sdk: sdk.run_jobs(limit="all")),
    "a budget as text": ("time_budget_s", lambda sdk: sdk.run_jobs(time_budget_s="1")),
    "no end of time": (
        "time_budget_s",
        lambda sdk: sdk.run_jobs(time_budget_s=float("inf")),
    ),
    "no threads": ("concurrency", lambda sdk: sdk.worker(0)),
    "a span as a number": (
        "events_older_than",
        lambda sdk: sdk.admin.prune(events_older_than=30),
    ),
    "a span too short": (
        "jobs_older_than",
        lambda sdk: sdk.admin.prune(jobs_older_than=timedelta(0)),
    ),
    "half of a letter": (
        "full_name",
        lambda sdk: sdk.checkout(
            course_id=COURSE, email="ada@example.com", full_name="\ud800"
        ),
    ),
    "a line of its own": (
        "full_name",
        lambda sdk: sdk.checkout(
            course_id=COURSE, email="ada@example.com", full_name="Ada\u2028Bcc"
        ),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_argument_that_does_not_fit_is_named(name):
    """A typed error with the field's name, never a fault from the inside."""
    field, call = WRONG[name]
    with pytest.raises(EnrollError) as caught:
        call(World().sdk())
    assert caught.value.field == field
    assert 400 <= caught.value.http_status < 500


def test_no_jobs_and_no_time_are_a_pass():
    """Both bounds may be nothing: a look at what is due."""
    world = World()
    code = world.coupon(100)
    sdk = world.sdk()
    sdk.checkout(course_id=COURSE, email="ada@example.com", coupon_code=code)
    assert sdk.run_jobs(limit=0).claimed == 0
    assert sdk.run_jobs(time_budget_s=0).claimed == 0
