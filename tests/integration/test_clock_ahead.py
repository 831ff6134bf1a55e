# SPDX-License-Identifier: MIT
"""A clock ran a day ahead for one write, and is right again: nothing waits for it."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest
from support.world import COURSE, World

from frappe_enroll_sdk.clock import SystemClock
from frappe_enroll_sdk.errors import CouponUnavailableError, LMSUnavailableError
from frappe_enroll_sdk.models import JobState, LMSStatus, Status
from frappe_enroll_sdk.services.jobs.intake import Intake
from frappe_enroll_sdk.services.jobs.maintenance import longest_look
from frappe_enroll_wsgi._internal import cookies
from frappe_enroll_wsgi._internal.ratelimits import Limits


ADA, BOB = "ada@example.com", "bob@example.com"
DAY = 86_400
#: Two turns of the housekeeping.
SOON_S = (0, 61, 61)


@pytest.fixture
def world():
    """Return a world whose workers do nothing inline."""
    return World(inline_s=0)


def ahead(world, act):
    """Do something while the clock is a day ahead."""
    world.clock.advance(DAY)
    answer = act(world.sdk())
    world.clock.advance(-DAY)
    return answer


def work(world, *waits):
    """Let cron passes come, with the housekeeping that they do."""
    sdk = world.sdk()
    for seconds in waits:
        world.clock.advance(seconds)
        for _ in range(5):
            sdk.run_jobs(limit=1000)
        world.sdk().admin.maintain()


def buy(sdk, world, email=ADA, percent=100):
    """Let a learner check out with a code of their own; return the row's id."""
    code = world.coupon(percent)
    answer = sdk.checkout(course_id=COURSE, email=email, coupon_code=code)
    return answer.enrollment_id


def status(world, name):
    """Return where an enrollment stands."""
    return world.storage.enrollments.find(name).status


def test_job_that_was_owed_ahead_runs_soon(world):
    """The sync of a grant: not tomorrow."""
    name = ahead(world, lambda sdk: buy(sdk, world))
    work(world, *SOON_S)
    assert status(world, name) is Status.ENROLLED


def test_gate_that_was_shut_ahead_keeps_nobody_out(world):
    """A minute's outage in that time; who comes later is enrolled at once."""

    def outage(sdk):
        name = buy(sdk, world)
        world.lms.is_down = True
        sdk.run_jobs()
        world.lms.is_down = False
        return name

    name = ahead(world, outage)
    other = buy(world.sdk(), world, BOB)
    work(world, 0, 31, 31)
    assert status(world, other) is Status.ENROLLED
    work(world, *SOON_S)
    assert status(world, name) is Status.ENROLLED


def test_worker_in_which_the_gate_was_shut_ahead_goes_on(world):
    """What a living process remembers of the gate is bounded, too."""
    sdk = world.sdk()
    services = sdk._services
    intake = Intake(services.context, services.runner, services.breakers)
    world.clock.advance(DAY)
    buy(sdk, world)
    world.storage.gates.report(
        "lms", ok=False, now=world.clock.now(), policy=sdk._services.context.gate_policy
    )
    for work_ in intake.take(10):
        work_.run()
    world.clock.advance(-DAY)
    other = buy(world.sdk(), world, BOB)
    waited = 0
    while status(world, other) is not Status.ENROLLED and waited < 120:
        for work_ in intake.take(10):
            work_.run()
        world.clock.advance(10)
        waited += 10
    assert status(world, other) is Status.ENROLLED


def test_lease_that_was_taken_ahead_lapses_soon(world):
    """Its worker died; whoever comes claims the job a lease later."""
    name = buy(world.sdk(), world)

    def die(sdk):
        (job,) = sdk.storage.jobs.claim("dead", sdk.clock.now(), 60, 10)
        assert job.state is JobState.RUNNING

    ahead(world, die)
    work(world, 0, 61, world.settings.lease_s, 1)
    assert status(world, name) is Status.ENROLLED


def test_event_that_came_ahead_takes_effect_soon(world):
    """A payment that was told in that time, and its provider has its answer."""
    sdk = world.sdk()
    answer = sdk.checkout(course_id=COURSE, email=ADA)
    event = world.pay(answer.enrollment_id)
    ahead(world, lambda sdk: world.deliver(sdk, event))
    assert status(world, answer.enrollment_id) is Status.AWAITING_PAYMENT
    work(world, *SOON_S)
    assert status(world, answer.enrollment_id) is Status.ENROLLED


