# SPDX-License-Identifier: MIT
"""The flows whose every call may be the process's last."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import attrs

from frappe_enroll_sdk.errors import CouponUnavailableError, PaymentsUnavailableError
from support.world import COURSE, World


@attrs.frozen
class Flow:
    """A flow: what went before (safely), and what the dying process does."""

    name: str
    prepare: Callable[[World], dict]
    run: Callable[..., None]
    settings: dict = attrs.field(factory=dict)
    #: By how much the samples on real stores are thinned: in memory every call dies.
    thinned: int = 1

    def sample(self, most: int) -> int:
        """Return how many of its calls are the last ones on a real store."""
        return max(most // self.thinned, 1)


def _nothing(world: World) -> dict:
    return {}


def _run_paid(sdk, world, email="ada@example.com", code=None):
    answer = sdk.checkout(course_id=COURSE, email=email, coupon_code=code)
    event = world.pay(answer.enrollment_id)
    world.deliver(sdk, event)


def _with_coupon(percent):
    return lambda world: {"code": world.coupon(percent)}


def _run_grant(sdk, world, code):
    sdk.checkout(course_id=COURSE, email="ada@example.com", coupon_code=code)


def _held_code(world):
    code = world.coupon(50)
    world.sdk().checkout(course_id=COURSE, email="bob@example.com", coupon_code=code)
    world.clock.advance(901)
    return {"code": code}


def _open_session(world):
    code = world.coupon(50)
    answer = world.sdk().checkout(
        course_id=COURSE, email="ada@example.com", coupon_code=code
    )
    return {"answer": answer}


def _run_cancel(sdk, world, answer):
    sdk.cancel(answer.enrollment_id, answer.token)


def _run_cancel_paid(sdk, world, answer):
    world.pay(answer.enrollment_id)
    sdk.cancel(answer.enrollment_id, answer.token)


def _confirmed(world):
    sdk = world.sdk()
    _run_paid(sdk, world)
    return {}


def _run_jobs(sdk, world):
    sdk.run_jobs()


def _enrolled(world):
    sdk = world.sdk()
    _run_paid(sdk, world)
    return {"enrollment_id": world.rows()[0].id}


def _run_revoke(sdk, world, enrollment_id):
    sdk.enrollments.revoke(enrollment_id, "operator", "test")
    sdk.run_jobs()


def _run_revoke_and_reinstate(sdk, world, enrollment_id):
    sdk.enrollments.revoke(enrollment_id, "operator", "test")
    sdk.run_jobs()
    sdk.enrollments.reinstate(enrollment_id, "operator", "test")
    sdk.run_jobs()


def _run_refund(sdk, world, enrollment_id):
    row = world.storage.enrollments.find(enrollment_id)
    _, event = world.payments.play_refund(row.payment_id)
    world.deliver(sdk, event)
    sdk.run_jobs()


def _run_reassign(sdk, world, enrollment_id):
    sdk.enrollments.reassign(enrollment_id, "bob@example.com", "operator", "typo")
    sdk.run_jobs()


def _moved_on(world):
    """Reassign an enrollment once."""
    given = _enrolled(world)
    _run_reassign(world.sdk(), world, **given)
    (row,) = [row for row in world.rows() if row.email == "bob@example.com"]
    return {"enrollment_id": row.id}


def _run_refund_of_chain(sdk, world, enrollment_id):
    """Reassign it again; then the money goes back."""
    sdk.enrollments.reassign(enrollment_id, "eve@example.com", "operator", "sold")
    _run_refund(sdk, world, enrollment_id)


def _refunded_and_open_again(world):
    """Give the money back; the learner has another page open."""
    given = _enrolled(world)
    row = world.storage.enrollments.find(given["enrollment_id"])
    refund, event = world.payments.play_refund(row.payment_id)
    sdk = world.sdk()
    world.deliver(sdk, event)
    sdk.run_jobs()
    answer = sdk.checkout(course_id=COURSE, email="ada@example.com")
    return {"refund": refund, "enrollment_id": answer.enrollment_id}


def _run_failed_refund(sdk, world, refund, enrollment_id):
    """Let the refund fail, while the other page is open."""
    world.deliver(sdk, world.payments.fail_refund(refund))
    sdk.run_jobs()


def _run_second_payment(sdk, world, refund, enrollment_id):
    """Pay the other page; then the refund fails after all."""
    world.deliver(sdk, world.pay(enrollment_id))
    _run_failed_refund(sdk, world, refund, enrollment_id)


def _quarantined(world):
    """Quarantine a payment by another session that carries our mark."""
    sdk = world.sdk()
    answer = sdk.checkout(course_id=COURSE, email="ada@example.com")
    event = world.play_foreign_payment(answer.enrollment_id)
    assert world.deliver(sdk, event).outcome == "quarantined"
    return {"event_id": event.id}


def _run_accept_event(sdk, world, event_id):
    sdk.admin.accept(event_id, "operator", "paid by link")
    sdk.run_jobs()


def _run_other_terms(sdk, world, answer):
    sdk.checkout(course_id=COURSE, email="ada@example.com")


def _takeover(sdk, world, code):
    sdk.checkout(course_id=COURSE, email="ada@example.com", coupon_code=code)


def _takeover_of_paid(sdk, world, code):
    world.pay(world.rows()[0].id)
    with suppress(CouponUnavailableError):
        sdk.checkout(course_id=COURSE, email="ada@example.com", coupon_code=code)


def _run_unclear(sdk, world, code=None):
    """The first key's answer is lost, the second one's is a 500 that it keeps."""
    lost = PaymentsUnavailableError("timed out", unclear=True)
    world.payments.faults.add("create_session", lost, after=True)
    world.payments.faults.add("create_session", lost)
    _run_paid(sdk, world, code=code)


def _run_refused_keys(sdk, world, code):
    """Three keys in vain; then another learner wants the code."""
    world.payments.fail_creates(3)
    with suppress(PaymentsUnavailableError):
        sdk.checkout(course_id=COURSE, email="ada@example.com", coupon_code=code)
    _run_paid(sdk, world, "bob@example.com", code)


def _moved(prepare):
    """Change the key to another account's after what went before."""

    def prepare_and_move(world):
        given = prepare(world)
        world.payments.account = "another"
        return given

    return prepare_and_move


