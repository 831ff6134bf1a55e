# SPDX-License-Identifier: MIT
"""What one history plays in: backends, processes of ours, and the post of events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from simulation.hub import Hub, Process
from simulation.net import Calm, Line, Net

from frappe_enroll_sdk import EnrollSDK, Settings, hookimpl
from frappe_enroll_sdk.interfaces.tables import KEY, Query
from frappe_enroll_sdk.models import Fact
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.outcomes import Done
from frappe_enroll_sdk.stores.layout import ENROLLMENTS, EVENTS, JOBS
from frappe_enroll_sdk.stores.records import moment_of
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sdk.testing.payments import FakePayments


COURSE = "python-101"
PRICE = Money(4900, "usd")
PARTNER = "partner"
_SETTINGS = {
    "public_url": "http://127.0.0.1:5000",
    "commission_hold_days": 0,
    "commission_percent": 10,
}
#: By whether requests work inline, and second payments go back by themselves.
SETTINGS = {
    (inline, back): Settings(
        **_SETTINGS,
        inline_s=3.0 if inline else 0.0,
        paid_twice="refund" if back else "hold",
    )
    for inline in (True, False)
    for back in (True, False)
}


#: What falls due next: table, query, column.
_NEXT = (
    (JOBS, Query("claimable"), "claim_at"),
    (EVENTS, Query("claimable"), "claim_at"),
    (ENROLLMENTS, Query("due"), "due_at"),
)


def all_of(store, index: str = KEY):
    """Return all records of a store."""
    records = store._records
    return [records.read(row) for row in records.rows.each(Query(index))]


class Alerts:
    """A plugin that is owed a job for every alert; what it was told is the world's."""

    def __init__(self, line: Line) -> None:
        self._line = line

    @hookimpl
    def register_jobs(self, register) -> None:
        """Ask for alerts."""
        register("told", self.run, on=("alert",))

    def run(self, context):
        """Note one."""
        self._line.net.told.add((context.code, context.subject))
        return Done()


class Lines:
    """SDKs of processes that have ended, for those to come: making one takes long."""

    def __init__(self) -> None:
        self._free: dict[tuple[bool, bool], list[EnrollSDK]] = {
            how: [] for how in SETTINGS
        }

    def take(
        self, net: Net | Calm, process: Process, how: tuple[bool, bool]
    ) -> EnrollSDK:
        """Return an SDK that knows nothing."""
        if self._free[how]:
            sdk = self._free[how].pop()
            sdk.clock.connect(net, process)
            sdk.clock.skew_s = 0.0
            # Nothing is left of the process before.
            sdk._wire()
            return sdk
        line = Line()
        line.connect(net, process)
        return EnrollSDK(
            SETTINGS[how],
            storage=line.storage,
            payments=line.payments,
            lms=line.lms,
            clock=line,
            plugins=[Alerts(line)],
            discover=False,
        )

    def give_back(self, sdk: EnrollSDK, how: tuple[bool, bool]) -> None:
        """Let the next one have it."""
        self._free[how].append(sdk)


LINES = Lines()


class Provider(FakePayments):
    """A provider whose events are posted to us."""

    def __init__(self, clock, post: Callable[[object], None]) -> None:
        super().__init__(clock)
        self._post = post
        #: When a session was paid.
        self.paid_s: dict[str, float] = {}
        #: What is done with a refund that we have asked for.
        self.asked_back: Callable[[object], None] = lambda refund: None

    def refund(self, payment_id, *, amount, idempotency_key):
        """Give money back, as we ask for it."""
        given = super().refund(
            payment_id, amount=amount, idempotency_key=idempotency_key
        )
        self.asked_back(given)
        return given

    def _emit(self, kind, fact, session):
        event = super()._emit(kind, fact, session)
        if fact is Fact.PAID:
            self.paid_s[session.id] = self.clock.now_s
        self._post(event)
        return event


