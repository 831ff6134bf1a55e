# SPDX-License-Identifier: MIT
"""Foreign code behind one wall: whatever it raises, answers, or takes for ever."""

from __future__ import annotations

import asyncio
import threading

import pytest
from support.world import COURSE, World

from frappe_enroll_sdk import EnrollSDK, hookimpl, wall
from frappe_enroll_sdk.backoff import RETRY_AFTER_CAP_S, THROTTLED_S, capped_retry_after
from frappe_enroll_sdk.errors import EnrollError, PluginFailedError, ThrottledError
from frappe_enroll_sdk.models import Course, JobState
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.outcomes import Dead, Done, Retry, Snooze
from frappe_enroll_sdk.plugins import Plugins
from frappe_enroll_sdk.testing.faults import Crash


LEARNERS = ("ada@example.com", "bob@example.com", "eve@example.com")
HALF = "cut off: \ud83d"
ENDS = (SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError())


async def never_runs():
    """Answer by a coroutine."""


def later():
    """Answer by a generator."""
    yield None


class Two:
    """A plugin with a bad handler and a good one."""

    def __init__(self, bad) -> None:
        self._bad, self.good_runs = bad, 0

    @hookimpl
    def register_jobs(self, register):
        """Bring both."""
        register("bad.one", self._bad, on=("enrolled",))
        register("good.one", self._good, on=("enrolled",))

    def _good(self, _context):
        self.good_runs += 1
        return Done()


def raising(error):
    """Return a function of anything that raises."""

    def raises(*_arguments):
        raise error

    return raises


def run(bad, storage, **settings):
    """Enroll three learners, run what is due once, and return the bad jobs."""
    world, plugin = World(storage, **settings), Two(bad)
    sdk = world.sdk(plugins=[plugin])
    for email in LEARNERS:
        sdk.checkout(course_id=COURSE, email=email, coupon_code=world.coupon(100))
    sdk.run_jobs()
    assert plugin.good_runs == len(LEARNERS)
    return world, world.storage.jobs.list(kind="bad.one").items


@pytest.fixture(params=["memory", "sql"])
def storage(request, tmp_path):
    """Return what opens a store: one that keeps anything, and one that can't."""
    if request.param == "memory":
        return None
    from frappe_enroll_sql.storage import SQLStorage  # noqa: PLC0415  its own extra

    return lambda: SQLStorage(f"sqlite:///{tmp_path / 'store.sqlite3'}")


@pytest.mark.parametrize(
    "answer",
    [
        Retry(after_s=1e12),
        Retry(after_s=float("inf")),
        Retry(after_s="soon"),
        Snooze(after_s=float("nan")),
        Snooze(after_s=None),
        Snooze(after_s=True),
        Done(outcome=HALF),
        Done(outcome=None),
        "done",
        later(),
    ],
)
def test_answer_that_is_none_ends_its_job_alone(storage, answer):
    """The job is dead at once with the reason in words; everybody else's goes on."""
    _, jobs = run(lambda _: answer, storage)
    for job in jobs:
        assert (job.state, job.outcome) == (JobState.DEAD, "validation")
        assert "the handler of 'bad.one'" in job.errors[-1].cause


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Dead(HALF), JobState.DEAD),
        (Dead("nul \0"), JobState.DEAD),
        (Dead(b"bytes"), JobState.DEAD),
        (Retry(cause=HALF), JobState.DUE),
        (Done("ok", reason=HALF * 5000), JobState.DONE),
    ],
)
def test_text_that_no_store_can_keep_is_kept_as_well_as_it_can_be(
    storage, answer, state
):
    """Half an emoji and a NUL become marks, and the end is written."""
    _, jobs = run(lambda _: answer, storage)
    assert {job.state for job in jobs} == {state}
    for job in jobs:
        words = job.errors[-1].cause if job.errors else job.outcome
        assert words
        assert wall.is_storable(words)


