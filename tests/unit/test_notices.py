# SPDX-License-Identifier: MIT
"""Alerts, deaths and payouts as facts that owe plugins a job, whatever crashes."""

from __future__ import annotations

from functools import partial

import pytest
from support.size import step_of
from support.world import COURSE, World
from unit.rows import make_row

from frappe_enroll_sdk import hookimpl
from frappe_enroll_sdk.models import JobState, Status
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.outcomes import Dead, Done
from frappe_enroll_sdk.services.alerts import owe_alert, raise_alert
from frappe_enroll_sdk.services.settle.effects import EffectKind, effects_of
from frappe_enroll_sdk.testing.faults import Crash, CrashPlan, Tap


class Teller:
    """A plugin that is owed jobs for what operators hear of, and one that dies."""

    def __init__(self, told=None) -> None:
        self.contexts, self.alerts = [], []
        self.told = told or Done()

    @hookimpl
    def register_jobs(self, register, settings):
        """Two kinds that tell, and one whose handler can never work."""
        assert settings is not None
        register("tell", self.tell, on=("alert", "job_dead", "commission_paid"))
        register("tell.too", self.tell, on=("job_dead",))
        register("doomed", lambda _context: Dead("it never works"), on=("enrolled",))

    @hookimpl
    def on_alert(self, code, subject):
        """Note it."""
        self.alerts.append((code, subject))

    def tell(self, context):
        """Note it, and answer."""
        self.contexts.append(context)
        return self.told


@pytest.fixture
def world():
    """Return a world over memory."""
    return World()


def enroll(world, sdk, email="ada@example.com"):
    """Enroll by a full grant."""
    return sdk.checkout(course_id=COURSE, email=email, coupon_code=world.coupon())


def jobs(world, kind):
    """Return the jobs of a kind."""
    return world.storage.jobs.list(kind=kind).items


def drain(world, sdk):
    """Run what is due until nothing is, with a little time in between."""
    while sdk.run_jobs(limit=1000).claimed:
        world.clock.advance(3)


def test_death_owes_one_job_of_each_kind(world):
    """They get the dead job and its cause, once, and after it was written."""
    teller = Teller()
    sdk = world.sdk(plugins=[teller])
    enroll(world, sdk)
    drain(world, sdk)
    world.let_time_pass()
    (dead,) = jobs(world, "doomed")
    assert dead.state is JobState.DEAD
    assert sorted(c.job.kind for c in teller.contexts) == ["tell", "tell.too"]
    for context in teller.contexts:
        assert context.dead == dead
        assert context.error.cause == "it never works"


def test_death_of_a_teller_is_not_told(world):
    """Neither by itself nor by the other: no chain of deaths about deaths."""
    teller = Teller(told=Dead("nobody listens"))
    sdk = world.sdk(plugins=[teller])
    enroll(world, sdk)
    for _ in range(5):
        drain(world, sdk)
        world.clock.advance(1000)
    assert len(teller.contexts) == 2
    assert len(jobs(world, "tell") + jobs(world, "tell.too")) == 2


def test_second_death_is_a_fact_of_its_own(world):
    """Retried by an operator it dies again; one that is retried in time is not told."""
    teller = Teller()
    sdk = world.sdk(plugins=[teller])
    enroll(world, sdk)
    drain(world, sdk)
    (dead,) = jobs(world, "doomed")
    world.clock.advance(60)
    sdk.admin.retry(dead.key)
    drain(world, sdk)
    assert len(teller.contexts) == 4
    assert len({context.job.key for context in teller.contexts}) == 4
    sdk.admin.retry(dead.key)
    world.clock.advance(1)
    claim = world.storage.jobs.claim("w", world.clock.now(), 60, 9, kinds=["doomed"])
    assert len(claim) == 1
    drain(world, sdk)
    assert len(teller.contexts) == 4


def crash(world, plan, teller, act):
    """Do something in a process that dies by the plan; tell whether it did."""
    try:
        act(world.sdk(plan, plugins=[teller]))
    except Crash:
        return True
    return False


@pytest.mark.parametrize("lost_answer", [False, True])
def test_death_is_told_once_wherever_the_worker_dies(lost_answer):
    """At each call around the death's write: one fact for each kind, never none."""
    world, teller = World(), Teller()
    enroll(world, world.sdk(plugins=[teller]))
    plan = CrashPlan()
    assert not crash(world, plan, teller, lambda sdk: sdk.run_jobs())
    last = len(plan.calls)
    step, first = step_of(last, small=12)
    for k in range(first, last + 1, step):
        world, teller = World(), Teller()
        enroll(world, world.sdk(plugins=[teller]))
        plan = CrashPlan(k, lost_answer=lost_answer)
        assert crash(world, plan, teller, lambda sdk: sdk.run_jobs())
        for wait_s in (70, 700, 3):
            world.clock.advance(wait_s)
            drain(world, world.sdk(plugins=[teller]))
        (dead,) = jobs(world, "doomed")
        assert dead.state is JobState.DEAD
        told = {c.job.key for c in teller.contexts if c.fact == "job_dead"}
        assert sorted(key.partition(":")[0] for key in told) == ["tell", "tell.too"]


