# SPDX-License-Identifier: MIT
"""The command on hosts as they are: words and a documented exit code, no traceback."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys

import pytest
from support.size import with_the_first_python


COMMAND = [sys.executable, "-m", "frappe_enroll_cli"]
KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "COVERAGE_PROCESS_START")


@pytest.fixture
def environ(tmp_path):
    """Return an environment in which the command works."""
    return {name: os.environ[name] for name in KEPT if name in os.environ} | {
        "HOME": str(tmp_path / "home"),
        "DATABASE_URL": f"sqlite:///{tmp_path}/store.sqlite3",
        "STRIPE_SECRET_KEY": "sk_test_x",
        "STRIPE_WEBHOOK_SECRET": "whsec_hosts_test",
        "FRAPPE_LMS_URL": "http://127.0.0.1:9",
        "FRAPPE_LMS_API_KEY": "key",
        "FRAPPE_LMS_API_SECRET": "secret",
    }


def run(environ, *words, before=(), **options):
    """Run the command; its output is bytes."""
    done = subprocess.run(
        [*before, *COMMAND, *words],
        env=environ,
        capture_output=True,
        check=False,
        timeout=60,
        **options,
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode(errors="replace")
    return done


@with_the_first_python
@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ({"LOG_LEVEL": "verbose"}, 2, b"not one of critical"),
        ({"LOG_LEVEL": "10"}, 2, b"not one of critical"),
        ({"LOG_LEVEL": " Info "}, 0, b""),
        ({"LOG_FORMAT": "yaml"}, 2, b"--log-format"),
        ({"DATABASE_URL": "sqlite:///~/store.sqlite3"}, 78, b"~"),
        ({"DATABASE_URL": "sqlite:////srv/~/store.sqlite3"}, 78, b"~"),
        ({"DATABASE_URL": "", "XDG_DATA_HOME": "~/data"}, 78, b"~"),
        ({"DATABASE_URL": "sqlite:///file::memory:?uri=true"}, 78, b"must name a file"),
        ({"DATABASE_URL": "sqlite:///file:m?mode=memory&uri=true"}, 78, b"must name"),
        ({"DATABASE_URL": "sqlite:////proc/frappe-enroll/s.db"}, None, b"be made"),
        ({"DATABASE_URL": "sqlite:////dev/null/s.db"}, 78, b"can't be made"),
        ({"FRAPPE_ENROLL_SERVICE_HOST": "10.96.14.7"}, 0, b""),
    ],
)
def test_setup_says_what_is_wrong_with_its_host(environ, more, code, words, tmp_path):
    """Each with the documented exit code, and nothing is made in the wrong place."""
    done = run(environ | more, "setup", cwd=tmp_path)
    assert done.returncode == code or (code is None and done.returncode in (69, 78))
    assert words in done.stderr
    assert not (tmp_path / "~").exists()


@with_the_first_python
def test_user_without_a_home_is_told_to_name_a_database(environ):
    """An arbitrary uid has no passwd entry, and a container sets no HOME."""
    setpriv = shutil.which("setpriv")
    if setpriv is None or os.geteuid() != 0:
        pytest.skip("another uid needs root and setpriv")
    caps = "+dac_override,+dac_read_search"
    before = [setpriv, "--reuid", "54321", "--regid", "54321", "--clear-groups"]
    before += [f"--inh-caps={caps}", f"--ambient-caps={caps}"]
    bare = {k: v for k, v in environ.items() if k not in ("HOME", "DATABASE_URL")}
    done = run(bare, "setup", before=before)
    assert done.returncode == 78
    assert b"DATABASE_URL: no database is configured" in done.stderr


@with_the_first_python
@pytest.mark.parametrize("coding", ["ascii", "latin-1", "cp437", "utf-8"])
def test_any_terminal_can_be_printed_to(environ, coding):
    """What it can't show is escaped as JSON does it, so that a line stays one."""
    name = "Ада © 👩 Müller"
    # Python takes ASCII for a terminal that was set up wrong, and writes UTF-8.
    read = "utf-8" if coding == "ascii" else coding
    assert run(environ, "setup").returncode == 0
    words = ("affiliates", "register", "ada@example.com", "--name", name)
    assert run(environ, *words, "--code", "ada1").returncode == 0
    done = run(environ | {"PYTHONIOENCODING": coding}, "affiliates", "list")
    assert done.returncode == 0
    assert json.loads(done.stdout.decode(read))["full_name"] == name
    template = run(environ | {"PYTHONIOENCODING": coding}, "config", "--template")
    assert (template.returncode, template.stderr) == (0, b"")
    refused = run(environ | {"PYTHONIOENCODING": coding}, "coupons", "show", "Ада")
    assert refused.returncode == 1
    assert refused.stderr


@with_the_first_python
@pytest.mark.parametrize("given", ["option", "variable"])
def test_metrics_port_that_is_taken_may_be_free_later(environ, given):
    """Exit 69 with the port: a supervisor tries again."""
    assert run(environ, "setup").returncode == 0
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        more = {"WORKER_METRICS_PORT": port} if given == "variable" else {}
        words = ("--metrics-port", port) if given == "option" else ()
        done = run(environ | more, "worker", *words)
    assert done.returncode == 69
    assert f"--metrics-port {port}: ".encode() in done.stderr


@with_the_first_python
@pytest.mark.parametrize(
    ("value", "code"), [("tcp://10.96.14.9:9102", 0), ("9102/tcp", 2)]
)
def test_metrics_port_of_a_kubernetes_service_is_not_ours(environ, value, code):
    """A Service named worker-metrics injects the variable; a typo is a usage error."""
    assert run(environ, "setup").returncode == 0
    more = {"WORKER_METRICS_PORT": value}
    assert run(environ | more, "worker", "--once").returncode == code
