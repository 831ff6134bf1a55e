# SPDX-License-Identifier: MIT
"""The real packages over real protocols, in processes that are killed."""

from __future__ import annotations

from collections import Counter

import pytest
from support.realworld import RealWorld
from support.size import step_of, times, with_the_first_python

from frappe_enroll_sdk.models import Status


@pytest.fixture
def world(db_folder):
    """Return both sandboxes and a SQLite file."""
    with RealWorld(db_folder) as world:
        yield world


def test_single_use_code_asked_for_by_processes(world):
    """Scenario 1: 50 checkouts from several processes → one hold, 49 refusals."""
    code = world.sdk.coupons.create(100, "python-101").code
    processes, each = 5, 10
    tasks = [
        [world.checkout(f"learner{p}-{n}@example.com", code) for n in range(each)]
        for p in range(processes)
    ]
    answers = world.start_together(tasks)
    outcomes = Counter(word for answer in answers for word in answer["outcomes"])
    won = outcomes.pop("enrolled", 0) + outcomes.pop("confirmed", 0)
    assert won == 1
    assert set(outcomes) <= {"coupon_reserved", "coupon_exhausted"}
    assert outcomes.total() == processes * each - 1
    world.let_time_pass()
    world.check()


@with_the_first_python
def test_same_event_in_several_processes(world):
    """Scenario 9: one event at several processes at once → one effect."""
    answer = world.sdk.checkout(course_id="python-101", email="ada@example.com")
    event = world.pay(answer.enrollment_id)
    tasks = [[world.webhook(event)] * 4 for _ in range(5)]
    answers = world.start_together(tasks)
    outcomes = {word for answer in answers for word in answer["outcomes"]}
    assert outcomes <= {"processed", "queued", "duplicate"}
    world.let_time_pass()
    world.check()
    facts = [e.fact for e in world.sdk.enrollments.history(answer.enrollment_id)]
    assert facts.count("paid") == 1


@with_the_first_python
def test_killed_after_the_hold(world):
    """Scenario 3: kill -9 after the hold, before the create → the code is usable."""
    code = world.sdk.coupons.create(50, "python-101").code
    world.kill_at("after", "coupons.bind", world.checkout(code=code))
    assert world.stripe.account.sessions == {}
    assert world.sdk.coupons.get(code).reserved == 1
    world.let_time_pass(901)
    assert world.sdk.coupons.get(code).reserved == 0
    again = world.sdk.checkout(
        course_id="python-101", email="bob@example.com", coupon_code=code
    )
    assert again.status == "awaiting_payment"


@with_the_first_python
def test_killed_after_the_create(world):
    """Scenario 4: kill -9 before the session id is saved → it holds nobody up."""
    code = world.sdk.coupons.create(50, "python-101").code
    # The host has logged the learner in: so they come back to their own attempt.
    buy = world.checkout(code=code, authenticated=True)
    world.kill_at("after", "payments.create_session", buy)
    (session_id,) = world.stripe.account.sessions
    (row,) = world.rows()
    assert row.session_id is None
    # Whoever comes back in time is sent to it: the stored request, byte for byte.
    answer = world.sdk.checkout(**buy[1])
    (row,) = world.rows()
    assert row.session_id == session_id
    assert answer.payment_url == row.payment_url
    assert list(world.stripe.account.sessions) == [session_id]
    bodies = {r.body for r in world.stripe.requests if r.path.endswith("/sessions")}
    assert len(bodies) == 1
    world.deliver(world.pay(row.id))
    world.let_time_pass()
    world.check()


@with_the_first_python
@pytest.mark.parametrize("redelivered", [True, False], ids=["redelivered", "time"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_each_call_of_a_webhook(when, redelivered, db_folder, tmp_path):
    """Scenario 11: kill -9 at each call of fulfilment → it converges."""
    # Each call is made by the process that is killed, however slow the machine is.
    with RealWorld(db_folder, inline_s=30) as counting:
        answer = counting.sdk.checkout(course_id="python-101", email="ada@example.com")
        event = counting.pay(answer.enrollment_id)
        calls = counting.run(counting.webhook(event))["log"]
    assert "lms.insert_enrollment" in calls
    step, first = step_of(len(calls), small=times(3, 1000))
    for number in range(first, len(calls) + 1, step):
        folder = db_folder / f"{when}-{redelivered}-{number}"
        folder.mkdir()
        with RealWorld(folder, inline_s=30) as world:
            answer = world.sdk.checkout(course_id="python-101", email="ada@example.com")
            event = world.pay(answer.enrollment_id)
            world.kill_at(when, "*", world.webhook(event), number=number)
            world.clock.advance(700)
            if redelivered:
                world.deliver(event)
            world.let_time_pass()
            world.check()
            row = world.sdk.enrollments.get(answer.enrollment_id)
            assert row.status is Status.ENROLLED, (calls[number - 1], row.history)


@with_the_first_python
def test_killed_while_the_lms_writes(world):
    """Scenario 26: the row is written, the answer and the process are lost."""
    answer = world.sdk.checkout(course_id="python-101", email="ada@example.com")
    event = world.pay(answer.enrollment_id)
    world.kill_at("after", "lms.insert_enrollment", world.webhook(event))
    assert len(world.lms.site.enrollments("ada@example.com")) == 1
    world.let_time_pass()
    world.check()
    posts = [p for m, p in world.lms.requests if m == "POST" and "Enrollment" in p]
    assert len(posts) == 1


@with_the_first_python
def test_closed_stripe_leaves_nothing_half_done(world):
    """A provider that can't be reached: a typed answer, the coupon free again."""
    code = world.sdk.coupons.create(50, "python-101").code
    world.stripe.stop()
    out = world.run(world.checkout(code=code))
    assert out["outcomes"] == ["payments_unavailable"]
    assert world.sdk.coupons.get(code).reserved == 0
    assert [row.status for row in world.rows()] == [Status.FAILED]
    world.stripe.start()
    out = world.run(world.checkout(code=code))
    assert out["outcomes"] == ["awaiting_payment"]


@with_the_first_python
def test_closed_lms_at_the_first_checkout(world):
    """An LMS that can't be reached, and no price known: a typed answer, no row."""
    world.lms.stop()
    out = world.run(world.checkout())
    assert out["outcomes"] == ["lms_unavailable"]
    assert world.rows() == ()
    assert world.stripe.account.sessions == {}
    world.lms.start()
