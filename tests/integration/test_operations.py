# SPDX-License-Identifier: MIT
"""What an operator sees and mends: health, heartbeats, actions, housekeeping."""

from __future__ import annotations

import attrs
import pytest

from frappe_enroll_sdk import EnrollSDK, Settings, hookimpl
from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.errors import NotFoundError, ValidationError
from frappe_enroll_sdk.models import JobState, Status, WorkerSeen
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.services.jobs import maintenance
from frappe_enroll_sdk.services.jobs.heartbeat import Heartbeats
from frappe_enroll_sdk.services.operators.stats import Health, health_of
from frappe_enroll_sdk.testing.conformance.records import enrollment, try_error
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sdk.testing.payments import FakePayments


class Alerts:
    """A plugin that notes alerts."""

    def __init__(self) -> None:
        self.seen = []

    @hookimpl
    def on_alert(self, code):
        """Note one."""
        self.seen.append(code)


@pytest.fixture
def alerts():
    """Return what notes alerts."""
    return Alerts()


@pytest.fixture
def sdk(alerts):
    """Return an SDK in memory."""
    clock = FakeClock()
    with EnrollSDK(
        Settings(),
        storage=MemoryStorage(clock),
        payments=FakePayments(clock),
        lms=FakeLMS(),
        clock=clock,
        plugins=[alerts],
        discover=False,
    ) as sdk:
        yield sdk


def add(sdk, count, *, store=None, kind="mail", prefix="job"):
    """Enqueue jobs that are due."""
    now, store = sdk.clock.now(), store or sdk.storage.jobs
    for number in range(count):
        store.enqueue(f"{prefix}-{number:03d}", kind, {}, now, now=now)


def let_die(sdk, *codes, kind="mail"):
    """Enqueue a job for each code that dies of it."""
    now = sdk.clock.now()
    for number, code in enumerate(codes):
        key = f"dead-{kind}-{number}"
        sdk.storage.jobs.enqueue(key, kind, {}, now, now=now)
        job = sdk.storage.jobs.claim_key(key, "w", now, 60)
        sdk.storage.jobs.bury(job.token, job.seq, now, try_error(code=code))


class TestHealth:
    """Healthy < 100 due ≤ warning < 500 ≤ critical, and nobody there is critical."""

    @pytest.mark.parametrize(
        ("due", "health"),
        [
            (0, "healthy"),
            (99, "healthy"),
            (100, "warning"),
            (499, "warning"),
            (500, "critical"),
        ],
    )
    def test_thresholds(self, due, health):
        """The bounds of the defaults, on both sides."""
        assert health_of(due, Settings()) is Health(health)

    def test_thresholds_are_settings(self):
        """A host that is larger sets its own."""
        settings = Settings(health_warning=5, health_critical=7)
        assert [str(health_of(n, settings)) for n in (4, 5, 7)] == list(
            map(str, Health)
        )

    def test_stats_count_jobs_and_events_together(self, sdk):
        """What is due in either queue counts."""
        add(sdk, 60)
        add(sdk, 50, store=sdk.storage.events)
        stats = sdk.admin.stats()
        assert (stats.health, stats.jobs.due_now, stats.events.due_now) == (
            Health.WARNING,
            60,
            50,
        )

    def test_stats_tell_the_age_of_what_is_owed(self, sdk):
        """Since the oldest confirmed row was opened."""
        now = sdk.clock.now()
        row = enrollment(1, status=Status.CONFIRMED, created_at=now)
        sdk.storage.enrollments.open(row)
        sdk.clock.advance(90)
        assert sdk.admin.stats().oldest_owed_s == 90


class TestHeartbeats:
    """Work is due and nobody was seen for ten minutes: an alarm, once."""

    def test_due_work_without_anybody_alarms(self, sdk, alerts):
        """Not before the ten minutes, not without due work; once, whoever looks."""
        sdk.clock.advance(3600)
        assert sdk.admin.stats().absent_s is None
        add(sdk, 1)
        sdk.clock.advance(599)
        assert sdk.admin.stats().absent_s is None
        sdk.clock.advance(1)
        Heartbeats(sdk._services.context).look()
        Heartbeats(sdk._services.context).look()
        stats = sdk.admin.stats()
        assert (stats.absent_s, stats.health) == (600, Health.CRITICAL)
        assert alerts.seen == ["workers_absent"]

    def test_alarm_comes_again_while_it_lasts(self, sdk, alerts):
        """Each ten minutes; a worker that is seen ends it."""
        add(sdk, 1)
        for _ in range(3):
            sdk.clock.advance(600)
            Heartbeats(sdk._services.context).look()
        assert alerts.seen == ["workers_absent"] * 3
        now = sdk.clock.now()
        seen = WorkerSeen(name="w", kind="worker", started_at=now, seen_at=now)
        sdk.storage.workers.seen(seen)
        sdk.clock.advance(599)
        assert sdk.admin.stats().absent_s is None

    def test_cron_pass_is_a_sign_of_life(self, sdk):
        """What a host's passes did last stands in the store."""
        sdk.run_jobs()
        (sign,) = sdk.admin.stats().workers
        assert (sign.kind, sign.seen_at) == ("cron", sdk.clock.now())
        assert sign.detail["claimed"] == 0

    def test_pass_after_an_absence_tells_of_it(self, sdk, alerts):
        """Cron that comes back late says that it was away, and does the work."""
        add(sdk, 1)
        sdk.clock.advance(7200)
        assert sdk.run_jobs().dead == 1
        assert alerts.seen == ["workers_absent"]


