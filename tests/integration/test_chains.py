# SPDX-License-Identifier: MIT
"""Reassigned more than once: news of the payment reaches whoever holds the course."""

from __future__ import annotations

import pytest
from support.size import step_of
from support.world import COURSE, World

from frappe_enroll_sdk.errors import EnrollError, TransitionError
from frappe_enroll_sdk.models import DisputeStatus, RefundStatus, Status
from frappe_enroll_sdk.states import ENTITLED
from frappe_enroll_sdk.testing.faults import Crash, CrashPlan


ADA, BOB, EVE = "ada@example.com", "bob@example.com", "eve@example.com"
WORD = ("operator", "sold on")


def buy(world, **more):
    """Let Ada buy and be enrolled; return her row."""
    sdk = world.sdk()
    answer = sdk.checkout(course_id=COURSE, email=ADA, **more)
    world.deliver(sdk, world.pay(answer.enrollment_id))
    sdk.run_jobs()
    return sdk.enrollments.get(answer.enrollment_id)


def pass_on(world, row, *addresses):
    """Reassign from one to the next; return the rows, first to last."""
    chain, sdk = [row], world.sdk()
    for address in addresses:
        world.clock.advance(1)
        chain.append(sdk.enrollments.reassign(chain[-1].id, address, *WORD))
        sdk.run_jobs()
    return chain


def statuses(world, chain):
    """Return where the rows stand."""
    return [world.storage.enrollments.find(row.id).status for row in chain]


def by_refund(world, row):
    """Give the money back; its webhook is delivered."""
    _, event = world.payments.play_refund(row.payment_id)
    world.deliver(world.sdk(), event)


def by_dispute(world, row):
    """Lose a dispute; its webhook is delivered."""
    _, event = world.payments.play_dispute(row.payment_id, DisputeStatus.LOST)
    world.deliver(world.sdk(), event)


def by_replay(world, row):
    """Miss the webhook; pull what the provider has."""
    since = world.clock.now()
    world.payments.play_refund(row.payment_id)
    world.sdk().admin.pull_events(since, actor="operator", reason="missed")


def by_reconcile(world, row):
    """Miss the webhook; reconcile."""
    world.payments.play_refund(row.payment_id)
    sdk, cursor = world.sdk(), ""
    while cursor is not None:
        cursor = sdk.admin.reconcile(repair=True, cursor=cursor or None).next_cursor


WAYS = [by_refund, by_dispute, by_replay, by_reconcile]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("addresses", [(BOB, EVE), (BOB, ADA), (BOB, EVE, BOB, ADA)])
def test_news_ends_the_right_of_the_last_in_one_pass(way, addresses):
    """Whatever brings it: the last row is revoked, with its LMS row and commission."""
    world = World(probed=True)
    code = world.sdk().affiliates.register("friend@example.com").code
    row = buy(world, affiliate=code)
    chain = pass_on(world, row, *addresses)
    assert statuses(world, chain) == [Status.REVOKED] * len(addresses) + [
        Status.ENROLLED
    ]
    (held,) = world.sdk().affiliates.stats(code)
    assert held.held_minor > 0
    way(world, row)
    world.sdk().run_jobs()
    assert set(statuses(world, chain)) == {Status.REVOKED}
    assert not world.lms.rows
    (held,) = world.sdk().affiliates.stats(code)
    assert (held.held_minor, held.available_minor) == (0, 0)
    last = world.storage.enrollments.find(chain[-1].id)
    assert last.reason == ("dispute_lost" if way is by_dispute else "refunded")
    heard = {(code, subject) for code, subject, _ in world.probe.alerts.values()}
    assert heard == ({("dispute_lost", last.id)} if way is by_dispute else set())


def test_failed_refund_gives_the_right_back_to_the_last():
    """The money came back to us: to whom it had gone over, and to nobody else."""
    world = World(probed=True)
    row = buy(world)
    chain = pass_on(world, row, BOB, EVE)
    refund, event = world.payments.play_refund(
        row.payment_id, status=RefundStatus.SUCCEEDED
    )
    world.deliver(world.sdk(), event)
    world.deliver(world.sdk(), world.payments.fail_refund(refund))
    world.let_time_pass()
    assert statuses(world, chain) == [*[Status.REVOKED] * 2, Status.ENROLLED]
    world.check_promises()


def test_search_by_payment_finds_whoever_holds_the_course():
    """Three rows know the payment; the timeline of the first names the last."""
    world = World()
    row = buy(world)
    chain = pass_on(world, row, BOB, EVE)
    admin = world.sdk().admin
    assert [found.id for found in admin.search(row.payment_id).items] == [chain[-1].id]
    assert [found.id for found in admin.search(row.session_id).items] == [row.id]
    heirs = {admin.timeline(one.id).heir.id for one in chain}
    assert heirs == {chain[-1].id}


