# SPDX-License-Identifier: MIT
"""The demo from end to end, as a stranger runs it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys


def test_demo_checks_every_scenario():
    """`frappe-enroll demo --once --json`: exit 0, and each expectation was observed."""
    done = subprocess.run(
        [sys.executable, "-m", "frappe_enroll_cli", "demo", "--once", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["ok"] is True
    assert [scenario["name"] for scenario in told["scenarios"]] == [
        "paid enrollment",
        "full grant",
        "partial grant, paid",
        "50 learners race for one code",
        "one event delivered 20 times at once",
        "forged event",
        "LMS outage and recovery",
        "process killed between payment and enrollment",
    ]
    for scenario in told["scenarios"]:
        assert scenario["ok"] is True
        assert scenario["expected"] == scenario["observed"]


def test_demo_that_does_not_hold_ends_with_1(monkeypatch):
    """A check that fails is told and fails the run."""
    from click.testing import CliRunner  # noqa: PLC0415  only here

    from frappe_enroll_cli.demo import command  # noqa: PLC0415  only here

    wrong = [("broken", lambda _stage, _say: ({"rows": 1}, {"rows": 2}))]
    monkeypatch.setattr(command, "SCENARIOS", wrong)
    done = CliRunner().invoke(command.demo, ["--once", "--json"])
    assert done.exit_code == 1
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["ok"] is False
    assert told["scenarios"][0]["observed"] == {"rows": 2}


def test_demo_leaves_the_logs_as_they_were(monkeypatch):
    """Its hush ends with it, also where a check fails."""
    from click.testing import CliRunner  # noqa: PLC0415  only here

    from frappe_enroll_cli.demo import command  # noqa: PLC0415  only here

    monkeypatch.setattr(command, "SCENARIOS", [])
    logger = logging.getLogger("frappe_enroll_sdk")
    before = logger.level
    assert CliRunner().invoke(command.demo, ["--once"]).exit_code == 0
    assert logger.level == before
