# SPDX-License-Identifier: MIT
"""The implementations fit their Protocols, by mypy's word and at run time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from frappe_enroll_sdk.interfaces import LMS, PaymentGateway, Storage
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sdk.testing.payments import FakePayments


ROOT = Path(__file__).parents[2]


def test_implementations_are_assignable():
    """Mypy strict over a module of assignments."""
    pytest.importorskip("mypy", reason="mypy is not installed here")
    paths = [ROOT, ROOT / "plugins", ROOT / "contrib", ROOT / "examples/lms_backend"]
    options = ["--strict", "--no-incremental", "--config-file", os.devnull]
    options += ["--ignore-missing-imports", "--follow-imports=silent"]
    module = str(Path(__file__).with_name("implementations.py"))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, module],
        env=os.environ | {"MYPYPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("fake", "protocol"),
    [(MemoryStorage(), Storage), (FakePayments(), PaymentGateway), (FakeLMS(), LMS)],
    ids=["storage", "payments", "lms"],
)
def test_fakes_are_instances_at_run_time(fake, protocol):
    """Hosts may ask with isinstance."""
    assert isinstance(fake, protocol)
