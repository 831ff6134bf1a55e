# SPDX-License-Identifier: MIT
"""The key was changed: the provider knows our sessions and payments no more."""

from __future__ import annotations

import pytest
from support.shop import ADA, COURSE, Shop
from support.size import with_the_first_python
from support.world import World

from frappe_enroll_sandbox._internal.stripe_model import StripeAccount
from frappe_enroll_sdk.errors import (
    CouponUnavailableError,
    PaymentsUnavailableError,
    TransitionError,
)
from frappe_enroll_sdk.models import Override, RefundStatus, SessionStatus, Status
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.services.operators.differences import Difference
from frappe_enroll_sdk.services.settle.decision import Wish


BOB = "bob@example.com"
SAID = ("op", "the account was changed")
TEN_MINUTES, TTL, MARGIN = 600, 7200, 3600


@pytest.fixture
def world():
    """Return a world in memory."""
    return World(probed=True)


def buy(world, email=ADA, code=None):
    """Check out; return the row."""
    answer = world.sdk().checkout(
        course_id=COURSE, email=email, coupon_code=code, authenticated=True
    )
    row = world.storage.enrollments.find(answer.enrollment_id)
    world.tokens = getattr(world, "tokens", {}) | {row.id: answer.token}
    return row


def bought(world, email=ADA):
    """Return the row of a learner who has paid and is enrolled."""
    row = buy(world, email)
    world.deliver(world.sdk(), world.pay(row.id))
    return look(world, row)


def look(world, row):
    """Return the row as it stands."""
    return world.storage.enrollments.find(row.id)


