# SPDX-License-Identifier: MIT
"""The distribution: names, entry points, extras, licence, and what a wheel holds."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from importlib import import_module, metadata
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]
NAME = "frappe-enroll-sdk"
PACKAGES = {
    "frappe_enroll_sdk",
    "frappe_enroll_mongo",
    "frappe_enroll_sql",
    "frappe_enroll_stripe",
    "frappe_enroll_lms",
    "frappe_enroll_mail",
    "frappe_enroll_alerts",
    "frappe_enroll_wsgi",
    "frappe_enroll_metrics",
    "frappe_enroll_flask",
    "frappe_enroll_cli",
    "frappe_enroll_sandbox",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build a wheel with the backend that is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (found,) = folder.glob("*.whl")
    return found


def test_entry_points_lead_to_what_they_name():
    """Plugins, the command and the pytest plugin can be loaded."""
    entries = metadata.distribution(NAME).entry_points
    by_group = {
        group: {entry.name for entry in entries.select(group=group)}
        for group in ("frappe_enroll_sdk", "console_scripts", "pytest11")
    }
    assert by_group == {
        "frappe_enroll_sdk": {"mongo", "sql", "stripe", "lms", "mail", "alerts"},
        "console_scripts": {"frappe-enroll"},
        "pytest11": {"frappe_enroll"},
    }
    for entry in entries:
        assert entry.load() is not None


def test_metadata_names_licence_pythons_and_extras():
    """What an index shows."""
    told = metadata.metadata(NAME)
    assert told["License-Expression"] == "MIT"
    assert told["Requires-Python"] == ">=3.11"
    extras = {"mongo", "sql", "stripe", "lms", "wsgi", "flask", "cli", "metrics"}
    assert set(told.get_all("Provides-Extra")) == extras | {"mail", "all"}


def test_core_has_three_dependencies():
    """attrs, cattrs, pluggy: nothing else without an extra."""
    required = metadata.requires(NAME) or []
    core = {line.split(">")[0] for line in required if "extra ==" not in line}
    assert core == {"attrs", "cattrs", "pluggy"}


def test_wheel_holds_clean_top_level_packages(wheel):
    """Each package under its own name, typed, with no test and no folder of ours."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    (info,) = {top for top in tops if top.endswith(".dist-info")}
    assert tops - {info} == PACKAGES
    for package in PACKAGES:
        assert f"{package}/py.typed" in names
    assert f"{info}/licenses/LICENSE" in names


def test_wheel_holds_every_module(wheel):
    """Nothing that is imported here is missing there."""
    names = set(zipfile.ZipFile(wheel).namelist())
    for base in (ROOT, ROOT / "plugins", ROOT / "contrib"):
        for package in PACKAGES:
            for file in (base / package).rglob("*.py"):
                assert str(file.relative_to(base)) in names


@pytest.mark.skipif(
    not os.environ.get("ENROLL_EXPECT_INSTALLED"),
    reason="only where the built wheel is under test",
)
@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_built_wheel_is_what_is_tested(package):
    """The packages come from the installed wheel, not from the checkout."""
    assert "site-packages" in Path(import_module(package).__file__).parts
