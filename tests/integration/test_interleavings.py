# SPDX-License-Identifier: MIT
"""Two callers of one enrollment, interleaved at every pair of calls."""

from __future__ import annotations

import attrs
import pytest
from support.size import step_of, times, with_the_first_python
from support.turns import Actor, sdk_of
from support.world import COURSE, World

from frappe_enroll_sdk.errors import EnrollError
from frappe_enroll_sdk.models import Status
from frappe_enroll_sdk.states import ENTITLED
from frappe_enroll_sql.storage import SQLStorage


@attrs.frozen
class Scene:
    """What went before, and what each of the two does."""

    name: str
    first: object
    second: object
    opened: bool = True
    paid: bool = False
    percent: int = 50
    #: What goes before instead; returns what the actors get, and opens what they need.
    before: object = None


def probed_world() -> World:
    """Return a world in memory whose plugin jobs are counted."""
    return World(probed=True)


# What an actor does; each gets (actor, world, sdk, checkout).


def pay_and_webhook(actor, world, sdk, answer):
    """Pay; the webhook is delivered."""
    actor.step("pay")
    event = world.pay(answer.enrollment_id)
    world.deliver(sdk, event)


def webhook(actor, world, sdk, answer):
    """Deliver the webhook of what was paid before."""
    world.deliver(sdk, world.events[0])


def come_back(actor, world, sdk, answer):
    """Open the success page."""
    row = world.storage.enrollments.find(answer.enrollment_id)
    sdk.confirm_return(row.session_id)


def cancel(actor, world, sdk, answer):
    """Give up, with the token."""
    sdk.cancel(answer.enrollment_id, answer.token)


def take_over(actor, world, sdk, answer):
    """Ask for the code as another learner."""
    code = world.storage.enrollments.find(answer.enrollment_id).coupon_code
    sdk.checkout(course_id=COURSE, email="bob@example.com", coupon_code=code)


def begin_anew(actor, world, sdk, answer):
    """Begin again without the code."""
    sdk.checkout(course_id=COURSE, email="ada@example.com")


def refund(actor, world, sdk, answer):
    """Give all the money back; its webhook is delivered."""
    actor.step("refund")
    (session,) = [s for s in world.payments.sessions.values() if s.paid]
    _, event = world.payments.play_refund(session.payment_id)
    world.deliver(sdk, event)


def revoke(actor, world, sdk, answer):
    """Revoke as an operator."""
    sdk.enrollments.revoke(answer.enrollment_id, "operator", "test")


def work(actor, world, sdk, answer):
    """Run what is due."""
    sdk.run_jobs()


def check_out(actor, world, sdk, answer):
    """Begin, with the code, as somebody whom the host vouches for."""
    (coupon,) = world.storage.coupons.list().items
    sdk.checkout(
        course_id=COURSE,
        email="ada@example.com",
        coupon_code=coupon.code,
        authenticated=True,
    )


def give_up_waiting(actor, world, sdk, answer):
    """Let the grace pass and take the code as another learner."""
    actor.step("time passes")
    world.clock.advance(1000)
    sdk.run_jobs()
    (coupon,) = world.storage.coupons.list().items
    sdk.checkout(course_id=COURSE, email="bob@example.com", coupon_code=coupon.code)


def reinstate(actor, world, sdk, answer):
    """Reinstate the first attempt as an operator."""
    sdk.enrollments.reinstate(first_of(world), "operator", "test")


def fail_refund(actor, world, sdk, answer):
    """Let the refund of the first attempt fail; its webhook is delivered."""
    actor.step("fail the refund")
    (refund,) = world.payments.refunds.values()
    world.deliver(sdk, world.payments.fail_refund(refund))


def open_anew_and_pay(actor, world, sdk, answer):
    """Begin once more, and pay."""
    answer = sdk.checkout(course_id=COURSE, email="ada@example.com")
    if answer.payment_url is not None:
        pay_and_webhook(actor, world, sdk, answer)


def first_of(world):
    """Return the id of the oldest attempt."""
    return world.rows()[-1].id


def bought(world):
    """Let the learner be enrolled."""
    sdk = world.sdk()
    answer = sdk.checkout(course_id=COURSE, email="ada@example.com")
    world.deliver(sdk, world.pay(answer.enrollment_id))
    sdk.run_jobs()
    world.clock.advance(1)
    return sdk, answer


def after_a_revoke(world):
    """Buy, and be revoked by an operator."""
    sdk, answer = bought(world)
    sdk.enrollments.revoke(answer.enrollment_id, "operator", "test")
    sdk.run_jobs()
    return answer


