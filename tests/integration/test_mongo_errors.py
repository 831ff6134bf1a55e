# SPDX-License-Identifier: MIT
"""A server that can't be used: typed errors, exit 69, nothing half done, recovery."""

from __future__ import annotations

import sys
import traceback

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern
from support.mongod import Mongod, wait_until
from support.size import LEAST, SERVER_DIFFERS

from frappe_enroll_cli.main import main
from frappe_enroll_mongo.storage import MongoStorage
from frappe_enroll_sandbox import LMSSandbox, StripeSandbox
from frappe_enroll_sdk.errors import StorageUnavailableError, UnclearWriteError
from frappe_enroll_sdk.interfaces.tables import Swap
from frappe_enroll_sdk.models import ReserveOutcome
from frappe_enroll_sdk.stores.layout import JOBS, TABLES
from frappe_enroll_sdk.testing.conformance.records import (
    NOW,
    after,
    coupon,
    enrollment,
)


pytestmark = pytest.mark.skipif(LEAST, reason=SERVER_DIFFERS)
SECRET = "zz-9f3a-secret"
SOON = "&timeoutMS=1500&serverSelectionTimeoutMS=700"
WRITES = ("insert", "update", "findAndModify", "delete", "collMod", "createIndexes")
VERBS = {
    "setup": lambda s: s.setup(),
    "ping": lambda s: s.ping(),
    "reserve": lambda s: s.coupons.reserve("GRANT-1", "enr_0001", NOW, after(900)),
    "open": lambda s: s.enrollments.open(enrollment(1)),
    "enqueue": lambda s: s.jobs.enqueue("new", "k", {}, NOW, now=NOW),
    "claim": lambda s: s.jobs.claim("w", NOW, 60, 10),
    "record": lambda s: s.events.record("evt_1", {"type": "t"}, now=NOW),
}
COMMANDS = (["setup"], ["check"], ["worker", "--once"], ["jobs", "list"])


class Broken:
    """A server in some trouble: how it is reached, and how it is mended."""

    #: Whether only writes are refused.
    reads = True

    def __init__(self, request) -> None:
        self.name = f"errors_{type(self).__name__.lower()}"
        self.prepare(request)

    def fill(self, uri) -> None:
        """Make the schema and a little to work on, before the trouble."""
        self.good = uri
        with MongoClient(uri) as client:
            client.drop_database(self.name)
        storage = MongoStorage(uri, self.name)
        storage.setup()
        storage.coupons.create(coupon())
        storage.jobs.enqueue("job-1", "sync", {}, NOW, now=NOW)
        storage.close()

    def dump(self):
        """Return every document, as somebody sees it who may."""
        with MongoClient(self.good) as client:
            names = [table.name for table in TABLES]
            return {name: [*client[self.name][name].find()] for name in names}


class Unreachable(Broken):
    """Nobody listens."""

    reads = False

    def prepare(self, request):
        self.server = Mongod().start()
        request.addfinalizer(self.server.remove)
        self.fill(self.server.uri)
        self.before = self.dump()
        self.server.kill()
        self.uri = self.server.uri

    def mend(self):
        self.server.start()


class FailingWrites(Broken):
    """The disk is full."""

    def prepare(self, request):
        self.server = request.getfixturevalue("mongod")
        self.fill(self.server.uri)
        self.before = self.dump()
        self.uri = self.server.uri
        self.server.fail(*WRITES, errorCode=14031)
        request.addfinalizer(self.server.heal)

    def mend(self):
        self.server.heal()


class WithUsers(Broken):
    """A server with users: they are given what they lack."""

    def prepare(self, request):
        self.server = Mongod("--auth").start()
        request.addfinalizer(self.server.remove)
        self.fill(self.server.add_user("root", "root"))
        self.before = self.dump()
        self.uri = self.server.add_user(SECRET, *self.roles)

    def as_root(self, *command, **more):
        with MongoClient(self.good) as client:
            client.admin.command(*command, **more)


class ReadOnly(WithUsers):
    """The user may only read."""

    roles = ("readAnyDatabase",)

    def mend(self):
        wanted = ("readWriteAnyDatabase", "dbAdminAnyDatabase")
        roles = [{"role": role, "db": "admin"} for role in wanted]
        self.as_root("grantRolesToUser", SECRET, roles=roles)


class WrongPassword(WithUsers):
    """The password is another one."""

    roles, reads = ("readWriteAnyDatabase", "dbAdminAnyDatabase"), False

    def prepare(self, request):
        super().prepare(request)
        self.as_root("updateUser", SECRET, pwd="another")

    def mend(self):
        self.as_root("updateUser", SECRET, pwd=SECRET)


