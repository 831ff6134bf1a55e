# SPDX-License-Identifier: MIT
"""Discovery and isolation of plugins, through real distributions' entry points."""

from __future__ import annotations

import logging
import sys
import threading
from types import ModuleType, SimpleNamespace

import pytest
from support.world import COURSE, World

from frappe_enroll_sdk import hookimpl
from frappe_enroll_sdk.errors import (
    DuplicateBackendError,
    PluginUnavailableError,
    UnknownBackendError,
    VetoedError,
)
from frappe_enroll_sdk.plugins import Plugins


IMPORTS = "from frappe_enroll_sdk import hookimpl\n"
BACKEND = (
    IMPORTS
    + """
@hookimpl
def register_backends(register):
    register("lms", "NAME", "MODULE_backend:Backend")
"""
)
TARGET = """
class Backend:
    @classmethod
    def from_settings(cls, *args):
        self = cls()
        self.args = args
        return self
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return what puts a distribution with one entry point on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def put(name, code, *, module=None, dist=None):
        module, dist = module or f"plugin_{name}", dist or f"enroll-{name}"
        (tmp_path / f"{module}.py").write_text(code, encoding="utf-8")
        info = tmp_path / f"{dist.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.2\n", encoding="utf-8"
        )
        (info / "entry_points.txt").write_text(
            f"[frappe_enroll_sdk]\n{name} = {module}\n", encoding="utf-8"
        )

    put.folder = tmp_path
    yield put
    for added in set(sys.modules) - before:
        if added.startswith(("plugin_", "target")):
            del sys.modules[added]


def made(name, **hooks):
    """Return a plugin of the host's own."""
    module = ModuleType(name)
    for hook, function in hooks.items():
        setattr(module, hook, hookimpl(function))
    return module


def info_of(plugins, name):
    """Return what became of one plugin."""
    (info,) = [info for info in plugins.infos if info.name == name]
    return info


def brings(name):
    """Return the code of a plugin that brings an LMS backend."""
    return BACKEND.replace("NAME", name).replace("MODULE", f"target_{name}")


def test_installed_plugin_is_found_and_its_backend_built_lazily(install):
    """By its entry point; the target is imported when it is chosen."""
    install("crm", brings("crm"))
    (install.folder / "target_crm_backend.py").write_text(TARGET, encoding="utf-8")
    plugins = Plugins()
    info = info_of(plugins, "crm")
    assert (info.dist, info.version, info.status) == ("enroll-crm", "1.2", "loaded")
    assert (info.hooks, info.error) == (("register_backends",), "")
    assert "crm" in plugins.registry.names("lms")
    assert "target_crm_backend" not in sys.modules
    backend = plugins.registry.create("lms", "crm", "settings", "clock")
    assert (type(backend).__module__, backend.args) == (
        "target_crm_backend",
        ("settings", "clock"),
    )


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import nowhere_to_be_found", "ModuleNotFoundError: "),
        ("raise RuntimeError('by design')", "RuntimeError: by design"),
        ("def broken(", "SyntaxError: "),
        (
            IMPORTS + "@hookimpl\ndef on_enroled(enrollment): pass",
            "PluginValidationError: ",
        ),
        (
            IMPORTS + "@hookimpl\ndef on_enrolled(learner): pass",
            "PluginValidationError: ",
        ),
        (
            IMPORTS + "@hookimpl(wrapper=True)\ndef on_enrolled(enrollment):"
            "\n    return (yield)",
            "ConfigurationError: on_enrolled can't be wrapped",
        ),
        (
            IMPORTS + "@hookimpl\ndef register_backends(register):"
            "\n    register('lms', 'half', 'a:B')\n    raise KeyError('half')",
            "KeyError: 'half'",
        ),
        (
            IMPORTS + "@hookimpl\ndef register_backends(register):"
            "\n    register('mail', 'x', 'a:B')",
            "ConfigurationError: bad: no such kind of backend: 'mail'",
        ),
        (
            IMPORTS + "@hookimpl\ndef register_jobs(register):"
            "\n    register('sync', print, on=('enrolled',))",
            "ConfigurationError: the job kind 'sync' is taken",
        ),
    ],
    ids=[
        "absent_module",
        "raises",
        "syntax",
        "unknown_hook",
        "unknown_argument",
        "wrapped_observer",
        "half_registered",
        "unknown_kind",
        "reserved_job",
    ],
)
def test_broken_plugin_is_reported_and_harms_nobody(install, caplog, code, cause):
    """Its cause is told, nothing of it stays, the others work."""
    install("bad", code)
    install("good", brings("good"))
    plugins = Plugins()
    info = info_of(plugins, "bad")
    assert info.status == "broken"
    assert info.error.startswith(cause)
    assert info_of(plugins, "good").status == "loaded"
    assert "good" in plugins.registry.names("lms")
    assert "half" not in plugins.registry.names("lms")
    assert plugins.manager.get_plugin("bad") is None
    (record,) = [r for r in caplog.records if "unavailable" in r.message]
    assert (record.plugin, record.cause) == ("bad", info.error)
    assert record.message == f"plugin bad unavailable: {info.error}"


