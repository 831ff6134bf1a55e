# SPDX-License-Identifier: MIT
"""What importing the package brings along (``nox -s bench`` measures how long)."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version

import pytest

import frappe_enroll_sdk


DRIVERS = {
    "stripe",
    "pymongo",
    "sqlalchemy",
    "frappeclient",
    "requests",
    "flask",
    "werkzeug",
    "click",
    "rich",
    "iso4217",
}


def modules_after(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has after a statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    out = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    ).stdout
    return {name.split(".")[0] for name in json.loads(out.splitlines()[-1])}


@pytest.mark.parametrize(
    "statement",
    [
        "import frappe_enroll_sdk",
        "from frappe_enroll_sdk import *",
        "import frappe_enroll_sdk.sdk, frappe_enroll_sdk.interfaces",
        "import frappe_enroll_mongo.plugin, frappe_enroll_sql.plugin",
        "import frappe_enroll_stripe.plugin, frappe_enroll_lms.plugin",
        "import frappe_enroll_sdk.testing.pytest_plugin",
    ],
)
def test_import_brings_no_driver(statement):
    """Drivers load when a backend is built, never before."""
    assert modules_after(statement) & DRIVERS == set()


def test_import_of_the_core_brings_only_its_dependencies():
    """attrs, cattrs, pluggy and what these need."""
    plain = modules_after("pass")
    added = modules_after("from frappe_enroll_sdk import *") - plain
    theirs = modules_after("import attrs, cattrs, pluggy")
    foreign = {
        name
        for name in added - theirs - {"frappe_enroll_sdk"}
        if name not in sys.stdlib_module_names and not name.startswith("_")
    }
    assert foreign == set()


def test_public_names_are_pinned():
    """What hosts import from the package's top; `dir` shows nothing else."""
    names = ["EnrollSDK", "Settings", "errors", "hookimpl"]
    handy = ["Course", "Money", "__version__", "testing"]
    assert sorted(frappe_enroll_sdk.__all__) == sorted(names + handy)
    assert dir(frappe_enroll_sdk) == sorted(names + handy)
    assert frappe_enroll_sdk.__version__ == version("frappe-enroll-sdk")


def test_fakes_are_where_one_looks_for_them():
    """A prompt that has imported the package finds them by completion."""
    fakes = frappe_enroll_sdk.testing
    assert dir(fakes) == ["FakeClock", "FakeLMS", "FakePayments", "MemoryStorage"]
    assert all(getattr(fakes, name).__name__ == name for name in dir(fakes))
    with pytest.raises(AttributeError):
        fakes.Nothing  # noqa: B018  it is asked for


def test_sdk_tells_what_it_is_made_of():
    """Its `repr` names the backends and where settings come from, and no value."""
    fakes = frappe_enroll_sdk.testing
    settings = frappe_enroll_sdk.Settings.from_env(
        {"FRAPPE_ENROLL_CRON_SECRET": "s" * 20, "FRAPPE_ENROLL_LEASE_S": "61"},
        inline_s=1,
    )
    clock = fakes.FakeClock()
    backends = {
        "storage": fakes.MemoryStorage(clock),
        "payments": fakes.FakePayments(clock),
        "lms": fakes.FakeLMS(clock=clock),
    }
    with frappe_enroll_sdk.EnrollSDK(settings, clock=clock, **backends) as sdk:
        assert repr(sdk) == (
            "<EnrollSDK storage=MemoryStorage, payments=FakePayments, lms=FakeLMS; "
            "settings: 1 from argument, 2 from environment>"
        )
    with frappe_enroll_sdk.EnrollSDK(clock=clock, **backends) as sdk:
        assert repr(sdk).endswith("settings: defaults>")


def test_plugin_that_imports_the_package_loads_no_host():
    """`hookimpl` and `errors` are cheap; the SDK comes when it is asked for."""
    code = "import frappe_enroll_sdk as it, sys; print('frappe_enroll_sdk.sdk' in "
    code += (
        "sys.modules, it.EnrollSDK.__name__, sorted(set(it.__all__) - set(dir(it))))"
    )
    out = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert out.split() == ["False", "EnrollSDK", "[]"]
    with pytest.raises(AttributeError):
        frappe_enroll_sdk.Nothing  # noqa: B018  it is asked for