def test_foreign_payment_is_not_accepted_for_a_row_that_was_passed_on():
    """Its money would be followed to another row: the word has to name that one."""
    world = World()
    sdk = world.sdk()
    own = sdk.checkout(course_id=COURSE, email=ADA).enrollment_id
    event = world.play_foreign_payment(own)
    assert world.deliver(sdk, event).outcome == "quarantined"
    world.deliver(sdk, world.pay(own))
    row = sdk.enrollments.get(own)
    chain = pass_on(world, row, BOB, EVE)
    with pytest.raises(TransitionError, match=chain[-1].id):
        world.sdk().admin.accept(event.id, *WORD)


def reassign(sdk, row, address):
    """Reassign; whether the process dies in it is the plan's."""
    sdk.enrollments.reassign(row.id, address, *WORD)
    sdk.run_jobs()


def died_at_every_call(begin, act):
    """Yield worlds in which the act's process died at each of its calls."""
    counted = CrashPlan()
    world, given = begin()
    act(world.sdk(counted), *given)
    step, first = step_of(len(counted.calls), small=40)
    for lost_answer in (False, True):
        for k in range(first, len(counted.calls) + 1, step):
            world, given = begin()
            plan = CrashPlan(k, lost_answer=lost_answer)
            with pytest.raises(Crash):
                act(world.sdk(plan), *given)
            yield world, given[0], f"died at {k}: {plan.calls[-1]}, {lost_answer}"


def test_refund_finds_the_holder_of_a_reassignment_cut_in_two():
    """In one pass, before any time has gone by, nobody is entitled by it any more."""

    def begin():
        world = World(probed=True)
        chain = pass_on(world, buy(world), BOB)
        return world, (chain[-1], EVE)

    for world, row, note in died_at_every_call(begin, reassign):
        by_refund(world, row)
        assert not [r for r in world.rows() if r.status in ENTITLED], note
        world.let_time_pass()
        world.check_promises()


def test_second_reassignment_after_a_first_that_died():
    """What the first still owes is done once: the second is not undone, nor stuck."""

    def begin():
        world = World(probed=True)
        return world, (buy(world), BOB)

    passed_on = 0
    for world, row, note in died_at_every_call(begin, reassign):
        moved = [r for r in world.rows() if r.email == BOB and r.status in ENTITLED]
        for one in moved:
            reassign(world.sdk(), one, EVE)
            passed_on += 1
        world.let_time_pass()
        world.check_promises()
        (held,) = [r for r in world.rows() if r.status in ENTITLED]
        assert held.email in ({EVE} if moved else {ADA, BOB}), note
        by_refund(world, row)
        world.let_time_pass()
        world.check_promises()
    assert passed_on > 2


def test_reassignment_to_a_learner_who_has_paid_meanwhile_is_held():
    """The first try died; its new row lapsed; the other one's own payment stands."""
    counted, world = CrashPlan(), World()
    reassign(world.sdk(counted), buy(world), BOB)
    world = World(probed=True)
    row = buy(world)
    plan = CrashPlan(counted.calls.index("enrollments.open") + 2)
    with pytest.raises(Crash):
        reassign(world.sdk(plan), row, BOB)
    world.let_time_pass()
    (lapsed,) = [r for r in world.rows() if r.email == BOB]
    assert lapsed.status is Status.EXPIRED
    sdk = world.sdk()
    own = sdk.checkout(course_id=COURSE, email=BOB).enrollment_id
    world.deliver(sdk, world.pay(own))
    with pytest.raises(EnrollError, match=r"already|has"):
        reassign(world.sdk(), row, BOB)
    world.let_time_pass()
    world.check_promises()
    assert world.storage.enrollments.find(row.id).status is Status.ENROLLED


def test_reconcile_of_a_reassignment_that_died_leaves_nothing_owed():
    """Its new row is held, and the money goes back before it is accepted: the end."""

    def begin():
        world = World(probed=True)
        return world, (buy(world), BOB)

    for world, row, note in died_at_every_call(begin, reassign):
        world.payments.play_refund(row.payment_id)
        sdk, cursor = world.sdk(), ""
        world.clock.advance(600)
        while cursor is not None:
            report = sdk.admin.reconcile(repair=True, cursor=cursor or None)
            cursor = report.next_cursor
        world.let_time_pass()
        assert not [r for r in world.rows() if r.due_at or r.effects_owed], note
        assert not [r for r in world.rows() if r.status in ENTITLED], note
        world.check_promises()


def test_payment_of_an_heir_that_a_word_has_ended_is_held():
    """A reassign dies half-way, its new row is revoked: somebody has the money."""

    def begin():
        world = World(probed=True)
        return world, (buy(world), BOB)

    seen = set()
    for world, row, note in died_at_every_call(begin, reassign):
        heirs = [r for r in world.rows() if r.id != row.id]
        for heir in heirs:
            try:
                world.sdk().enrollments.revoke(heir.id, *WORD)
            except TransitionError:
                continue
        world.let_time_pass()
        holders = [r for r in world.rows() if r.payment_id == row.payment_id]
        (last,) = [r for r in holders if r.moved_to is None]
        seen.add(last.status)
        assert not [r for r in world.rows() if r.due_at or r.effects_owed], note
    assert seen == {Status.ENROLLED, Status.REVOKED, Status.ON_HOLD}
