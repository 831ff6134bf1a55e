# SPDX-License-Identifier: MIT
"""A create whose outcome is unclear holds neither a learner nor a code."""

from __future__ import annotations

import pytest
from support.shop import ADA, COURSE, Shop
from support.size import with_the_first_python
from support.stripe_side import SESSIONS, order_of
from support.turns import Actor, sdk_of
from support.world import World

from frappe_enroll_sdk.errors import (
    ConflictError,
    CouponUnavailableError,
    PaymentsUnavailableError,
    ThrottledError,
)
from frappe_enroll_sdk.models import SessionStatus, Status
from frappe_enroll_sdk.services.operators.differences import Difference
from frappe_enroll_sdk.services.settle.decision import Wish


BOB = "bob@example.com"
CREATE = f"POST {SESSIONS}$"
UNCLEAR = PaymentsUnavailableError("timed out", unclear=True)


@pytest.fixture
def world():
    """Return a world in memory."""
    return World(probed=True)


def buy(world, email=ADA, code=None, sdk=None):
    """Check out."""
    sdk = sdk or world.sdk()
    return sdk.checkout(
        course_id=COURSE, email=email, coupon_code=code, authenticated=True
    )


def statuses(world):
    """Return the status of each session, in the order in which they were made."""
    return [session.status for session in world.payments.sessions.values()]


class Tab:
    """A learner who checks out, call by call."""

    def __init__(self, world, email=ADA, code=None) -> None:
        self.answer = None
        self._world, self._bought = world, (email, code)
        self.actor = Actor("tab", self._run)

    def _run(self, actor) -> None:
        sdk = sdk_of(self._world, actor)
        self.answer = buy(self._world, *self._bought, sdk=sdk)

    def creates(self):
        """Let it go on until its create was answered; return itself."""
        self.actor.advance_past("payments.create_session")
        return self

    def finish(self):
        """Let it come to its end; return what it was answered, or its error."""
        self.actor.finish()
        return self.answer or self.actor.error


@pytest.mark.parametrize("times", [1, 2])
def test_500_that_its_key_keeps_costs_a_key(world, times):
    """The learner waits for nothing: the next key makes her session, and she pays."""
    code = world.coupon(50)
    world.payments.fail_creates(times)
    answer = buy(world, code=code)
    (row,) = world.rows()
    (session,) = world.payments.sessions.values()
    assert answer.payment_url == session.url
    assert row.session_try == session.try_number == times + 1
    facts = [entry.fact for entry in row.history]
    assert facts.count("create_abandoned") == times
    world.deliver(world.sdk(), world.pay(row.id))
    world.let_time_pass()
    world.check_promises()
    assert world.rows()[0].status is Status.ENROLLED


def test_three_keys_are_all_that_an_attempt_uses_up(world):
    """503, and at once both learner and code are as free as before."""
    code = world.coupon(50)
    world.payments.fail_creates(3)
    with pytest.raises(PaymentsUnavailableError):
        buy(world, code=code)
    assert len(world.payments.remembered) == 3
    (row,) = world.rows()
    assert (row.status, row.reason) == (Status.FAILED, "payments_unavailable")
    assert world.storage.coupons.find(code).reserved == 0
    # Another one has the code at once; the learner herself begins anew.
    assert buy(world, BOB, code).status == "awaiting_payment"
    assert buy(world).status == "awaiting_payment"


@pytest.mark.parametrize("email", [ADA, BOB])
@pytest.mark.parametrize(
    "error", [UNCLEAR, ConflictError("in progress"), ThrottledError("slow down")]
)
def test_failure_for_ever_never_holds_a_code(world, error, email):
    """Whatever create answers, for ever: after the grace nothing is held."""
    code = world.coupon(50)
    world.payments.faults.add("create_session", error, times=100)
    with pytest.raises((PaymentsUnavailableError, ThrottledError)):
        buy(world, code=code)
    world.clock.advance(121)
    world.sdk().run_jobs()
    assert {row.status for row in world.rows()} <= {Status.FAILED, Status.EXPIRED}
    assert world.storage.coupons.find(code).reserved == 0
    world.payments.faults.clear()
    assert buy(world, email, code).status == "awaiting_payment"


def test_slow_failures_are_not_waited_for_three_times(world):
    """A time-out of twenty seconds is one: the learner is told, not kept."""

    def time_out(_request):
        calls.append(1)
        world.clock.advance(20)
        raise UNCLEAR

    calls = []
    world.payments.create_session = time_out
    with pytest.raises(PaymentsUnavailableError):
        buy(world)
    assert len(calls) == 1
    assert world.rows()[0].status is Status.FAILED


def test_answer_that_comes_late_is_of_no_session_that_anybody_is_sent_to(world):
    """
    A second tab abandons the create that the first one waits for.

    What the first one is answered is expired, and both are sent to the same page.
    """
    slow = Tab(world).creates()
    world.payments.faults.add("create_session", ConflictError("in progress"))
    other = buy(world)
    first, second = world.payments.sessions.values()
    assert other.payment_url == slow.finish().payment_url == second.url
    assert statuses(world) == [SessionStatus.EXPIRED, SessionStatus.OPEN]
    world.deliver(world.sdk(), world.pay(world.rows()[0].id))
    world.let_time_pass()
    world.check_promises()
    assert first.try_number == 1


def test_session_that_two_runs_share_is_not_expired_by_the_one_that_lost(world):
    """Both sent one request; the loser reads a row that stores that very session."""
    tabs = [Tab(world).creates() for _ in range(2)]
    urls = {tab.finish().payment_url for tab in tabs}
    (session,) = world.payments.sessions.values()
    assert session.status is SessionStatus.OPEN
    assert urls == {session.url}


