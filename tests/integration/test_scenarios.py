# SPDX-License-Identifier: MIT
"""The commerce scenarios on fakes: every store, no network."""

from __future__ import annotations

import contextlib
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import attrs
import pytest
from support.size import times
from support.world import COURSE, PRICE, World

from frappe_enroll_sdk.errors import (
    BackendRejectedError,
    CouponUnavailableError,
    EnrollError,
    LMSUnavailableError,
    PaymentsUnavailableError,
    SignatureError,
    ThrottledError,
    ValidationError,
)
from frappe_enroll_sdk.interfaces.tables import KEY, Query
from frappe_enroll_sdk.models import JobState, LMSStatus, Status
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.stores.layout import COUPONS, ENROLLMENTS, EVENTS, JOBS, SEATS
from frappe_enroll_sdk.testing.faults import Crash, CrashPlan, Slow
from frappe_enroll_sql.storage import SQLStorage


@pytest.fixture(params=["memory", "sqlite"])
def new_world(request, db_folder):
    """Return a maker of worlds on each store."""
    names = iter(range(1000))

    def make(**settings):
        if request.param == "memory":
            return World(**settings)
        path = db_folder / f"{next(names)}.sqlite3"
        return World(lambda: SQLStorage(f"sqlite:///{path}"), **settings)

    return make


@pytest.fixture
def world(new_world):
    """Return a world on each store."""
    return new_world()


def buy(world, email="ada@example.com", code=None, **more):
    """Check out."""
    return world.sdk().checkout(course_id=COURSE, email=email, coupon_code=code, **more)


def the_row(world):
    """Return the only enrollment."""
    (row,) = world.rows()
    return row


def test_single_use_code_asked_for_by_fifty(world):
    """Scenario 1: 50 checkouts at once → exactly one hold, 49 clean refusals."""
    code = world.coupon(50)
    sdk = world.sdk()

    def ask(number):
        try:
            email = f"learner{number}@example.com"
            sdk.checkout(course_id=COURSE, email=email, coupon_code=code)
        except CouponUnavailableError as error:
            return error.http_status
        return 201

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(50)))
    assert (answers.count(201), answers.count(409)) == (1, 49)
    coupon = world.storage.coupons.find(code)
    assert (coupon.reserved, coupon.redeemed) == (1, 0)
    assert len(world.payments.sessions) == 1
    world.let_time_pass()
    world.check_promises()


def test_multi_use_code_with_random_rollbacks(world):
    """Scenario 2: N seats, N+20 learners, random rollbacks → never more than N."""
    seats = 6
    code = world.coupon(100, max_redemptions=seats)
    sdk = world.sdk()
    for _ in range(8):
        error = LMSUnavailableError("down")
        world.lms.faults.add("find_user", error)

    def ask(number):
        email = f"learner{number}@example.com"
        try:
            sdk.checkout(course_id=COURSE, email=email, coupon_code=code)
        except EnrollError:
            return None
        return email

    with ThreadPoolExecutor(26) as pool:
        won = {email for email in pool.map(ask, range(seats + 20)) if email}
    assert len(won) == seats
    coupon = world.storage.coupons.find(code)
    assert (coupon.reserved, coupon.redeemed) == (0, seats)
    world.let_time_pass()
    world.check_promises()
    assert {row.email for row in world.rows() if row.status == "enrolled"} == won


def test_multi_use_code_stays_exact_when_sessions_end_at_random(world):
    """Scenario 2: seats of cancelled and lapsed sessions come back, one by one."""
    seats, dice = 3, random.Random(7)
    code = world.coupon(50, max_redemptions=seats)
    sdk, paid = world.sdk(), 0
    for number in range(times(40, 400)):
        email = f"learner{number}@example.com"
        try:
            answer = sdk.checkout(course_id=COURSE, email=email, coupon_code=code)
        except CouponUnavailableError:
            world.clock.advance(901)
            continue
        if paid < seats - 1 and dice.random() < 0.1:
            world.deliver(sdk, world.pay(answer.enrollment_id))
            paid += 1
        elif dice.random() < 0.7:
            sdk.cancel(answer.enrollment_id, answer.token)
        coupon = world.storage.coupons.find(code)
        assert coupon.reserved + coupon.redeemed <= seats
        assert coupon.redeemed == paid
    assert paid == seats - 1
    world.let_time_pass()
    world.check_promises()


