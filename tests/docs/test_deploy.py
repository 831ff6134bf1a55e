# SPDX-License-Identifier: MIT
"""The unit file and the cron line that the docs ship are valid and do their work."""

from __future__ import annotations

import configparser
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.size import with_the_first_python

from frappe_enroll_sdk.clock import SystemClock
from frappe_enroll_sdk.models import JobState
from frappe_enroll_sql.storage import SQLStorage


DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"
UNIT, CRON = DEPLOY / "frappe-enroll-worker.service", DEPLOY / "frappe-enroll.cron"
INSTALLED = "/opt/frappe-enroll/bin/frappe-enroll"


class Unit(configparser.RawConfigParser):
    """A systemd unit: keys keep their case and may come more than once."""

    def __init__(self) -> None:
        super().__init__(strict=False, delimiters=("=",), comment_prefixes=("#",))

    def optionxform(self, optionstr):
        """Keep the case."""
        return optionstr


@pytest.fixture
def unit():
    """Return the unit file."""
    parsed = Unit()
    parsed.read_string(UNIT.read_text())
    return parsed


@pytest.fixture
def service(tmp_path):
    """Return a store with a job of an unknown kind, and its environment."""
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    storage = SQLStorage(url)
    storage.setup()
    now = SystemClock().now()
    storage.jobs.enqueue("job-1", "unknown", {}, now, now=now)
    environ = {
        "DATABASE_URL": url,
        "STRIPE_SECRET_KEY": "sk_test_x",
        "STRIPE_WEBHOOK_SECRET": "whsec_deploy_test",
        "FRAPPE_LMS_URL": "http://127.0.0.1:9",
        "FRAPPE_LMS_API_KEY": "key",
        "FRAPPE_LMS_API_SECRET": "secret",
    }
    yield storage, environ
    storage.close()


def here(command):
    """Return a shipped command with the program of this environment."""
    program = f"{sys.executable} -m frappe_enroll_cli"
    assert INSTALLED in command
    return command.replace(INSTALLED, program)


def test_unit_file_is_valid(tmp_path):
    """As systemd itself reads it, but for the paths that are not here."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd is not here")
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace(INSTALLED, sys.executable))
    found = subprocess.run(
        [analyze, "verify", "--man=no", str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    told = [line for line in found.stderr.splitlines() if UNIT.name in line]
    assert told == []


def test_unit_stops_the_worker_as_it_wants_to_be_stopped(unit):
    """Its time to stop is longer than the worker's own; 78 is not restarted."""
    service = unit["Service"]
    words = shlex.split(service["ExecStart"])
    own_s = float(words[words.index("--shutdown-timeout") + 1])
    assert float(service["TimeoutStopSec"]) > own_s
    assert service["KillSignal"] == "SIGTERM"
    assert service["RestartPreventExitStatus"] == "2 78"
    assert unit["Install"]["WantedBy"] == "multi-user.target"


def test_unit_names_credentials_that_are_settings(unit):
    """Each credential that is loaded is given to a setting by its file."""
    text = UNIT.read_text()
    loaded = {
        line.split(":")[0].split("=")[1]
        for line in text.splitlines()
        if line.startswith("LoadCredential=")
    }
    given = {
        line.rsplit("/", 1)[1] for line in text.splitlines() if "_FILE=%d/" in line
    }
    assert loaded == given
    assert unit["Service"]["Type"] == "exec"


def test_unit_is_started_again_for_as_long_as_it_takes(unit):
    """A database that comes back after an hour finds systemd still trying."""
    assert float(unit["Unit"]["StartLimitIntervalSec"]) == 0
    assert unit["Service"]["Restart"] == "always"


#: An environment file as systemd's manual describes it.
FILE = r"""
# a comment
; another
MONGODB_URI=mongodb://db1,db2/?replicaSet=rs0&tls=true
  FRAPPE_ENROLL_PAYMENT_ADDRESS=Main Street 1, Berlin, Germany@@
SINGLE='x  `y` \n "z"'
DOUBLE="double \"q\" \\ \n it's; & |"
PLAIN=back\slash\\two
APOSTROPHE=it\'s
SIGNS=a=b&c;d|e>f(g)*?
WORD=über
HASH=#no comment
QUOTED=a='b'
""".replace("@@", "  \t")
GENERATOR = Path(
    "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator"
)


