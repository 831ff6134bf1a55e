# SPDX-License-Identifier: MIT
"""Everything ends: no status is left only by somebody else's answering differently."""

from __future__ import annotations

import attrs
import pytest
from support.world import COURSE, World

from frappe_enroll_sdk import EnrollSDK
from frappe_enroll_sdk.errors import (
    BackendGoneError,
    BackendRefusedError,
    BackendRejectedError,
    ConflictError,
    EnrollError,
    LMSUnavailableError,
    PaymentsUnavailableError,
    ThrottledError,
)
from frappe_enroll_sdk.models import Override, Status
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.policies import longest_s
from frappe_enroll_sdk.states import EXITS, STAYS
from frappe_enroll_sdk.testing.faults import Tap
from frappe_enroll_sdk.wiring import settle_policy_of


#: What a provider or LMS may answer to every call, for ever.
ERRORS = {
    "500": PaymentsUnavailableError("failed", unclear=True),
    "unreachable": PaymentsUnavailableError("refused"),
    "lms 500": LMSUnavailableError("failed", unclear=True),
    "401": BackendRefusedError("key"),
    "400": BackendRejectedError("no"),
    "404": BackendGoneError("unknown"),
    "409": ConflictError("in use"),
    "429": ThrottledError("slow down"),
    "bug": RuntimeError("unexpected"),
}
ADA, CODE = "ada@example.com", "coupon_code"
WORDS = {
    Override.REVOKED: "revoke",
    Override.REINSTATED: "reinstate",
    Override.ACCEPTED: "accept",
    Override.DISMISSED: "dismiss",
}
#: Seconds by which a look may come after the longest time: that of the retry schedule.
LOOK_S = 3 * 1920


def broken(world, error):
    """Return an SDK to which payments and LMS answer one error for ever."""

    def fail(_verb):
        raise error

    def tap(target):
        return Tap(target, fail, lambda _verb: None)

    return EnrollSDK(
        world.settings,
        storage=world.storage,
        payments=tap(world.payments),
        lms=tap(world.lms),
        clock=world.clock,
        discover=False,
    )


def pending(world, sdk):
    """Leave a row whose create may have been sent."""
    lost = ThrottledError("slow down")
    world.payments.faults.add("create_session", lost)
    with pytest.raises(ThrottledError):
        check_out(world)
    (row,) = world.rows()
    assert row.session_request is not None


def check_out(world):
    """Begin, with a code."""
    code = world.coupon(50)
    return world.sdk().checkout(course_id=COURSE, email=ADA, coupon_code=code)


def awaiting(world, sdk):
    """Leave a row whose learner is at the payment page."""
    check_out(world)


def processing(world, sdk):
    """Leave a row whose delayed payment is under way."""
    answer = check_out(world)
    row = world.storage.enrollments.find(answer.enrollment_id)
    world.payments.pay_delayed(row.session_id)
    world.sdk().settle(row.id)


def confirmed(world, sdk):
    """Leave a row that the LMS is owed."""
    answer = check_out(world)
    world.pay(answer.enrollment_id)
    world.sdk().settle(answer.enrollment_id)


def held(world, sdk):
    """Leave a row that was paid in another amount."""
    answer = check_out(world)
    (session,) = world.payments.sessions.values()
    world.payments.sessions[session.id] = attrs.evolve(session, amount=Money(1, "usd"))
    world.pay(answer.enrollment_id)
    world.sdk().settle(answer.enrollment_id)


def suspended(world, sdk):
    """Leave a row whose payment is disputed."""
    confirmed(world, world.sdk())
    (row,) = world.rows()
    world.payments.play_dispute(row.payment_id)
    world.sdk().settle(row.id, check_money=True)


CASES = {
    (Status.PENDING, ""): pending,
    (Status.AWAITING_PAYMENT, "the provider fails"): awaiting,
    (Status.AWAITING_PAYMENT, "the provider does not know the session"): awaiting,
    (Status.AWAITING_PAYMENT, "a delayed payment is under way"): processing,
    (Status.CONFIRMED, ""): confirmed,
    (Status.ON_HOLD, "for an operator"): held,
    (Status.ON_HOLD, "by its money"): suspended,
}