class TestActions:
    """Retry, requeue, bury."""

    def test_requeue_takes_what_fits_its_filters(self, sdk):
        """By kind and by the code that they died of; each with all its tries."""
        let_die(sdk, "gone", "down", "gone")
        let_die(sdk, "gone", kind="crm")
        told = []
        count = sdk.admin.requeue(9, kind="mail", code="gone", tell=told.append)
        assert (count, told) == (2, [1, 2])
        dead = {job.key for job in sdk.admin.jobs(state="dead").items}
        assert dead == {"dead-mail-1", "dead-crm-0"}
        assert sdk.admin.count_dead() == 2
        assert sdk.storage.jobs.find("dead-mail-0").tries == 0

    def test_requeue_takes_dead_events_too(self, sdk):
        """An event is a job of a kind of its own."""
        now, events = sdk.clock.now(), sdk.storage.events
        events.record("evt_1", {}, now=now)
        job = events.claim_key("evt_1", "w", now, 60)
        events.bury(job.token, job.seq, now, try_error())
        assert sdk.admin.requeue(5, kind="payment_event") == 1
        assert events.find("evt_1").state is JobState.DUE

    def test_requeue_spreads_over_time(self, sdk):
        """Five per second: the n-th falls due n fifths of a second later."""
        let_die(sdk, *["gone"] * 11)
        assert sdk.admin.requeue(100, per_s=5) == 11
        due = sorted(job.due_at for job in sdk.admin.jobs().items)
        assert (due[0], (due[-1] - due[0]).total_seconds()) == (sdk.clock.now(), 2.0)

    def test_requeue_is_bounded(self, sdk):
        """No more than asked, and bounds that make sense."""
        let_die(sdk, *["gone"] * 5)
        assert sdk.admin.requeue(2) == 2
        for wrong in ({"limit": 0}, {"limit": 10**9}, {"per_s": 0}):
            with pytest.raises(ValidationError):
                sdk.admin.requeue(**wrong)

    def test_actions_are_audited(self, sdk):
        """Who, what, why, how many."""
        let_die(sdk, "gone", "gone")
        add(sdk, 2)
        sdk.admin.retry("dead-mail-0", actor="ada", reason="mended")
        sdk.admin.requeue(5, actor="ada", reason="mended")
        sdk.admin.bury("job-000", actor="ada", reason="hopeless")
        trail = sdk.storage.audit.list().items
        assert {
            (e.actor, e.action, e.subject, e.reason, e.detail.get("count"))
            for e in trail
        } == {
            # A long action is written before it is done, too.
            ("ada", "requeue_jobs", "all", "mended", None),
            ("ada", "retry_job", "dead-mail-0", "mended", None),
            ("ada", "requeue_jobs", "all", "mended", 1),
            ("ada", "bury_job", "job-000", "hopeless", None),
        }

    def test_buried_job_tells_the_operators_reason(self, sdk):
        """It is dead, and its cause is theirs."""
        add(sdk, 1)
        sdk.admin.bury("job-000", actor="ada", reason="the course is closed")
        error = sdk.admin.job("job-000").errors[-1]
        assert (error.code, error.cause, error.worker) == (
            "operator",
            "the course is closed",
            "ada",
        )

    def test_running_and_unknown_jobs_are_not_buried(self, sdk):
        """What runs ends by itself."""
        add(sdk, 1)
        sdk.storage.jobs.claim("w", sdk.clock.now(), 60, 1)
        for name in ("job-000", "none"):
            with pytest.raises(NotFoundError):
                sdk.admin.bury(name, actor="ada", reason="why")
        with pytest.raises(ValidationError):
            sdk.admin.bury("job-000", actor="ada", reason=" ")