def _run_gone(sdk, world, answer):
    """The learner gives up, the code is asked for, an operator says his word."""
    code = world.rows()[0].coupon_code
    sdk.cancel(answer.enrollment_id, answer.token)
    with suppress(CouponUnavailableError):
        sdk.checkout(course_id=COURSE, email="bob@example.com", coupon_code=code)
    sdk.enrollments.revoke(answer.enrollment_id, "operator", "other account")
    _run_paid(sdk, world, "bob@example.com", code)


def _run_gone_for_good(sdk, world, answer):
    """Nobody says anything: time ends it."""
    sdk.run_jobs()
    for seconds in (7300, 600, 3700):
        world.clock.advance(seconds)
        sdk.run_jobs()


FLOWS = [
    Flow("paid", _nothing, _run_paid),
    Flow("full_grant", _with_coupon(100), _run_grant),
    Flow("partial_grant", _with_coupon(50), _run_paid),
    Flow("takeover", _held_code, _takeover),
    Flow("takeover_of_paid", _held_code, _takeover_of_paid),
    Flow("cancel", _open_session, _run_cancel),
    Flow("cancel_against_payment", _open_session, _run_cancel_paid),
    Flow("other_terms", _open_session, _run_other_terms),
    Flow("lms_sync", _confirmed, _run_jobs, {"inline_s": 0}),
    Flow("revoke", _enrolled, _run_revoke),
    Flow("revoke_and_reinstate", _enrolled, _run_revoke_and_reinstate),
    Flow("refund", _enrolled, _run_refund),
    Flow("reassign", _enrolled, _run_reassign, thinned=3),
    Flow("refund_of_chain", _moved_on, _run_refund_of_chain, thinned=3),
    Flow("failed_refund", _refunded_and_open_again, _run_failed_refund),
    Flow("second_payment", _refunded_and_open_again, _run_second_payment, thinned=3),
    Flow("unclear_create", _nothing, _run_unclear),
    Flow("unclear_partial_grant", _with_coupon(50), _run_unclear),
    Flow("refused_keys", _with_coupon(50), _run_refused_keys),
    Flow("gone_session", _moved(_open_session), _run_gone),
    Flow("gone_for_good", _moved(_open_session), _run_gone_for_good),
    Flow("gone_reassign", _moved(_enrolled), _run_reassign, thinned=3),
    Flow("accept_event", _quarantined, _run_accept_event, thinned=3),
]
