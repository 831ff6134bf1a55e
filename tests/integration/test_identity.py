# SPDX-License-Identifier: MIT
"""An unproved address is no identity: strangers and a learner at one door."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
from support.site import EMAIL, Site, check_problem
from support.world import COURSE, World

from frappe_enroll_sdk import hookimpl
from frappe_enroll_sdk.errors import (
    AlreadyEnrolledError,
    ConflictError,
    CouponExhaustedError,
    CouponReservedError,
    IdempotencyMismatchError,
    PaymentsUnavailableError,
    TokenError,
    TransitionError,
)
from frappe_enroll_sdk.models import (
    DisputeStatus,
    GrantStatus,
    Opener,
    SeatState,
    SessionStatus,
    Status,
)
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.testing.faults import CrashPlan


ADA, BOB = "ada@example.com", "bob@example.com"
WORD = ("operator", "because")


@pytest.fixture
def world():
    """Return a world that hears alerts."""
    return World(probed=True)


@pytest.fixture
def back():
    """Return a world that gives second payments back."""
    return World(probed=True, paid_twice="refund")


def buy(world, email=ADA, **more):
    """Check out."""
    return world.sdk().checkout(course_id=COURSE, email=email, **more)


def row_of(world, answer):
    """Return an attempt's row as it stands."""
    name = getattr(answer, "enrollment_id", answer)
    return world.storage.enrollments.find(name)


def pay(world, answer, **forged):
    """Pay an attempt; its webhook is delivered."""
    row = row_of(world, answer)
    event = world.pay(row.id, **forged)
    world.deliver(world.sdk(), event)
    return row_of(world, answer)


def work(world):
    """Run what is due until nothing is."""
    while world.sdk().run_jobs().claimed:
        pass


def told(world):
    """Return the alerts' codes and subjects."""
    work(world)
    return sorted({alert[:2] for alert in world.probe.alerts.values()})


def given_back(world):
    """Return what was given back, by payment, where it counts."""
    return [
        (refund.payment_id, refund.amount.amount_minor)
        for refund in world.payments.refunds.values()
        if refund.counts
    ]


class After(CrashPlan):
    """Lets something happen after the first call of a verb."""

    def __init__(self, verb, then):
        super().__init__()
        self.verb, self.then, self.done = verb, then, False

    def after(self, verb):
        """Let it happen, once."""
        super().after(verb)
        if verb == self.verb and not self.done:
            self.done = True
            self.then()


# Whose an attempt is.


def test_strangers_attempt_is_neither_resumed_nor_touched_by_the_learners(world):
    """Two rows, two pages: her affiliate, name and token are her own."""
    sdk = world.sdk()
    sdk.affiliates.register("spy@example.com", code="spy")
    his = buy(world, affiliate="spy", full_name="A Stranger")
    hers = buy(world, full_name="Ada L")
    assert his.enrollment_id != hers.enrollment_id
    assert hers.token is not None
    assert not hers.resumed
    assert row_of(world, his).status is Status.AWAITING_PAYMENT
    with pytest.raises(TokenError):
        sdk.cancel(hers.enrollment_id, his.token)
    with pytest.raises(TokenError):
        sdk.enrollments.get_with_token(hers.enrollment_id, his.token)
    assert pay(world, hers).status in {Status.CONFIRMED, Status.ENROLLED}
    work(world)
    assert row_of(world, his).status is Status.EXPIRED
    assert world.lms.users[ADA].full_name == "Ada L"
    assert world.storage.affiliates.list_rows("spy").items == ()
    world.let_time_pass()
    world.check_promises()


def test_other_terms_of_a_stranger_leave_the_learners_page_open(world):
    """He used to expire her session without any token."""
    code = world.coupon(50)
    hers = buy(world)
    buy(world, coupon_code=code)
    row = row_of(world, hers)
    session = world.payments.sessions[row.session_id]
    assert (row.status, session.status) == ("awaiting_payment", SessionStatus.OPEN)


def test_token_resumes_and_replaces(world):
    """The same terms are the same page; others open at once, the old end is owed."""
    first = buy(world)
    again = buy(world, token=first.token)
    assert (again.enrollment_id, again.resumed, again.token) == (
        first.enrollment_id,
        True,
        None,
    )
    world.payments.faults.add("expire_session", PaymentsUnavailableError("down"))
    other = buy(world, token=first.token, affiliate="somebody")
    assert other.enrollment_id != first.enrollment_id
    assert row_of(world, first).reason == "replaced"
    world.payments.faults.clear()
    work(world)
    assert row_of(world, first).status is Status.EXPIRED
    assert row_of(world, other).status is Status.AWAITING_PAYMENT