def test_look_that_was_owed_ahead_is_owed_soon(world):
    """A dead checkout's row is rolled back within the longest look, not a day later."""
    name = ahead(world, lambda sdk: open_only(sdk, world))
    sdk = world.sdk()
    assert longest_look(sdk._services.context) < timedelta(hours=3)
    work(world, 0, longest_look(sdk._services.context).total_seconds() + 1)
    assert status(world, name) is Status.EXPIRED


def open_only(sdk, world):
    """Write a pending row, as a checkout that dies right after."""
    answer = world.sdk().checkout(course_id=COURSE, email=ADA)
    row = sdk.storage.enrollments.find(answer.enrollment_id)
    now = sdk.clock.now()
    copy = attrs.evolve(
        row,
        id="enr_opened",
        email=BOB,
        learner=BOB,
        status=Status.PENDING,
        session_request=None,
        session_id=None,
        version=1,
        history=row.history[:1],
        due_at=now + timedelta(seconds=120),
        updated_at=now,
    )
    assert sdk.storage.enrollments.open(copy).opened
    return copy.id


def test_seat_that_was_reserved_ahead_is_taken_over(world):
    """Nobody can tell since when it is held: its holder is asked at once."""
    code = world.coupon(50)
    held = ahead(
        world,
        lambda sdk: sdk.checkout(course_id=COURSE, email=ADA, coupon_code=code),
    )
    got = world.sdk().checkout(course_id=COURSE, email=BOB, coupon_code=code)
    assert got.status is Status.AWAITING_PAYMENT
    assert status(world, held.enrollment_id) is Status.EXPIRED
    with pytest.raises(CouponUnavailableError):
        world.sdk().checkout(
            course_id=COURSE, email="eve@example.com", coupon_code=code
        )


def test_sign_of_life_ahead_hides_no_absence(world):
    """The worker that left it has gone; work is due, and nobody does it."""
    ahead(world, lambda sdk: sdk.run_jobs())
    (told,) = [c for c in world.sdk().examine() if c.name == "workers"]
    assert told.state == "unknown"
    buy(world.sdk(), world)
    world.clock.advance(world.settings.workers_absent_s + 1)
    stats = world.sdk().admin.stats()
    assert stats.absent_s >= world.settings.workers_absent_s
    world.sdk().admin.maintain("workers")
    assert world.storage.workers.list() == ()


def test_turn_that_was_taken_ahead_lasts_no_longer(world):
    """The housekeeping of a day ahead keeps nobody from the next."""
    sdk = world.sdk()
    ahead(world, lambda sdk: sdk._services.maintenance.run_owed())
    assert sdk._services.maintenance.run_owed() == {}
    world.clock.advance(61)
    assert "moments" in sdk._services.maintenance.run_owed()


def test_price_that_was_kept_ahead_is_asked_for_again(world):
    """Nobody knows how old it is: while the LMS is down it is told to nobody."""
    sdk = world.sdk()
    world.clock.advance(DAY)
    sdk.catalogue.get(COURSE)
    sdk.catalogue.list()
    world.clock.advance(-DAY)
    world.lms.is_down = True
    with pytest.raises(LMSUnavailableError):
        sdk.catalogue.get(COURSE)
    with pytest.raises(LMSUnavailableError):
        sdk.catalogue.list()


def test_unclear_insert_ahead_is_settled_by_a_look_in_its_time(world):
    """An insert that timed out in that time: `verify_after_s` from now."""
    world.lms.faults.add("insert_enrollment", LMSUnavailableError("timeout"))

    def time_out(sdk):
        name = buy(sdk, world)
        sdk.run_jobs()
        return name

    name = ahead(world, time_out)
    waits = [61, world.settings.verify_after_s, world.settings.verify_after_s, 300]
    work(world, 0, *waits)
    row = world.storage.enrollments.find(name)
    assert (row.status, row.lms_status) == (Status.ENROLLED, LMSStatus.SYNCED)


def test_cookie_of_a_clock_ahead_is_over():
    """It is good for no longer than one that is written now."""
    told = cookies.Signed(digest="digest", session="session", until_s=1_000)
    value = cookies.write(told, "key")
    assert cookies.read(value, "key", 900, 1_000) == told
    assert cookies.read(value, "key", 900, 999) is None
    assert cookies.read(value, "key", 1_000, 2_000) is None


def test_requests_that_were_counted_ahead_limit_nobody(world, monkeypatch):
    """The limits' library stamps by the wall clock; no window is a day long."""
    limits = Limits(attrs.evolve(world.settings, rate_limits=("checkout=2/60",)))
    wall = SystemClock()
    monkeypatch.setattr("time.time", lambda: wall.now().timestamp() + DAY)
    for _ in range(2):
        limits.hit_address("checkout", "192.0.2.1")
    monkeypatch.undo()
    assert limits.hit_address("checkout", "192.0.2.1").left == 1