def test_death_after_the_hold_frees_the_code(world):
    """Scenario 3: the process dies after the hold, before the create → code usable."""
    code = world.coupon(50)
    plan = CrashPlan()
    sdk = world.sdk(plan)
    reached = "coupons.bind"
    while not plan.calls or plan.calls[-1] != reached:
        plan = CrashPlan(len(plan.calls) + 1, lost_answer=True)
        world.clock.advance(1000)
        world.sdk().run_jobs()
        sdk = world.sdk(plan)
        with pytest.raises(Crash):
            sdk.checkout(course_id=COURSE, email="ada@example.com", coupon_code=code)
    assert world.payments.sessions == {}
    assert world.storage.coupons.find(code).reserved == 1
    world.clock.advance(901)
    world.sdk().run_jobs()
    assert buy(world, "bob@example.com", code).status == "awaiting_payment"


def test_death_after_the_create_finds_the_same_session(world):
    """Scenario 4: dead before the session id is stored → one session, one hold."""
    code = world.coupon(50)
    k = _call_number(world, code, "payments.create_session")
    world = emptied(world)
    code = world.coupon(50)
    with pytest.raises(Crash):
        world.sdk(CrashPlan(k, lost_answer=True)).checkout(
            course_id=COURSE, email="ada@example.com", coupon_code=code
        )
    (session,) = world.payments.sessions.values()
    assert the_row(world).session_id is None
    answer = buy(world, code=code)
    assert answer.payment_url == session.url
    assert len(world.payments.sessions) == 1
    assert world.storage.coupons.find(code).reserved == 1


def _call_number(world, code, verb):
    plan = CrashPlan()
    world.sdk(plan).checkout(
        course_id=COURSE, email="ada@example.com", coupon_code=code
    )
    return plan.calls.index(verb) + 1


def emptied(world):
    """Return an empty world on the same store."""
    if world.open_storage is None:
        return World()
    tables = world.storage.tables
    for table in (SEATS, COUPONS, ENROLLMENTS, JOBS, EVENTS):
        rows = tables.page(table, Query(KEY), 1000)
        tables.delete(table, rows)
    return World(world.open_storage)


def test_create_that_times_out_but_succeeded(world):
    """Scenario 5: an unclear create is abandoned; the learner pays another session."""
    code = world.coupon(50)
    lost = PaymentsUnavailableError("timed out", unclear=True)
    world.payments.faults.add("create_session", lost, after=True)
    answer = buy(world, code=code)
    first, second = world.payments.sessions.values()
    assert answer.payment_url == second.url
    row = the_row(world)
    assert (row.session_id, row.session_try) == (second.id, 2)
    assert [first.try_number, second.try_number] == [1, 2]
    assert world.storage.coupons.find(code).reserved == 1


def test_same_event_twenty_times_at_once(world):
    """Scenario 9: 20 deliveries at once → one effect, every answer without error."""
    answer = buy(world)
    event = world.pay(answer.enrollment_id)
    sdk = world.sdk()
    signed = world.payments.signed(event)
    with ThreadPoolExecutor(20) as pool:
        outcomes = list(
            pool.map(lambda _: sdk.handle_webhook(*signed).outcome, range(20))
        )
    assert set(outcomes) <= {"processed", "queued", "duplicate"}
    world.let_time_pass()
    world.check_promises()
    row = the_row(world)
    assert [entry.fact for entry in row.history].count("paid") == 1
    assert world.lms.inserts == 1
    assert world.storage.events.find(event.id).deliveries == 20


def test_redelivery_while_the_first_is_running(world):
    """Scenario 10: a delivery during the work is answered, and works nothing."""
    answer = buy(world)
    event = world.pay(answer.enrollment_id)
    sdk, seen = world.sdk(), []

    def deliver_again():
        world.lms.before_insert = None
        seen.append(sdk.handle_webhook(*world.payments.signed(event)).outcome)

    world.lms.before_insert = deliver_again
    first = sdk.handle_webhook(*world.payments.signed(event))
    assert first.outcome == "processed"
    assert seen == ["duplicate"]
    assert world.lms.inserts == 1
    world.check_promises()