def test_death_is_told_after_it_is_written(world):
    """Another worker finds the telling before the death is there: it waits for it."""
    teller, seen = Teller(), []

    def before(verb):
        if verb == "jobs.bury":
            world.sdk(plugins=[teller]).run_jobs()
            seen.append(len(teller.contexts))

    tapped = Tap(world.storage, before, lambda _verb: None)
    sdk = world.sdk(plugins=[teller], storage=tapped)
    enroll(world, sdk)
    sdk.run_jobs()
    assert seen == [0]
    world.clock.advance(3)
    drain(world, sdk)
    assert len(teller.contexts) == 2


@pytest.mark.parametrize("lost_answer", [False, True])
def test_payout_is_told_once_wherever_its_writer_dies(lost_answer):
    """If it was written, by one job; if not, by none."""
    k, died, written = 0, True, set()
    while died:
        k += 1
        world, teller = World(commission_hold_days=0, commission_percent=10), Teller()
        sdk = world.sdk(plugins=[teller])
        sdk.affiliates.register("bob@example.com", code="bob")
        answer = sdk.checkout(
            course_id=COURSE, email="ada@example.com", affiliate="bob"
        )
        world.deliver(sdk, world.pay(answer.enrollment_id))
        drain(world, sdk)
        teller.contexts.clear()
        plan = CrashPlan(k, lost_answer=lost_answer)
        died = crash(
            world,
            plan,
            teller,
            lambda it: it.affiliates.pay_out("bob", "usd", "o", "r"),
        )
        for wait_s in (130, 4000):
            world.clock.advance(wait_s)
            drain(world, world.sdk(plugins=[teller]))
        paid = sum(t.paid_minor for t in world.sdk().affiliates.stats("bob"))
        written.add(bool(paid))
        told = [c for c in teller.contexts if c.fact == "commission_paid"]
        assert len(told) == bool(paid)
        for context in told:
            assert context.affiliate.email == "bob@example.com"
            assert context.subject.paid_minor == paid == 490
    assert written == {False, True}


def test_alert_is_owed_once_per_occasion(world):
    """The same occasion owes nothing more; observers hear each call."""
    teller = Teller()
    sdk = world.sdk(plugins=[teller])
    context = sdk.affiliates._context
    for occasion in (1, 1, 2, None):
        raise_alert(context, "dispute_lost", "enr_1", occasion)
    owe_alert(context, "dispute_lost", "enr_1", 2)
    drain(world, sdk)
    assert len(teller.alerts) == 4
    assert [(c.code, c.subject) for c in teller.contexts] == [
        ("dispute_lost", "enr_1")
    ] * 3
    assert all(c.at <= world.clock.now() for c in teller.contexts)


@pytest.mark.parametrize("lost_answer", [False, True])
def test_alert_of_an_enrollment_is_owed_wherever_the_webhook_dies(lost_answer):
    """A payment that fits no order: one job on its alert, never none."""

    def begun():
        world, teller = World(), Teller()
        sdk = world.sdk(plugins=[teller])
        answer = sdk.checkout(course_id=COURSE, email="ada@example.com")
        return world, teller, world.pay(answer.enrollment_id, amount=Money(1, "usd"))

    world, teller, event = begun()
    plan = CrashPlan()
    assert not crash(world, plan, teller, partial(world.deliver, event=event))
    step, first = step_of(len(plan.calls), small=12)
    for k in range(first, len(plan.calls) + 1, step):
        world, teller, event = begun()
        plan = CrashPlan(k, lost_answer=lost_answer)
        assert crash(world, plan, teller, partial(world.deliver, event=event))
        world.deliver(world.sdk(plugins=[teller]), event)
        for wait_s in (130, 700):
            world.clock.advance(wait_s)
            drain(world, world.sdk(plugins=[teller]))
        told = [c for c in teller.contexts if c.fact == "alert"]
        assert [c.code for c in told if c.subject == event.enrollment_id] == [
            "amount_mismatch"
        ]


def test_alert_of_an_enrollment_is_an_effect_of_its_write():
    """A crash after the write leaves it owed; the code is the effect's fact."""
    row = make_row(
        Status.ON_HOLD, before=Status.EXPIRED, held_for="late_payment", fact="paid_late"
    )
    alerts = [e.fact for e in effects_of(row) if e.kind is EffectKind.ALERT]
    assert alerts == ["late_payment"]
    row = make_row(Status.CONFIRMED, before=Status.REVOKED, fact="refund_failed")
    alerts = [e.fact for e in effects_of(row) if e.kind is EffectKind.ALERT]
    assert alerts == ["refund_failed"]
