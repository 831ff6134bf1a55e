# SPDX-License-Identifier: MIT
"""The surface under real servers: gunicorn (fork and threads) and waitress."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.realworld import COURSE, SECRET, RealWorld
from support.size import with_the_first_python


pytestmark = with_the_first_python

APP = """
import os
from frappe_enroll_sdk import EnrollSDK
from frappe_enroll_wsgi import create_app

sdk = EnrollSDK.from_env()
sdk.setup()
application = create_app(sdk)
"""
SERVERS = {
    "gunicorn-threads": [
        "gunicorn",
        "--workers=2",
        "--threads=4",
        "--graceful-timeout=20",
    ],
    "gunicorn-preload": ["gunicorn", "--workers=2", "--threads=4", "--preload"],
    "waitress": ["waitress"],
}


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server process over a world."""

    def __init__(self, folder, world, kind):
        pytest.importorskip(SERVERS[kind][0], reason="the server is not installed")
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        (folder / "served.py").write_text(APP, encoding="utf-8")
        name, *options = SERVERS[kind]
        where = (
            f"--listen=127.0.0.1:{port}"
            if name == "waitress"
            else f"--bind=127.0.0.1:{port}"
        )
        environ = os.environ | {
            "DATABASE_URL": f"sqlite:///{world.database}",
            "STRIPE_SECRET_KEY": "sk_test_sandbox",
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "STRIPE_API_BASE": world.urls["stripe"],
            "FRAPPE_LMS_URL": world.urls["lms"],
            "FRAPPE_LMS_API_KEY": "sandbox-key",
            "FRAPPE_LMS_API_SECRET": "sandbox-secret",
            "FRAPPE_ENROLL_PUBLIC_URL": self.url,
            "FRAPPE_ENROLL_RATE_LIMITS": "off",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", name, where, *options, "served:application"],
            cwd=folder,
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait()

    def _wait(self):
        ends = time.monotonic() + 30
        while True:
            try:
                assert self.call("/healthz")[0] == 200
            except OSError:
                assert time.monotonic() < ends, "the server never came up"
                time.sleep(0.1)
            else:
                return

    def call(self, path, fields=None):
        """Send a request; return status and body."""
        data = None if fields is None else json.dumps(fields).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def stop(self, number=signal.SIGTERM):
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(40)


@pytest.fixture
def world(tmp_path):
    """Return both sandboxes and a SQLite file."""
    with RealWorld(tmp_path) as world:
        yield world


@pytest.mark.parametrize("kind", list(SERVERS))
def test_race_for_one_code_under_a_server(world, tmp_path, kind):
    """Processes and threads at once: one wins, nobody sees a 5xx."""
    code = world.sdk.coupons.create(100, COURSE).code
    server = Server(tmp_path, world, kind)
    try:
        fields = [
            {"course_id": COURSE, "email": f"l{n}@example.com", "coupon_code": code}
            for n in range(16)
        ]
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda f: server.call("/checkout", f), fields))
    finally:
        server.stop()
    statuses = [status for status, _ in answers]
    assert statuses.count(201) == 1
    assert statuses.count(409) == 15
    world.let_time_pass()
    world.check()


def test_sigterm_lets_a_checkout_finish(world, tmp_path):
    """Scenario 28 for the web: what runs is answered, and the server ends with 0."""
    world.lms.fail_next("POST .*LMS.{1,3}Enrollment$", "latency", seconds=2)
    code = world.sdk.coupons.create(100, COURSE).code
    server = Server(tmp_path, world, "gunicorn-threads")
    fields = {"course_id": COURSE, "email": "ada@example.com", "coupon_code": code}
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(server.call, "/checkout", fields)
        ends = time.monotonic() + 20
        while not any("Enrollment" in path for _, path in world.lms.requests):
            assert time.monotonic() < ends
            time.sleep(0.02)
        assert server.stop() == 0
        status, body = running.result(30)
    assert (status, body["status"]) == (201, "enrolled")
    world.check()


def test_sigkill_of_the_server_loses_nothing(world, tmp_path):
    """The worst end of a request: time and cron bring it to its own."""
    world.lms.fail_next("POST .*LMS.{1,3}Enrollment$", "hang", seconds=30)
    code = world.sdk.coupons.create(100, COURSE).code
    server = Server(tmp_path, world, "gunicorn-threads")
    fields = {"course_id": COURSE, "email": "ada@example.com", "coupon_code": code}
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(server.call, "/checkout", fields)
        ends = time.monotonic() + 20
        while not any("Enrollment" in path for _, path in world.lms.requests):
            assert time.monotonic() < ends
            time.sleep(0.02)
        children = subprocess.run(
            ["pgrep", "-P", str(server.process.pid)],
            capture_output=True,
            text=True,
            check=True,
        )
        server.stop(signal.SIGKILL)
        for child in children.stdout.split():
            os.kill(int(child), signal.SIGKILL)
        with pytest.raises(OSError):
            running.result(30)
    world.lms.heal()
    world.let_time_pass()
    world.check()
    assert [row.status for row in world.rows()] == ["enrolled"]
