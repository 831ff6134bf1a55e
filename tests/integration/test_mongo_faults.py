# SPDX-License-Identifier: MIT
"""
Every verb, when one of its commands fails: the same answer, the same documents.

A command never arrives, its answer is lost, it lands when the verb has long ended, or
a majority does not acknowledge it. One such fault never shows.
"""

from __future__ import annotations

import random
import re
import secrets

import pytest
from pymongo import WriteConcern, common
from support.size import FULL, LEAST, SERVER_DIFFERS
from support.wire import Wire

from frappe_enroll_mongo.storage import MongoStorage
from frappe_enroll_sdk.testing.conformance.verbs import VERBS, fill


pytestmark = pytest.mark.skipif(LEAST, reason=SERVER_DIFFERS)

#: What tells one write from another, and nothing else.
STAMPS = frozenset({"rev", "op", "seen", "claim", "token"})
READS = frozenset({"find", "aggregate", "getMore"})
#: What only a write can meet: a read that comes late is of no interest.
WRITE_FAULTS = ("late", "unacknowledged")
FAULTS = ("cut", "lose", *WRITE_FAULTS)
#: A delete leaves nothing that would tell whose it was: how many there were is lost.
COUNTS = frozenset({"jobs.prune", "workers.prune"})


class Lab:
    """A filled database behind a wire, as it was before each run."""

    def __init__(self, server, wire) -> None:
        self.server, self.wire = server, wire
        self._name = f"faults_{secrets.token_hex(4)}"
        storage = MongoStorage(server.uri, self._name)
        fill(storage)
        storage.close()
        self._client = server.client()
        self._database = self._client[self._name]
        self._filled = self._read()

    def _read(self) -> dict[str, list]:
        names = self._database.list_collection_names()
        return {name: [*self._database[name].find().sort("_id")] for name in names}

    def run(self, verb, plan):
        """Run a verb by a plan; return its answer, the documents, the commands."""
        for name, rows in self._filled.items():
            # A fresh client looks for the schema's mark among what is committed.
            concern = WriteConcern("majority" if name == "meta" else 1)
            table = self._database[name].with_options(write_concern=concern)
            table.delete_many({})
            if rows:
                table.insert_many(rows)
        storage = MongoStorage(self.wire.uri, self._name)
        # Durable: and so is all that was written before.
        storage.ping()
        storage.workers.list()
        self.wire.arm(plan)
        answer = re.sub("[0-9a-f]{32}", "…", repr(VERBS[verb](storage)))
        commands = self.wire.log
        self.wire.arm(None)
        self.wire.deliver()
        storage.close()
        return answer, self._documents(), commands

    def _documents(self) -> dict[str, list]:
        rows = self._read()
        rows.pop("meta")
        return {
            name: [
                {key: value for key, value in row.items() if key not in STAMPS}
                for row in found
            ]
            for name, found in rows.items()
        }

    def close(self) -> None:
        """Drop the database."""
        self._client.drop_database(self._name)
        self._client.close()


def fault_at(server, number, fault):
    """Return the plan that lets the verb's command of this number fail."""

    def plan(at, name, _command):
        if at != number:
            return None
        if fault != "unacknowledged":
            return fault
        refusal = {"code": 64, "errmsg": "waiting for replication timed out"}
        server.fail(name, mode={"times": 1}, writeConcernError=refusal)
        return None

    return plan


def faults_of(commands):
    """Return each (number, fault) that a verb of these commands can meet."""
    return [
        (number, fault)
        for number, name in enumerate(commands, 1)
        for fault in FAULTS
        if name not in READS or fault not in WRITE_FAULTS
    ]


@pytest.fixture(scope="module")
def soon_again():
    """Let the driver look at once for a server whose connection broke, not in 0.5 s."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(common, "MIN_HEARTBEAT_INTERVAL", 0.01)
        yield


@pytest.fixture(scope="module", params=["standalone", "replica set"])
def lab(request, soon_again):
    """Return a filled database behind a wire, on either sort of server."""
    if request.param == "standalone":
        server = request.getfixturevalue("mongod")
    else:
        server = request.getfixturevalue("one_node").members[0]
    with Wire(server.port) as wire:
        lab = Lab(server, wire)
        yield lab
        lab.close()


@pytest.mark.parametrize("verb", VERBS)
def test_one_fault_never_shows(lab, verb):
    """Whichever command fails, the answer and the documents are those of no fault."""
    answer, documents, commands = lab.run(verb, None)
    assert commands
    faults = faults_of(commands)
    if not FULL:
        faults = random.sample(faults, 1)
    for number, fault in faults:
        plan = fault_at(lab.server, number, fault)
        got, found, after = lab.run(verb, plan)
        what = f"{fault} at {number} of {commands}, then {after}"
        assert documents == found, what
        assert verb in COUNTS or answer == got, what
        # (A duplicate key hides that its refusal was not acknowledged.)
        hidden = fault == "unacknowledged" and commands[number - 1] == "insert"
        assert hidden or len(after) > len(commands), what
