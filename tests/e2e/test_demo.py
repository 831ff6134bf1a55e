# SPDX-License-Identifier: MIT
"""The demo from end to end, as a stranger runs it."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import urllib.request

import click
import pytest
from support.size import with_the_first_python


@with_the_first_python
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
    # The alerts and faults of the play belong to the story, not to a log beside it.
    assert not re.search(r"ERROR|WARNING|Traceback", done.stderr)
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

    from frappe_enroll_cli._internal.demo import command  # noqa: PLC0415  only here

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

    from frappe_enroll_cli._internal.demo import command  # noqa: PLC0415  only here

    monkeypatch.setattr(command, "SCENARIOS", [])
    logger = logging.getLogger("frappe_enroll_sdk")
    before = logger.level
    assert CliRunner().invoke(command.demo, ["--once"]).exit_code == 0
    assert logger.level == before


@pytest.mark.parametrize("as_json", [False, True])
def test_demo_that_stays_prints_urls_that_answer(monkeypatch, as_json):
    """Without `--once`: the URLs on stdout, or on stderr beside the JSON."""
    from click.testing import CliRunner  # noqa: PLC0415  only here

    from frappe_enroll_cli._internal.demo import command  # noqa: PLC0415  only here

    told, seen, echo = [], [], click.echo

    def remember(message="", **options):
        told.append(message)
        echo(message, **options)

    def visit():
        for url in re.findall(r"http://\S+", "\n".join(told)):
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  ours
                seen.append((answer.status, url))
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "SCENARIOS", [])
    monkeypatch.setattr(command.click, "echo", remember)
    monkeypatch.setattr(command, "_wait", visit)
    done = CliRunner().invoke(command.demo, ["--json"] if as_json else [])
    assert done.exit_code == 0, done.output
    assert [status for status, _ in seen] == [200, 200, 200]
    told_apart = done.stderr if as_json else done.stdout
    assert all(url in told_apart for _, url in seen)
    if as_json:
        assert json.loads(done.stdout) == {"ok": True, "scenarios": []}
