# SPDX-License-Identifier: MIT
"""A store, a provider, an LMS and a clock, and the promises checked against all."""

from __future__ import annotations

import random

import attrs

from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.models import Fact
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.testing.faults import CrashPlan
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sdk.testing.payments import FakePayments
from support import promises
from support.probe import Probe


COURSE = "python-101"
PRICE = Money(4900, "usd")
#: Seconds by which time goes on after a crash: past graces, schedules and sessions, and
#: past the day for which the LMS is looked at after an insert that nobody accounts for.
LATER = (130, 130, 300, 1000, 2000, 4000, 8000, 8000, 30_000, 60_000)


class World:
    """
    Everything outside the process that may die.

    Args:
        open_storage: Opens the store; None = one in memory.
        probed: Whether a plugin is owed a job for every change of status.
        seed: Of all ids and tokens: worlds of one seed make the same calls.
        settings: The SDK's.
    """

    def __init__(
        self, open_storage=None, *, probed=False, seed=None, **settings
    ) -> None:
        self.clock = FakeClock()
        if seed is not None:
            self.clock.random_bytes = random.Random(seed).randbytes
        self.open_storage = open_storage
        self.storage = open_storage() if open_storage else MemoryStorage(self.clock)
        self.storage.setup()
        self.payments = FakePayments(self.clock)
        self.lms = FakeLMS(clock=self.clock)
        self.lms.add_course(COURSE, PRICE)
        self.settings = Settings(
            **{"public_url": "http://127.0.0.1:5000", "retry_jitter": 0} | settings
        )
        self.events = []
        #: Sessions that no row stores: an operator says whose payment they are.
        self.foreign = set()
        self.unanswered = []
        self.probe = Probe() if probed else None

    def sdk(self, plan: CrashPlan | None = None, plugins=(), storage=None) -> EnrollSDK:
        """Start a process: an SDK over the world, with a fault plan around it."""
        plan = plan or CrashPlan()
        return EnrollSDK(
            self.settings,
            storage=plan.tap(storage or self.storage, ""),
            payments=plan.tap(self.payments, "payments"),
            lms=plan.tap(self.lms, "lms"),
            clock=self.clock,
            plugins=[*plugins, *self.plugins],
            discover=False,
        )

    @property
    def plugins(self):
        """Return the world's own plugins."""
        return [self.probe] if self.probe else []

    def coupon(self, percent=100, **terms) -> str:
        """Create a coupon for the course."""
        return self.sdk().coupons.create(percent, COURSE, **terms).code

    def pay(self, enrollment_id: str, **forged):
        """Let the learner pay; the event is kept for (re)delivery."""
        row = self.storage.enrollments.find(enrollment_id)
        event = self.payments.pay(row.session_id, **forged)
        self.events.append(event)
        return event

    def play_foreign_payment(self, enrollment_id: str):
        """Let somebody pay a session that is not the row's and carries our mark."""
        row = self.storage.enrollments.find(enrollment_id)
        own = self.payments.sessions[row.session_id]
        session = attrs.evolve(own, id="cs_foreign", url=None)
        self.payments.sessions[session.id] = session
        event = self.payments.pay(session.id)
        self.foreign.add(session.id)
        return event

    def deliver(self, sdk: EnrollSDK, event):
        """Deliver a signed event; until it is answered the provider keeps it."""
        self.unanswered.append(event)
        result = sdk.handle_webhook(*self.payments.signed(event))
        self.unanswered.remove(event)
        return result

    def redeliver_all(self, sdk: EnrollSDK) -> None:
        """The provider sends every event again, twice."""
        for event in [*self.payments.events, *self.payments.events]:
            self.deliver(sdk, event)

    def pay_all_that_is_open(self) -> None:
        """Every learner comes back and pays, whoever's checkout page still takes it."""
        for row in self.rows():
            session = self.payments.sessions.get(row.session_id or "")
            if session is None or session.expires_at <= self.clock.now():
                continue
            if session.status == "open":
                self.deliver(self.sdk(), self.pay(row.id))

    def let_time_pass(self) -> None:
        """
        Only time and cron go on.

        A refund is news that nothing but its event brings; the provider sends it until
        it is answered. Payments have to converge without that.
        """
        sdk = self.sdk()
        for event in [e for e in self.unanswered if e.fact is Fact.REFUNDED]:
            self.deliver(sdk, event)
        for seconds in LATER:
            self.clock.advance(seconds)
            while sdk.run_jobs(limit=1000).claimed:
                pass

    def rows(self):
        """Return all enrollments."""
        return self.storage.enrollments.list(limit=1000).items

    def check_promises(self) -> None:
        """Check the promises over all three sides, at rest."""
        promises.check(self)
