# SPDX-License-Identifier: MIT
"""What hooks may do: observe, veto, enrich, answer first, and run jobs."""

from __future__ import annotations

from types import ModuleType

import pytest
from support.world import COURSE, PRICE, World

from frappe_enroll_sdk import hookimpl
from frappe_enroll_sdk.errors import (
    ConfigurationError,
    CouponUnavailableError,
    EnrollError,
    TransientError,
    VetoedError,
)
from frappe_enroll_sdk.hookspecs import OBSERVERS
from frappe_enroll_sdk.models import Course, JobState
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.outcomes import Dead, Done, Retry, Snooze


def made(name, **hooks):
    """Return a plugin."""
    module = ModuleType(name)
    for hook, function in hooks.items():
        setattr(module, hook, hookimpl(function))
    return module


def raises(error):
    """Return a hook that takes nothing and raises."""

    def hook():
        raise error

    return hook


@pytest.fixture
def world():
    """Return a world in memory."""
    return World()


def enroll(world, sdk):
    """Enroll a learner by a full grant."""
    return sdk.checkout(
        course_id=COURSE, email="ada@example.com", coupon_code=world.coupon(100)
    )


def test_observers_are_isolated(world, caplog):
    """One that raises is logged and counted, the others still run."""
    told = []
    plugins = [
        made("first", on_enrolled=lambda enrollment: told.append(enrollment.status)),
        made("bad", on_enrolled=raises(RuntimeError("by design"))),
        made("last", on_enrolled=lambda enrollment: told.append(enrollment.status)),
    ]
    sdk = world.sdk(plugins=plugins)
    answer = enroll(world, sdk)
    assert answer.status == "enrolled"
    assert told == ["enrolled", "enrolled"]
    assert dict(sdk.plugins.observer_errors) == {"bad": 1}
    (record,) = [r for r in caplog.records if r.message == "observer failed"]
    assert (record.hook, record.plugin) == ("on_enrolled", "bad")


@pytest.mark.parametrize("hook", OBSERVERS)
def test_every_observer_may_fail(world, hook):
    """None of them decides anything: the whole path goes on."""
    sdk = world.sdk(plugins=[made("bad", **{hook: raises(KeyError("x"))})])
    code = world.coupon(50)
    answer = sdk.checkout(course_id=COURSE, email="ada@example.com", coupon_code=code)
    world.deliver(sdk, world.pay(answer.enrollment_id))
    (row,) = world.rows()
    assert row.status == "enrolled"
    sdk.enrollments.revoke(row.id, "operator", "test")
    world.let_time_pass()
    world.check_promises()


@pytest.mark.parametrize(
    ("error", "raised", "code"),
    [
        (VetoedError("not from here"), VetoedError, "vetoed"),
        (KeyError("broken"), TransientError, "plugin_failed"),
        (TransientError("busy"), TransientError, "plugin_failed"),
    ],
)
@pytest.mark.parametrize("hook", ["check_checkout", "check_coupon"])
def test_veto_fails_closed(world, hook, error, raised, code):
    """A refusal is passed on, a broken check is a 503; nothing is written."""
    sdk = world.sdk(plugins=[made("veto", **{hook: raises(error)})])
    grant = world.coupon(50)
    with pytest.raises(raised) as caught:
        sdk.checkout(course_id=COURSE, email="ada@example.com", coupon_code=grant)
    assert caught.value.code == code
    assert "broken" not in str(caught.value)
    assert world.rows() == ()
    assert world.payments.sessions == {}
    assert world.storage.coupons.find(grant).reserved == 0


def test_coupon_check_hears_of_fitting_coupons_only(world):
    """The terms come first, and a preview asks as well."""
    asked = []
    hook = {
        "check_coupon": lambda code, course_id, email: asked.append((course_id, email))
    }
    sdk = world.sdk(plugins=[made("check", **hook)])
    with pytest.raises(CouponUnavailableError):
        sdk.coupons.preview("NO-SUCH", COURSE, "ada@example.com")
    assert asked == []
    sdk.coupons.preview(world.coupon(50), COURSE, " ADA@example.com ")
    assert asked == [(COURSE, "ada@example.com")]