class World:
    """
    One history's.

    Attributes:
        on: What is switched on.
        unanswered: Events that nobody has answered: the provider sends them again.
        lost: Events that the provider takes for delivered.
        foreign: Names of the LMS's rows that others have made.
        acts: What actors did, counted.
        told: Alerts as the plugin's jobs were told: (code, subject).
        urls: Sessions whose URL was handed to somebody.
    """

    def __init__(self, seed: int, on: frozenset[str]) -> None:
        self.seed, self.on = seed, on
        self.hub = Hub(seed)
        self.storage = MemoryStorage(self.hub)
        self.payments = Provider(self.hub, self._post)
        self.payments.asked_back = self._fail_later
        duplicates = "refused" if "lms_refuses" in on else "accepted"
        self.lms = FakeLMS(duplicates=duplicates, clock=self.hub)
        self.lms.add_course(COURSE, PRICE)
        self.net = Net(self.hub, self.storage, self.payments, self.lms)
        self.unanswered: list[object] = []
        self.lost: list[object] = []
        self.foreign: set[str] = set()
        self.acts: Counter[str] = Counter()
        self.told = self.net.told
        self.urls: set[str] = set()
        #: Tokens by enrollment, as they were answered: (token, whose, the terms).
        self.opened: dict[str, tuple[str, str, dict]] = {}
        #: What nobody should have been answered.
        self.wrong: list[str] = []
        self.back = "give_back" in on
        self.how = ("inline" in on, self.back)
        self.active = True
        self._idle: list[EnrollSDK] = []
        self._calm: EnrollSDK | None = None

    # Processes.

    def process(
        self, name: str, work: Callable[[EnrollSDK], object], after_s: float = 0.0
    ) -> Process:
        """Start a process of ours that has one thing to do, and an SDK for itself."""
        process = Process(name)

        def run() -> object:
            sdk = self._take(process)
            try:
                return work(sdk)
            finally:
                # What one process has served serves the next one, unless it was killed.
                if process.dead:
                    LINES.give_back(sdk, self.how)
                else:
                    self._idle.append(sdk)

        return self.hub.start(process, run, after_s)

    def _take(self, process: Process) -> EnrollSDK:
        if self._idle:
            sdk = self._idle.pop()
            sdk.clock.serve(process)
            return sdk
        sdk = LINES.take(self.net, process, self.how)
        if "skew" in self.on:
            sdk.clock.skew_s = self.hub.dice.choice(
                (0.0, 0.0, -400.0, -20.0, 20.0, 400.0)
            )
        return sdk

    def person(self, name: str, work: Callable[[Process], object]) -> Process:
        """Start somebody who is no process of ours."""
        process = Process(name)
        return self.hub.start(process, lambda: work(process))

    def ask(
        self, person: Process, what: str, work: Callable[[EnrollSDK], object]
    ) -> Process:
        """Let somebody ask us for something, and wait for the answer."""
        self.acts[what] += 1
        return self.hub.wait(person, self.process(f"{person.name}:{what}", work))

    def calm(self) -> EnrollSDK:
        """Return an SDK that nothing happens to."""
        if self._calm is None:
            calm = Calm(self.net)
            self._calm = LINES.take(calm, Process("calm"), (False, self.back))
        return self._calm

    def end(self) -> None:
        """Give back what it was lent."""
        for sdk in self._idle:
            LINES.give_back(sdk, self.how)
        if self._calm is not None:
            LINES.give_back(self._calm, (False, self.back))

    def note(self, answer, terms, whose: str) -> None:
        """Note whose an attempt is, and who is answered with it."""
        if answer.token:
            self.opened[answer.enrollment_id] = (answer.token, whose, terms)
        elif answer.enrollment_id in self.opened:
            owner = self.opened[answer.enrollment_id][1]
            if owner != whose:
                self.wrong.append(f"{whose} was answered {answer.enrollment_id}")

    def _fail_later(self, refund) -> None:
        """Let a refund that we have asked for fail after all, now and then."""
        if self.active and "refunds_fail" in self.on and self.hub.dice.random() < 0.5:

            def fail() -> None:
                self.net.tell("bank", f"{refund.id} fails")
                self.payments.fail_refund(refund)

            self.hub.start(Process("bank"), fail, 40 * self.hub.dice.random())

    # Events.

    def _post(self, event) -> None:
        if not self.active or event.fact is None:
            self.unanswered.append(event)
            return
        dice = self.hub.dice
        if "events_lost" in self.on and dice.random() < 0.25:
            self.net.tell("provider", f"{event.id} {event.type} is lost")
            self.lost.append(event)
            return
        self._deliver(event, 0.1 + self._delay())
        if "events_twice" in self.on and dice.random() < 0.3:
            self._deliver(event, 0.1 + self._delay())

    def _delay(self) -> float:
        dice = self.hub.dice
        if "events_late" in self.on:
            return dice.choice((0.0, 0.5, 5.0, 200.0, 4000.0)) * dice.random()
        return dice.random()

    def _deliver(self, event, after_s: float, tries: int = 2) -> None:
        def deliver(sdk):
            try:
                sdk.handle_webhook(*self.payments.signed(event))
            except BaseException:
                if self.active and tries:
                    self._deliver(event, 60 + 600 * self.hub.dice.random(), tries - 1)
                else:
                    self.unanswered.append(event)
                raise

        self.process(f"event:{event.id[-3:]}", deliver, after_s)

    # What is owed.

    def next_due_s(self) -> float | None:
        """Return in how many seconds something falls due, or None."""
        page = self.storage.tables.page
        moments = [
            row.cells[column]
            for table, query, column in _NEXT
            for row in page(table, query, 1)
        ]
        if not moments:
            return None
        return (moment_of(min(moments)) - self.hub.now()).total_seconds()

    def rows(self):
        """Return all enrollments, in the order in which they were opened."""
        return all_of(self.storage.enrollments, "newest")

    def facts_of(self, fact: Fact):
        """Return the provider's events of a fact."""
        return [event for event in self.payments.events if event.fact is fact]