def test_redelivery_while_the_first_is_in_settle(world):
    """Scenario 10: earlier still, while the event itself is being worked on."""
    answer = buy(world)
    event = world.pay(answer.enrollment_id)
    claimed = world.storage.events.record(
        event.id, {"type": event.type}, now=world.clock.now()
    )
    world.storage.events.claim_key(claimed.event.key, "w", world.clock.now(), 60)
    second = world.sdk().handle_webhook(*world.payments.signed(event))
    assert second.outcome == "queued"
    assert the_row(world).status is Status.AWAITING_PAYMENT


def test_death_after_each_step_of_fulfilment_then_redelivery(world):
    """Scenario 11: dead after each call of a webhook → redelivery converges."""
    k = 0
    while True:
        k += 1
        world = emptied(world)
        answer = buy(world, code=world.coupon(50))
        event = world.pay(answer.enrollment_id)
        plan = CrashPlan(k, lost_answer=True)
        try:
            world.sdk(plan).handle_webhook(*world.payments.signed(event))
        except Crash:
            world.clock.advance(700)
            world.sdk().handle_webhook(*world.payments.signed(event))
            world.let_time_pass()
            world.check_promises()
            assert the_row(world).status is Status.ENROLLED
            continue
        break
    assert k > 10


def test_redelivery_after_the_cleanup(world):
    """Scenario 12: 29 days later, after the payload is gone → no second effect."""
    answer = buy(world)
    event = world.pay(answer.enrollment_id)
    sdk = world.sdk()
    world.deliver(sdk, event)
    sdk.enrollments.revoke(answer.enrollment_id, "operator", "left")
    sdk.run_jobs()
    world.clock.advance(timedelta(days=29).total_seconds())
    now = world.clock.now()
    assert world.storage.events.prune(now - timedelta(days=1), 1000) >= 1
    assert "event" not in world.storage.events.find(event.id).payload
    before = the_row(world)
    late = sdk.handle_webhook(*world.payments.signed(event))
    assert late.outcome == "duplicate"
    sdk.run_jobs()
    assert the_row(world) == before
    assert world.lms.rows_of(before.learner, COURSE) == ()


def test_late_success_before_completed(world):
    """Scenario 14: `async_payment_succeeded` before `completed` (unpaid) → paid."""
    answer = buy(world)
    session_id = the_row(world).session_id
    completed = world.payments.pay_delayed(session_id)
    succeeded = world.payments.settle_delayed(session_id, ok=True)
    sdk = world.sdk()
    world.deliver(sdk, succeeded)
    assert the_row(world).status is Status.ENROLLED
    world.deliver(sdk, completed)
    assert the_row(world).status is Status.ENROLLED
    assert answer.enrollment_id == the_row(world).id
    world.check_promises()


def test_complete_but_unpaid_keeps_holding(world):
    """A delayed payment keeps its coupon until it succeeds or fails."""
    code = world.coupon(50)
    buy(world, code=code)
    session_id = the_row(world).session_id
    sdk = world.sdk()
    world.deliver(sdk, world.payments.pay_delayed(session_id))
    assert the_row(world).status is Status.AWAITING_PAYMENT
    world.clock.advance(100_000)
    sdk.run_jobs()
    with pytest.raises(CouponUnavailableError):
        buy(world, "bob@example.com", code)
    world.deliver(sdk, world.payments.settle_delayed(session_id, ok=False))
    row = world.storage.enrollments.find_by_session(session_id)
    assert row.status is Status.FAILED
    assert buy(world, "bob@example.com", code).status == "awaiting_payment"


def test_expired_after_completed_is_ignored(world):
    """Scenario 15: an `expired` event after the payment changes nothing."""
    answer = buy(world)
    paid = world.pay(answer.enrollment_id)
    sdk = world.sdk()
    world.deliver(sdk, paid)
    before = the_row(world)
    expired = attrs.evolve(
        paid, id="evt_late", type="checkout.session.expired", fact="expired"
    )
    world.deliver(sdk, attrs.evolve(expired, session=None))
    assert the_row(world) == before
    world.check_promises()


