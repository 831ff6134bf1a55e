# SPDX-License-Identifier: MIT
"""Stopping: what runs is finished or given back, exit 0, whoever listens or not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest
from support.size import with_the_first_python
from support.world import COURSE

from frappe_enroll_sandbox import LMSSandbox
from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.models import Status


COMMAND = [sys.executable, "-m", "frappe_enroll_cli"]
SIGNALS = [signal.SIGTERM, signal.SIGINT]


@pytest.fixture
def lms():
    """Return an LMS with the course."""
    with LMSSandbox() as lms:
        lms.site.add_course(COURSE, 49.0, "USD")
        yield lms


@pytest.fixture
def environ(tmp_path, lms):
    """Return the environment that the processes share."""
    return {k: v for k, v in os.environ.items() if k.startswith(("PATH", "PYTHON"))} | {
        "DATABASE_URL": f"sqlite:///{tmp_path}/store.sqlite3",
        "STRIPE_SECRET_KEY": "sk_test_x",
        "STRIPE_WEBHOOK_SECRET": "whsec_stopping",
        "FRAPPE_LMS_URL": lms.url,
        "FRAPPE_LMS_API_KEY": lms.api_key,
        "FRAPPE_LMS_API_SECRET": lms.api_secret,
        "FRAPPE_ENROLL_INLINE_S": "0",
        "FRAPPE_ENROLL_PUBLIC_URL": "https://shop.example.com/enroll",
    }


@pytest.fixture
def sdk(environ):
    """Return an SDK on the same store."""
    with EnrollSDK(Settings.from_env(environ)) as sdk:
        sdk.setup()
        yield sdk


@pytest.fixture
def start(environ):
    """Return what starts the command; what still runs in the end is killed."""
    started = []

    def run(*words, before=(), **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        process = subprocess.Popen([*before, *COMMAND, *words], env=environ, **options)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait(timeout=10)
        for stream in filter(None, (process.stdout, process.stderr)):
            stream.close()


def wait(ready, what, seconds=30):
    """Poll until something is so."""
    ends = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < ends, what
        time.sleep(0.02)


def enroll(sdk, n):
    """Owe the LMS so many enrolments; return their ids."""
    return [
        sdk.checkout(
            course_id=COURSE,
            email=f"learner{number}@example.com",
            coupon_code=sdk.coupons.create(100, COURSE).code,
        ).enrollment_id
        for number in range(n)
    ]


def at_work(lms):
    """Wait until an insert is under way, that takes two seconds."""
    wait(
        lambda: any(m == "POST" and "Enrollment" in p for m, p in lms.requests),
        "an insert is under way",
    )


def check_nothing_is_half_done(sdk, ids):
    """What ran is finished, what did not is due, nothing hangs on a lease."""
    done = [sdk.enrollments.get(i).status is Status.ENROLLED for i in ids]
    assert any(done)
    for job in sdk.admin.jobs(limit=10).items:
        assert job.state in ("done", "due"), job


@with_the_first_python
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("words", [("worker",), ("worker", "--once")])
def test_signal_lets_what_runs_finish(sdk, start, lms, words, number):
    """The worker and a cron pass alike, with exit 0."""
    ids = enroll(sdk, 3)
    lms.fail_next("POST .*Enrollment", "latency", seconds=2.0)
    process = start(*words)
    at_work(lms)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    check_nothing_is_half_done(sdk, ids)
    if "--once" in words:
        report = json.loads(out)
        assert (report["succeeded"], report["due_left"]) == (1, 2)


@with_the_first_python
@pytest.mark.parametrize("words", [("worker",), ("worker", "--once")])
def test_signal_ends_the_first_process_of_a_container(sdk, start, lms, words):
    """The kernel ignores for it whatever has no handler; a second one ends it, too."""
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() != 0:
        pytest.skip("a namespace of processes needs root and unshare")
    ids = enroll(sdk, 1)
    lms.fail_next("POST .*Enrollment", "latency", seconds=1.0)
    process = start(*words, before=[unshare, "--pid", "--fork", "--kill-child"])
    at_work(lms)
    (child,) = children_of(process.pid)
    os.kill(child, signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0
    check_nothing_is_half_done(sdk, ids)
    enroll_more = sdk.coupons.create(100, COURSE).code
    sdk.checkout(course_id=COURSE, email="eve@example.com", coupon_code=enroll_more)
    lms.requests.clear()
    fault = lms.fail_next("POST .*Enrollment", "hang", seconds=60)
    process = start(*words, before=[unshare, "--pid", "--fork", "--kill-child"])
    wait(lambda: fault.seen, "the insert hangs")
    (child,) = children_of(process.pid)
    os.kill(child, signal.SIGTERM)
    time.sleep(0.5)
    os.kill(child, signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
    lms.heal()


def children_of(pid):
    """Return the ids of a process's children."""
    told = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(word) for word in told.stdout.split()]


@with_the_first_python
@pytest.mark.parametrize("words", [("worker",), ("worker", "--once")])
@pytest.mark.parametrize("gone", ["closed", "pipe"])
def test_output_that_nobody_reads_is_in_nobodys_way(sdk, start, lms, words, gone):
    """A closed stderr, or a pipe without a reader, costs no claim and no exit code."""
    ids = enroll(sdk, 2)
    lms.fail_next("POST .*Enrollment", "latency", seconds=1.0)
    if gone == "closed":
        shell = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh"]
        process = start(*words, before=shell, stdout=None, stderr=None)
    else:
        process = start(*words)
        process.stdout.close()
        process.stderr.close()
    at_work(lms)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    check_nothing_is_half_done(sdk, ids)


@with_the_first_python
def test_signal_before_there_is_work_ends_the_command(environ, start):
    """While it still looks for its database: nothing is under way, exit 0."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        environ["MONGODB_URI"] = f"mongodb://127.0.0.1:{deaf.getsockname()[1]}/"
        process = start("worker")
        asker, _ = deaf.accept()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=8)
        asker.close()
    assert process.returncode == 0


@with_the_first_python
@pytest.mark.parametrize("number", SIGNALS)
def test_server_finishes_its_requests(sdk, start, lms, number):
    """`serve` takes no more connections, answers what it has begun, exits 0."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = start("serve", "--port", str(port))

    def get(path):
        return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20)

    def is_up():
        try:
            return get("/healthz").status == 200
        except (urllib.error.URLError, ConnectionError):
            return False

    wait(is_up, "the server is up")
    lms.fail_next("GET .*", "latency", seconds=2.0)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(get("/readyz").status))
    asked = len(lms.requests)
    thread.start()
    wait(lambda: len(lms.requests) > asked, "the request is under way")
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    thread.join(30)
    assert answers == [200]
    assert process.returncode == 0, err


@with_the_first_python
def test_server_whose_port_is_taken_may_have_it_later(sdk, start):
    """Exit 69, with the port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = start("serve", "--port", port)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 69
    assert f"--port {port}: ".encode() in err
    assert b"Traceback" not in err