def test_course_of_the_first_answer_wins(world):
    """A hook that answers is asked before the LMS; None asks the next."""
    own = Course(id=COURSE, title="Own", price=Money(100, "eur"))
    asked = []

    def note(course_id):
        asked.append(course_id)

    sdk = world.sdk(
        plugins=[
            made("own", get_course=lambda course_id: own),
            made("silent", get_course=note),
        ]
    )
    answer = sdk.checkout(course_id=COURSE, email="ada@example.com")
    assert answer.price == Money(100, "eur")
    assert asked == [COURSE]
    other = World()
    sdk = other.sdk(plugins=[made("silent", get_course=lambda course_id: None)])
    answer = sdk.checkout(course_id=COURSE, email="ada@example.com")
    assert answer.price == PRICE


def test_operator_of_the_first_answer_wins(world):
    """The host's own login names the operator."""
    plugins = [
        made("sso", authenticate_admin=lambda environ: environ.get("USER")),
        made("none", authenticate_admin=lambda environ: None),
    ]
    hook = world.sdk(plugins=plugins).plugins.manager.hook
    assert hook.authenticate_admin(environ={"USER": "ada"}) == "ada"
    assert hook.authenticate_admin(environ={}) is None


def test_enrichment_reaches_the_session(world):
    """The plugin that is asked first wins a key; other keys are added."""
    first = made(
        "first",
        enrich_checkout=lambda enrollment: {
            "metadata": {"a": "1", "id": enrollment.id},
            "parameters": {"locale": "de"},
        },
    )
    last = made("last", enrich_checkout=lambda: {"metadata": {"a": "2", "b": "2"}})
    sdk = world.sdk(plugins=[last, made("none", enrich_checkout=lambda: None), first])
    answer = sdk.checkout(course_id=COURSE, email="ada@example.com")
    (row,) = world.rows()
    assert row.session_request["metadata"] == {
        "a": "1",
        "b": "2",
        "id": answer.enrollment_id,
    }
    assert row.session_request["parameters"] == {"locale": "de"}


@pytest.mark.parametrize(
    ("hook", "error"),
    [
        (lambda: {"parameters": {"mode": "setup"}}, ConfigurationError),
        (raises(KeyError("x")), TransientError),
        (raises(VetoedError("no")), VetoedError),
        (lambda: {"colour": {"a": "b"}}, TransientError),
        (lambda: "metadata", TransientError),
    ],
    ids=["foreign_parameter", "raises", "vetoes", "unknown_part", "no_mapping"],
)
def test_enrichment_that_is_wrong_fails_the_checkout(world, hook, error):
    """No session is made of something that was not asked for."""
    sdk = world.sdk(plugins=[made("rich", enrich_checkout=hook)])
    with pytest.raises(error):
        sdk.checkout(course_id=COURSE, email="ada@example.com")
    assert world.payments.sessions == {}


class Jobs:
    """A plugin with one job handler that answers what it is told."""

    def __init__(self, answer=None, on=("enrolled",)):
        self.answer, self.on, self.contexts, self.told = answer, on, [], []

    @hookimpl
    def register_jobs(self, register):
        """Bring the handler."""
        register("mail", self.handle, on=self.on)

    def handle(self, context):
        """Answer, or raise."""
        self.contexts.append(context)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    @hookimpl
    def on_job_retried(self, job, cause):
        """Note."""
        self.told.append(("retried", job.kind, cause))

    @hookimpl
    def on_job_dead(self, job, cause):
        """Note."""
        self.told.append(("dead", job.kind, cause))


def run(world, answer):
    """Enroll and run the job that hangs on it, once."""
    plugin = Jobs(answer)
    sdk = world.sdk(plugins=[plugin])
    enroll(world, sdk)
    report = sdk.run_jobs()
    (job,) = world.storage.jobs.list(kind="mail").items
    return plugin, sdk, report, job


def test_job_is_done_once_per_fact(world):
    """The handler gets the enrollment, the fact and a stable key."""
    plugin, sdk, report, job = run(world, Done("mailed"))
    (context,) = plugin.contexts
    assert (context.fact, context.job.key) == ("enrolled", job.key)
    assert context.enrollment.status == "enrolled"
    assert (job.state, job.outcome, report.succeeded) == ("done", "mailed", 1)
    sdk.settle(context.enrollment.id)
    world.let_time_pass()
    assert len(plugin.contexts) == 1
    assert plugin.told == []


