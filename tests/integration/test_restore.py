# SPDX-License-Identifier: MIT
"""A store restored from an older backup: what was paid since is found and entitled."""

from __future__ import annotations

from collections import Counter

import attrs
import pytest
from support.backups import back_up
from support.shop import Ears, Shop
from support.size import with_the_first_python
from support.world import COURSE, World

from frappe_enroll_sdk.errors import PaymentsUnavailableError
from frappe_enroll_sdk.models import DisputeStatus, Status
from frappe_enroll_sdk.services.operators.differences import Difference, Repair
from frappe_enroll_sdk.testing.faults import Crash, CrashPlan


pytestmark = with_the_first_python

PAYMENTS, WITH_COUPON, REFERRED = 50, 12, 10
SETTINGS = {"commission_percent": 10, "lms_rate_per_s": 0, "rate_limits": "off"}
#: What a rebuilt enrollment has to have as it was.
KEPT = (
    *("id", "email", "course_id", "kind", "price", "discount", "amount"),
    *("coupon_code", "affiliate", "session_id"),
    *("tax_behavior", "payment_id", "paid", "refunded_minor", "dispute"),
)
REFUNDED, DISPUTED = "learner20@example.com", "learner21@example.com"
BEFORE, UNHEARD = "learner22@example.com", "learner23@example.com"


class Fakes:
    """The drill's two sides in memory."""

    def __init__(self, open_storage) -> None:
        self.world = World(open_storage, **SETTINGS)
        self.storage, self.ears = self.world.storage, Ears()
        self.alerts = self.ears.alerts
        self.sdk = self.world.sdk(plugins=[self.ears])

    def checkout(self, email, **more):
        """Begin an enrollment; return its id."""
        return self.sdk.checkout(course_id=COURSE, email=email, **more).enrollment_id

    def pay(self, enrollment_id, *, heard=True):
        """Pay; return how its event is delivered later."""
        event = self.world.pay(enrollment_id)
        if heard:
            self.world.deliver(self.sdk, event)
        return lambda: self.world.deliver(self.sdk, event).outcome

    def refund(self, payment_id, *, heard=True):
        """Give a payment back."""
        event = self.world.payments.play_refund(payment_id)[1]
        if heard:
            self.world.deliver(self.sdk, event)

    def dispute(self, payment_id):
        """Dispute a payment."""
        status = DisputeStatus.NEEDS_RESPONSE
        self.world.deliver(
            self.sdk, self.world.payments.play_dispute(payment_id, status)[1]
        )

    def rest(self):
        """Let time and cron go on."""
        for seconds in (0, 130, 130):
            self.world.clock.advance(seconds)
            while self.sdk.run_jobs(limit=1000).claimed:
                pass

    def lms_rows(self):
        """Count the LMS's rows by learner."""
        return Counter(row.learner for row in self.world.lms.rows.values())

    def paid_sessions(self):
        """Return the ids of the paid sessions."""
        return {s.id for s in self.world.payments.sessions.values() if s.paid}


class Sandboxes(Fakes):
    """The same over HTTP: both sandboxes, and webhooks that Stripe's one sends."""

    def __init__(self, shop) -> None:
        self.shop, self.sdk, self.storage = shop, shop.sdk, shop.storage
        self.alerts = shop.ears.alerts

    def pay(self, enrollment_id, *, heard=True):
        """Pay; return how its event is delivered later."""
        self.shop.stripe.webhooks.held = not heard
        event = self.shop.account.pay(self.shop.row(enrollment_id).session_id)
        assert self.shop.stripe.webhooks.wait_idle(30)
        return lambda: self.shop.send(event)[1]["outcome"]

    def refund(self, payment_id, *, heard=True):
        """Give a payment back."""
        self.shop.stripe.webhooks.held = not heard
        self.shop.account.refund(payment_id)
        assert self.shop.stripe.webhooks.wait_idle(30)

    def dispute(self, payment_id):
        """Dispute a payment."""
        self.shop.stripe.webhooks.held = False
        self.shop.account.dispute(payment_id)
        assert self.shop.stripe.webhooks.wait_idle(30)

    def rest(self):
        """Let time and cron go on."""
        self.shop.rest(0, 130, 130)

    def lms_rows(self):
        """Count the LMS's rows by learner."""
        return Counter(row["member"] for row in self.shop.lms.site.enrollments())

    def paid_sessions(self):
        """Return the ids of the paid sessions."""
        sessions = self.shop.account.sessions.values()
        return {s["id"] for s in sessions if s["payment_status"] == "paid"}


