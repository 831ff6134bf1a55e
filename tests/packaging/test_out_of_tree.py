# SPDX-License-Identifier: MIT
"""A backend of another distribution: built, installed, found, and held to the suite."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from support.size import with_the_first_python


EXAMPLE = Path(__file__).parents[2] / "examples" / "lms_backend"
_TALK = """
from frappe_enroll_sdk import EnrollSDK
with EnrollSDK.from_env() as sdk:
    sdk.setup()
    code = sdk.coupons.create(100, "python-101").code
    answer = sdk.checkout(course_id="PYTHON-101", email="ada@example.com",
                          coupon_code=code)
    rows = sdk.lms.find_enrollments("ada@example.com", "python-101")
    print(answer.status, type(sdk.lms).__module__, len(rows))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Return the interpreter of a fresh environment that has the built example."""
    folder = tmp_path_factory.mktemp("out_of_tree")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=EXAMPLE,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = _out(python, "-c", code).strip()
    # What is installed here is seen there: nothing has to be downloaded twice.
    mine = sysconfig.get_path("purelib")
    line = f"import site; site.addsitedir({mine!r})\n"
    (Path(packages) / "beside.pth").write_text(line)
    offline = ["--no-index", "--no-deps", "--disable-pip-version-check"]
    install = ["-m", "pip", "install", *offline, "--target", packages, str(wheel)]
    subprocess.run([sys.executable, *install], check=True, capture_output=True)
    return python


def _out(python, *arguments, **more):
    done = subprocess.run(
        [str(python), *arguments], capture_output=True, text=True, check=False, **more
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_plugin_is_found_by_its_entry_point(python):
    """`frappe-enroll plugins` lists it beside ours."""
    out = _out(python, "-m", "frappe_enroll_cli", "plugins", "--json")
    found = {plugin["name"]: plugin["status"] for plugin in json.loads(out)}
    assert found["file_lms"] == "loaded"


def test_enrollment_reaches_the_foreign_platform(python, tmp_path):
    """Chosen by name in the settings, nothing else changes."""
    platform = tmp_path / "lms.sqlite3"
    setup = (
        "from enroll_file_lms import FileLMS; from frappe_enroll_sdk.money import Money"
        f"; lms = FileLMS({str(platform)!r}); lms.create_platform()"
        "; lms.add_course('python-101', price=Money(4900, 'usd'))"
    )
    _out(python, "-c", setup)
    env = os.environ | {
        "FRAPPE_ENROLL_LMS": "file",
        "FILE_LMS_PATH": str(platform),
        "DATABASE_URL": f"sqlite:///{tmp_path / 'store.sqlite3'}",
        "STRIPE_SECRET_KEY": "sk_test_example",
        "STRIPE_WEBHOOK_SECRET": "whsec_example",
        "FRAPPE_ENROLL_PUBLIC_URL": "http://127.0.0.1:5000",
    }
    out = _out(python, "-c", _TALK, env=env)
    assert out.split() == ["enrolled", "enroll_file_lms", "1"]


@with_the_first_python
def test_conformance_suite_is_green(python):
    """The example's own tests: the public suite, over its one fixture."""
    out = _out(
        python,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        "-c",
        os.devnull,
        "--rootdir",
        str(EXAMPLE),
        str(EXAMPLE / "tests"),
    )
    passed = re.search(r"(\d+) passed", out)
    assert passed
    assert int(passed[1]) > 40
