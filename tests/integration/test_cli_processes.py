# SPDX-License-Identifier: MIT
"""The command as a process: signals, exit codes, two streams."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from support.size import with_the_first_python
from support.world import COURSE
from werkzeug.test import Client

from frappe_enroll_sandbox import LMSSandbox, StripeSandbox
from frappe_enroll_sdk import EnrollSDK
from frappe_enroll_sdk.models import Status
from frappe_enroll_wsgi import create_app


COMMAND = [sys.executable, "-m", "frappe_enroll_cli"]


@pytest.fixture
def lms():
    """Return an LMS with the course."""
    with LMSSandbox() as lms:
        lms.site.add_course(COURSE, 49.0, "USD")
        yield lms


@pytest.fixture
def service(db_folder, monkeypatch, lms):
    """Return an SDK whose environment the processes share."""
    with StripeSandbox() as stripe:
        for name, value in {
            "DATABASE_URL": f"sqlite:///{db_folder}/cli.sqlite3",
            "STRIPE_SECRET_KEY": stripe.secret_key,
            "STRIPE_WEBHOOK_SECRET": "whsec_cli_processes",
            "STRIPE_API_BASE": stripe.url,
            "FRAPPE_LMS_URL": lms.url,
            "FRAPPE_LMS_API_KEY": lms.api_key,
            "FRAPPE_LMS_API_SECRET": lms.api_secret,
            "FRAPPE_ENROLL_INLINE_S": "0",
            "FRAPPE_ENROLL_CRON_SECRET": "cron-secret-of-no-worth",
        }.items():
            monkeypatch.setenv(name, value)
        with EnrollSDK.from_env() as sdk:
            sdk.setup()
            yield sdk


@pytest.fixture
def start():
    """Return what starts the command; what still runs in the end is killed."""
    started = []

    def run(*arguments):
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate(timeout=10)


def wait(ready, what, seconds=30):
    """Poll until something is so."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_worker_runs_until_a_signal_and_exits_0(service, start, number):
    """Scenario 28: what runs is finished; the talk is on stderr."""
    worker = start("worker", "--concurrency", "2")
    code = service.coupons.create(100, COURSE).code
    answer = service.checkout(
        course_id=COURSE, email="ada@example.com", coupon_code=code
    )

    def enrolled():
        return service.enrollments.get(answer.enrollment_id).status is Status.ENROLLED

    wait(enrolled, "the worker does its work")
    worker.send_signal(number)
    out, err = worker.communicate(timeout=20)
    assert (worker.returncode, out) == (0, "")
    assert err == "stopping: finishing the running jobs\n"


@with_the_first_python
def test_second_signal_ends_a_worker_at_once(service, start, lms):
    """Scenario 28: what hangs is not waited for; its lease lapses, another does it."""
    fault = lms.fail_next("POST .*LMS Enrollment", "hang", seconds=60)
    code = service.coupons.create(100, COURSE).code
    answer = service.checkout(
        course_id=COURSE, email="ada@example.com", coupon_code=code
    )
    worker = start("worker", "--shutdown-timeout", "600")
    wait(lambda: fault.seen, "the worker is at work")
    worker.send_signal(signal.SIGTERM)
    assert worker.stderr.readline() == "stopping: finishing the running jobs\n"
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=30)
    assert worker.returncode == -signal.SIGTERM
    (job,) = service.storage.jobs.list().items
    assert (job.state, job.tries) == ("running", 1)
    assert service.enrollments.get(answer.enrollment_id).status is Status.CONFIRMED
    lms.heal()


def test_serve_answers_on_loopback(service, start):
    """The quick start of the README."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start("serve", "--port", str(port))

    def up():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
                return json.load(answer)["status"] == "ok"
        except (urllib.error.URLError, ConnectionError):
            return False

    wait(up, "the server is up")


def test_process_exit_codes_and_streams(service):
    """Data on stdout alone, so that a pipe reads nothing else."""

    def run(*arguments, **environ):
        return subprocess.run(
            [*COMMAND, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | environ,
        )

    done = run("check", "--json", FRAPPE_ENROLL_TRACE_PLUGINS="1")
    assert done.returncode == 0
    assert {"storage", "workers"} <= {one["name"] for one in json.loads(done.stdout)}
    bad = run("stats", FRAPPE_ENROLL_LEASE_S="0")
    assert (bad.returncode, bad.stdout) == (78, "")
    assert bad.stderr.startswith("ERROR: FRAPPE_ENROLL_LEASE_S")
    assert "Traceback" not in bad.stderr
    usage = run("worker", "--nope")
    assert (usage.returncode, usage.stdout) == (2, "")


def test_schema_that_newer_code_has_made_ends_every_process(service, start, db_folder):
    """A worker that runs stops, whatever starts does not: 78, and what to do."""
    worker = start("worker")
    wait(service.storage.workers.list, "the worker runs")
    with sqlite3.connect(db_folder / "cli.sqlite3") as connection:
        connection.execute("UPDATE schema_version SET version = version + 1")
    connection.close()
    _, err = worker.communicate(timeout=30)
    said = [(worker.returncode, err)]
    for arguments in (["setup"], ["worker", "--once"], ["worker"], ["serve"]):
        process = start(*arguments)
        said.append((process.wait(timeout=30), process.stderr.read()))
    assert [code for code, _ in said] == [78] * 5
    assert all("update frappe-enroll-sdk on this host" in err for _, err in said)
    client = Client(create_app(service))
    assert client.get("/readyz").status_code == 503
    answer = client.post(
        "/cron/run", headers={"Authorization": "Bearer cron-secret-of-no-worth"}
    )
    assert answer.status_code == 503
    check = next(one for one in service.examine() if one.name == "storage")
    assert "newer than this code" in check.cause


def test_file_that_is_gone_is_told_by_readyz_and_check(service, db_folder):
    """Both say so; and the process is ready again once a backup is in its place."""
    path = db_folder / "cli.sqlite3"
    copy = db_folder / "copy.sqlite3"
    with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    source.close()
    target.close()

    service.storage.ping()
    for ending in ("", "-wal", "-shm"):
        (db_folder / f"cli.sqlite3{ending}").unlink()
    client = Client(create_app(service))
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["checks"]["storage"]) == (503, "down")
    check = next(one for one in service.examine() if one.name == "storage")
    assert "there is no database file any more" in check.cause
    copy.rename(path)
    assert Client(create_app(service)).get("/readyz").status_code == 200
    assert next(one for one in service.examine() if one.name == "storage").state == "ok"