@pytest.mark.parametrize("shift_s", [-301, 301, -10_000_000])
def test_old_and_future_signatures_are_refused(world, shift_s):
    """Scenario 21: outside of the tolerance, in either direction."""
    answer = buy(world)
    event = world.pay(answer.enrollment_id)
    body, headers = world.payments.signed(event)
    world.clock.advance(-shift_s)
    with pytest.raises(SignatureError):
        world.sdk().handle_webhook(body, headers)
    assert world.storage.events.find(event.id) is None
    assert the_row(world).status is Status.AWAITING_PAYMENT


def test_forged_body_is_refused_and_leaves_nothing(world):
    """Scenario 21: another body under a good signature."""
    answer = buy(world)
    event = world.pay(answer.enrollment_id)
    body, headers = world.payments.signed(event)
    with pytest.raises(SignatureError):
        world.sdk().handle_webhook(body + b" ", headers)
    assert world.storage.events.list().items == ()


@pytest.mark.parametrize(
    ("forged", "reason"),
    [
        ({"amount": Money(1, "usd")}, "amount_mismatch"),
        ({"amount": Money(PRICE.amount_minor, "eur")}, "currency_mismatch"),
        ({"amount": None}, "currency_mismatch"),
    ],
    ids=["amount", "currency", "none"],
)
def test_payment_that_does_not_fit_is_quarantined(world, forged, reason):
    """Scenario 22: signed, but another amount or currency → on hold, no access."""
    answer = buy(world)
    event = world.pay(answer.enrollment_id, **forged)
    result = world.sdk().handle_webhook(*world.payments.signed(event))
    assert result.outcome == "quarantined"
    row = the_row(world)
    assert (row.status, row.reason) == (Status.ON_HOLD, reason)
    assert world.lms.rows == {}
    assert world.storage.events.find(event.id).state is JobState.QUARANTINED


def test_event_of_the_other_mode_is_quarantined(world):
    """Scenario 22: a live event at a test store (or the reverse) opens nothing."""
    answer = buy(world)
    event = attrs.evolve(world.pay(answer.enrollment_id), livemode=True)
    result = world.sdk().handle_webhook(*world.payments.signed(event))
    assert result.outcome == "quarantined"
    assert the_row(world).status is Status.AWAITING_PAYMENT


def test_foreign_session_with_our_metadata_is_quarantined(world):
    """Scenario 22: our id on a session that is not the stored one opens nothing."""
    answer = buy(world)
    event = world.pay(answer.enrollment_id)
    foreign = attrs.evolve(
        event,
        id="evt_foreign",
        session_id="cs_foreign",
        object_id="cs_foreign",
        session=attrs.evolve(event.session, id="cs_foreign"),
    )
    world.events.clear()
    row = the_row(world)
    world.payments.sessions[row.session_id] = attrs.evolve(
        world.payments.sessions[row.session_id], status="open", payment_status="unpaid"
    )
    result = world.sdk().handle_webhook(*world.payments.signed(foreign))
    assert result.outcome == "quarantined"
    assert the_row(world).status is Status.AWAITING_PAYMENT
    assert world.lms.rows == {}


def test_session_of_another_product_is_ignored(world):
    """A session without our mark, on the same account, is none of our business."""
    answer = buy(world)
    event = world.pay(answer.enrollment_id)
    other = attrs.evolve(
        event,
        id="evt_other",
        session_id="cs_other",
        enrollment_id=None,
        session=attrs.evolve(
            event.session, id="cs_other", ours=False, enrollment_id=None
        ),
    )
    assert (
        world.sdk().handle_webhook(*world.payments.signed(other)).outcome == "ignored"
    )


def test_swapped_metadata_enrolls_the_stored_learner(world):
    """Scenario 23: metadata names the attacker's row → the stored order's learner."""
    victims = buy(world)
    attackers = buy(world, "mallory@example.com")
    event = world.pay(victims.enrollment_id)
    swapped = attrs.evolve(
        event,
        enrollment_id=attackers.enrollment_id,
        session=attrs.evolve(event.session, enrollment_id=attackers.enrollment_id),
    )
    world.deliver(world.sdk(), swapped)
    assert len(world.lms.rows_of("ada@example.com", COURSE)) == 1
    assert world.lms.rows_of("mallory@example.com", COURSE) == ()
    get = world.storage.enrollments.find
    assert get(attackers.enrollment_id).status is Status.AWAITING_PAYMENT