@pytest.mark.parametrize("by", ["cancel", "takeover", "time", "revoke"])
def test_attempt_that_ends_in_its_create_expires_what_it_is_answered(world, by):
    """The exit needs no provider; the session that turns up is nobody's."""
    code = world.coupon(50)
    slow = Tab(world, code=code).creates()
    (row,) = world.rows()
    if by == "cancel":
        world.sdk()._services.settle.run(row.id, wish=Wish.CANCEL)
    elif by == "revoke":
        world.sdk().enrollments.revoke(row.id, "op", "gone")
    else:
        world.clock.advance(901)
        if by == "time":
            world.sdk().run_jobs()
        else:
            buy(world, BOB, code)
    assert isinstance(slow.finish(), ConflictError)
    assert statuses(world)[0] is SessionStatus.EXPIRED
    assert statuses(world)[1:] == ([SessionStatus.OPEN] if by == "takeover" else [])


def test_orphan_whose_process_died_is_found_by_reconcile(world):
    """Open, ours, and stored by no row: reconcile expires it, and nothing else."""
    world.payments.faults.add("create_session", UNCLEAR, after=True)
    answer = buy(world)
    pending = Tab(world, BOB).creates()
    foreign = world.payments.prepare_session(order_of(world.clock))
    world.payments.create_session(foreign)
    found = reconcile(world, repair=False)
    orphans = {f.enrollment_id for f in found}
    assert orphans == {answer.enrollment_id, None}
    assert set(statuses(world)) == {SessionStatus.OPEN}
    found = reconcile(world, repair=True)
    after = {f.enrollment_id: f.after for f in found}
    assert after == {answer.enrollment_id: "expired", None: None}
    # One that a pending row may still come to store is left alone, and so is
    # another deployment's.
    expired, *others = statuses(world)
    assert expired is SessionStatus.EXPIRED
    assert set(others) == {SessionStatus.OPEN}
    assert pending.finish().payment_url


def reconcile(world, *, repair):
    """Return what a reconciliation of the provider's sessions finds."""
    report = world.sdk().admin.reconcile(repair=repair, cursor="sessions:")
    kinds = {finding.difference for finding in report.findings}
    assert kinds <= {Difference.ORPHAN_SESSION}
    return report.findings


@pytest.mark.parametrize("ended", [False, True])
def test_abandoned_session_that_is_paid_all_the_same_is_held(world, ended):
    """Nobody has its URL; if it ever is paid, the money waits for an operator."""
    world.payments.faults.add("create_session", UNCLEAR, after=True)
    answer = buy(world)
    if ended:
        world.sdk().cancel(answer.enrollment_id, answer.token)
    first = next(iter(world.payments.sessions))
    event = world.payments.pay(first)
    result = world.deliver(world.sdk(), event)
    assert result.outcome == "quarantined"
    (item,) = world.sdk().admin.quarantine().items
    assert (item.reason, item.session_id) == ("abandoned_session", first)
    row = world.sdk().admin.accept(event.id, "op", "she has paid")
    assert row.status is Status.ENROLLED
    assert row.payment_id == event.payment_id
    assert SessionStatus.OPEN not in statuses(world)


@pytest.fixture
def shop(open_storage):
    """Return a shop on each store; its gateway gives up after half a second."""
    with Shop(open_storage, lms_rate_per_s=0, stripe_timeout_s=1) as shop:
        yield shop


@with_the_first_python
@pytest.mark.parametrize(
    ("kind", "more", "made"),
    [
        ("status", {"status": 500}, 1),
        ("status", {"status": 409}, 1),
        ("commit_then_500", {}, 2),
        ("commit_then_timeout", {"seconds": 3}, 2),
        ("reset", {}, 1),
        ("hang", {"seconds": 3}, 1),
    ],
)
def test_unclear_create_over_http(shop, kind, more, made):
    """Each kind of unclear answer costs one key, and the learner pays."""
    code = shop.sdk.coupons.create(50, COURSE).code
    shop.stripe.fail_next(CREATE, kind, **more)
    row = shop.checkout(coupon_code=code)
    assert (row.status, row.session_try) == (Status.AWAITING_PAYMENT, 2)
    assert len(shop.account.sessions) == made
    keys = [r.idempotency_key for r in shop.stripe.requests if r.idempotency_key]
    assert keys == [row.id, f"{row.id}:2"]
    report = shop.sdk.admin.reconcile(repair=True, cursor="sessions:")
    assert len(report.findings) == made - 1
    shop.account.pay(row.session_id)
    shop.rest(0)
    shop.check_end(row, Status.ENROLLED)
    open_ones = [s for s in shop.account.sessions.values() if s["status"] == "open"]
    assert open_ones == []


@with_the_first_python
def test_500_for_ever_over_http(shop):
    """Nobody is locked out for a day: 503, and the code is free for anybody."""
    code = shop.sdk.coupons.create(50, COURSE).code
    shop.stripe.fail_next(CREATE, "status", times=None)
    for email in (ADA, BOB):
        # The code is not what is in the way.
        with pytest.raises(PaymentsUnavailableError):
            shop.checkout(email, coupon_code=code)
    shop.stripe.heal()
    assert shop.checkout(coupon_code=code).status is Status.AWAITING_PAYMENT
    with pytest.raises(CouponUnavailableError):
        shop.checkout(BOB, coupon_code=code)
