# SPDX-License-Identifier: MIT
"""Eight processes work while their database is killed, elects anew and rolls back."""

from __future__ import annotations

import time
import uuid

import pytest
from support.failover import Crowd, settings_for
from support.mongod import Mongod, ReplicaSet
from support.realworld import RealWorld
from support.size import LEAST, SERVER_DIFFERS, times


pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(LEAST, reason=SERVER_DIFFERS),
]

#: Acknowledgements that each process gets between two disasters.
WORK = times(2, 25)
#: Else a primary streams its oplog to stopped secondaries, into their sockets' buffers.
_ASK_EACH_TIME = "--setParameter=oplogFetcherUsesExhaust=false"


def new_world(uri, folder):
    """Return the settings and a world on a database of the test's own."""
    settings = settings_for(uri, f"failover_{uuid.uuid4().hex}")
    return settings, RealWorld(folder, **settings)


def report(crowd, what) -> None:
    """Print the counts."""
    kinds = ("checkout", "webhook", "jobs", "error")
    told = {kind: crowd.count(kind) for kind in kinds}
    print(f"{what}: {told}")  # noqa: T201  the figures are the point


def test_primary_killed_three_times_loses_and_doubles_nothing(mongod_binary, tmp_path):
    """SIGKILL and restart the primary, three times: every client goes on by itself."""
    with ReplicaSet(3) as replica_set:
        settings, world = new_world(replica_set.uri, tmp_path)
        with world, Crowd(world, settings) as crowd:
            crowd.wait_for(WORK)
            for _ in range(3):
                primary = replica_set.primary()
                primary.kill()
                crowd.wait_for(WORK)
                primary.start()
                replica_set.wait()
            crowd.wait_for(WORK)
            crowd.stop()
            report(crowd, "primary killed three times")
            crowd.check()


def test_true_rollback_loses_nothing_that_was_acknowledged(mongod_binary, tmp_path):
    """Writes that only the primary had are rolled back; nobody was promised them."""
    with ReplicaSet(3, _ASK_EACH_TIME) as replica_set:
        settings, world = new_world(replica_set.uri, tmp_path)
        with world, Crowd(world, settings) as crowd:
            crowd.wait_for(WORK)
            primary, others = replica_set.primary(), replica_set.secondaries()
            for other in others:
                other.pause()
            written = _write_alone(primary)
            primary.kill()
            for other in others:
                other.resume()
            replica_set.primary()
            crowd.wait_for(WORK)
            primary.start()
            replica_set.wait()
            assert _marks(replica_set.primary()) < written, "nothing was rolled back"
            crowd.wait_for(WORK)
            crowd.stop()
            report(crowd, "true rollback")
            crowd.check()


def _write_alone(primary: Mongod) -> int:
    """
    Write what no secondary will have; return how many documents.

    For less time than it takes the primary to step down; the first of them may go out
    with an answer that a secondary was waiting for when it was stopped.
    """
    number, ends = 0, time.monotonic() + 1.0
    with primary.client(w=1) as client:
        marks = client.rollback.marks
        while time.monotonic() < ends:
            marks.insert_one({"_id": number})
            number += 1
            time.sleep(0.02)
    return number


def _marks(primary: Mongod) -> int:
    with primary.client() as client:
        return client.rollback.marks.count_documents({})


def test_standalone_killed_three_times_loses_and_doubles_nothing(
    mongod_binary, tmp_path
):
    """The same with one server that has no retryable writes."""
    with Mongod() as server:
        settings, world = new_world(server.uri, tmp_path)
        with world, Crowd(world, settings) as crowd:
            for _ in range(3):
                crowd.wait_for(WORK)
                server.kill()
                time.sleep(0.5)
                server.start()
            crowd.wait_for(WORK)
            crowd.stop()
            report(crowd, "standalone killed three times")
            crowd.check()
