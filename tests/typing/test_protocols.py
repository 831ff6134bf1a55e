# SPDX-License-Identifier: MIT
"""The implementations fit their Protocols, by mypy's word and at run time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.size import LEAST, PROGRAM_DIFFERS

from frappe_enroll_sdk.interfaces import LMS, PaymentGateway, Storage
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sdk.testing.payments import FakePayments


HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="module")
def complaints():
    """Return the errors that mypy strict tells of both modules, by module and line."""
    pytest.importorskip("mypy", reason="mypy is not installed here")
    if LEAST:
        pytest.skip(PROGRAM_DIFFERS)
    paths = [ROOT, ROOT / "plugins", ROOT / "contrib", ROOT / "examples/lms_backend"]
    options = ["--strict", "--no-incremental", "--config-file", os.devnull]
    options += ["--ignore-missing-imports", "--follow-imports=silent", "--no-pretty"]
    modules = [str(HERE / name) for name in ("implementations.py", "wrong.py")]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *modules],
        env=os.environ | {"MYPYPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    told = re.findall(r"(\w+)\.py:(\d+): error: (.*)", done.stdout)
    return [(module, int(line), text) for module, line, text in told]


def test_implementations_are_assignable(complaints):
    """Mypy strict over a module of assignments."""
    assert [c for c in complaints if c[0] != "wrong"] == []


def test_what_does_not_fit_is_refused(complaints):
    """Every assignment of the wrong module: mypy sees the real classes."""
    text = (HERE / "wrong.py").read_text(encoding="utf-8").splitlines()
    wanted = [n for n, line in enumerate(text, 1) if line.startswith("    _")]
    assert len(wanted) == 5
    assert [line for module, line, _ in complaints if module == "wrong"] == wanted


@pytest.mark.parametrize(
    ("fake", "protocol"),
    [(MemoryStorage(), Storage), (FakePayments(), PaymentGateway), (FakeLMS(), LMS)],
    ids=["storage", "payments", "lms"],
)
def test_fakes_are_instances_at_run_time(fake, protocol):
    """Hosts may ask with isinstance."""
    assert isinstance(fake, protocol)
