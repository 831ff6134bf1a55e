# SPDX-License-Identifier: MIT
"""One learner, one course, two payments: one entitles, the other is never silent."""

from __future__ import annotations

import pytest
from support.world import COURSE, World

from frappe_enroll_sdk.errors import (
    AlreadyEnrolledError,
    PaymentsUnavailableError,
    TransitionError,
)
from frappe_enroll_sdk.models import DisputeStatus, Status
from frappe_enroll_sdk.services.operators.differences import Difference


ADA = "ada@example.com"
WORD = ("operator", "because")


@pytest.fixture
def world():
    """Return a world that hears alerts."""
    return World(probed=True)


def row_of(world, name):
    """Return an enrollment as it stands."""
    return world.storage.enrollments.find(name)


def buy(world, **more):
    """Let Ada buy and be enrolled; return the enrollment's id."""
    sdk = world.sdk()
    answer = sdk.checkout(course_id=COURSE, email=ADA, **more)
    world.deliver(sdk, world.pay(answer.enrollment_id))
    sdk.run_jobs()
    world.clock.advance(1)
    return answer.enrollment_id


def refund(world, name):
    """Give all money back; return what makes it fail after all."""
    given, event = world.payments.play_refund(row_of(world, name).payment_id)
    world.deliver(world.sdk(), event)
    world.sdk().run_jobs()
    return lambda: world.payments.fail_refund(given)


def lose_dispute(world, name):
    """Lose the money to the bank; return what wins it back."""
    lost, event = world.payments.play_dispute(
        row_of(world, name).payment_id, DisputeStatus.LOST
    )
    world.deliver(world.sdk(), event)
    world.sdk().run_jobs()
    return lambda: world.payments.move_dispute(lost.id, DisputeStatus.WON)


def revoke(world, name):
    """Take the right away by a word; the LMS follows."""
    world.sdk().enrollments.revoke(name, *WORD)
    world.sdk().run_jobs()


def told(world):
    """Return the alerts: code, subject, other."""
    while world.sdk().run_jobs().claimed:
        pass
    return sorted(world.probe.alerts.values(), key=str)


def findings(world, *, repair=False):
    """Return what reconcile finds paid twice: subject, cause and what came of it."""
    sdk, cursor, found = world.sdk(), "", []
    while cursor is not None:
        report = sdk.admin.reconcile(repair=repair, cursor=cursor or None)
        found += [f for f in report.findings if f.difference is Difference.PAID_TWICE]
        cursor = report.next_cursor
    return found


def test_word_that_reinstates_owes_the_end_of_a_page_that_nobody_has_paid(world):
    """It takes the slot, and waits for no provider."""
    first = buy(world)
    revoke(world, first)
    second = world.sdk().checkout(course_id=COURSE, email=ADA).enrollment_id
    world.payments.faults.add("retrieve_session", PaymentsUnavailableError("down"))
    world.sdk().enrollments.reinstate(first, *WORD)
    assert row_of(world, second).status is Status.AWAITING_PAYMENT
    world.let_time_pass()
    assert row_of(world, second).status is Status.EXPIRED
    assert world.payments.sessions[row_of(world, second).session_id].status == "expired"
    assert row_of(world, first).status is Status.ENROLLED
    world.check_promises()


def test_word_that_would_entitle_twice_is_refused_with_the_other_row(world):
    """The learner has paid again meanwhile."""
    first = buy(world)
    revoke(world, first)
    second = buy(world)
    with pytest.raises(TransitionError, match=second):
        world.sdk().enrollments.reinstate(first, *WORD)
    assert row_of(world, first).status is Status.REVOKED
    world.let_time_pass()
    world.check_promises()


@pytest.mark.parametrize("gone", [refund, lose_dispute])
def test_money_that_comes_back_ends_a_page_that_nobody_has_paid(world, gone):
    """The first payment entitles again, and no second one can be made."""
    first = buy(world)
    come_back = gone(world, first)
    second = world.sdk().checkout(course_id=COURSE, email=ADA).enrollment_id
    world.deliver(world.sdk(), come_back())
    world.let_time_pass()
    assert row_of(world, second).status is Status.EXPIRED
    assert row_of(world, first).status is Status.ENROLLED
    assert ("paid_twice", first, second) not in told(world)


@pytest.mark.parametrize("gone", [refund, lose_dispute])
def test_money_that_comes_back_to_a_learner_who_has_paid_again_is_held(world, gone):
    """Alerted once with both ids, listed, reported by reconcile; nothing given back."""
    first = buy(world)
    come_back = gone(world, first)
    second = buy(world)
    event = come_back()
    for _ in range(2):
        world.deliver(world.sdk(), event)
    now = row_of(world, first)
    assert (now.status, now.held_for) == (Status.ON_HOLD, "paid_twice")
    assert [a for a in told(world) if a[0] == "paid_twice"] == [
        ("paid_twice", first, second)
    ]
    (item,) = world.sdk().admin.quarantine().items
    assert (item.id, item.reason) == (first, "paid_twice")
    (finding,) = findings(world, repair=True)
    assert (finding.subject, finding.after) == (first, None)
    assert second in finding.cause
    assert row_of(world, second).status is Status.ENROLLED
    assert len(world.lms.rows) == 1
    with pytest.raises(TransitionError, match=second):
        world.sdk().admin.accept(first, *WORD)
    assert len([r for r in world.payments.refunds.values() if r.counts]) == 0