@pytest.mark.parametrize("error", ENDS)
def test_handler_that_raises_what_ends_threads_costs_one_try(storage, error):
    """It is a failure like any other, and its name is told."""
    _, jobs = run(raising(error), storage)
    for job in jobs:
        assert (job.state, job.tries) == (JobState.DUE, 1)
        (lost,) = job.errors
        assert lost.code == "plugin_failed"
        assert type(error).__name__ in lost.cause


@pytest.mark.parametrize(
    "error",
    [
        EnrollError(HALF, code="odd\ud83d"),
        ThrottledError("slow", retry_after_s=float("nan")),
    ],
    ids=["text", "wait"],
)
def test_error_of_ours_in_foreign_hands_is_judged(storage, error):
    """Whatever text and wait it carries."""
    _, jobs = run(raising(error), storage)
    assert {job.state for job in jobs} == {JobState.DUE}


def test_kill_of_a_test_and_ctrl_c_pass_the_wall():
    """What really ends the process is nobody's failure."""
    for error in (Crash("here"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            wall.call("a hook", raising(error))


def test_handler_that_takes_for_ever_is_left_behind():
    """The pass goes on, the job says why, an operator is told."""
    hangs, alerts = threading.Event(), []

    class Hangs(Two):
        @hookimpl
        def on_alert(self, code, subject):
            """Note."""
            alerts.append((code, subject))

    world, plugin = World(job_timeout_s=1), Hangs(lambda _: hangs.wait(60))
    sdk = world.sdk(plugins=[plugin])
    sdk.checkout(course_id=COURSE, email=LEARNERS[0], coupon_code=world.coupon(100))
    sdk.run_jobs()
    hangs.set()
    (job,) = world.storage.jobs.list(kind="bad.one").items
    assert plugin.good_runs == 1
    assert (job.state, job.tries) == (JobState.DUE, 1)
    assert job.errors[-1].code == "plugin_hangs"
    assert "has not answered within 1 s" in job.errors[-1].cause
    assert alerts == [("job_hangs", job.key)]


def test_observer_that_takes_for_ever_holds_up_no_pass():
    """It is counted as lost, and the enrollment is where it belongs."""
    hangs = threading.Event()

    class Slow:
        @hookimpl
        def on_enrolled(self):
            """Hang."""
            hangs.wait(60)

    world = World(job_timeout_s=1, inline_s=0)
    sdk = world.sdk(plugins=[Slow()])
    sdk.checkout(course_id=COURSE, email=LEARNERS[0], coupon_code=world.coupon(100))
    sdk.run_jobs()
    hangs.set()
    (row,) = world.rows()
    assert row.status == "enrolled"
    assert sdk.admin.stats().lost == {"Slow": 1}


def test_calls_that_hang_are_bounded_in_number():
    """Each keeps a thread; past the bound nothing more is begun until one ends."""
    hands, hangs = wall._Hands(), threading.Event()
    for _ in range(wall._MAX_HUNG):
        with pytest.raises(PluginFailedError):
            hands.give("a hook", wall._Errand(run=hangs.wait), 0.001)
    begun = []
    errand = wall._Errand(run=lambda: begun.append(1))
    with pytest.raises(PluginFailedError, match="calls of plugins hang"):
        hands.give("a hook", errand, 1)
    assert begun == []
    hangs.set()
    for _ in range(1000):
        try:
            hands.give("a hook", errand, 1)
        except PluginFailedError:
            threading.Event().wait(0.01)
        else:
            break
    assert begun == [1]


@pytest.mark.parametrize("error", [*ENDS[:1], *ENDS[2:], OSError()])
def test_observer_that_raises_anything_is_counted_and_health_tells(error):
    """The others still run, and `check` names the plugin."""
    told = []

    class Bad:
        @hookimpl
        def on_enrolled(self):
            """Raise."""
            raise error

    class Good:
        @hookimpl
        def on_enrolled(self, enrollment):
            """Note."""
            told.append(enrollment.status)

    world = World()
    sdk = world.sdk(plugins=[Good(), Bad()])
    sdk.checkout(course_id=COURSE, email=LEARNERS[0], coupon_code=world.coupon(100))
    assert told == ["enrolled"]
    assert sdk.admin.stats().lost == {"Bad": 1}
    checks = {check.name: check for check in sdk.examine()}
    assert checks["plugin Bad"].state == "loses"


def test_loss_of_another_process_is_told():
    """A pass leaves the count with its sign of life; nobody counts it twice."""

    class Bad:
        @hookimpl
        async def on_enrolled(self):
            """Never run."""

    world = World(inline_s=0)
    sdk = world.sdk(plugins=[Bad()])
    sdk.checkout(course_id=COURSE, email=LEARNERS[0], coupon_code=world.coupon(100))
    sdk.run_jobs()
    assert sdk.admin.stats().lost == {"Bad": 1}
    assert world.sdk().admin.stats().lost == {"Bad": 1}


def plugin_of(hook, function):
    """Return a plugin with one hook."""
    name = "Odd"
    return type(name, (), {hook: staticmethod(hookimpl(function))})()


@pytest.mark.parametrize(
    "answer",
    [
        {"id": COURSE},
        Course(id=None, title="T"),
        Course(id=HALF, title="T"),
        Course(id=COURSE, title=""),
        Course(id=COURSE, title="T", price=49),
        Course(id=COURSE, title="T", price=Money(-1, "usd")),
        Course(id=COURSE, title="T", url=7),
        later(),
    ],
)
def test_course_that_is_none_is_a_failure_of_the_plugin(answer):
    """503, and nothing is written."""
    world = World()
    sdk = world.sdk(plugins=[plugin_of("get_course", lambda course_id: answer)])
    with pytest.raises(PluginFailedError):
        sdk.checkout(course_id=COURSE, email=LEARNERS[0])
    assert world.rows() == ()


@pytest.mark.parametrize("error", [SystemExit(), ValueError("secret")])
def test_course_hook_that_raises_lets_a_cached_course_do(error):
    """As while the LMS is down; without one it is a 503 that tells no secret."""
    answers = [Course(id=COURSE, title="T", price=Money(4900, "usd"))]

    def get_course(course_id):
        if answers:
            return answers.pop()
        raise error

    world = World(course_ttl_s=1)
    sdk = world.sdk(plugins=[plugin_of("get_course", get_course)])
    sdk.checkout(course_id=COURSE, email=LEARNERS[0])
    world.clock.advance(60)
    assert sdk.checkout(course_id=COURSE, email=LEARNERS[1]).payment_url
    with pytest.raises(PluginFailedError) as caught:
        world.sdk(plugins=[plugin_of("get_course", raising(error))]).checkout(
            course_id=COURSE, email=LEARNERS[2]
        )
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("hook", ["check_checkout", "check_coupon"])
@pytest.mark.parametrize("bad", [never_runs, later, raising(SystemExit())])
def test_veto_that_never_ran_fails_closed(hook, bad):
    """An ``async def`` is no yes."""
    world = World()
    sdk = world.sdk(plugins=[plugin_of(hook, bad)])
    with pytest.raises(PluginFailedError):
        sdk.checkout(course_id=COURSE, email=LEARNERS[0], coupon_code=world.coupon(50))
    assert world.rows() == ()


@pytest.mark.parametrize(
    "answer",
    [
        {"metadata": {"a": HALF}},
        {"metadata": {"a": 7}},
        {"metadata": {"": "x"}},
        {"metadata": ["a"]},
        {"parameters": {"locale": float("nan")}},
        {"parameters": {"locale": {1, 2}}},
        {"parameters": {"locale": HALF}},
        7,
        never_runs,
    ],
)
def test_enrichment_that_can_not_be_stored_fails_the_checkout(answer):
    """It is the plugin's failure, not the store's or the provider's."""
    world = World()
    hook = answer if callable(answer) else lambda: answer
    sdk = world.sdk(plugins=[plugin_of("enrich_checkout", hook)])
    with pytest.raises(PluginFailedError):
        sdk.checkout(course_id=COURSE, email=LEARNERS[0])
    assert world.payments.sessions == {}


@pytest.mark.parametrize(
    "bad",
    [
        lambda: float("nan"),
        lambda: float("inf"),
        lambda: 1e12,
        lambda: "soon",
        lambda: True,
        never_runs,
        raising(SystemExit()),
    ],
)
def test_retry_policy_that_is_none_leaves_the_schedule(storage, bad):
    """The pass goes on, and the job is due by our own schedule."""
    world, plugin = World(storage), Two(raising(OSError()))
    policy = plugin_of("decide_retry", bad)
    sdk = world.sdk(plugins=[plugin, policy])
    sdk.checkout(course_id=COURSE, email=LEARNERS[0], coupon_code=world.coupon(100))
    sdk.run_jobs()
    (job,) = world.storage.jobs.list(kind="bad.one").items
    assert (job.due_at - world.clock.now()).total_seconds() == 120
    assert plugin.good_runs == 1


@pytest.mark.parametrize(
    "answer",
    [("ada", "admin"), ("ada",), ("", "operator"), " ", HALF, 7, {"name": "ada"}],
)
def test_operator_by_half_a_word_is_nobody(answer):
    """An unknown role, no name, or another shape: the request fails."""
    extra = [plugin_of("authenticate_admin", lambda environ: answer)]
    with pytest.raises(PluginFailedError):
        Plugins(extra=extra, discover=False).authenticate_admin({})


@pytest.mark.parametrize("bad", [never_runs, later, raising(SystemExit())])
def test_operator_hook_that_never_ran_lets_nobody_in(bad):
    """An ``async def`` would be true, and its text a name."""
    extra = [plugin_of("authenticate_admin", lambda environ: bad())]
    with pytest.raises(PluginFailedError):
        Plugins(extra=extra, discover=False).authenticate_admin({})


@pytest.mark.parametrize("bad", [never_runs, raising(SystemExit()), raising(OSError())])
def test_metrics_that_fail_cost_nothing_and_are_counted(bad):
    """The enrollment is made, the webhook answered, the pass runs."""

    class Metrics:
        def count(self, measure, **labels):
            return bad()

        def observe(self, measure, seconds, **labels):
            return bad()

    world = World()
    fakes = {"storage": world.storage, "payments": world.payments, "lms": world.lms}
    sdk = EnrollSDK(
        world.settings, **fakes, clock=world.clock, metrics=Metrics(), discover=False
    )
    answer = sdk.checkout(
        course_id=COURSE, email=LEARNERS[0], coupon_code=world.coupon(50)
    )
    world.deliver(sdk, world.pay(answer.enrollment_id))
    sdk.run_jobs()
    assert world.rows()[0].status == "enrolled"
    assert sdk.admin.stats().lost["metrics"] > 0


@pytest.mark.parametrize(
    ("kind", "handler", "on"),
    [
        ("mail", never_runs, ("enrolled",)),
        ("mail", "handle", ("enrolled",)),
        ("mail", print, "enrolled"),
        ("", print, ("enrolled",)),
        (HALF, print, ()),
    ],
    ids=["async", "no_function", "facts_as_text", "no_kind", "half_a_kind"],
)
def test_job_handler_that_could_never_run_breaks_its_plugin(kind, handler, on):
    """It is told at start-up, and not by jobs that nobody owes."""
    extra = [
        plugin_of("register_jobs", lambda register: register(kind, handler, on=on))
    ]
    (info,) = Plugins(extra=extra, discover=False).infos
    assert (info.status, info.error.startswith("ConfigurationError: ")) == (
        "broken",
        True,
    )


@pytest.mark.parametrize(
    ("asked", "waits"),
    [
        (float("nan"), THROTTLED_S),
        (float("inf"), RETRY_AFTER_CAP_S),
        (float("-inf"), 1.0),
    ],
)
def test_wait_that_a_server_asks_for_is_one(asked, waits):
    """A header may say anything that reads as a number."""
    assert capped_retry_after(asked) == waits


def test_commands_of_a_plugin_that_fails_leave_the_others():
    """One that raises takes no other's commands away."""
    bad = plugin_of("register_commands", raising(SystemExit()))
    good = plugin_of("register_commands", lambda register: register("a"))
    plugins = Plugins(discover=False)
    plugins.manager.register(bad, "bad")
    plugins.manager.register(good, "good")
    assert plugins.commands() == ["a"]