def test_two_distributions_with_one_name_are_both_reported(install):
    """The second is told who has the name (pluggy's loader skips it silently)."""
    install("twin", brings("one"), module="plugin_one", dist="enroll-one")
    install("twin", brings("two"), module="plugin_two", dist="enroll-two")
    first, second = [i for i in Plugins().infos if i.name == "twin"]
    assert (first.status, second.status) == ("loaded", "broken")
    assert second.error == f"the name is already taken by {first.dist}"


def test_backend_claimed_twice_is_an_error_when_it_is_chosen(install):
    """Both are named; the others' names are not touched."""
    install("one", brings("same"))
    install("two", brings("same"))
    plugins = Plugins()
    assert info_of(plugins, "one").status == "loaded"
    assert info_of(plugins, "two").status == "loaded"
    with pytest.raises(DuplicateBackendError) as caught:
        plugins.registry.create("lms", "same")
    assert "one" in str(caught.value)
    assert "two" in str(caught.value)
    (install.folder / "target_same_backend.py").write_text(TARGET, encoding="utf-8")
    chosen = Plugins(allow=["two"]).registry.create("lms", "same")
    assert type(chosen).__name__ == "Backend"


def test_backend_that_nobody_brings_names_those_that_are_there(install):
    """The text names the variable and the known ones."""
    install("crm", brings("crm"))
    with pytest.raises(UnknownBackendError) as caught:
        Plugins().registry.create("lms", "nope")
    assert caught.value.field == "FRAPPE_ENROLL_LMS"
    assert "crm" in str(caught.value)


def test_allow_list_loads_these_only(install):
    """Everything else is not even imported."""
    install("crm", brings("crm"))
    install("spy", "raise AssertionError('imported')")
    plugins = Plugins(allow=["crm"])
    told = {i.name: i.status for i in plugins.infos}
    assert (told["crm"], told["spy"]) == ("loaded", "disabled")
    assert set(told.values()) == {"loaded", "disabled"}
    assert "plugin_spy" not in sys.modules
    assert plugins.missing_required == ()


def test_deny_list_is_not_loaded(install):
    """Denied beats allowed, and an allowed one that is denied is missed."""
    install("crm", brings("crm"))
    assert info_of(Plugins(deny=["crm"]), "crm").status == "disabled"
    plugins = Plugins(allow=["crm"], deny=["crm"])
    assert info_of(plugins, "crm").status == "disabled"
    assert plugins.missing_required == ("crm",)


@pytest.mark.parametrize(
    ("code", "status"), [(None, "missing"), ("raise OSError", "broken")]
)
def test_required_plugin_that_is_not_there_is_told(install, code, status):
    """Absent or broken: the list's members are required."""
    if code:
        install("crm", code)
    plugins = Plugins(allow=["crm"])
    assert info_of(plugins, "crm").status == status
    assert plugins.missing_required == ("crm",)
    with pytest.raises(PluginUnavailableError) as caught:
        plugins.require_ready()
    assert (caught.value.http_status, caught.value.code) == (503, "plugin_unavailable")
    assert "crm" in str(caught.value)


def test_checkout_refuses_while_a_required_plugin_is_missing():
    """503 before anything is written; with the plugin there it works."""
    world = World(plugins=("crm",))
    with pytest.raises(PluginUnavailableError):
        world.sdk().checkout(course_id=COURSE, email="ada@example.com")
    assert world.rows() == ()
    sdk = world.sdk(plugins=[made("crm", on_alert=lambda: None)])
    answer = sdk.checkout(course_id=COURSE, email="ada@example.com")
    assert answer.status == "awaiting_payment"


def test_job_kind_is_taken_once():
    """The first plugin keeps it, the second is reported."""
    one = made("one", register_jobs=lambda register: register("mail", print))
    two = made("two", register_jobs=lambda register: register("mail", len))
    plugins = Plugins(extra=[one, two], discover=False)
    assert [i.status for i in plugins.infos] == ["loaded", "broken"]
    assert plugins.handler("mail") is print
    assert plugins.job_kinds("enrolled") == ()


class Exports:
    """A plugin of which a host may want two: one job and one veto each."""

    def __init__(self, name, *, vetoes=False, backend=None):
        self.name, self._vetoes, self._backend = name, vetoes, backend

    def __eq__(self, other):
        return isinstance(other, Exports)

    __hash__ = None

    @hookimpl
    def register_jobs(self, register):
        """Bring a job of its own."""
        register(f"export.{self.name}", print, on=("enrolled",))

    @hookimpl
    def register_backends(self, register):
        """Bring a backend of its own."""
        register("lms", self.name, "nowhere:Backend")

    @hookimpl
    def check_checkout(self):
        """Veto."""
        if self._vetoes:
            raise VetoedError(self.name)


