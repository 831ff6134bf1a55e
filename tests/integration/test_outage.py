# SPDX-License-Identifier: MIT
"""Six hours without an LMS: nothing is lost, nothing dies, nobody is flooded after."""

from __future__ import annotations

from collections import Counter

import pytest
from support.killing import COURSE, owed
from support.size import FULL, times

from frappe_enroll_sdk import EnrollSDK, Settings, hookimpl
from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.errors import BackendRefusedError, LMSUnavailableError
from frappe_enroll_sdk.models import JobState, Status
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sdk.testing.payments import FakePayments
from frappe_enroll_sql.storage import SQLStorage


COUNT, RATE = times(100, 5000), times(5, 20)
#: Seconds between two cron passes of the outage.
STEP_S = times(300, 60)
POISON = "learner00007@example.com"
#: How an LMS is away: what its verbs raise meanwhile.
OUTAGES = {
    "down": LMSUnavailableError("connection refused"),
    "hangs": LMSUnavailableError("timed out", unclear=True),
    "MariaDB down": LMSUnavailableError("500 OperationalError"),
    "key rotated": BackendRefusedError("401"),
}


class CountingLMS(FakeLMS):
    """Notes when each insert came, and what a ping cost meanwhile."""

    def __init__(self, clock) -> None:
        super().__init__()
        self.clock, self.outage = clock, None
        self.calls, self.inserted = Counter(), []

    def _enter(self, verb):
        self.calls[verb] += 1
        if self.outage is not None:
            raise self.outage
        super()._enter(verb)

    def find_user(self, email, *, timeout_s=None):
        """One learner's look-up never comes back."""
        if email == POISON and self.outage is None:
            raise LMSUnavailableError("timed out", unclear=True)
        return super().find_user(email, timeout_s=timeout_s)

    def insert_enrollment(self, *arguments, **named):
        """Note the moment."""
        row = super().insert_enrollment(*arguments, **named)
        self.inserted.append(self.clock.now())
        return row


class Alerts:
    """A plugin that notes alerts."""

    def __init__(self) -> None:
        self.seen = []

    @hookimpl
    def on_alert(self, code):
        """Note one."""
        self.seen.append(code)


@pytest.fixture
def stage(db_folder):
    """Return (SDKs of two hosts over one store, the LMS, the clock, the alerts)."""
    clock, alerts = FakeClock(), Alerts()
    lms = CountingLMS(clock)
    lms.add_course(COURSE)
    url, memory = f"sqlite:///{db_folder}/store.sqlite3", MemoryStorage(clock)
    hosts = [
        EnrollSDK(
            Settings(lms_rate_per_s=RATE, retry_jitter=0),
            storage=SQLStorage(url) if FULL else memory,
            payments=FakePayments(clock),
            lms=lms,
            clock=clock,
            plugins=[alerts],
            discover=False,
        )
        for _ in range(2)
    ]
    hosts[0].setup()
    yield hosts, lms, clock, alerts
    for sdk in hosts:
        sdk.close()


def fill(sdk):
    """Owe every learner a row, and every row its sync."""
    now = sdk.clock.now()
    for number in range(COUNT):
        sdk.storage.enrollments.open(owed(number, now))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("how", OUTAGES)
def test_backlog_of_an_outage_is_enrolled_without_a_burst(stage, how):
    """
    Scenario 27: down for six hours, two hosts, one learner whose call always hangs.

    All others are enrolled, none is dead, no second sees more than the rate; the
    outage itself costs a few calls a minute, however many jobs wait.
    """
    hosts, lms, clock, alerts = stage
    first = hosts[0]
    fill(first)
    lms.outage = OUTAGES[how]
    for turn in range(6 * 3600 // STEP_S):
        clock.advance(STEP_S)
        hosts[turn % 2].run_jobs(limit=2 * COUNT, time_budget_s=600)
    assert alerts.seen.count("backend_down") == 1
    assert lms.calls.total() < 6 * 3600 / STEP_S * 4
    waiting = first.storage.jobs.stats(clock.now(), cap=COUNT + 1)
    assert waiting.counts[JobState.DUE] == COUNT
    assert all(job.tries == 0 for job in first.storage.jobs.list(limit=500).items)

    lms.outage = None
    back = clock.now()
    drain(hosts, clock)
    seconds = (max(lms.inserted) - back).total_seconds()
    assert seconds < COUNT / RATE + 120
    per_second = Counter(lms.inserted)
    assert max(per_second.values()) <= RATE
    assert len(lms.inserted) == COUNT - 1, (
        "each learner once, but for the poisonous one"
    )

    dead = first.storage.jobs.list(state=JobState.DEAD).items
    assert dead == (), "nothing has died of the outage"
    let_poison_end(first, clock)
    (poisonous,) = first.storage.jobs.list(state=JobState.DEAD).items
    assert len(poisonous.errors) == 6
    rows = first.storage.enrollments.stats(clock.now(), cap=COUNT + 1).counts
    assert (rows[Status.ENROLLED], rows[Status.CONFIRMED]) == (COUNT - 1, 1)


def drain(hosts, clock):
    """Let both hosts work, second by second, until only the poisonous job is left."""
    for second in range(COUNT // RATE + 300):
        clock.advance(1)
        for sdk in hosts:
            sdk.run_jobs(limit=200, time_budget_s=60)
        done = hosts[0].storage.jobs.stats(clock.now(), cap=COUNT + 1).counts
        if second % 10 == 0 and done[JobState.DONE] == COUNT - 1:
            return


def let_poison_end(sdk, clock):
    """Let its schedule run through: it counts its own tries."""
    for _ in range(90):
        clock.advance(60)
        sdk.run_jobs()