def test_payment_that_is_held_ends_when_it_is_given_back(world):
    """At the provider, by an operator: the news of it ends the waiting."""
    first = buy(world)
    fail = refund(world, first)
    buy(world)
    world.deliver(world.sdk(), fail())
    refund(world, first)
    now = row_of(world, first)
    assert (now.status, now.reason) == (Status.REVOKED, "refunded")
    assert findings(world) == []
    assert world.sdk().admin.quarantine().items == ()


def test_payment_that_is_held_has_the_slot_when_money_has_freed_it(world):
    """The other one was given back instead: nobody is left without."""
    first = buy(world)
    fail = refund(world, first)
    second = buy(world)
    world.deliver(world.sdk(), fail())
    refund(world, second)
    world.let_time_pass()
    assert row_of(world, first).status is Status.ENROLLED
    assert row_of(world, first).history[-2].fact == "promoted"
    assert len(world.lms.rows) == 1


def test_payment_that_is_held_stays_so_when_a_word_has_freed_the_slot(world):
    """An operator's word takes the right from the learner; another one gives it."""
    first = buy(world)
    fail = refund(world, first)
    second = buy(world)
    world.deliver(world.sdk(), fail())
    revoke(world, second)
    world.let_time_pass()
    assert row_of(world, first).status is Status.ON_HOLD
    world.sdk().admin.accept(first, *WORD)
    world.let_time_pass()
    assert row_of(world, first).status is Status.ENROLLED
    assert len(world.lms.rows) == 1


def test_late_payment_of_a_session_whose_row_has_another_is_quarantined(world):
    """An operator had accepted one for it; the first one came through after all."""
    sdk = world.sdk()
    name = sdk.checkout(course_id=COURSE, email=ADA).enrollment_id
    foreign = world.play_foreign_payment(name)
    assert world.deliver(sdk, foreign).outcome == "quarantined"
    session_id = row_of(world, name).session_id
    world.payments.pay_delayed(session_id)
    world.deliver(sdk, world.payments.settle_delayed(session_id, ok=False))
    assert row_of(world, name).status is Status.FAILED
    sdk.admin.accept(foreign.id, *WORD)
    late = world.payments.settle_delayed(session_id, ok=True)
    assert world.deliver(sdk, late).outcome == "quarantined"
    assert world.deliver(sdk, late).outcome == "duplicate"
    assert [a for a in told(world) if a[0] == "paid_twice"] == [
        ("paid_twice", late.id, name)
    ]
    items = {item.id: item.reason for item in sdk.admin.quarantine().items}
    assert items == {late.id: "paid_twice"}
    assert [finding.subject for finding in findings(world)] == [name]
    assert sdk.admin.dismiss(late.id, *WORD) == "dismissed"


def test_foreign_payment_of_a_learner_who_has_the_course_stays_quarantined(world):
    """Accepting it for an older attempt would entitle twice."""
    sdk = world.sdk()
    old = sdk.checkout(course_id=COURSE, email=ADA)
    foreign = world.play_foreign_payment(old.enrollment_id)
    world.deliver(sdk, foreign)
    sdk.cancel(old.enrollment_id, old.token)
    buy(world)
    with pytest.raises(TransitionError):
        sdk.admin.accept(foreign.id, *WORD)
    assert [item.id for item in sdk.admin.quarantine().items] == [foreign.id]
    assert row_of(world, old.enrollment_id).status is Status.CANCELLED


def test_learner_let_in_by_hand_while_the_page_was_open_is_told(world):
    """Asked again, the page is refused; paid anyway, an operator hears of it, once."""
    sdk = world.sdk()
    name = sdk.checkout(course_id=COURSE, email=ADA).enrollment_id
    world.lms.create_user(ADA, "Ada")
    world.lms.add_row(ADA, COURSE)
    with pytest.raises(AlreadyEnrolledError):
        sdk.checkout(course_id=COURSE, email=ADA)
    world.deliver(sdk, world.pay(name))
    world.let_time_pass()
    for _ in range(2):
        sdk._services.settle.owe_sync(row_of(world, name))
        world.let_time_pass()
    assert told(world) == [("paid_but_already_enrolled", name, None)]
    assert len(world.lms.rows) == 1
    assert row_of(world, name).status is Status.ENROLLED