@pytest.mark.parametrize("second", ["other", "same", "named"])
def test_second_object_of_a_class_takes_nothing_from_the_first(second):
    """Its jobs, its backend and its vetoes stay in force, and the second is told of."""
    first = Exports("crm", vetoes=True)
    others = {"other": Exports("erp"), "same": first, "named": Exports("erp")}
    if second == "named":
        others[second].__name__ = "Erp"
    plugins = Plugins(extra=[first, others[second]], discover=False)
    assert plugins.job_kinds("enrolled") == ("export.crm",)
    assert plugins.registry.names("lms") == ("crm",)
    with pytest.raises(VetoedError):
        plugins.check("check_checkout", course=None, email="", coupon_code=None)
    statuses = [info.status for info in plugins.infos]
    assert statuses == ["loaded"] + ["broken"] * (second != "same")


@pytest.mark.parametrize("good_first", [True, False])
def test_object_and_entry_point_of_one_name_harm_each_other_never(install, good_first):
    """The good one is in force, whichever of the two it is."""
    fails = IMPORTS + "@hookimpl\ndef register_jobs(register):\n    raise OSError"
    install("twin", brings("twin") if good_first else fails)
    bad = made("twin", register_jobs=lambda register: register("sync", print))
    good = made("twin", register_backends=lambda register: register("lms", "twin", "x"))
    plugins = Plugins(allow=["twin"], extra=[bad if good_first else good])
    assert "twin" in plugins.registry.names("lms")
    assert plugins.missing_required == ()
    assert sorted(info.status for info in plugins.infos if info.name == "twin") == [
        "broken",
        "loaded",
    ]


def test_required_plugin_that_was_taken_out_is_missing():
    """What counts are the hooks that are in force, not what was told at start-up."""
    plugin = made("veto", check_checkout=lambda: None)
    plugins = Plugins(allow=["veto"], extra=[plugin], discover=False)
    assert plugins.missing_required == ()
    plugins.manager.unregister(plugin)
    assert plugins.missing_required == ("veto",)
    with pytest.raises(PluginUnavailableError):
        plugins.require_ready()


def plain(enrollment):
    """Do nothing: a hook without its mark."""


@pytest.mark.parametrize(
    "plugin",
    [ModuleType("veto"), SimpleNamespace(__name__="veto", on_enrolled=plain), Exports],
    ids=["empty", "unmarked", "class"],
)
def test_plugin_without_a_hook_in_force_is_reported_and_missing(plugin, caplog):
    """Its functions have no mark, or it is a class: required, it shuts the checkout."""
    name = plugin.__name__
    plugins = Plugins(allow=[name], extra=[plugin], discover=False)
    (info,) = plugins.infos
    assert info.status == "broken"
    assert plugins.missing_required == (name,)
    assert f"plugin {name} unavailable: {info.error}" in caplog.messages


def test_class_whose_hooks_need_no_object_is_a_plugin():
    """Static methods are called as they are."""

    class Static:
        @staticmethod
        @hookimpl
        def get_course(course_id):
            """Know nothing."""

    (info,) = Plugins(extra=[Static], discover=False).infos
    assert (info.status, info.hooks) == ("loaded", ("get_course",))


@pytest.mark.parametrize("error", ["SystemExit(3)", "KeyboardInterrupt()"])
def test_plugin_that_ends_the_process_when_imported_is_broken(install, error):
    """The host goes on; Ctrl-C in the main thread alone is a real one."""
    install("bad", f"raise {error}")
    told = []

    def load():
        told.extend(info_of(Plugins(), "bad").error.split(":")[:1])

    thread = threading.Thread(target=load)
    thread.start()
    thread.join(60)
    assert told == ["PluginFailedError"]


def test_sdks_share_no_plugins():
    """One manager per SDK: what one host's app loads, another's does not see."""
    told = []
    hook = {"on_enrolled": lambda enrollment: told.append(enrollment.id)}
    world = World()
    one, two = world.sdk(plugins=[made("crm", **hook)]), world.sdk()
    assert one.plugins.manager is not two.plugins.manager
    answers = [
        sdk.checkout(
            course_id=COURSE,
            email=f"{number}@example.com",
            coupon_code=world.coupon(100),
        )
        for number, sdk in enumerate([one, two])
    ]
    assert told == [answers[0].enrollment_id]


def test_commands_of_plugins_are_collected():
    """In any number."""
    more = made("more", register_commands=lambda register: register("a"))
    assert Plugins(extra=[more], discover=False).commands() == ["a"]


def test_trace_logs_each_hook_call(caplog):
    """Which plugins were asked, and whether one failed."""
    asks = made("asks", get_course=lambda course_id: None)
    plugins = Plugins(extra=[asks], discover=False, trace=True)
    with caplog.at_level(logging.INFO, "frappe_enroll_sdk.plugins"):
        plugins.get_course("python-101")
    before, after = caplog.records
    assert (before.hook, before.plugins) == ("get_course", ["asks"])
    assert (after.hook, after.failed) == ("get_course", False)