def errors_of(stay):
    """Return the names of the errors that a case is about."""
    gone = "not know" in stay.case
    return [
        name
        for name in ERRORS
        if stay.status is not Status.AWAITING_PAYMENT
        or not stay.bounds
        or gone is (name == "404")
    ]


def start(stay, error):
    """Return a world with a row in the status, and an SDK to which all is broken."""
    world = World(inline_s=0)
    sdk = broken(world, error)
    CASES[stay.status, stay.case](world, sdk)
    (row,) = world.rows()
    assert row.status is stay.status
    return world, sdk, row


def policy_of(sdk):
    """Return what settle follows."""
    return settle_policy_of(sdk.settings, sdk.payments)


def run(world, sdk, seconds):
    """Let time pass in steps of at most five minutes, with a pass after each."""
    while seconds > 0:
        world.clock.advance(min(seconds, 300))
        seconds -= 300
        sdk.run_jobs(limit=1000)


def now(world, row):
    """Return the row as it stands."""
    return world.storage.enrollments.find(row.id)


BY_TIME = [
    pytest.param(stay, name, id=f"{stay.status} {stay.case} {name}".replace(" ", "-"))
    for stay in STAYS
    if stay.bounds
    for name in errors_of(stay)
]
BY_WORD = [
    pytest.param(
        stay,
        name,
        word,
        id=f"{stay.status} {stay.case} {name} {word}".replace(" ", "-"),
    )
    for stay in STAYS
    for name in errors_of(stay)
    for word in sorted(stay.words)
]


def test_every_status_is_left_or_is_an_end():
    """The table has each status that a row may not stay in, and each of them once."""
    stays = {(stay.status, stay.case) for stay in STAYS}
    assert len(stays) == len(STAYS)
    assert stays == CASES.keys()
    at_rest = EXITS | {Status.ENROLLED, Status.REVOKED}
    assert {stay.status for stay in STAYS} == set(Status) - at_rest
    assert all(stay.words for stay in STAYS)


@pytest.mark.parametrize(("stay", "name"), BY_TIME)
def test_status_is_left_by_time_alone(stay, name):
    """Whatever is answered, for ever: after its longest time the row has gone on."""
    world, sdk, row = start(stay, ERRORS[name])
    bound = longest_s(stay, sdk.settings, policy_of(sdk))
    run(world, sdk, bound + LOOK_S)
    row = now(world, row)
    assert row.status in EXITS, row.history
    spent = (row.history[-1].at - row.created_at).total_seconds()
    assert spent <= bound + LOOK_S
    assert row.due_at is None
    (coupon,) = world.storage.coupons.list().items
    assert coupon.reserved == 0
    # And the learner may begin anew.
    assert check_out(world).status == "awaiting_payment"


@pytest.mark.parametrize(("stay", "name", "word"), BY_WORD)
def test_status_is_left_by_a_word(stay, name, word):
    """However long nothing has answered: an operator's word leads out."""
    world, sdk, row = start(stay, ERRORS[name])
    if stay.status is Status.AWAITING_PAYMENT:
        run(world, sdk, longest_s(STAYS[2], sdk.settings, policy_of(sdk)))
        row = now(world, row)
        if row.status in EXITS:
            return
    getattr(sdk.enrollments, WORDS[word])(row.id, "op", "enough")
    row = now(world, row)
    assert row.status is not stay.status, row.history


@pytest.mark.parametrize("name", ERRORS)
def test_what_leaves_by_itself_no_more_has_told(name):
    """A delayed payment of which nobody tells: alerted, and its seat given back."""
    (stay,) = [s for s in STAYS if "delayed" in s.case]
    heard = []
    world, sdk, row = start(stay, ERRORS[name])
    sdk.plugins.notify = lambda hook, **told: heard.append(told.get("code"))
    run(world, sdk, 4 * 86_400)
    row = now(world, row)
    assert row.status is Status.AWAITING_PAYMENT
    assert row.seat_lapsed
    assert {"session_gone", "enrollment_stuck"} & set(heard)


def test_words_of_the_table_are_the_verbs():
    """Each of them is one of the operators' verbs."""
    assert WORDS.keys() == set(Override)
    assert issubclass(PaymentsUnavailableError, EnrollError)
