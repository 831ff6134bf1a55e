# SPDX-License-Identifier: MIT
"""Who plays: learners, operators, a bank, an LMS administrator, workers and cron."""

from __future__ import annotations

from simulation.hub import Process
from simulation.world import COURSE, PARTNER, World

from frappe_enroll_sdk.errors import EnrollError
from frappe_enroll_sdk.models import (
    DisputeStatus,
    Learner,
    SessionStatus,
    Status,
)
from frappe_enroll_sdk.money import Money


#: What may be switched on beside the kinds of fault.
SCENES = (
    *("tabs", "coupons", "few", "full", "cancel", "late_pay", "delayed", "again"),
    *("refunds", "refunds_fail", "disputes", "words", "reassign", "repair"),
    *("squatter", "vouched", "tokens", "give_back"),
    *("by_hand", "partner", "worker", "inline", "lms_refuses"),
    *("events_lost", "events_twice", "events_late", "skew", "outage", "wrong_key"),
)
LEARNERS = ("ada@example.com", "bob@example.com", "eve@example.com")
#: What a stranger calls the learner, and by whose link he says that she came.
STRANGER, SPY = "A Stranger", "spy"
OTHERS = ("kim@example.com", "lee@example.com")


def play(world: World) -> None:
    """Set the stage and let everybody play until they have had enough."""
    hub, on = world.hub, world.on
    codes = _coupons(world)
    if "partner" in on:
        _setup(world).affiliates.register("partner@example.com", code=PARTNER)
    if "squatter" in on:
        _setup(world).affiliates.register("spy@example.com", code=SPY)
    count = hub.dice.choice((1, 1, 2, 2, 3))
    people = [
        world.person(email[:3], lambda p, e=email: learner(world, p, e, codes))
        for email in LEARNERS[:count]
    ]
    if "squatter" in on:
        victim = LEARNERS[0]
        people.append(world.person("spy", lambda p: squatter(world, p, victim, codes)))
    if on & {"refunds", "disputes", "delayed"}:
        people.append(world.person("bank", lambda p: bank(world, p)))
    if on & {"words", "reassign", "repair"}:
        people.append(world.person("op", lambda p: operator(world, p)))
    if "by_hand" in on:
        people.append(world.person("admin", lambda p: by_hand(world, p)))
    if "outage" in on:
        people.append(world.person("outage", lambda p: outage(world, p)))
    if "wrong_key" in on:
        people.append(world.person("key", lambda p: wrong_key(world, p)))
    work = worker if "worker" in on else cron
    for number in range(hub.dice.choice((1, 1, 2))):
        world.person(f"host{number}", lambda p: work(world, p, people))


def _setup(world: World):
    """Return an SDK that nothing happens to."""
    return world.calm()


def _coupons(world: World) -> list[str | None]:
    codes: list[str | None] = [None]
    if "coupons" not in world.on:
        return codes
    sdk, most = _setup(world), 2 if "few" in world.on else 1
    codes.append(sdk.coupons.create(50, COURSE, max_redemptions=most).code)
    if "full" in world.on:
        codes.append(sdk.coupons.create(100, COURSE, max_redemptions=most).code)
        codes.remove(None)
    return codes