def test_token_replaces_with_the_same_code_after_its_seat_is_free(world):
    """The seat of the old attempt is the one that the new one needs."""
    code = world.coupon(50)
    first = buy(world, coupon_code=code)
    other = buy(world, coupon_code=code, token=first.token, full_name="Ada L")
    assert row_of(world, first).status is Status.EXPIRED
    assert world.storage.coupons.find_seat(code, other.enrollment_id) is not None


def test_token_is_no_key_to_anything_else(world):
    """A made-up one is refused; one of another course or learner opens anew."""
    first = buy(world)
    name = first.enrollment_id
    for token in ("nonsense", f"{name}.nonsense", f"enr_x.{first.token[-43:]}"):
        with pytest.raises(TokenError):
            buy(world, token=token)
    assert buy(world, BOB, token=first.token).token is not None


def test_paid_attempt_is_answered_to_its_token_only(world):
    """Anybody else hears what is said of the LMS's own enrolments."""
    first = buy(world)
    pay(world, first)
    assert buy(world, token=first.token).status is Status.ENROLLED
    for more in ({}, {"authenticated": True}):
        with pytest.raises(AlreadyEnrolledError):
            buy(world, **more)


def test_key_means_nothing_for_another_learner_or_course(world):
    """It is stored as a digest with both; what differs in any field is refused."""
    first = buy(world, idempotency_key="k1")
    assert buy(world, idempotency_key="k1").enrollment_id == first.enrollment_id
    assert buy(world, BOB, idempotency_key="k1").token is not None
    assert "k1" not in str(row_of(world, first).idempotency_key)
    for more in (
        {"affiliate": "spy"},
        {"full_name": "A Stranger"},
        {"success_url": "https://spy.example/ok"},
        {"cancel_url": "https://spy.example/no"},
        {"coupon_code": world.coupon(50)},
    ):
        with pytest.raises(IdempotencyMismatchError):
            buy(world, idempotency_key="k1", **more)


def test_host_vouches_for_what_was_opened_under_its_word(world):
    """Not for what a stranger has opened, although the address is the same."""
    his = buy(world)
    hers = buy(world, authenticated=True)
    assert hers.enrollment_id != his.enrollment_id
    assert row_of(world, hers).opened_by is Opener.VOUCHED
    again = buy(world, authenticated=True)
    assert (again.enrollment_id, again.resumed) == (hers.enrollment_id, True)
    for word in (False, "yes", 1, None):
        assert buy(world, authenticated=word).enrollment_id != hers.enrollment_id


def test_vouched_learner_finds_her_attempt_among_a_thousand_strangers(world):
    """By an index: it is neither the newest nor one of the newest twenty."""
    hers = buy(world, authenticated=True)
    for _ in range(25):
        buy(world)
    assert buy(world, authenticated=True).enrollment_id == hers.enrollment_id


class Login:
    """A host whose login is a header."""

    @hookimpl
    def authenticate_learner(self, environ):
        """Tell whose session it is."""
        return environ.get("HTTP_X_SESSION_OF")


def test_hosts_login_vouches_over_http():
    """For the address that it proves, and for no other one."""
    site = Site(plugins=[Login()])
    login = {"X-Session-Of": EMAIL.upper()}
    first = site.checkout(headers=login).json
    again = site.checkout(headers=login)
    assert (again.status_code, again.json["enrollment_id"]) == (
        200,
        first["enrollment_id"],
    )
    for headers in ({}, {"X-Session-Of": BOB}):
        other = site.checkout(headers=headers)
        assert other.status_code == 201
        assert other.json["enrollment_id"] != first["enrollment_id"]


def test_token_goes_on_over_http():
    """By the header; a wrong one is no silent second attempt."""
    site = Site()
    first = site.checkout().json
    mine = site.checkout(headers={"Enrollment-Token": first["token"]})
    assert (mine.status_code, mine.json["token"]) == (200, None)
    check_problem(
        site.checkout(headers={"Enrollment-Token": "x"}), 403, "token", field="token"
    )


# Who has the slot.