def of_cron(file, tmp_path):
    """Return what the cron line's command would see of an environment file."""
    (line,) = [x for x in CRON.read_text().splitlines() if x.startswith("*")]
    command = line.split(maxsplit=6)[-1]
    command = command.replace("/etc/frappe-enroll/environment", str(file))
    command = command.replace("/run/lock/frappe-enroll", str(tmp_path / "lock"))
    begin, _, _ = command.partition(INSTALLED)
    printed = (
        f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    )
    done = subprocess.run(
        ["/bin/sh", "-c", begin + printed],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout or "{}")


def test_environment_file_is_read_by_cron_as_by_the_unit(tmp_path):
    """One file serves both, whatever its values hold."""
    file = tmp_path / "environment"
    file.write_text(FILE, encoding="utf-8")
    _, seen = of_cron(file, tmp_path)
    assert seen["MONGODB_URI"] == "mongodb://db1,db2/?replicaSet=rs0&tls=true"
    assert seen["FRAPPE_ENROLL_PAYMENT_ADDRESS"] == "Main Street 1, Berlin, Germany"
    assert seen["DOUBLE"] == 'double "q" \\ \\n it\'s; & |'
    assert (seen["PLAIN"], seen["APOSTROPHE"]) == ("backslash\\two", "it's")
    assert (seen["SIGNS"], seen["QUOTED"]) == ("a=b&c;d|e>f(g)*?", "a='b'")


def test_environment_file_is_read_by_cron_as_systemd_reads_it(tmp_path):
    """By systemd's own parser, where it is."""
    if not GENERATOR.exists():
        pytest.skip("systemd is not here")
    # Of quotes within a value the two parsers differ, as the cron file says.
    text = FILE.replace("QUOTED=a='b'\n", "")
    (tmp_path / "environment.d").mkdir()
    file = tmp_path / "environment.d" / "10.conf"
    file.write_text(text, encoding="utf-8")
    told = subprocess.run(
        [GENERATOR],
        env={"XDG_CONFIG_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    # It escapes backticks too, which shlex leaves as they are.
    words = shlex.split(told.stdout.replace("\\`", "`"))
    wanted = dict(word.split("=", 1) for word in words)
    names = [
        line.strip().partition("=")[0] for line in text.splitlines() if "=" in line
    ]
    _, seen = of_cron(file, tmp_path)
    assert {name: seen.get(name) for name in names} == {
        name: wanted.get(name) for name in names
    }


def test_cron_line_without_its_environment_does_no_pass(tmp_path):
    """It would work through a default database, and say that all is well."""
    code, seen = of_cron(tmp_path / "nowhere", tmp_path)
    assert (code != 0, seen) == (True, {})


def test_cron_line_is_one_that_cron_takes():
    """Vixie cron cuts a command at 999 characters."""
    assert max(len(line) for line in CRON.read_text().splitlines()) < 900


@with_the_first_python
def test_unit_command_runs_until_sigterm(unit, service):
    """`ExecStartPre` sets up, `ExecStart` works and exits 0 when it is told to stop."""
    storage, environ = service
    environ = os.environ | environ
    setup = shlex.split(here(unit["Service"]["ExecStartPre"]))
    subprocess.run(setup, env=environ, check=True, capture_output=True)
    command = shlex.split(here(unit["Service"]["ExecStart"]))
    process = subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        ends = time.monotonic() + 30
        while storage.jobs.find("job-1").state is JobState.DUE:
            assert time.monotonic() < ends, "the worker does its work"
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, out) == (0, ""), err


@with_the_first_python
def test_cron_line_does_a_pass(service, tmp_path):
    """Five fields, a user, and a command that a plain shell runs."""
    storage, environ = service
    (line,) = [x for x in CRON.read_text().splitlines() if x.startswith("*")]
    *times, user, command = line.split(maxsplit=6)
    assert (times, user) == (["*"] * 5, "frappe-enroll")
    file = tmp_path / "environment"
    file.write_text("".join(f"{k}={shlex.quote(v)}\n" for k, v in environ.items()))
    command = here(command).replace("/etc/frappe-enroll/environment", str(file))
    command = command.replace("/run/lock/frappe-enroll", str(tmp_path / "lock"))
    assert "%" not in command, "cron would take it for a new line"
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "PYTHONPATH")}
    done = subprocess.run(
        ["/bin/sh", "-c", command.replace(">/dev/null", "")],
        env=kept,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["dead"] == 1
    assert storage.jobs.find("job-1").state is JobState.DEAD
    (sign,) = storage.workers.list()
    assert sign.kind == "cron"