def learner(world: World, me: Process, email: str, codes: list[str | None]) -> None:
    """Come to the shop, and maybe pay."""
    hub, dice, on = world.hub, world.hub.dice, world.on
    token = None
    for _ in range(2 if "again" in on else 1):
        hub.pause(me, 30 * dice.random())
        terms = {"course_id": COURSE, "email": email, "coupon_code": dice.choice(codes)}
        terms["full_name"] = email[:3]
        if "vouched" in on and dice.random() < 0.6:
            terms["authenticated"] = True
        if "partner" in on and dice.random() < 0.7:
            terms["affiliate"] = PARTNER
        if "tabs" in on and dice.random() < 0.6:
            other = {**terms, "coupon_code": dice.choice(codes)}
            world.process(f"{me.name}:tab", _checkout(world, other), dice.random())
        for _ in range(2):
            if token and "tokens" in on and dice.random() < 0.7:
                terms["token"] = token
            asked = world.ask(me, "checkout", _checkout(world, terms))
            if asked.answer is not None and asked.answer.token:
                token = asked.answer.token
            if asked.error is None or dice.random() < 0.5:
                break
            hub.pause(me, 20 * dice.random())
        if asked.answer is not None and asked.answer.payment_url:
            _at_the_till(world, me, asked.answer)
        if "again" in on:
            hub.pause(me, dice.choice((10.0, 1000.0, 9000.0)) * dice.random())


def squatter(world: World, me: Process, email: str, codes: list[str | None]) -> None:
    """Open attempts under a learner's address; now and then pay, or give up."""
    hub, dice = world.hub, world.hub.dice
    for _ in range(dice.choice((1, 2, 4))):
        hub.pause(me, 40 * dice.random())
        terms = {"course_id": COURSE, "email": email, "coupon_code": dice.choice(codes)}
        terms |= {"full_name": STRANGER, "affiliate": SPY}
        asked = world.ask(me, "squat", _checkout(world, terms, whose=me.name))
        if asked.answer is not None and asked.answer.payment_url:
            _at_the_till(world, me, asked.answer)


def _checkout(world: World, terms, whose="learner"):
    def work(sdk):
        answer = sdk.checkout(**terms)
        world.note(answer, terms, whose)
        if answer.payment_url:
            world.urls.add(answer.payment_url.rpartition("/")[2])
        return answer

    return work


def _at_the_till(world: World, me: Process, answer) -> None:
    hub, dice, on = world.hub, world.hub.dice, world.on
    session_id = answer.payment_url.rpartition("/")[2]
    if "late_pay" in on and dice.random() < 0.5:
        hub.pause(me, dice.choice((1000.0, 4000.0, 7300.0)) * (0.5 + dice.random()))
    else:
        hub.pause(me, 60 * dice.random())
    if "cancel" in on and answer.token and dice.random() < 0.5:
        giving_up = world.process(
            f"{me.name}:cancel",
            lambda sdk: sdk.cancel(answer.enrollment_id, answer.token),
        )
        if dice.random() < 0.5:
            hub.wait(me, giving_up)
        if dice.random() < 0.5:
            return
    if dice.random() < 0.15:
        return
    if not _pay(world, session_id):
        return
    if dice.random() < 0.5:
        hub.pause(me, 2 * dice.random())
        world.ask(me, "return", lambda sdk: sdk.confirm_return(session_id))


def _pay(world: World, session_id: str) -> bool:
    """Pay at the provider, if its page still takes it."""
    payments, dice = world.payments, world.hub.dice
    try:
        if payments._look(session_id).status is not SessionStatus.OPEN:
            return False
        if "delayed" in world.on and dice.random() < 0.5:
            payments.pay_delayed(session_id)
        else:
            payments.pay(session_id)
    except EnrollError:
        return False
    world.acts["pay"] += 1
    world.net.tell("customer", f"pays {session_id}")
    return True


def settle_delayed(world: World) -> None:
    """Let every delayed payment come to its end."""
    for session in list(world.payments.sessions.values()):
        waits = session.status is SessionStatus.COMPLETE and not session.paid
        if waits and not session.payment_failed:
            ok = world.hub.dice.random() < 0.7
            world.payments.settle_delayed(session.id, ok=ok)
            world.net.tell("bank", f"{session.id} {'paid' if ok else 'failed'}")