def test_two_who_pay_for_one_slot(world):
    """One is entitled, the other is held, alerted and told; nobody is refunded."""
    first, second = buy(world), buy(world)
    second_row = row_of(world, second)
    pay(world, first)
    world.deliver(world.sdk(), world.pay(second_row.id))
    assert row_of(world, first).status in {Status.CONFIRMED, Status.ENROLLED}
    held = row_of(world, second)
    assert (held.status, held.held_for) == (Status.ON_HOLD, "paid_twice")
    assert ("paid_twice", held.id) in told(world)
    with pytest.raises(TransitionError, match=first.enrollment_id):
        world.sdk().admin.accept(held.id, *WORD)
    assert given_back(world) == []


def test_payment_of_a_dead_claim_has_the_slot(world):
    """A full grant claims it and dies; the payer is not held for that."""
    code = world.coupon(100)
    hers = buy(world)
    plan = CrashPlan()
    world.sdk(plan).checkout(course_id=COURSE, email=BOB, coupon_code=world.coupon(100))
    dies_at = plan.calls.index("coupons.redeem") + 1
    with pytest.raises(BaseException):  # noqa: B017  a crash
        world.sdk(CrashPlan(dies_at)).checkout(
            course_id=COURSE, email=ADA, coupon_code=code
        )
    claim = world.storage.enrollments.find_holder(ADA, COURSE)
    assert claim.claims_slot
    with pytest.raises(ConflictError):
        buy(world, coupon_code=world.coupon(100))
    assert pay(world, hers).status in {Status.CONFIRMED, Status.ENROLLED}
    assert row_of(world, claim.id).status is Status.EXPIRED
    assert world.storage.coupons.find_seat(code, claim.id) is None
    world.let_time_pass()
    world.check_promises()


def test_payment_beside_a_dead_claim_that_had_redeemed_is_held(world):
    """The code is spent: its row is completed, and entitled."""
    code = world.coupon(100)
    hers = buy(world)
    plan = CrashPlan()
    world.sdk(plan).checkout(course_id=COURSE, email=BOB, coupon_code=world.coupon(100))
    dies_at = plan.calls.index("coupons.redeem") + 1
    with pytest.raises(BaseException):  # noqa: B017  a crash
        world.sdk(CrashPlan(dies_at, lost_answer=True)).checkout(
            course_id=COURSE, email=ADA, coupon_code=code
        )
    assert pay(world, hers).held_for == "paid_twice"
    claim = world.storage.enrollments.find_holder(ADA, COURSE)
    assert claim.coupon_code == code
    world.let_time_pass()
    assert row_of(world, claim.id).status is Status.ENROLLED


def test_second_code_is_not_used_up(world):
    """The learner has the course: 409, and the seat is as free as before."""
    pay(world, buy(world))
    code = world.coupon(100)
    with pytest.raises(AlreadyEnrolledError):
        buy(world, coupon_code=code)
    assert world.storage.coupons.find(code).redeemed == 0