class NotPrimary(Broken):
    """The URI names a secondary, and no other member."""

    def prepare(self, request):
        self.nodes = request.getfixturevalue("three_nodes")
        self.nodes.wait()
        self.fill(self.nodes.uri)
        self.before = self.dump()
        self.second = self.nodes.secondaries()[0]
        self.uri = self.second.uri
        with self.second.client() as client:
            database = client.get_database(
                self.name, read_concern=ReadConcern("majority")
            )
            wait_until(
                lambda: all(database[name].find_one() for name in ("coupons", "jobs")),
                "the secondary lags behind",
            )

    def mend(self):
        wait_until(self._step_up, "the secondary does not win an election")
        self.nodes.wait()

    def _step_up(self):
        try:
            return self.second.command("replSetStepUp")["ok"]
        except OperationFailure:
            # The others have not caught up with it, or it not with them.
            return False


CASES = [Unreachable, FailingWrites, ReadOnly, WrongPassword, NotPrimary]


@pytest.fixture(params=CASES, ids=lambda case: case.__name__)
def broken(request):
    """Return a server in trouble."""
    return request.param(request)


@pytest.fixture
def storage(broken):
    """Return a store on the server in trouble."""
    storage = MongoStorage(broken.uri + SOON, broken.name)
    yield storage
    storage.close()


def test_trouble_is_a_typed_error_and_passes_without_a_restart(broken, storage):
    """Each verb says that the store is down, does nothing, and works again later."""
    for name, verb in VERBS.items():
        with pytest.raises(StorageUnavailableError) as caught:
            pytest.fail(f"{name} answers {verb(storage)}")
        said = "".join(traceback.format_exception(caught.value))
        assert SECRET not in said.replace(__file__, "")
        assert "mongodb://" not in said
        assert caught.value.retryable
    broken.mend()
    assert broken.dump() == broken.before
    answer = VERBS["reserve"](storage)
    assert answer.outcome is ReserveOutcome.RESERVED
    for verb in VERBS.values():
        verb(storage)
    assert storage.coupons.find("GRANT-1").reserved == 1


@pytest.fixture
def environment(broken, monkeypatch):
    """Set the environment of a whole service on the server in trouble."""
    with StripeSandbox() as stripe, LMSSandbox() as lms:
        settings = {
            "MONGODB_URI": broken.uri + SOON,
            "MONGODB_DATABASE": broken.name,
            "STRIPE_SECRET_KEY": stripe.secret_key,
            "STRIPE_WEBHOOK_SECRET": "whsec_test_of_no_worth",
            "STRIPE_API_BASE": stripe.url,
            "FRAPPE_LMS_URL": lms.url,
            "FRAPPE_LMS_API_KEY": lms.api_key,
            "FRAPPE_LMS_API_SECRET": lms.api_secret,
            "FRAPPE_ENROLL_PUBLIC_URL": "http://127.0.0.1:5000",
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        yield broken


def test_command_ends_with_69_and_names_no_secret(environment, monkeypatch, capfd):
    """EX_UNAVAILABLE for whatever needs the store; what only reads may go on."""
    for arguments in COMMANDS:
        monkeypatch.setattr(sys, "argv", ["frappe-enroll", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        reads = arguments == ["jobs", "list"] and environment.reads
        told = capfd.readouterr()
        assert (caught.value.code or 0) == (0 if reads else 69), (arguments, told)
        assert SECRET not in told.out + told.err
        assert "mongodb://" not in told.out + told.err
    environment.mend()
    assert environment.dump() == environment.before


def test_half_of_a_write_is_not_called_nothing(mongod, request):
    """One of two rows is written, and nobody can be asked which one it was."""
    storage = MongoStorage(mongod.uri, "errors_half")
    storage.setup()
    for key in ("stands", "moved"):
        storage.jobs.enqueue(key, "sync", {}, NOW, now=NOW)
    tables, revs = storage.tables, {"stands": 1, "moved": 2}
    swaps = [Swap(key, rev, "op", {"tries": 1}) for key, rev in revs.items()]
    request.addfinalizer(mongod.heal)
    mongod.fail("find", errorCode=13)
    with pytest.raises(UnclearWriteError):
        tables.swap(JOBS, swaps)
    mongod.heal()
    assert [row.rev for row in tables.get(JOBS, ["stands"])] == [2]
    storage.close()