def _refusal(world, **arguments):
    """Return what a checkout answers and which store verbs it has called."""
    plan = CrashPlan()
    with pytest.raises(EnrollError) as caught:
        world.sdk(plan).checkout(**{"course_id": COURSE} | arguments)
    error = caught.value
    told = (error.code, error.http_status, error.public_message, error.field)
    return told, plan.calls


def test_code_of_another_course_or_learner_looks_unknown(world):
    """Scenario 24: the same answer and the same store calls as an unknown code."""
    world.lms.add_course("rust-201", PRICE)
    sdk = world.sdk()
    codes = {
        "unknown": "GRANT-NONE-NONE-NONE",
        "other course": sdk.coupons.create(100, "rust-201").code,
        "other learner": sdk.coupons.create(100, COURSE, email="bob@example.com").code,
        "disabled": sdk.coupons.create(100, COURSE).code,
        "not yet": sdk.coupons.create(
            100, COURSE, starts_at=world.clock.now() + timedelta(days=1)
        ).code,
    }
    sdk.coupons.disable(codes["disabled"])
    world.clock.advance(2)
    answers = {
        name: _refusal(world, email="ada@example.com", coupon_code=code)
        for name, code in codes.items()
    }
    assert set(map(str, answers.values())) == {str(answers["unknown"])}
    assert world.rows() == ()
    assert world.payments.sessions == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("coupon_code", {"$gt": ""}),
        ("coupon_code", ["A"]),
        ("coupon_code", 5),
        ("email", {"$gt": ""}),
        ("email", "ada@example.com\u200b"),
        ("email", "no-at-sign"),
        ("email", "two@at@example.com"),
        ("email", "ada@example.com\nBcc: eve@example.com"),
        ("email", ""),
        ("email", None),
        ("course_id", {"$ne": None}),
        ("course_id", ""),
        ("course_id", "x" * 5000),
        ("full_name", {"first": "Ada"}),
        ("affiliate", ["x"]),
        ("success_url", "javascript:alert(1)"),
        ("success_url", {"href": "x"}),
        ("cancel_url", "not a url"),
        ("idempotency_key", {"a": 1}),
        ("idempotency_key", "k" * 500),
    ],
)
def test_wrong_field_is_named_and_nothing_is_done(world, field, value):
    """Scenario 24: operators, wrong types and confusables are refused by name."""
    plan = CrashPlan()
    arguments = {"course_id": COURSE, "email": "ada@example.com", field: value}
    with pytest.raises(ValidationError) as caught:
        world.sdk(plan).checkout(**arguments)
    assert caught.value.field == field
    assert plan.calls == []


@pytest.mark.parametrize("typed", ["ADA@Example.com", "  ada@example.com "])
def test_spelling_of_an_address_is_one_learner(world, typed):
    """Scenario 24: case and blanks make no second learner."""
    first = buy(world)
    again = buy(world, typed)
    assert again.enrollment_id == first.enrollment_id


def test_plus_alias_is_another_learner(world):
    """Scenario 24: a plus alias is an address of its own, for grants too."""
    sdk = world.sdk()
    code = sdk.coupons.create(100, COURSE, email="ada@example.com").code
    with pytest.raises(CouponUnavailableError):
        buy(world, "ada+grant@example.com", code)
    assert buy(world, "Ada@example.com", code).status == "enrolled"


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (LMSUnavailableError("502 page", unclear=True), Status.CONFIRMED),
        (LMSUnavailableError("read timed out", unclear=True), Status.CONFIRMED),
        (ThrottledError("429", retry_after_s=7), Status.CONFIRMED),
        (BackendRejectedError("course is gone"), Status.CONFIRMED),
    ],
    ids=["502", "timeout", "429", "417"],
)
@pytest.mark.parametrize("after", [False, True], ids=["not written", "written"])
def test_lms_failure_never_doubles_and_never_loses(world, error, kept, after):
    """Scenario 26: whatever the insert answers, at rest there is exactly one row."""
    answer = buy(world)
    world.lms.faults.add("insert_enrollment", error, after=after)
    world.deliver(world.sdk(), world.pay(answer.enrollment_id))
    row = the_row(world)
    refused = isinstance(error, BackendRejectedError)
    if refused and not after:
        assert row.lms_status is LMSStatus.DEAD
        world.sdk().admin.retry(row.id)
    world.let_time_pass()
    world.check_promises()
    assert the_row(world).status is Status.ENROLLED
    assert world.lms.inserts == 1 if after else world.lms.inserts <= 1