def test_two_codes_at_once_use_up_one(world):
    """Threads with a code each: one enrolls, the others' seats are free."""
    codes = [world.coupon(100) for _ in range(6)]

    def go(code):
        with suppress(AlreadyEnrolledError, ConflictError):
            buy(world, coupon_code=code)

    threads = [threading.Thread(target=go, args=(code,)) for code in codes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.let_time_pass()
    assert sum(world.storage.coupons.find(code).redeemed for code in codes) == 1
    assert len(world.lms.rows) == 1


def test_page_is_not_made_for_whoever_has_lost_already(world):
    """The winner pays between another one's `open` and its look at the slot."""
    first = buy(world)
    late = After("enrollments.open", lambda: pay(world, first))
    made = len(world.payments.sessions)
    with pytest.raises(AlreadyEnrolledError):
        world.sdk(late).checkout(course_id=COURSE, email=ADA)
    assert late.done
    assert len(world.payments.sessions) == made


def test_provider_that_is_down_holds_up_no_winner(world):
    """Ending the others is a job's: the learner is in before it runs."""
    his, hers = buy(world), buy(world)
    world.payments.faults.add("expire_session", PaymentsUnavailableError("x"), times=9)
    pay(world, hers)
    assert row_of(world, hers).status is Status.ENROLLED
    assert row_of(world, his).status is Status.AWAITING_PAYMENT
    world.payments.faults.clear()
    world.let_time_pass()
    assert row_of(world, his).status is Status.EXPIRED
    assert {s.status for s in world.payments.sessions.values()} == {
        SessionStatus.EXPIRED,
        SessionStatus.COMPLETE,
    }


def test_only_the_newest_twenty_are_asked_for(world):
    """A thousand strangers' sessions lapse by their own end."""
    for _ in range(23):
        buy(world)
    hers = buy(world)
    pay(world, hers)
    work(world)
    left = [r for r in world.rows() if r.status is Status.AWAITING_PAYMENT]
    assert len(left) == 3
    world.let_time_pass()
    assert not [r for r in world.rows() if r.status is Status.AWAITING_PAYMENT]


def test_held_payment_locks_nobody_out(world):
    """A stranger's stolen card under her address: she pays, and is in."""
    his = buy(world)
    pay(world, his, amount=Money(1, "usd"))
    assert row_of(world, his).held_for == "amount_mismatch"
    assert pay(world, buy(world)).status is Status.ENROLLED
    with pytest.raises(TransitionError):
        buy(world, token=his.token)


# What becomes of a second payment.


def paid_twice(world, **more):
    """Return the entitled and the held attempt of two who have paid."""
    first, second = buy(world), buy(world, **more)
    row = row_of(world, second)
    pay(world, first)
    world.clock.advance(1)
    world.deliver(world.sdk(), world.pay(row.id))
    return first, second


def test_second_payment_goes_back_by_policy_once(back):
    """By the provider's own list: a second look gives nothing back again."""
    first, second = paid_twice(back)
    work(back)
    row = row_of(back, second)
    assert (row.status, row.reason) == (Status.REVOKED, "refunded")
    assert given_back(back) == [(row.payment_id, 4900)]
    assert row_of(back, first).status is Status.ENROLLED
    back.let_time_pass()
    assert len(back.payments.refunds) == 1
    back.check_promises()


def test_second_payments_seat_is_free(back):
    """It keeps none, neither held nor given back."""
    code = back.coupon(50)
    _, second = paid_twice(back, coupon_code=code)
    assert back.storage.coupons.find_seat(code, second.enrollment_id) is None
    work(back)
    assert back.storage.coupons.find(code).reserved == 0


def test_give_back_whose_answer_is_lost_is_not_given_twice(back):
    """The provider has done it; the next try finds it in its list."""
    _, second = paid_twice(back)
    known = back.payments.refund

    def lost(*args, **named):
        known(*args, **named)
        raise PaymentsUnavailableError("timed out", unclear=True)

    back.payments.refund = lost
    work(back)
    assert row_of(back, second).refund_begun_at is not None
    back.let_time_pass()
    assert len(back.payments.refunds) == 1
    assert row_of(back, second).reason == "refunded"


def test_give_back_that_was_not_made_is_asked_again_under_a_new_key(back):
    """Stripe answers a 500 to its key for a day; the list is empty."""
    _, second = paid_twice(back)
    known, keys = back.payments.refund, []

    def broken(payment_id, *, amount, idempotency_key):
        keys.append(idempotency_key)
        if len(set(keys)) == 1:
            raise PaymentsUnavailableError("500", unclear=True)
        return known(payment_id, amount=amount, idempotency_key=idempotency_key)

    back.payments.refund = broken
    work(back)
    back.let_time_pass()
    assert len(set(keys)) == 2
    assert given_back(back) == [(row_of(back, second).payment_id, 4900)]


def test_give_back_that_fails_later_is_an_operators(back):
    """Alerted, and never asked for again by itself."""
    _, second = paid_twice(back)
    work(back)
    (refund,) = back.payments.refunds.values()
    back.deliver(back.sdk(), back.payments.fail_refund(refund))
    row = row_of(back, second)
    assert row.status is Status.ON_HOLD
    assert ("refund_failed", row.id) in told(back)
    back.let_time_pass()
    assert len(back.payments.refunds) == 1


def test_only_what_is_left_goes_back(back):
    """An operator has given a part of it back by hand."""
    _, second = paid_twice(back)
    payment_id = row_of(back, second).payment_id
    back.payments.play_refund(payment_id, Money(1000, "usd"))
    work(back)
    assert given_back(back) == [(payment_id, 1000), (payment_id, 3900)]
    assert row_of(back, second).reason == "refunded"


def test_disputed_payment_is_held(back):
    """The bank may take it back by itself."""
    _, second = paid_twice(back)
    payment_id = row_of(back, second).payment_id
    back.payments.play_dispute(payment_id, DisputeStatus.NEEDS_RESPONSE)
    work(back)
    assert row_of(back, second).status is Status.ON_HOLD
    assert given_back(back) == []


def test_mismatch_outranks_a_second_payment(back):
    """What fits no order is an operator's, never given back by itself."""
    first, second = buy(back), buy(back)
    row = row_of(back, second)
    pay(back, first)
    back.deliver(back.sdk(), back.pay(row.id, amount=Money(1, "usd")))
    work(back)
    assert row_of(back, second).held_for == "amount_mismatch"
    assert given_back(back) == []


def test_one_payment_of_a_pair_goes_back_a_day(back):
    """Three who pay: the second is given back now, the third a day later."""
    answers = [buy(back) for _ in range(3)]
    for answer in answers:
        back.clock.advance(1)
        back.deliver(back.sdk(), back.pay(row_of(back, answer).id))
    work(back)
    assert len(given_back(back)) == 1
    back.clock.advance(86_500)
    work(back)
    assert len(given_back(back)) == 2
    assert row_of(back, answers[0]).status is Status.ENROLLED


def test_held_payment_follows_money_that_has_gone(world):
    """A's money goes back: B's learner is not left without."""
    first, second = paid_twice(world)
    _, event = world.payments.play_refund(row_of(world, first).payment_id)
    world.deliver(world.sdk(), event)
    work(world)
    row = row_of(world, second)
    assert (row.status, row.held_for) == (Status.ENROLLED, None)
    assert len(world.lms.rows) == 1
    world.let_time_pass()
    world.check_promises()


def test_held_payment_follows_no_word(world):
    """An operator has taken the right away: another word gives it."""
    first, second = paid_twice(world)
    world.sdk().enrollments.revoke(first.enrollment_id, *WORD)
    work(world)
    assert row_of(world, second).status is Status.ON_HOLD
    world.sdk().admin.accept(second.enrollment_id, *WORD)
    assert row_of(world, second).status in {Status.CONFIRMED, Status.ENROLLED}


def test_promoted_payment_is_honoured_without_its_seat(world):
    """Somebody else has it by now: alerted."""
    code = world.coupon(50)
    first, second = paid_twice(world, coupon_code=code)
    work(world)
    buy(world, BOB, coupon_code=code)
    _, event = world.payments.play_refund(row_of(world, first).payment_id)
    world.deliver(world.sdk(), event)
    assert ("coupon_gone", second.enrollment_id) in told(world)
    assert row_of(world, second).status is Status.ENROLLED


def test_money_that_reinstates_into_a_taken_slot_is_not_given_back(back):
    """It was entitled once: whatever becomes of it now is an operator's word."""
    first = buy(back)
    pay(back, first)
    refund, event = back.payments.play_refund(row_of(back, first).payment_id)
    back.deliver(back.sdk(), event)
    work(back)
    pay(back, buy(back))
    back.deliver(back.sdk(), back.payments.fail_refund(refund))
    back.let_time_pass()
    row = row_of(back, first)
    assert (row.status, row.held_for) == (Status.ON_HOLD, "paid_twice")
    assert len(back.payments.refunds) == 1


# Reassignment, erasure, grants, limits.


def test_reassigned_right_has_its_slot_before_the_first_loses_it(world):
    """Who pays in between is held; the right goes where the operator said."""
    first = buy(world)
    pay(world, first)
    bobs = buy(world, BOB)
    bobs_row = row_of(world, bobs)

    def come_in_between():
        claim = world.storage.enrollments.find_holder(BOB, COURSE)
        assert claim.claims_slot
        with pytest.raises(ConflictError):
            buy(world, BOB, coupon_code=world.coupon(100))

    between = After("enrollments.open", come_in_between)
    sdk = world.sdk(between)
    new = sdk.enrollments.reassign(first.enrollment_id, BOB, *WORD)
    assert between.done
    assert row_of(world, new.id).status in {Status.CONFIRMED, Status.ENROLLED}
    world.deliver(world.sdk(), world.pay(bobs_row.id))
    assert row_of(world, bobs).held_for == "paid_twice"


def test_strangers_attempt_keeps_no_data_here(world):
    """Erasure ends what nobody has paid; a payment under way refuses it."""
    his = buy(world)
    work(world)
    done = world.sdk().privacy.erase(ADA, actor="op", reason="asked for")
    assert done.enrollments == 1
    row = row_of(world, his)
    assert row.status is Status.CANCELLED
    assert ADA not in str(row)
    assert world.payments.sessions[row.session_id].status is SessionStatus.EXPIRED


def test_payment_under_way_refuses_an_erasure(world):
    """Nobody knows yet whose money it is."""
    row = row_of(world, buy(world))
    world.payments.pay_delayed(row.session_id)
    world.sdk().settle(row.id)
    with pytest.raises(TransitionError, match="under way"):
        world.sdk().privacy.erase(ADA, actor="op", reason="asked for")


def test_strangers_application_swallows_none(world):
    """Both wait; the operator says which one counts, and one is approved."""
    grants = world.sdk().grants
    his = grants.apply(course_id=COURSE, email=ADA, answers={"why": "spite"})
    hers = grants.apply(course_id=COURSE, email=ADA, answers={"why": "need"})
    assert his.id != hers.id
    same = grants.apply(course_id=COURSE, email=ADA, answers={"why": "need"})
    assert same.id == hers.id
    grants.approve(hers.id, 50, actor="op", reason="ok")
    with pytest.raises(TransitionError, match=hers.id):
        grants.approve(his.id, 50, actor="op", reason="ok")
    grants.reject(his.id, actor="op", reason="no")
    assert grants.get(hers.id).status is GrantStatus.APPROVED


def test_name_of_a_stranger_with_a_public_code_does_not_reach_the_lms(world):
    """He enrolls her: that is all that he may do. A code of her own brings her name."""
    public = world.coupon(100, max_redemptions=5)
    buy(world, coupon_code=public, full_name="A Stranger")
    work(world)
    assert world.lms.users[ADA].full_name is None
    own = world.coupon(100, email=BOB)
    buy(world, BOB, coupon_code=own, full_name="Bob B")
    work(world)
    assert world.lms.users[BOB].full_name == "Bob B"


def test_own_code_is_taken_over_at_once_without_the_token(world):
    """It is made for her address alone; a public one waits for a quarter of an hour."""
    own, public = world.coupon(50, email=ADA), world.coupon(50)
    lost = buy(world, coupon_code=own)
    assert buy(world, coupon_code=own).payment_url is not None
    assert row_of(world, lost).status is Status.EXPIRED
    lost = buy(world, coupon_code=public)
    with pytest.raises(CouponReservedError):
        buy(world, coupon_code=public)
    world.clock.advance(901)
    assert buy(world, coupon_code=public).payment_url is not None


def test_learners_share_of_a_code_is_the_mailboxs(world):
    """By any spelling, once it is redeemed; no stranger uses it up by attempts."""
    code = world.coupon(50, max_redemptions=9, per_learner=1)
    buy(world, coupon_code=code)
    hers = buy(world, coupon_code=code)
    pay(world, hers)
    assert world.storage.coupons.find_seat(code, hers.enrollment_id).state is (
        SeatState.REDEEMED
    )
    for spelled in ("a.d.a@example.com", "ada+more@example.com"):
        with pytest.raises(CouponExhaustedError):
            buy(world, spelled, coupon_code=code)


def test_what_is_paid_beyond_a_learners_share_is_honoured_and_alerted(world):
    """Two attempts of one mailbox, both paid."""
    code = world.coupon(50, max_redemptions=9, per_learner=1)
    first = buy(world, coupon_code=code)
    second = buy(world, "ada+more@example.com", coupon_code=code)
    pay(world, first)
    assert pay(world, second).status is Status.ENROLLED
    assert ("coupon_over_limit", second.enrollment_id) in told(world)


def test_those_who_have_paid_are_enrolled_before_those_who_have_not():
    """A hundred free ones under made-up addresses wait for the one who paid."""
    world = World(inline_s=0)
    code = world.coupon(100, max_redemptions=9)
    for n in range(5):
        buy(world, f"a{n}@example.com", coupon_code=code)
    hers = row_of(world, buy(world))
    world.pay(hers.id)
    world.sdk().confirm_return(hers.session_id)
    world.sdk().run_jobs()
    order = [row.learner for row in world.lms.rows.values()]
    assert (order[0], len(order)) == (ADA, 6)