def bank(world: World, me: Process) -> None:
    """Let refunds and disputes come and go."""
    hub, dice, payments = world.hub, world.hub.dice, world.payments
    for _ in range(4):
        hub.pause(me, dice.choice((20.0, 200.0, 2000.0)) * dice.random())
        if "delayed" in world.on and dice.random() < 0.5:
            settle_delayed(world)
        # Nobody gives money back in the moment in which it comes.
        old = {name for name, at in payments.paid_s.items() if at < hub.now_s - 15}
        paid = [s for s in payments.sessions.values() if s.paid and s.id in old]
        if not paid:
            continue
        session = dice.choice(paid)
        if "refunds" in world.on and dice.random() < 0.6:
            _refund(world, session)
        if "refunds_fail" in world.on and dice.random() < 0.5:
            good = [r for r in payments.refunds.values() if r.counts]
            if good:
                world.net.tell("bank", "a refund fails")
                payments.fail_refund(dice.choice(good))
        if "disputes" in world.on and dice.random() < 0.5:
            _dispute(world, session)


def _refund(world: World, session) -> None:
    dice = world.hub.dice
    part = dice.choice((None, None, Money(1000, "usd")))
    try:
        world.payments.play_refund(session.payment_id, part)
    except EnrollError:
        return
    world.acts["refund"] += 1
    world.net.tell("bank", f"refunds {part or 'all'} of {session.id}")


def _dispute(world: World, session) -> None:
    dice, payments = world.hub.dice, world.payments
    every = payments.disputes.values()
    known = [one for one in every if one.payment_id == session.payment_id]
    steps = (
        DisputeStatus.NEEDS_RESPONSE,
        DisputeStatus.WON,
        DisputeStatus.LOST,
        DisputeStatus.WARNING_NEEDS_RESPONSE,
    )
    status = dice.choice(steps)
    world.acts["dispute"] += 1
    world.net.tell("bank", f"dispute of {session.id}: {status}")
    if known:
        payments.move_dispute(known[0].id, status)
    else:
        payments.play_dispute(session.payment_id, status)


def operator(world: World, me: Process) -> None:
    """Say words, move rights, repair."""
    hub, dice, on = world.hub, world.hub.dice, world.on
    for _ in range(5):
        hub.pause(me, dice.choice((20.0, 200.0, 2000.0)) * dice.random())
        rows = world.rows()
        doable = []
        if "words" in on and rows:
            doable += ["revoke", "reinstate", "accept", "dismiss"]
        if "reassign" in on and rows:
            doable += ["reassign"] * 2
        if "repair" in on:
            doable += ["reconcile", "requeue", "pull"]
        if not doable:
            continue
        what, row = dice.choice(doable), dice.choice(rows) if rows else None
        _order(world, me, what, row)


def _order(world: World, me: Process, what: str, row) -> None:
    dice = world.hub.dice
    if what == "reassign":
        living = [r for r in world.rows() if r.status is Status.ENROLLED]
        row = dice.choice(living) if living else row
        to = dice.choice(LEARNERS + OTHERS)
        world.ask(
            me, what, lambda sdk: sdk.enrollments.reassign(row.id, to, "op", "why")
        )
    elif what == "reconcile":
        world.ask(me, what, reconcile)
    elif what == "requeue":
        world.ask(me, what, lambda sdk: sdk.admin.requeue())
    elif what == "pull":
        since = world.hub.now().replace(hour=0, minute=0)
        world.ask(me, what, lambda sdk: sdk.admin.pull_events(since))
    else:
        world.ask(
            me, what, lambda sdk: getattr(sdk.enrollments, what)(row.id, "op", "why")
        )


def reconcile(sdk) -> None:
    """Compare and repair, page by page."""
    cursor = None
    while True:
        report = sdk.admin.reconcile(repair=True, cursor=cursor)
        cursor = report.next_cursor
        if cursor is None:
            return