def pass_time(world, seconds):
    """Let time pass in steps of ten minutes, with a cron pass after each."""
    for _ in range(max(int(seconds // TEN_MINUTES), 1)):
        world.clock.advance(TEN_MINUTES)
        while world.sdk().run_jobs().claimed:
            pass


def move(world):
    """Change the key to another account's."""
    world.payments.account = "another"


def facts_of(row):
    """Return the facts of a row's history."""
    return [entry.fact for entry in row.history]


def test_key_that_is_wrong_for_ten_minutes_ends_nothing(world):
    """Asked all the while, past the session's end too: put right, all goes on."""
    code = world.coupon(50)
    row = buy(world, code=code)
    world.clock.advance(TTL - 300)
    event = world.pay(row.id)
    move(world)
    for _ in range(10):
        world.clock.advance(60)
        world.sdk().settle(row.id)
        world.sdk().run_jobs()
    row = look(world, row)
    assert row.status is Status.AWAITING_PAYMENT
    assert facts_of(row).count("session_gone") == 1
    world.payments.account = "fake"
    pass_time(world, TEN_MINUTES)
    row = look(world, row)
    assert (row.status, row.gone_at) == (Status.ENROLLED, None)
    assert facts_of(row)[-4:-1] == ["session_gone", "session_found", "paid"]
    world.deliver(world.sdk(), event)
    world.let_time_pass()
    world.check_promises()


def test_key_that_is_wrong_twice_begins_the_clock_anew(world):
    """What is seen in between was right: two short faults are no long one."""
    row = buy(world)
    move(world)
    assert world.sdk().settle(row.id).gone_at is not None
    world.payments.account = "fake"
    assert world.sdk().settle(row.id).gone_at is None
    world.pay(row.id)
    move(world)
    world.clock.advance(TTL + MARGIN)
    assert world.sdk().settle(row.id).status is Status.AWAITING_PAYMENT
    world.payments.account = "fake"
    assert world.sdk().settle(row.id).status is Status.CONFIRMED


def test_session_that_is_gone_for_good_ends_its_attempt(world):
    """Past the session's end and the margin: learner and code are free, unasked."""
    code = world.coupon(50)
    row = buy(world, code=code)
    move(world)
    world.clock.advance(901)
    with pytest.raises(CouponUnavailableError):
        buy(world, BOB, code)
    pass_time(world, TTL)
    assert look(world, row).status is Status.AWAITING_PAYMENT
    pass_time(world, MARGIN + TEN_MINUTES)
    row = look(world, row)
    assert row.status is Status.EXPIRED
    assert facts_of(row).count("session_gone") == 1
    assert world.storage.coupons.find(code).reserved == 0
    assert buy(world, BOB, code).status is Status.AWAITING_PAYMENT
    assert buy(world).status is Status.AWAITING_PAYMENT


def test_clock_of_a_gone_session_counts_from_when_it_was_seen(world):
    """Nobody looked for a day: the first look ends nothing that may be found again."""
    row = buy(world)
    move(world)
    world.clock.advance(86_400)
    world.sdk().run_jobs()
    assert look(world, row).status is Status.AWAITING_PAYMENT
    pass_time(world, MARGIN + TEN_MINUTES)
    assert look(world, row).status is Status.EXPIRED


def test_learner_is_sent_to_no_page_of_another_account(world):
    """The same terms: 503 while it waits, never the old URL; others begin anew."""
    row = buy(world, code=world.coupon(50))
    move(world)
    with pytest.raises(PaymentsUnavailableError) as caught:
        buy(world, code=row.coupon_code)
    assert caught.value.code == "session_gone"
    assert buy(world).payment_url != row.payment_url


@pytest.mark.parametrize("wish", list(Wish))
def test_no_wish_raises_over_a_gone_session(world, wish):
    """Cancel, takeover, webhook, return, time: it waits; an operator's word ends it."""
    row = buy(world)
    move(world)
    row = world.sdk()._services.settle.run(row.id, wish=wish)
    ends = wish is Wish.END
    assert row.status is (Status.EXPIRED if ends else Status.AWAITING_PAYMENT)


def test_learner_may_cancel_and_come_back(world):
    """Her word is kept waiting, answered, and nothing is raised."""
    row = buy(world)
    move(world)
    sdk = world.sdk()
    assert sdk.cancel(row.id, world.tokens[row.id]).status is Status.AWAITING_PAYMENT
    assert sdk.confirm_return(row.session_id).status is Status.AWAITING_PAYMENT


def test_operators_word_ends_what_waits(world):
    """`revoke` is enough, at once; then everything else that was refused goes, too."""
    code = world.coupon(50)
    row = buy(world, code=code)
    move(world)
    sdk = world.sdk()
    for refused in (sdk.enrollments.accept, sdk.enrollments.dismiss):
        with pytest.raises(TransitionError):
            refused(row.id, *SAID)
    row = sdk.enrollments.revoke(row.id, *SAID)
    assert (row.status, row.reason) == (Status.CANCELLED, "operator")
    assert row.history[-1].fact == "revoked_by_operator"
    (entry,) = world.storage.audit.list(subject=row.id).items
    assert (entry.action, entry.actor, entry.reason) == ("revoked", *SAID)
    assert world.storage.coupons.find(code).reserved == 0
    with pytest.raises(TransitionError):
        sdk.enrollments.revoke(row.id, *SAID)
    sdk.run_jobs()
    assert sdk.privacy.erase(ADA, actor="op", reason="asked for").enrollments == 1


def test_operators_word_expires_an_open_session_first(world):
    """Where the provider knows it, nobody pays it any more."""
    row = buy(world, code=world.coupon(50))
    row = world.sdk().enrollments.revoke(row.id, *SAID)
    assert row.status is Status.CANCELLED
    assert world.payments.sessions[row.session_id].status is SessionStatus.EXPIRED
    world.let_time_pass()
    world.check_promises()


def test_operators_word_on_an_attempt_that_turns_out_paid_revokes(world):
    """The money is not forgotten by it."""
    row = buy(world)
    world.pay(row.id)
    row = world.sdk().enrollments.revoke(row.id, *SAID)
    assert (row.status, row.override) == (Status.REVOKED, Override.REVOKED)
    assert row.payment_id is not None
    assert [f for f in facts_of(row) if f.endswith("_by_operator")] == [
        "revoked_by_operator"
    ]
    world.let_time_pass()
    world.check_promises()


@pytest.mark.parametrize("ended_by", ["word", "clock"])
def test_signed_payment_of_an_ended_attempt_is_held(world, ended_by):
    """It comes from where the session was made: late, and never lost."""
    row = buy(world)
    event = world.pay(row.id)
    move(world)
    if ended_by == "word":
        world.sdk().enrollments.revoke(row.id, *SAID)
    else:
        pass_time(world, TTL + MARGIN + 2 * TEN_MINUTES)
    assert look(world, row).status in {Status.CANCELLED, Status.EXPIRED}
    assert world.deliver(world.sdk(), event).outcome == "quarantined"
    row = look(world, row)
    assert (row.status, row.held_for) == (Status.ON_HOLD, "late_payment")
    row = world.sdk().enrollments.accept(row.id, *SAID)
    assert row.status is Status.CONFIRMED
    pass_time(world, TEN_MINUTES)
    assert look(world, row).status is Status.ENROLLED


def test_signed_payment_of_an_attempt_that_waits_is_the_fact(world):
    """Nobody has to be asked for what is signed."""
    row = buy(world)
    event = world.pay(row.id)
    move(world)
    world.sdk().settle(row.id)
    world.deliver(world.sdk(), event)
    assert look(world, row).status is Status.ENROLLED


@pytest.mark.parametrize("ok", [True, False])
def test_delayed_payment_waits_for_its_end(world, ok):
    """Never ended by a clock; its seat is, and what is paid for it is then held."""
    code = world.coupon(50)
    row = buy(world, code=code)
    world.deliver(world.sdk(), world.payments.pay_delayed(row.session_id))
    assert look(world, row).reason == "processing"
    move(world)
    pass_time(world, TTL + MARGIN + 2 * TEN_MINUTES)
    row = look(world, row)
    assert (row.status, row.seat_lapsed) == (Status.AWAITING_PAYMENT, True)
    assert (
        facts_of(row).count("seat_lapsed") == facts_of(row).count("session_gone") == 1
    )
    other = buy(world, BOB, code)
    assert other.status is Status.AWAITING_PAYMENT
    pass_time(world, 86_400)
    assert look(world, row).status is Status.AWAITING_PAYMENT
    world.payments.settle_delayed(row.session_id, ok=ok)
    world.deliver(world.sdk(), world.payments.events[-1])
    row = look(world, row)
    if ok:
        assert (row.status, row.held_for) == (Status.ON_HOLD, "late_payment")
    else:
        assert (row.status, row.reason) == (Status.FAILED, "payment_failed")
    assert world.storage.coupons.find_seat(code, row.id) is None


def test_signed_end_of_a_session_is_believed_where_nobody_can_be_asked(world):
    """`expired` is final."""
    row = buy(world)
    world.payments.expire_session(row.session_id)
    event = world.payments.events[-1]
    move(world)
    world.deliver(world.sdk(), event)
    assert look(world, row).status is Status.EXPIRED


@pytest.mark.parametrize("wish", [Wish.LOOK, Wish.CANCEL, Wish.EXPIRE, Wish.ADVANCE])
def test_test_row_under_a_live_key_ends_at_once(world, wish):
    """No real money is in it."""
    row = buy(world)
    assert row.session_livemode is False
    world.payments.livemode = True
    row = world.sdk()._services.settle.run(row.id, wish=wish)
    assert row.status in {Status.EXPIRED, Status.CANCELLED}


def test_live_row_under_a_test_key_waits(world):
    """The reverse may be a slip of the hand: there is money in it."""
    world.payments.livemode = True
    row = buy(world)
    world.payments.livemode = False
    assert world.sdk().settle(row.id).status is Status.AWAITING_PAYMENT


def test_row_keeps_under_what_its_session_was_made(world):
    """Account and mode, as the gateway says without a call."""
    row = buy(world)
    assert (row.session_account, row.session_livemode) == ("fake", False)


def test_reassign_of_an_order_that_was_paid_elsewhere_takes_effect(world):
    """It raises nothing after it took effect, and the sums that are known go along."""
    row = bought(world)
    move(world)
    new = world.sdk().enrollments.reassign(row.id, BOB, *SAID)
    assert new.payment_id == row.payment_id
    world.let_time_pass()
    world.check_promises()
    new, old = look(world, new), look(world, row)
    assert (new.status, old.status) == (Status.ENROLLED, Status.REVOKED)
    assert facts_of(new).count("payment_gone") == 1
    assert not old.effects_owed


def test_sums_that_are_known_outlive_their_account(world):
    """News of a refund that nobody can add up changes nothing and is alerted, once."""
    row = bought(world)
    world.payments.play_refund(row.payment_id, Money(1000, "usd"))
    world.deliver(world.sdk(), world.payments.events[-1])
    move(world)
    for _ in range(2):
        refund, event = world.payments.play_refund(row.payment_id, Money(100, "usd"))
        assert refund.status is RefundStatus.SUCCEEDED
        assert world.deliver(world.sdk(), event).outcome == "processed"
    row = look(world, row)
    assert (row.status, row.refunded_minor) == (Status.ENROLLED, 1000)
    assert facts_of(row).count("payment_gone") == 1
    world.payments.account = "fake"
    row = world.sdk().settle(row.id, check_money=True)
    assert (row.refunded_minor, row.gone_at) == (1200, None)


def test_refund_told_under_a_wrong_key_is_found_under_the_right_one(world):
    """Its event is answered and comes no more: looks go on, rarer, for a day."""
    row = bought(world)
    move(world)
    _, event = world.payments.play_refund(row.payment_id)
    world.deliver(world.sdk(), event)
    pass_time(world, 3 * TEN_MINUTES)
    assert look(world, row).status is Status.ENROLLED
    world.payments.account = "fake"
    pass_time(world, 3 * TEN_MINUTES)
    row = look(world, row)
    assert (row.status, row.gone_at, row.due_at) == (Status.REVOKED, None, None)


def test_looks_for_a_payment_that_is_gone_end(world):
    """A payment of another account is asked for a dozen times, and no more."""
    row = bought(world)
    move(world)
    world.deliver(world.sdk(), world.payments.play_refund(row.payment_id)[1])
    asked, ask = [], world.payments.list_refunds
    world.payments.list_refunds = lambda name: (asked.append(name), ask(name))[1]
    pass_time(world, 30 * 3600)
    row = look(world, row)
    assert (row.status, row.due_at) == (Status.ENROLLED, None)
    assert 5 < len(asked) < 20


def test_words_on_what_was_paid_elsewhere_are_obeyed(world):
    """Revoke, reinstate, accept and dismiss ask nobody."""
    row, held = bought(world), buy(world, BOB)
    world.deliver(world.sdk(), world.pay(held.id, amount=Money(1, "usd")))
    move(world)
    words = world.sdk().enrollments
    assert words.revoke(row.id, *SAID).status is Status.REVOKED
    assert words.reinstate(row.id, *SAID).status is Status.CONFIRMED
    assert words.dismiss(held.id, *SAID).status is Status.CANCELLED


def test_event_is_accepted_for_an_attempt_whose_session_is_gone(world):
    """An operator says whose a payment is: the attempt's own session is no obstacle."""
    row = buy(world)
    event = world.play_foreign_payment(row.id)
    world.deliver(world.sdk(), event)
    world.payments._made_under["cs_foreign"] = ("another", False)
    move(world)
    row = world.sdk().admin.accept(event.id, *SAID)
    assert row.status is Status.ENROLLED
    assert row.payment_id == event.payment_id


def test_reconcile_tells_what_is_gone_and_repairs_by_the_clock(world):
    """Attempts are settled; what was paid is told; what has ended is no difference."""
    waiting, paid, ended = buy(world), bought(world, BOB), buy(world, "eve@example.com")
    world.sdk().cancel(ended.id, world.tokens[ended.id])
    world.payments.account = "another"
    report = world.sdk().admin.reconcile(repair=True)
    found = {f.subject: (f.difference, f.after) for f in report.findings}
    gone = Difference.SESSION_GONE
    assert found == {waiting.id: (gone, "awaiting_payment"), paid.id: (gone, None)}
    world.clock.advance(TTL + MARGIN)
    report = world.sdk().admin.reconcile(repair=True)
    found = {f.subject: f.after for f in report.findings}
    assert found == {waiting.id: "expired", paid.id: None}


def test_check_tells_of_attempts_whose_sessions_are_gone(world):
    """With what mends it."""
    row = buy(world)
    sdk = world.sdk()
    assert "session_gone" not in {check.state for check in sdk.examine()}
    move(world)
    sdk.settle(row.id)
    (check,) = [c for c in sdk.examine() if c.state == "session_gone"]
    assert "STRIPE_SECRET_KEY" in check.mend


def test_expiry_that_is_refused_is_asked_for_once(world):
    """The provider says "not open" and "open" in turn: one settle asks once."""
    row = buy(world)
    calls = []

    def refuse(session_id):
        calls.append(session_id)
        return "not_open"

    world.payments.expire_session = refuse
    sdk = world.sdk()
    assert sdk.cancel(row.id, world.tokens[row.id]).status is Status.AWAITING_PAYMENT
    assert calls == [row.session_id]


@pytest.fixture
def shop(open_storage):
    """Return a shop on each store."""
    with Shop(open_storage, lms_rate_per_s=0) as shop:
        yield shop


def change_account(shop):
    """Put another account behind the key; return the old one, which goes on."""
    old = shop.stripe.account
    new = StripeAccount(old.clock, old.page_url)
    new.on_event, new._numbers = old.on_event, old._numbers
    shop.stripe.account = new
    return old


@with_the_first_python
def test_account_that_is_changed_over_http(shop):
    """Step 6 of the README, with attempts, orders and refunds under way."""
    code = shop.sdk.coupons.create(50, COURSE).code
    waiting = shop.checkout(coupon_code=code)
    paid, payment = shop.pay(BOB)
    late = shop.checkout("eve@example.com")
    shop.rest(0)
    old = change_account(shop)
    sdk = shop.sdk
    assert sdk.settle(waiting.id).status is Status.AWAITING_PAYMENT
    new = sdk.enrollments.reassign(paid.id, "mel@example.com", *SAID)
    old.refund(payment, 100)
    sdk.enrollments.revoke(late.id, *SAID)
    shop.rest(0, TEN_MINUTES, TTL, MARGIN, TEN_MINUTES)
    shop.check_end(waiting, Status.EXPIRED)
    shop.check_end(new, Status.ENROLLED)
    shop.check_end(paid, Status.REVOKED)
    shop.check_end(late, Status.CANCELLED)
    told = [code for code, _ in shop.ears.alerts]
    assert (told.count("session_gone"), told.count("payment_gone")) == (1, 1)
    # The old account's endpoint still delivers: what is paid there is held.
    session = old.sessions[late.session_id]
    session.update(status="open", expires_at=old.now_s() + 3600)
    old.pay(late.session_id)
    shop.rest(0)
    shop.check_end(late, Status.ON_HOLD)
    again = shop.checkout(coupon_code=code)
    shop.account.pay(again.session_id)
    shop.rest(0)
    shop.check_end(again, Status.ENROLLED)


def test_refund_that_overtook_its_payment_under_a_wrong_key_is_found(world):
    """Nobody knew what it was news of: a payment that is told late is asked about."""
    row = buy(world)
    paid = world.pay(row.id)
    _, refunded = world.payments.play_refund(paid.payment_id)
    move(world)
    assert world.deliver(world.sdk(), refunded).outcome == "ignored"
    world.payments.account = "fake"
    world.clock.advance(TEN_MINUTES)
    world.deliver(world.sdk(), paid)
    assert look(world, row).status is Status.REVOKED


def test_refund_that_overtook_its_payment_is_found_by_a_look(world):
    """The same where the news of the payment was lost, and only time brings it."""
    row = buy(world)
    paid = world.pay(row.id)
    _, refunded = world.payments.play_refund(paid.payment_id)
    move(world)
    world.deliver(world.sdk(), refunded)
    world.payments.account = "fake"
    pass_time(world, 3 * 3600)
    assert look(world, row).status is Status.REVOKED