def after_a_refund(world):
    """Buy, and get the money back."""
    sdk, answer = bought(world)
    row = world.storage.enrollments.find(answer.enrollment_id)
    world.deliver(sdk, world.payments.play_refund(row.payment_id)[1])
    sdk.run_jobs()
    return answer


def open_again(before):
    """Return the same with another page open, which the actors get."""

    def prepare(world):
        before(world)
        return world.sdk().checkout(course_id=COURSE, email="ada@example.com")

    return prepare


SCENES = [
    Scene("webhook × return", webhook, come_back, paid=True),
    Scene("webhook × the same webhook", webhook, webhook, paid=True),
    Scene("payment × cancel", pay_and_webhook, cancel),
    Scene("webhook × cancel", webhook, cancel, paid=True),
    Scene("payment × takeover", pay_and_webhook, take_over),
    Scene("webhook × takeover", webhook, take_over, paid=True),
    Scene("webhook × refund", webhook, refund, paid=True),
    Scene("return × refund", come_back, refund, paid=True),
    Scene("payment × checkout with other terms", pay_and_webhook, begin_anew),
    Scene("cancel × takeover", cancel, take_over),
    Scene("webhook × worker", webhook, work, paid=True),
    Scene("webhook × revoke", webhook, revoke, paid=True),
    Scene("checkout × the same checkout", check_out, check_out, opened=False),
    Scene(
        "full grant × the same full grant",
        check_out,
        check_out,
        opened=False,
        percent=100,
    ),
    # The slow checkout: rolled back while it sleeps, its code given to another learner.
    Scene("slow checkout × rollback", check_out, give_up_waiting, opened=False),
    Scene(
        "slow full grant × rollback",
        check_out,
        give_up_waiting,
        opened=False,
        percent=100,
    ),
    # Two payments of one learner and course: one entitles, no other is silent.
    Scene("reinstate × open", reinstate, open_anew_and_pay, before=after_a_revoke),
    Scene(
        "failed refund × open", fail_refund, open_anew_and_pay, before=after_a_refund
    ),
    Scene(
        "reinstate × payment",
        reinstate,
        pay_and_webhook,
        before=open_again(after_a_revoke),
    ),
    Scene(
        "failed refund × payment",
        fail_refund,
        pay_and_webhook,
        before=open_again(after_a_refund),
    ),
]


def start(scene, new_world):
    """Return a world before the scene, and its two actors."""
    world = new_world()
    if scene.before is None:
        code = world.coupon(scene.percent)
    answer = None if scene.before is None else scene.before(world)
    if scene.opened and scene.before is None:
        answer = world.sdk().checkout(
            course_id=COURSE, email="ada@example.com", coupon_code=code
        )
        world.clock.advance(901)
    if scene.paid:
        world.pay(answer.enrollment_id)
    actors = []
    for act in (scene.first, scene.second):

        def run(actor, act=act):
            act(actor, world, sdk_of(world, actor), answer)

        actors.append(Actor(act.__name__, run))
    return world, actors


def play(scene, new_world, cut_first, cut_second, *, second_ends_first):
    """Cut both actors at a call each, then let them end; the promises must hold."""
    world, (first, second) = start(scene, new_world)
    first.advance(cut_first)
    second.advance(cut_second)
    for actor in (second, first) if second_ends_first else (first, second):
        actor.finish()
    pays = (cut_first + cut_second) % 2 == 0
    try:
        if pays:
            world.pay_all_that_is_open()
        world.let_time_pass()
        world.check_promises()
    except (AssertionError, EnrollError) as error:
        error.add_note(
            f"{first.name} was cut after {first.calls[:cut_first]}, "
            f"{second.name} after {second.calls[:cut_second]}; "
            f"errors: {first.error!r}, {second.error!r}"
        )
        raise
    world.storage.close()
    return world


def count(scene, new_world, *, second_first):
    """Return how many calls each makes when they run one after the other."""
    world, (first, second) = start(scene, new_world)
    for actor in (second, first) if second_first else (first, second):
        actor.finish()
    world.storage.close()
    return len(first.calls), len(second.calls)