@pytest.fixture
def fakes(open_storage):
    """Return a drill in memory on each store."""
    drill = Fakes(open_storage)
    yield drill
    drill.storage.close()


def reconcile(drill, *, repair=True):
    """Go through all pages; return what was found."""
    found, cursor = [], None
    while True:
        report = drill.sdk.admin.reconcile(repair=repair, limit=20, cursor=cursor)
        found += report.findings
        cursor = report.next_cursor
        if cursor is None:
            return found


def row_of(drill, email):
    """Return a learner's one enrollment that a payment is for."""
    rows = drill.storage.enrollments.list(email=email).items
    (paid,) = (row for row in rows if row.session_id in drill.paid_sessions())
    return paid


def play(drill, environ):
    """
    Back up, take payments of every sort, restore; return what was before.

    Which is: each paid enrollment by its id, and the affiliate's totals.
    """
    sdk = drill.sdk
    sdk.affiliates.register("carol@example.com", code="carol")
    many = sdk.coupons.create(50, COURSE, max_redemptions=WITH_COUPON).code
    few = sdk.coupons.create(25, COURSE, max_redemptions=3).code
    old = drill.checkout(BEFORE)
    backup = back_up(environ)
    late = None
    for number in range(PAYMENTS):
        email, more = f"learner{number}@example.com", {}
        if number < WITH_COUPON:
            more["coupon_code"] = many
        elif number < WITH_COUPON + 3:
            more["coupon_code"] = few
        if number % 5 == 0:
            more["affiliate"] = "carol"
        name = old if email == BEFORE else drill.checkout(email, **more)
        deliver = drill.pay(name, heard=email != UNHEARD)
        late = deliver if email == UNHEARD else late
    drill.rest()
    drill.refund(row_of(drill, REFUNDED).payment_id)
    drill.dispute(row_of(drill, DISPUTED).payment_id)
    drill.rest()
    rows = drill.storage.enrollments.list(limit=200).items
    was = {row.id: row for row in rows}
    totals = sdk.affiliates.stats("carol")
    backup.restore(drill.storage)
    assert len(drill.storage.enrollments.list(limit=200).items) == 1
    # The shop is open again, and somebody takes one of the three seats.
    drill.pay(drill.checkout("newcomer@example.com", coupon_code=few))
    assert late() == "quarantined"
    return was, totals, (many, few)


def check(drill, was, totals, codes):
    """Repair, and look for everything that was there before."""
    found = reconcile(drill)
    rebuilt = [one for one in found if one.repair is Repair.REBUILD]
    assert len(rebuilt) == PAYMENTS - 1
    assert all(one.after for one in found)
    over = [one for one in rebuilt if "beyond the limit" in one.after]
    assert len(over) == 1
    assert ("coupon_gone", over[0].enrollment_id) in drill.alerts
    drill.rest()
    for name, before in was.items():
        now = drill.storage.enrollments.find(name)
        heard = before.email != UNHEARD
        # Of one whose event never came nothing was known of its payment.
        fields = KEPT if heard else KEPT[:10]
        kept = {field: getattr(before, field) for field in fields}
        assert {field: getattr(now, field) for field in kept} == kept
        assert now.status is (before.status if heard else Status.ENROLLED), now.history
    statuses = Counter(drill.storage.enrollments.find(name).status for name in was)
    assert statuses[Status.ENROLLED] == PAYMENTS - 2
    rows = drill.lms_rows()
    assert set(rows.values()) == {1}
    assert len(rows) == PAYMENTS - 2 + 1
    assert not {REFUNDED, DISPUTED} & set(rows)
    assert drill.sdk.affiliates.stats("carol") == totals
    seats = [drill.storage.coupons.find(code) for code in codes]
    assert [seat.redeemed for seat in seats] == [WITH_COUPON, 3]
    assert drill.sdk.admin.quarantine().items == ()
    assert reconcile(drill) == []


def test_nothing_paid_is_missing_after_a_restore(fakes, named_store):
    """Fifty payments since the backup: each is entitled again, once, and seated."""
    check(fakes, *play(fakes, named_store[0]))


def test_nothing_paid_is_missing_after_a_restore_over_http(named_store):
    """The same through Stripe's and Frappe's own clients and shapes."""
    environ, open_storage = named_store
    with Shop(open_storage, **SETTINGS) as shop:
        drill = Sandboxes(shop)
        check(drill, *play(drill, environ))


# Single stories, in memory.