def by_hand(world: World, me: Process) -> None:
    """Enroll somebody in the LMS itself, as its administrators do."""
    hub, dice = world.hub, world.hub.dice
    hub.pause(me, dice.choice((10.0, 100.0, 1000.0)) * dice.random())
    email = dice.choice(LEARNERS)
    if world.lms.duplicates == "refused" and world.lms.rows_of(email, COURSE):
        return
    world.lms.users.setdefault(email, Learner(name=email, email=email))
    row = world.lms.add_row(email, COURSE)
    world.foreign.add(row.name)
    world.acts["by_hand"] += 1
    world.net.tell("admin", f"enrolls {email} by hand: {row.name}")


def outage(world: World, me: Process) -> None:
    """Let a backend be away for a while."""
    hub, dice = world.hub, world.hub.dice
    hub.pause(me, 60 * dice.random())
    which = dice.choice(("lms", "lms", "payments", "store"))
    world.net.faults[f"outage of {which}"] += 1
    world.net.tell("outage", f"{which} is down")
    _switch(world, which, down=True)
    hub.pause(me, dice.choice((20.0, 300.0, 3000.0)) * (0.5 + dice.random()))
    _switch(world, which, down=False)
    world.net.tell("outage", f"{which} is up")


def wrong_key(world: World, me: Process) -> None:
    """Let the provider's key be another account's for a while, as after a mistake."""
    hub, dice = world.hub, world.hub.dice
    hub.pause(me, 200 * dice.random())
    world.net.faults["wrong key"] += 1
    world.net.tell("key", "is another account's")
    known, world.payments.account = world.payments.account, "other"
    hub.pause(me, dice.choice((60.0, 600.0, 3000.0)) * (0.5 + dice.random()))
    world.payments.account = known
    world.net.tell("key", "is right again")


def _switch(world: World, which: str, *, down: bool) -> None:
    if which == "store":
        world.net.store_down = down
    else:
        getattr(world, which).is_down = down


def _idle_s(world: World) -> float:
    """Return how long a host waits for something to do."""
    due_s, dice = world.next_due_s(), world.hub.dice
    if due_s is None:
        return 30 + 600 * dice.random()
    return max(min(due_s, 3000.0), 0.0) + 1 + 20 * dice.random()


def _is_over(people: list[Process]) -> bool:
    return all(person.done for person in people)


def cron(world: World, me: Process, people: list[Process]) -> None:
    """Let a pass run whenever something is due, about."""
    for _ in range(15):
        world.hub.pause(me, _idle_s(world))
        world.ask(me, "cron", lambda sdk: sdk.run_jobs())
        if _is_over(people) and world.next_due_s() is None:
            return


def worker(world: World, me: Process, people: list[Process]) -> None:
    """Let a worker run; one that is killed is started again."""
    for _ in range(6):
        asked = world.ask(me, "worker", lambda sdk: _work(world, sdk, people))
        if asked.error is None:
            return


def _work(world: World, sdk, people: list[Process]) -> None:
    shift = sdk.worker(2).shift
    process = sdk.clock.process
    for _ in range(20):
        world.hub.pause(process, _idle_s(world))
        try:
            works = shift.take(2)
        except EnrollError:
            continue
        if works:
            heart = Heart()
            world.hub.help(process, lambda h=heart: h.beat(world, process, shift))
            for work in works:
                shift.run(work)
            heart.stop(world, process)
        elif _is_over(people) and world.next_due_s() is None:
            break
    shift.tidy()
    shift.end()


class Heart:
    """Keeps the leases of what a worker runs."""

    def __init__(self) -> None:
        self.running, self.busy = True, False

    def beat(self, world: World, process: Process, shift) -> None:
        """Beat until it is stopped."""
        while True:
            world.hub.pause(process, shift.beat_every_s)
            if not self.running or process.dead:
                return
            self.busy = True
            try:
                shift.beat(lambda lease: None)
            finally:
                self.busy = False

    def stop(self, world: World, process: Process) -> None:
        """Let it end; the worker goes on once it is quiet."""
        self.running = False
        while self.busy:
            world.hub.pause(process, 0.01)