@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
def test_two_callers_interleaved_at_every_pair_of_calls(scene):
    """Whatever the order of their calls: every promise holds at rest."""
    sizes = [count(scene, probed_world, second_first=order) for order in (False, True)]
    most_first = max(size[0] for size in sizes)
    most_second = max(size[1] for size in sizes)
    assert most_first > 2
    assert most_second > 2
    step_1, begin_1 = step_of(most_first, small=6)
    step_2, begin_2 = step_of(most_second, small=7)
    for cut_first in range(begin_1 - 1, most_first + 1, step_1):
        for cut_second in range(begin_2 - 1, most_second + 1, step_2):
            for second_ends_first in (False, True):
                play(
                    scene,
                    probed_world,
                    cut_first,
                    cut_second,
                    second_ends_first=second_ends_first,
                )


@with_the_first_python
@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
def test_two_callers_interleaved_on_a_file(scene, db_folder):
    """The same on SQLite, with a sample of the pairs."""
    names = iter(range(1_000_000))

    def new_world():
        path = db_folder / f"{next(names)}.sqlite3"
        return World(lambda: SQLStorage(f"sqlite:///{path}"), probed=True)

    firsts, seconds = count(scene, new_world, second_first=False)
    step_1, begin_1 = step_of(firsts, small=times(2, 12))
    step_2, begin_2 = step_of(seconds, small=times(2, 12))
    for cut_first in range(begin_1, firsts + 1, step_1):
        for cut_second in range(begin_2, seconds + 1, step_2):
            play(scene, new_world, cut_first, cut_second, second_ends_first=True)


@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
def test_two_callers_interleaved_on_mongod(scene, mongo_worlds):
    """The same on a real server, with a sample of the pairs."""
    firsts, seconds = count(scene, mongo_worlds, second_first=False)
    step_1, begin_1 = step_of(firsts, small=times(1, 12))
    step_2, begin_2 = step_of(seconds, small=times(1, 12))
    for cut_first in range(begin_1, firsts + 1, step_1):
        for cut_second in range(begin_2, seconds + 1, step_2):
            play(scene, mongo_worlds, cut_first, cut_second, second_ends_first=True)


@pytest.mark.parametrize("name", ["payment × cancel", "payment × takeover"])
def test_payment_between_the_look_and_the_expiry_is_fulfilled(name):
    """Scenario 7: the provider answers "not open": a look, and never a release."""
    scene = next(scene for scene in SCENES if scene.name == name)
    world, (payer, other) = start(scene, probed_world)
    other.advance_past("payments.retrieve_session")
    payer.advance_past("pay")
    other.finish()
    (row,) = [row for row in world.rows() if row.email == "ada@example.com"]
    assert row.status in ENTITLED
    payer.finish()
    world.let_time_pass()
    world.check_promises()


def test_rollback_that_loses_its_write_frees_no_seat():
    """It has read the row before the checkout went on, and acts on it afterwards."""
    scene = next(scene for scene in SCENES if scene.name == "slow checkout × rollback")
    world, (checkout, rollback) = start(scene, probed_world)
    checkout.advance_past("enrollments.open")
    rollback.advance_past("enrollments.find")
    checkout.finish()
    rollback.finish()
    world.pay_all_that_is_open()
    world.let_time_pass()
    world.check_promises()


@pytest.mark.parametrize("dies", [False, True])
def test_full_grant_redeemed_on_a_seat_that_another_run_reserved(dies):
    """Three of one row: a rollback between reserve and redeem, a repeated checkout."""
    scene = next(
        scene for scene in SCENES if scene.name == "slow full grant × rollback"
    )
    world, (checkout, _) = start(scene, probed_world)
    again = Actor(
        "again", lambda actor: check_out(actor, world, sdk_of(world, actor), None)
    )
    rollback = Actor(
        "rollback", lambda actor: work(actor, world, sdk_of(world, actor), None)
    )
    checkout.advance_past("enrollments.transition")
    world.clock.advance(130)
    rollback.advance_past("coupons.release")
    again.advance_past("coupons.reserve")
    checkout.advance_past("coupons.redeem")
    rollback.finish()
    for actor in (checkout, again):
        if dies:
            actor.die()
        actor.finish()
    world.let_time_pass()
    world.check_promises()
    (row,) = world.rows()
    assert row.status is Status.ENROLLED


def test_webhook_cut_in_two_by_a_refund_ends_revoked():
    """Scenario 16 and 17: a refund at any moment ends in no access."""
    scene = next(scene for scene in SCENES if scene.name == "webhook × refund")
    firsts, _ = count(scene, probed_world, second_first=False)
    for cut in range(firsts + 1):
        world = play(scene, probed_world, cut, 10_000, second_ends_first=True)
        (row,) = world.rows()
        assert row.status is Status.REVOKED
        assert world.lms.rows_of(row.learner, row.course_id) == ()
