# SPDX-License-Identifier: MIT
"""One life story of a payment, told in every order and twice: the same end."""

from __future__ import annotations

import itertools
import random

import pytest
from support.size import times
from support.world import COURSE, World

from frappe_enroll_sdk.models import DisputeStatus, RefundStatus, Status
from frappe_enroll_sdk.money import Money


D = DisputeStatus


def refund(minor, status=RefundStatus.SUCCEEDED):
    """Return a step: give something back."""
    return lambda p, pi, _: p.play_refund(pi, Money(minor, "usd"), status=status)[1]


def refund_then_fail(payments, payment_id, _):
    """Give all back, and let that fail."""
    back, _event = payments.play_refund(payment_id)
    return payments.fail_refund(back)


def dispute(*statuses):
    """Return a step: a dispute that goes through these."""

    def play(payments, payment_id, _):
        found, event = payments.play_dispute(payment_id, statuses[0])
        for status in statuses[1:]:
            event = payments.move_dispute(found.id, status)
        return event

    return play


#: Name → steps, the end of the enrollment and what was given back.
STORIES = {
    "refunded in full": ([refund(4900)], Status.REVOKED, 4900),
    "40 % and 60 % (18)": ([refund(1960), refund(2940)], Status.REVOKED, 4900),
    "40 %": ([refund(1960)], Status.ENROLLED, 1960),
    "refund failed (19)": ([refund_then_fail], Status.ENROLLED, 0),
    "failed, then refunded": ([refund_then_fail, refund(4900)], Status.REVOKED, 4900),
    "inquiry (20)": ([dispute(D.WARNING_NEEDS_RESPONSE)], Status.ENROLLED, 0),
    "dispute open (20)": ([dispute(D.NEEDS_RESPONSE)], Status.ON_HOLD, 0),
    "dispute won (20)": ([dispute(D.NEEDS_RESPONSE, D.WON)], Status.ENROLLED, 0),
    "dispute lost (20)": ([dispute(D.NEEDS_RESPONSE, D.LOST)], Status.REVOKED, 0),
    "inquiry closed (20)": (
        [dispute(D.WARNING_NEEDS_RESPONSE, D.WARNING_CLOSED)],
        Status.ENROLLED,
        0,
    ),
    "prevented (20)": ([dispute(D.PREVENTED)], Status.REVOKED, 4900),
    "part back and a dispute won": (
        [refund(1960), dispute(D.UNDER_REVIEW, D.WON)],
        Status.ENROLLED,
        1960,
    ),
}


class Live(list):
    """Events that are delivered the moment they are made, if the dice say so."""

    def __init__(self, world, sdk, dice):
        super().__init__()
        self.world, self.sdk, self.dice = world, sdk, dice

    def append(self, event):
        """Keep an event; maybe deliver it, and let a cron pass run."""
        super().append(event)
        if self.dice.random() < 0.7:
            self.sdk.handle_webhook(*self.world.payments.signed(event))
        if self.dice.random() < 0.7:
            self.sdk.run_jobs()


def told(order, story, dice=None):
    """Tell a story's events in an order; return the world at rest."""
    world = World(inline_s=0)
    sdk = world.sdk()
    if dice is not None:
        world.payments.events = Live(world, sdk, dice)
    answer = sdk.checkout(course_id=COURSE, email="ada@example.com")
    event = world.pay(answer.enrollment_id)
    for step in story:
        step(world.payments, event.payment_id, world)
    events = world.payments.events
    for number in order(len(events)):
        sdk.handle_webhook(*world.payments.signed(events[number]))
        sdk.run_jobs()
    while sdk.run_jobs().claimed:
        pass
    return world


@pytest.mark.parametrize("name", STORIES)
def test_story_ends_the_same_in_every_order(name):
    """Every permutation, and shuffles with each event thrice, end in one state."""
    steps, status, back = STORIES[name]
    count = len(told(range, steps).payments.events)
    orders = list(itertools.permutations(range(count)))
    dice = random.Random(name)
    wanted = times(8, 5000)
    if len(orders) > wanted:
        orders = dice.sample(orders, wanted)
    orders += [dice.sample([*range(count)] * 3, count * 3) for _ in range(times(3, 99))]
    worlds = [told(lambda _, order=order: order, steps) for order in orders]
    worlds += [
        told(lambda _: dice.sample(range(count), count), steps, dice)
        for _ in range(times(6, 200))
    ]
    for order, world in itertools.zip_longest(orders, worlds):
        (row,) = world.rows()
        assert (row.status, row.refunded_minor) == (status, back), (order, row.history)
        rows = world.lms.rows_of(row.learner, row.course_id)
        assert len(rows) == (row.status is Status.ENROLLED)
        paid = sum(entry.fact == "paid" for entry in row.history)
        assert paid == 1


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("word", ["revoke", "reinstate"])
def test_operators_word_stands_above_the_story(name, word):
    """Revoked stays revoked; reinstated stays entitled; whatever is delivered after."""
    world = told(range, STORIES[name][0])
    sdk, (row,) = world.sdk(), world.rows()
    if word == "reinstate" and row.status is Status.ENROLLED:
        sdk.enrollments.revoke(row.id, "op", "first")
    if word == "revoke" and row.status is Status.REVOKED:
        sdk.enrollments.reinstate(row.id, "op", "first")
    getattr(sdk.enrollments, word)(row.id, "op", "why")
    world.redeliver_all(sdk)
    while sdk.run_jobs().claimed:
        pass
    (row,) = world.rows()
    wanted = Status.REVOKED if word == "revoke" else Status.ENROLLED
    assert row.status is wanted, row.history
