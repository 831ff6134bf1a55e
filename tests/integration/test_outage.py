# SPDX-License-Identifier: MIT
"""Six hours without an LMS: nothing is lost, nothing dies, nobody is flooded after."""

from __future__ import annotations

import contextlib
from collections import Counter

import pytest
from support.killing import COURSE, owed
from support.lms_side import new_lms
from support.site import ADMIN, OPERATOR
from support.size import FULL, times, with_the_first_python
from werkzeug.test import Client

from frappe_enroll_sandbox import LMSSandbox
from frappe_enroll_sdk import EnrollSDK, Settings, hookimpl
from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.errors import BackendRefusedError, LMSUnavailableError
from frappe_enroll_sdk.models import JobState, Status
from frappe_enroll_sdk.settings.options import Secret
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sdk.testing.payments import FakePayments
from frappe_enroll_sql.storage import SQLStorage
from frappe_enroll_wsgi import create_app


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


@pytest.mark.timeout(3600 if FULL else 900)
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


def drain(hosts, clock, wanted=COUNT - 1, rate=RATE):
    """Let both hosts work, second by second, until only the poisonous job is left."""
    for second in range(wanted // rate + 300):
        clock.advance(1)
        for sdk in hosts:
            sdk.run_jobs(limit=200, time_budget_s=60)
        done = hosts[0].storage.jobs.stats(clock.now(), cap=COUNT + 1).counts
        if second % 10 == 0 and done[JobState.DONE] == wanted:
            return


def let_poison_end(sdk, clock):
    """Let its schedule run through: it counts its own tries."""
    for _ in range(90):
        clock.advance(60)
        sdk.run_jobs()


#: Learners over HTTP, and how many are enrolled per second.
QUEUE, DRAIN = times(20, 400), times(3, 20)


def db_down(lms):
    """Let every read say that MariaDB is down, and every write be a bare page."""
    headers = {"exc_type": "OperationalError"}
    lms.fail_next("GET ", "error", status=500, headers=headers, times=None)
    lms.fail_next("POST ", "html", status=500, times=None)


@pytest.mark.timeout(1800 if FULL else 300)
@with_the_first_python
def test_backlog_drains_by_age_over_http(db_folder):
    """
    Scenario 27: MariaDB down for three hours, then the key rotated for three.

    The oldest age is shown meanwhile; then who has paid first is enrolled first, each
    learner by one call, and no second sees more than the rate.
    """
    clock = FakeClock()
    with LMSSandbox(clock) as lms, host(db_folder, lms) as sdk:
        lms.site.add_course(COURSE)
        db_down(lms)
        learners = queue_up(sdk, lms)
        wait_hours(sdk, 3)
        lms.heal()
        lms.api_secret = "rotated"
        wait_hours(sdk, 3)
        assert len(lms.requests) < 6 * 3600 / STEP_S * 3
        assert sdk.admin.stats().oldest_owed_s == 6 * 3600 + QUEUE
        shown = f"{6 + QUEUE / 3600:.1f}".removesuffix(".0")
        assert f"oldest {shown} h" in dashboard(sdk)
        lms.api_secret = sdk.settings.frappe_lms_api_secret.value
        del lms.requests[:]
        drain([sdk], clock, QUEUE, DRAIN)
        rows = lms.site.enrollments()
        assert len([1 for method, path in lms.requests if method == "POST"]) == QUEUE
    members, found_it_down = [row["member"] for row in rows], learners.pop(0)
    # It may have been why: it lets those go first that came while the gate was closed.
    assert members.index(found_it_down) > 0
    members.remove(found_it_down)
    assert members == learners
    per_second = Counter(row["creation"].partition(".")[0] for row in rows)
    assert max(per_second.values()) <= DRAIN
    assert len(per_second) >= QUEUE / DRAIN


@contextlib.contextmanager
def host(db_folder, lms):
    """Yield an SDK over a SQLite file and the LMS, with its admin surface."""
    settings = Settings(
        lms_rate_per_s=DRAIN,
        retry_jitter=0,
        public_url="http://127.0.0.1:5000",
        frappe_lms_api_secret=Secret(lms.api_secret),
        **ADMIN,
    )
    storage = SQLStorage(f"sqlite:///{db_folder}/store.sqlite3")
    storage.setup()
    with EnrollSDK(
        settings,
        storage=storage,
        payments=FakePayments(lms.clock),
        lms=new_lms(lms),
        clock=lms.clock,
        discover=False,
    ) as sdk:
        yield sdk


def queue_up(sdk, lms):
    """Owe every learner an enrolment, a second apart; return them by age."""
    learners = []
    for number in reversed(range(QUEUE)):
        row = owed(number, sdk.clock.now())
        sdk.storage.enrollments.open(row)
        lms.site.add_user(row.email)
        learners.append(row.email)
        sdk.run_jobs()
        sdk.clock.advance(1)
    return learners


def wait_hours(sdk, hours):
    """Let cron run for some hours; nothing is enrolled, and no try counts."""
    for _ in range(0, hours * 3600, STEP_S):
        sdk.clock.advance(STEP_S)
        sdk.run_jobs(limit=2 * QUEUE, time_budget_s=600)
    jobs = sdk.storage.jobs.list(limit=500).items
    assert {(job.state, job.tries) for job in jobs} == {(JobState.DUE, 0)}


def dashboard(sdk):
    """Return the dashboard's first page as an operator sees it."""
    client = Client(create_app(sdk))
    headers = {"Authorization": f"Bearer {OPERATOR}"}
    return client.get("/admin/", headers=headers).text