def test_row_that_somebody_else_was_faster_to_make_is_never_removed(world):
    """A refused insert finds another's row: it entitles, and a revoke leaves it."""
    world.lms.duplicates = "refused"
    answer = buy(world)

    def somebody_else():
        world.lms.before_insert = None
        world.lms.add_row("ada@example.com", COURSE)

    world.lms.before_insert = somebody_else
    sdk = world.sdk()
    world.deliver(sdk, world.pay(answer.enrollment_id))
    row = the_row(world)
    assert (row.status, row.lms_row_ours) == (Status.ENROLLED, False)
    sdk.enrollments.revoke(row.id, "operator", "test")
    sdk.run_jobs()
    assert len(world.lms.rows_of("ada@example.com", COURSE)) == 1


def test_enrolled_learner_is_never_sent_to_a_template(world):
    """Without the LMS's address there is no link, rather than a broken one."""
    first = buy(world)
    world.deliver(world.sdk(), world.pay(first.enrollment_id))
    again = buy(world)
    assert (again.status, again.next_url) == ("enrolled", None)


def test_gate_of_a_provider_that_is_back_opens():
    """What fails for its own cause is put off by the schedule, not by the gate."""
    world = World(inline_s=0)
    sdk = world.sdk()
    name = sdk.checkout(course_id=COURSE, email="ada@example.com").enrollment_id
    world.payments.is_down = True
    world.clock.advance(8000)
    sdk.run_jobs()
    assert not world.storage.gates.is_open("payments")
    world.payments.is_down = False
    lost = PaymentsUnavailableError("500", unclear=True)
    world.payments.faults.add("retrieve_session", lost, times=9)
    waits = []
    for _ in range(3):
        world.clock.advance(2000)
        sdk.run_jobs()
        due_at = world.storage.enrollments.find(name).due_at
        waits.append((due_at - world.clock.now()).total_seconds())
    assert world.storage.gates.is_open("payments")
    assert waits == [240, 480, 960]


@pytest.mark.parametrize("lost_answer", [False, True])
def test_heir_of_a_refund_in_part_knows_of_it_whatever_crashes(lost_answer):
    """Wherever a reassign dies: the sums follow the payment."""
    k = dead = 1
    while dead:
        world = World(inline_s=0)
        row = world.sdk().checkout(course_id=COURSE, email="ada@example.com")
        paid = world.pay(row.enrollment_id)
        world.deliver(world.sdk(), paid)
        world.sdk().run_jobs()
        back, news = world.payments.play_refund(paid.payment_id, Money(1000, "usd"))
        world.deliver(world.sdk(), news)
        world.sdk().run_jobs()
        plan = CrashPlan(k, lost_answer=lost_answer)
        with contextlib.suppress(Crash):
            world.sdk(plan).enrollments.reassign(
                row.enrollment_id, "bob@example.com", "op", "why"
            )
        k, dead = k + 1, plan.dead
        world.let_time_pass()
        (holder,) = [one for one in world.rows() if one.status is Status.ENROLLED]
        assert holder.refunded_minor == back.amount.amount_minor, plan.calls
    assert k > 10


def test_removal_that_lands_after_the_right_has_come_back():
    """The LMS carries out a removal that timed out: a look finds the course gone."""
    world = World(inline_s=0)
    sdk = world.sdk()
    name = sdk.checkout(course_id=COURSE, email="ada@example.com").enrollment_id
    world.deliver(sdk, world.pay(name))
    sdk.run_jobs()
    sdk.enrollments.revoke(name, "op", "why")
    world.lms.faults.slow("delete_enrollment", Slow(60.0, 3600.0))
    sdk.run_jobs()
    sdk.enrollments.reinstate(name, "op", "why")
    world.clock.advance(130)
    sdk.run_jobs()
    (first,) = world.lms.rows_of("ada@example.com", COURSE)
    assert world.storage.enrollments.find(name).status is Status.ENROLLED
    world.let_time_pass()
    (second,) = world.lms.rows_of("ada@example.com", COURSE)
    assert first.name != second.name
    world.check_promises()
