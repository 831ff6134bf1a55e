# SPDX-License-Identifier: MIT
"""
Learners, admins, a payment provider and a clock play against the real services.

The model is what the provider and the operators have done; whatever was delivered when,
lost, doubled or late, the rows have to follow from it once the news has come through.
"""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from support.size import times, with_the_first_python
from support.world import COURSE, World

from frappe_enroll_sdk.errors import EnrollError, TransitionError
from frappe_enroll_sdk.models import (
    DisputeStatus,
    Override,
    RefundStatus,
    SessionStatus,
    Status,
)
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.services.settle.decide_slot import TAKEN
from frappe_enroll_sdk.states import ENTITLED, EXITS, UNPAID
from frappe_enroll_sql.storage import SQLStorage


LEARNERS = ["ada@example.com", "bob@example.com", "eve@example.com"]
OPEN = {
    DisputeStatus.NEEDS_RESPONSE,
    DisputeStatus.UNDER_REVIEW,
    DisputeStatus.APPEAL_NEEDS_RESPONSE,
    DisputeStatus.APPEAL_UNDER_REVIEW,
}


class Payments(RuleBasedStateMachine):
    """Everybody acts at any moment; the provider delivers as it likes."""

    attempts = Bundle("attempts")

    def __init__(self, new_world):
        super().__init__()
        self.world = new_world(inline_s=0)
        self.sdk, self.tokens = self.world.sdk(), {}
        self.codes = [self.world.coupon(50, max_redemptions=2), self.world.coupon(100)]

    # Learners.

    @rule(
        target=attempts,
        email=st.sampled_from(LEARNERS),
        code=st.sampled_from([None, 0, 1]),
    )
    def checkout(self, email, code):
        """Begin, or go on."""
        coupon = None if code is None else self.codes[code]
        try:
            answer = self.sdk.checkout(
                course_id=COURSE, email=email, coupon_code=coupon
            )
        except EnrollError:
            return None
        # Only who has begun is given the token.
        self.tokens.setdefault(answer.enrollment_id, answer.token)
        return answer.enrollment_id

    @initialize(
        target=attempts,
        email=st.sampled_from(LEARNERS),
        code=st.sampled_from([None, 0]),
        delayed=st.sampled_from([None, None, False, True]),
    )
    def begin(self, email, code, delayed):
        """Begin with somebody who goes to the payment page, and may have paid."""
        name = self.checkout(email, code)
        if delayed is not None:
            self.pay(name, delayed)
        return name

    def row(self, name):
        """Return an attempt's row, or None."""
        return None if name is None else self.world.storage.enrollments.find(name)

    def session(self, name):
        """Return the provider's session of an attempt, or None."""
        row = self.row(name)
        return self.world.payments.sessions.get(row.session_id) if row else None

    @rule(name=attempts, delayed=st.booleans())
    def pay(self, name, delayed):
        """Pay at the provider, whatever our row has become meanwhile."""
        session, now = self.session(name), self.world.clock.now()
        if (
            session
            and session.status is SessionStatus.OPEN
            and session.expires_at > now
        ):
            act = (
                self.world.payments.pay_delayed if delayed else self.world.payments.pay
            )
            act(session.id)

    @rule(name=attempts, ok=st.booleans())
    def settle_delayed(self, name, ok):
        """Let a delayed payment end."""
        session = self.session(name)
        pending = session and session.status is SessionStatus.COMPLETE
        if pending and not session.paid and not session.payment_failed:
            self.world.payments.settle_delayed(session.id, ok=ok)

    @rule(name=attempts)
    def come_back(self, name):
        """Return from the payment page."""
        session = self.session(name)
        if session:
            self.sdk.confirm_return(session.id)

    @rule(name=attempts, pays=st.sampled_from([None, False, True]))
    def cancel(self, name, pays):
        """Give up; maybe a second tab pays in the moment in which the session ends."""
        if name is None:
            return
        payments = self.world.payments
        expire = payments.expire_session

        def expire_too_late(session_id):
            payments.expire_session = expire
            self.pay(name, delayed=pays)
            return expire(session_id)

        if pays is not None:
            payments.expire_session = expire_too_late
        self.sdk.cancel(name, self.tokens[name])
        payments.expire_session = expire

    # The provider.

    @rule(name=attempts, part=st.sampled_from([1000, None]))
    def refund(self, name, part):
        """Give back a part or all."""
        session, payments = self.session(name), self.world.payments
        left = self.left(session)
        if left <= 0:
            return
        amount = Money(min(part or left, left), "usd")
        payments.play_refund(session.payment_id, amount)
        self.deliver_news()

    @rule(number=st.integers(0, 99))
    def fail_refund(self, number):
        """Let a refund fail after all."""
        payments = self.world.payments
        good = [r for r in payments.refunds.values() if r.counts]
        if good:
            payments.fail_refund(good[number % len(good)])

    def left(self, session):
        """Return what could still be given back."""
        if not session or not session.paid or session.payment_id is None:
            return 0
        refunds = self.world.payments.refunds.values()
        return session.amount.amount_minor - sum(
            r.amount.amount_minor
            for r in refunds
            if r.payment_id == session.payment_id and r.status is RefundStatus.SUCCEEDED
        )

    @rule(name=attempts, status=st.sampled_from(DisputeStatus))
    def dispute(self, name, status):
        """Dispute a payment, or move its dispute."""
        session, payments = self.session(name), self.world.payments
        if not session or not session.paid or status is DisputeStatus.PREVENTED:
            return
        known = payments.list_disputes(session.payment_id)
        if known:
            payments.move_dispute(known[0].id, status)
        else:
            payments.play_dispute(session.payment_id, status)

    @rule()
    def deliver_news(self):
        """Deliver the newest event."""
        for event in self.world.payments.events[-1:]:
            self.sdk.handle_webhook(*self.world.payments.signed(event))
            self.sdk.run_jobs()

    @rule(number=st.integers(0, 999), copies=st.integers(1, 3))
    def deliver(self, number, copies):
        """Deliver any event, old or new, some times over."""
        events = self.world.payments.events
        for _ in range(copies if events else 0):
            event = events[number % len(events)]
            self.sdk.handle_webhook(*self.world.payments.signed(event))

    # Operators, and time.

    @rule(
        name=attempts,
        word=st.sampled_from(["revoke", "reinstate", "accept", "dismiss"]),
    )
    def say(self, name, word):
        """Say a word, where it fits."""
        if name is not None:
            try:
                getattr(self.sdk.enrollments, word)(name, "op", "why")
            except TransitionError:
                return

    @rule(seconds=st.sampled_from([1, 130, 1000, 8000]))
    def wait(self, seconds):
        """Let time pass, and a cron pass run."""
        self.world.clock.advance(seconds)
        self.sdk.run_jobs()

    @rule()
    def work(self):
        """Let a cron pass run."""
        self.sdk.run_jobs()

    # What must hold.

    @invariant()
    def coupons_are_never_overbooked(self):
        """P1."""
        for coupon in self.world.storage.coupons.list(limit=10).items:
            assert coupon.reserved + coupon.redeemed <= coupon.max_redemptions

    @invariant()
    def money_adds_up(self):
        """Discount + amount = price; nobody gets back more than they paid."""
        for row in self.world.rows():
            assert row.discount + row.amount == row.price
            if row.paid is not None:
                assert row.paid == row.amount
                assert 0 <= row.refunded_minor <= row.paid.amount_minor
            paid = sum(e.fact in {"paid", "paid_late"} for e in row.history)
            assert paid <= 1

    @invariant()
    def nobody_is_entitled_without_a_reason(self):
        """P5: paid, redeemed, or an operator's word."""
        for row in self.world.rows():
            if row.status not in ENTITLED or row.override is not None:
                continue
            if row.amount:
                assert self.world.payments.sessions[row.session_id].paid, row.history
            else:
                seat = self.world.storage.coupons.find_seat(row.coupon_code, row.id)
                assert seat is not None, row.history

    def teardown(self):
        """Deliver all that was ever sent; then everything follows from it."""
        sdk, world = self.sdk, self.world
        for seconds in (0, 130, 300, 8000, 8000):
            world.clock.advance(seconds)
            for event in list(world.payments.events):
                sdk.handle_webhook(*world.payments.signed(event))
            while sdk.run_jobs(limit=1000).claimed:
                pass
        for row in world.rows():
            self.check_end(row)

    def check_end(self, row):
        """Check one row, and the LMS's rows of its learner, at rest."""
        session = self.world.payments.sessions.get(row.session_id)
        paid = session is not None and session.paid
        waiting = session is not None and (
            session.status is SessionStatus.COMPLETE
            and not paid
            and not session.payment_failed
        )
        assert row.status not in UNPAID or waiting, row.history
        # No attempt ends as long as somebody may still pay for it, but by a word.
        by_word = any(
            (entry.fact, entry.status) == ("revoked_by_operator", Status.CANCELLED)
            for entry in row.history
        )
        assert row.held_for is None or by_word or self.is_second(row), row.history
        if row.held_for is not None:
            assert row.status in {Status.ON_HOLD, Status.REVOKED}, row.history
        elif paid and row.override is not Override.DISMISSED:
            assert row.status not in EXITS, row.history
            back = session.amount.amount_minor - self.left(session)
            statuses = {
                d.status for d in self.world.payments.list_disputes(row.payment_id)
            }
            assert row.refunded_minor == back
            gone = back == session.amount.amount_minor or DisputeStatus.LOST in statuses
            bad = gone or bool(statuses & OPEN)
            if row.override is Override.REVOKED:
                assert row.status is Status.REVOKED
            elif row.override is Override.REINSTATED:
                assert row.status is Status.ENROLLED
            elif gone:
                assert row.status is Status.REVOKED, row.history
            elif bad:
                assert row.status is Status.ON_HOLD, row.history
            else:
                assert row.status is Status.ENROLLED, row.history
        pair = [r for r in self.world.rows() if r.email == row.email]
        entitled = sum(r.status in ENTITLED for r in pair)
        there = len(self.world.lms.rows_of(row.learner, row.course_id))
        assert there == min(entitled, 1), [r.history for r in pair]

    def is_second(self, row):
        """Tell whether the row is held because another of its pair has the course."""
        other = next(
            (e.detail["other"] for e in row.history[::-1] if "other" in e.detail), None
        )
        if row.held_for not in TAKEN or other is None:
            return False
        rival = self.world.storage.enrollments.find(other)
        pair = (row.email, row.course_id)
        # Paid, or with a payment under way that nobody could end.
        may_stand = ENTITLED | {Status.AWAITING_PAYMENT, Status.ON_HOLD}
        stood = any(e.status in may_stand for e in rival.history)
        return (rival.email, rival.course_id) == pair and stood


#: Examples on each store: of a few, and of all.
EXAMPLES = {"memory": (200, 10_000), "sqlite": (6, 500), "mongo": (5, 500)}


@pytest.fixture
def new_world(request, store, db_folder):
    """Return a maker of empty worlds on the store."""
    if store == "mongo":
        return request.getfixturevalue("mongo_worlds")
    if store == "memory":
        return World
    files = (db_folder / f"{number}.sqlite3" for number in count())

    def make(**settings):
        path = next(files)
        return World(lambda: SQLStorage(f"sqlite:///{path}"), **settings)

    return make


@pytest.mark.parametrize(
    "store",
    [
        "memory",
        pytest.param("sqlite", marks=with_the_first_python),
        pytest.param("mongo", marks=with_the_first_python),
    ],
)
def test_payments_follow_from_what_was_done(store, new_world):
    """Whoever does what, in any order: coupons, money and access are right."""
    # What fails at a server takes too long to be made smaller there.
    small = [Phase.shrink] if store == "memory" else []
    sizes = settings(
        max_examples=times(*EXAMPLES[store]),
        phases=[Phase.explicit, Phase.generate, Phase.target, *small],
        stateful_step_count=15,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(lambda: Payments(new_world), settings=sizes)