def forget(drill, environ, *, coupon=None, **more):
    """Let one payment be forgotten; return its enrollment as it was."""
    code = (
        drill.sdk.coupons.create(50, COURSE, **coupon).code
        if coupon is not None
        else None
    )
    backup = back_up(environ)
    name = drill.checkout("ada@example.com", coupon_code=code, **more)
    drill.pay(name)
    drill.rest()
    row = drill.storage.enrollments.find(name)
    assert row.status is Status.ENROLLED
    backup.restore(drill.storage)
    return row


def test_dry_run_tells_and_changes_nothing(fakes, named_store):
    """What would be rebuilt, by session and enrollment."""
    row = forget(fakes, named_store[0])
    (found, _lms) = reconcile(fakes, repair=False)
    assert (found.difference, found.repair, found.subject, found.enrollment_id) == (
        Difference.PAID_WITHOUT_ENROLLMENT,
        Repair.REBUILD,
        row.session_id,
        row.id,
    )
    assert fakes.storage.enrollments.list().items == ()


def test_scheduled_repair_leaves_rebuilding_to_an_operator(fakes, named_store):
    """Another store may have its sessions at the same provider: it alerts."""
    forget(fakes, named_store[0])
    settings = attrs.evolve(
        fakes.world.settings, reconcile_every_s=86_400, reconcile_repair=True
    )
    fakes.world.settings = settings
    fakes.world.sdk(plugins=[fakes.ears]).run_jobs()
    assert ("reconcile_differences", "reconcile") in fakes.alerts
    assert fakes.storage.enrollments.list().items == ()


@pytest.mark.parametrize("heard", [False, True])
def test_money_given_back_since_is_looked_at_before_it_entitles(
    fakes, named_store, heard
):
    """A refund while nobody knew the payment: never confirmed, and the LMS is told."""
    row = forget(fakes, named_store[0], coupon={})
    fakes.refund(row.payment_id, heard=heard)
    found = next(one for one in reconcile(fakes) if one.repair is Repair.REBUILD)
    now = fakes.storage.enrollments.find(row.id)
    assert (now.status, now.reason) == (Status.REVOKED, "refunded")
    assert {entry.status for entry in now.history} == {
        Status.PENDING,
        Status.ON_HOLD,
        Status.REVOKED,
    }
    # As if it had never been forgotten: what was redeemed stays so.
    assert fakes.storage.coupons.find(row.coupon_code).redeemed == 1
    # Nobody can prove whose row of the LMS that is: it stays, and is named.
    assert f"the LMS has {row.lms_enrollment_id}" in found.after


def test_code_that_has_ended_since_is_seated_as_of_its_time(fakes, named_store):
    """It was good when the learner came."""
    ends = fakes.world.clock.now().replace(year=2027)
    row = forget(fakes, named_store[0], coupon={"expires_at": ends})
    fakes.world.payments._made_at[row.session_id] = ends
    fakes.world.clock.advance(366 * 86_400)
    report = reconcile(fakes)
    (found,) = (one for one in report if one.repair is Repair.REBUILD)
    assert found.after == "confirmed"
    assert fakes.storage.coupons.find(row.coupon_code).redeemed == 1


def test_unknown_affiliate_is_said(fakes, named_store):
    """Registered after the backup: nobody is silently left without a commission."""
    backup = back_up(named_store[0])
    fakes.sdk.affiliates.register("dan@example.com", code="dan")
    fakes.pay(fakes.checkout("ada@example.com", affiliate="dan"))
    backup.restore(fakes.storage)
    found = next(one for one in reconcile(fakes) if one.repair is Repair.REBUILD)
    assert found.after == (
        "confirmed; its affiliate is not registered here: no commission is recorded"
    )


def test_attempt_that_was_begun_since_makes_way(fakes, named_store):
    """The learner came again, unpaid: what was paid stands."""
    row = forget(fakes, named_store[0])
    fakes.world.lms.rows.clear()
    second = fakes.checkout("ada@example.com")
    assert second != row.id
    reconcile(fakes)
    fakes.rest()
    assert fakes.storage.enrollments.find(row.id).status is Status.ENROLLED
    assert fakes.storage.enrollments.find(second).status is Status.EXPIRED
    assert fakes.lms_rows() == {"ada@example.com": 1}