@pytest.mark.parametrize(
    ("answer", "wait_s", "cause"),
    [
        (Retry(cause="the CRM is busy"), 120, "the CRM is busy"),
        (Retry(30, "the CRM is busy"), 30, "the CRM is busy"),
        (OSError("ada@example.com"), 120, "unexpected OSError (see the log)"),
    ],
)
def test_job_that_retries_counts_its_try(world, answer, wait_s, cause):
    """By the schedule or after its own wait; the observer hears of it."""
    plugin, _, report, job = run(world, answer)
    assert (job.state, job.tries, report.retried) == ("due", 1, 1)
    assert (job.due_at - world.clock.now()).total_seconds() == wait_s
    (error,) = job.errors
    assert (error.cause, error.try_number) == (cause, 1)
    assert plugin.told == [("retried", "mail", cause)]


@pytest.mark.parametrize("answer", [Retry(cause="busy"), OSError("x")])
def test_job_is_dead_after_the_sixth_try(world, answer):
    """2, 4, 8, 16 and 32 minutes between them, and not one more."""
    plugin, sdk, *_ = run(world, answer)
    for number, minutes in enumerate([2, 4, 8, 16, 32], 2):
        world.clock.advance(minutes * 60 - 1)
        sdk.run_jobs()
        assert len(plugin.contexts) == number - 1
        world.clock.advance(1)
        sdk.run_jobs()
        assert len(plugin.contexts) == number
    (job,) = world.storage.jobs.list(kind="mail").items
    assert job.state is JobState.DEAD
    assert [kind for kind, *_ in plugin.told] == ["retried"] * 5 + ["dead"]
    world.let_time_pass()
    assert len(plugin.contexts) == 6


def test_job_that_snoozes_counts_no_try(world):
    """It waits as long as it likes, and never dies of it."""
    plugin, sdk, report, job = run(world, Snooze(90))
    assert (job.state, job.tries, report.deferred) == ("due", 0, 1)
    assert (job.due_at - world.clock.now()).total_seconds() == 90
    for _ in range(10):
        world.clock.advance(90)
        sdk.run_jobs()
    (job,) = world.storage.jobs.list(kind="mail").items
    assert (job.state, job.tries, len(plugin.contexts)) == ("due", 0, 11)
    assert plugin.told == []


@pytest.mark.parametrize(
    ("answer", "code"), [(Dead("no address"), "handler"), (None, "validation")]
)
def test_job_that_can_never_work_is_dead_at_once(world, answer, code):
    """By its own word, or because it answers nothing that we know."""
    plugin, _, report, job = run(world, answer)
    assert (job.state, job.outcome, report.dead) == ("dead", code, 1)
    ((kind, _, cause),) = plugin.told
    assert kind == "dead"
    assert cause == job.errors[-1].cause


def test_dead_job_is_retried_by_an_operator(world):
    """The button: due now, with all its tries."""
    plugin, sdk, _, job = run(world, Dead("no address"))
    plugin.answer = Done()
    sdk.admin.retry(job.key)
    assert sdk.run_jobs().succeeded == 1
    assert world.storage.jobs.find(job.key).state == "done"


def test_job_whose_plugin_is_gone_is_dead_with_words(world):
    """It stands in the dead letters until the plugin is back."""
    enroll(world, world.sdk(plugins=[Jobs(Done())]))
    world.sdk().run_jobs()
    (job,) = world.storage.jobs.list(kind="mail").items
    assert job.state == "dead"
    assert "no plugin handles jobs of kind 'mail'" in job.errors[-1].cause


def test_job_hangs_on_its_facts_only(world):
    """Each fact that it named owes one job."""
    plugin = Jobs(Done(), on=("confirmed", "revoked"))
    sdk = world.sdk(plugins=[plugin])
    answer = enroll(world, sdk)
    sdk.run_jobs()
    sdk.enrollments.revoke(answer.enrollment_id, "operator", "test")
    sdk.run_jobs()
    assert [context.fact for context in plugin.contexts] == ["confirmed", "revoked"]


def test_rejected_error_of_a_handler_is_dead_at_once(world):
    """Our own families mean the same in a plugin's hands."""
    _, _, _, job = run(world, VetoedError("unsubscribed"))
    assert (job.state, job.outcome) == ("dead", "vetoed")
    assert issubclass(VetoedError, EnrollError)
