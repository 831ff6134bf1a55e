# SPDX-License-Identifier: MIT
"""The surface under real servers: gunicorn (fork and threads) and waitress."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.realworld import COURSE, RealWorld
from support.servers import SERVERS, serve
from support.size import with_the_first_python


pytestmark = with_the_first_python


@pytest.fixture
def world(tmp_path):
    """Return both sandboxes and a SQLite file."""
    with RealWorld(tmp_path) as world:
        yield world


@pytest.mark.parametrize("kind", list(SERVERS))
def test_race_for_one_code_under_a_server(world, tmp_path, kind):
    """Processes and threads at once: one wins, nobody sees a 5xx."""
    code = world.sdk.coupons.create(100, COURSE).code
    server = serve(tmp_path, world, kind)
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
    server = serve(tmp_path, world, "gunicorn-threads")
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
    server = serve(tmp_path, world, "gunicorn-threads")
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