def test_second_payment_since_is_told_and_stays_told(fakes, named_store):
    """Paid again after the restore: the first payment is held, until it is decided."""
    row = forget(fakes, named_store[0])
    fakes.world.lms.rows.clear()
    second = fakes.checkout("ada@example.com")
    fakes.pay(second)
    fakes.rest()
    (found,) = reconcile(fakes)
    assert (found.difference, found.subject, found.after) == (
        Difference.PAID_WITHOUT_ENROLLMENT,
        row.session_id,
        "on_hold",
    )
    now = fakes.storage.enrollments.find(row.id)
    assert (now.held_for, now.payment_id) == ("paid_twice", row.payment_id)
    assert ("paid_twice", row.id) in fakes.alerts
    for _ in range(2):
        fakes.rest()
        (found,) = reconcile(fakes)
        assert (found.difference, found.subject) == (Difference.PAID_TWICE, row.id)
        assert f"the learner has {second}" in found.cause
    assert fakes.storage.enrollments.find(second).status is Status.ENROLLED
    assert fakes.lms_rows() == {"ada@example.com": 1}


@pytest.mark.parametrize("ended", [False, True])
def test_row_that_forgot_its_session_gets_it_back(fakes, named_store, ended):
    """Backed up between `open` and the session; and ended by time after the restore."""
    # The host has logged the learner in: so they come back to their own attempt.
    ask = {"course_id": COURSE, "email": "ada@example.com", "authenticated": True}
    counted = CrashPlan()
    fakes.world.sdk(counted).checkout(**ask | {"email": "bob@example.com"})
    opened = counted.calls.index("enrollments.open") + 1
    with pytest.raises(Crash):
        fakes.world.sdk(CrashPlan(opened, lost_answer=True)).checkout(**ask)
    backup = back_up(named_store[0])
    name = fakes.checkout(ask["email"], authenticated=True)
    fakes.pay(name)
    row = fakes.storage.enrollments.find(name)
    backup.restore(fakes.storage)
    if ended:
        fakes.rest()
        assert fakes.storage.enrollments.find(name).status is Status.EXPIRED
    found = next(one for one in reconcile(fakes) if one.repair is Repair.REBUILD)
    assert (found.difference, found.subject) == (
        Difference.PAID_NOT_CONFIRMED,
        row.session_id,
    )
    fakes.rest()
    now = fakes.storage.enrollments.find(name)
    assert (now.status, now.session_id) == (Status.ENROLLED, row.session_id)


def test_rebuild_that_dies_anywhere_is_finished_by_the_next(fakes, named_store):
    """At each call: afterwards everything is as if nothing had happened."""
    environ, _ = named_store
    row = forget(fakes, environ, coupon={"max_redemptions": 1})
    forgotten = back_up(environ)
    calls = 0
    for step in range(2, 400):
        # Each call once never made, once made and its answer lost.
        plan = CrashPlan(step // 2, lost_answer=bool(step % 2))
        sdk = fakes.world.sdk(plan)
        try:
            sdk.admin.reconcile(repair=True, cursor="sessions:")
        except Crash:
            calls += 1
        else:
            break
        fakes.rest()
        reconcile(fakes)
        fakes.rest()
        now = fakes.storage.enrollments.find(row.id)
        assert (now.status, now.session_id) == (Status.ENROLLED, row.session_id)
        assert fakes.storage.coupons.find(row.coupon_code).redeemed == 1
        assert fakes.lms_rows() == {"ada@example.com": 1}
        assert reconcile(fakes) == []
        forgotten.restore(fakes.storage)
        forgotten = back_up(environ)
    assert calls >= 30


def test_full_grant_since_the_backup_is_told_as_an_lms_row(fakes, named_store):
    """No session knows it: the LMS's row is named, and stays."""
    code = fakes.sdk.coupons.create(100, COURSE).code
    backup = back_up(named_store[0])
    fakes.checkout("ada@example.com", coupon_code=code)
    fakes.rest()
    backup.restore(fakes.storage)
    (found,) = reconcile(fakes)
    assert found.difference is Difference.LMS_WITHOUT_ENROLLMENT
    assert fakes.lms_rows() == {"ada@example.com": 1}


@pytest.mark.parametrize("refunded", [False, True])
def test_provider_that_is_down_leaves_a_rebuilt_row_on_hold(
    fakes, named_store, refunded
):
    """Its money could not be looked at: it waits, and cron looks by itself."""
    row = forget(fakes, named_store[0])
    if refunded:
        fakes.refund(row.payment_id, heard=False)
    down = PaymentsUnavailableError("down")
    fakes.world.payments.faults.add("list_refunds", down)
    with pytest.raises(PaymentsUnavailableError):
        reconcile(fakes)
    now = fakes.storage.enrollments.find(row.id)
    assert (now.status, now.reason, now.held_for) == (Status.ON_HOLD, "rebuilt", None)
    assert fakes.sdk.admin.quarantine().items == ()
    fakes.rest()
    now = fakes.storage.enrollments.find(row.id)
    assert now.status is (Status.REVOKED if refunded else Status.ENROLLED)