class TestHousekeeping:
    """By itself, once per interval over all workers; or by command."""

    def done_jobs(self, sdk, count=3):
        """Let jobs end."""
        add(sdk, count)
        for job in sdk.storage.jobs.claim("w", sdk.clock.now(), 60, count):
            sdk.storage.jobs.complete(job.token, job.seq, sdk.clock.now())

    def test_pass_drops_done_jobs_after_seven_days(self, sdk):
        """Not a day before."""
        self.done_jobs(sdk)
        sdk.clock.advance(6.9 * 86400)
        sdk.run_jobs()
        assert len(sdk.admin.jobs().items) == 3
        sdk.clock.advance(0.2 * 86400)
        sdk.run_jobs()
        assert sdk.admin.jobs().items == ()

    def test_task_is_done_once_per_interval_by_whoever_comes_first(self, sdk):
        """A hundred workers do not prune a hundred times a minute."""
        done = [sdk._services.maintenance.run_owed() for _ in range(3)]
        assert done == [{"jobs": 0, "events": 0, "workers": 0} | done[0], {}, {}]
        sdk.clock.advance(61)
        assert sdk._services.maintenance.run_owed() == {"moments": 0}
        sdk.clock.advance(540)
        assert sdk._services.maintenance.run_owed() == done[0]

    def test_backlog_is_gone_on_with_at_once(self, sdk, monkeypatch):
        """Whoever comes next need not wait for the next turn."""
        monkeypatch.setattr(maintenance, "_SLICE", 2)
        monkeypatch.setattr(maintenance, "_MAX_SLICES", 1)
        self.done_jobs(sdk)
        sdk.clock.advance(8 * 86400)
        counts = [sdk._services.maintenance.run_owed().get("jobs") for _ in range(3)]
        assert counts == [2, 1, None]

    def test_turn_without_time_is_given_back(self, sdk):
        """Whoever comes next does what there was no time for."""
        left = iter([True, True])
        done = sdk._services.maintenance.run_owed(lambda: next(left, False))
        assert set(done) == {"jobs"}
        assert set(sdk._services.maintenance.run_owed()) >= {"jobs", "events"}

    def test_command_does_it_at_once(self, sdk):
        """Whether or not it is its time; only what is named, where something is."""
        sdk._services.maintenance.run_owed()
        self.done_jobs(sdk, 1200)
        sdk.clock.advance(8 * 86400)
        assert sdk.admin.maintain("jobs") == {"jobs": 1200}
        assert set(sdk.admin.maintain()) >= {"jobs", "events", "workers"}
        with pytest.raises(ValidationError, match="jobs, events"):
            sdk.admin.maintain("nonsense")

    def test_workers_that_are_gone_are_forgotten(self, sdk):
        """A sign of life is kept for a day."""
        now = sdk.clock.now()
        gone = WorkerSeen(name="gone", kind="worker", started_at=now, seen_at=now)
        sdk.storage.workers.seen(gone)
        sdk.clock.advance(86400)
        sdk.storage.workers.seen(
            attrs.evolve(gone, name="here", seen_at=sdk.clock.now())
        )
        sdk.clock.advance(1)
        assert sdk.admin.maintain("workers") == {"workers": 1}
        assert [sign.name for sign in sdk.storage.workers.list()] == ["here"]

    def test_dead_and_due_jobs_are_never_dropped(self, sdk):
        """However old: nothing that is owed is lost."""
        let_die(sdk, "gone")
        add(sdk, 1)
        sdk.clock.advance(400 * 86400)
        assert sdk.admin.maintain("jobs") == {"jobs": 0}
        assert len(sdk.admin.jobs().items) == 2


class TestScheduledReconcile:
    """Provider, enrollments and LMS are compared by whoever comes first."""

    @pytest.fixture
    def shop(self, alerts):
        """Return an SDK that reconciles each day, with a paid enrollment at rest."""
        clock = FakeClock()
        lms = FakeLMS()
        lms.add_course("python-101", Money(4900, "usd"))
        settings = Settings(
            reconcile_every_s=86400, public_url="http://127.0.0.1", inline_s=0
        )
        with EnrollSDK(
            settings,
            storage=MemoryStorage(clock),
            payments=FakePayments(clock),
            lms=lms,
            clock=clock,
            plugins=[alerts],
            discover=False,
        ) as sdk:
            code = sdk.coupons.create(100, "python-101").code
            sdk.checkout(
                course_id="python-101", email="ada@example.com", coupon_code=code
            )
            sdk.run_jobs()
            clock.advance(3600)
            yield sdk

    def test_differences_are_told(self, shop, alerts):
        """A row that somebody took out of the LMS: an alert, once per interval."""
        shop.run_jobs()
        assert alerts.seen == []
        shop.lms.rows.clear()
        for _ in range(3):
            shop.clock.advance(43200)
            shop.run_jobs()
        assert alerts.seen == ["reconcile_differences"]

    def test_command_reconciles_at_once(self, shop, alerts):
        """As one of the tasks."""
        shop.lms.rows.clear()
        assert shop.admin.maintain("reconcile") == {"reconcile": 0}
        assert alerts.seen == ["reconcile_differences"]

    def test_without_the_setting_there_is_no_such_task(self, sdk):
        """Then it is a command only."""
        with pytest.raises(ValidationError):
            sdk.admin.maintain("reconcile")
