# SPDX-License-Identifier: MIT
"""`setup` on a database of another version, and what `list_drift` sees."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from bson import json_util
from pymongo.collection import Collection
from pymongo.errors import WriteError
from support import mongo_v3, old_pairs
from support.mongofaults import CommandPlan
from support.size import LEAST, SERVER_DIFFERS, step_of

from frappe_enroll_mongo import migrate
from frappe_enroll_mongo.storage import MongoStorage
from frappe_enroll_sdk.errors import SchemaError
from frappe_enroll_sdk.states import ENTITLED
from frappe_enroll_sdk.stores import rows
from frappe_enroll_sdk.stores.layout import LAYOUT_VERSION, TABLES
from frappe_enroll_sdk.stores.schema import require_schema
from frappe_enroll_sdk.testing.conformance.records import NOW, coupon
from frappe_enroll_sdk.testing.faults import Crash


pytestmark = pytest.mark.skipif(LEAST, reason=SERVER_DIFFERS)


@pytest.fixture
def database(mongod):
    """Return (a store that is set up, its database as the driver shows it)."""
    name = f"migrate_{secrets.token_hex(4)}"
    storage = MongoStorage(mongod.uri, name)
    storage.setup()
    with mongod.client() as client:
        yield storage, client[name]
        client.drop_database(name)
    storage.close()


def set_version(database, version) -> None:
    """Say that another version of the code has made it."""
    change = {"$set": {"version": version}}
    database.meta.update_one({"_id": "schema"}, change)


def test_setup_makes_an_index_of_another_version_anew(database):
    """An index that this version defines otherwise makes way; documents stay."""
    storage, raw = database
    storage.coupons.create(coupon())
    raw.coupons.drop_index("by_course")
    raw.coupons.create_index([("course_id", 1)], name="by_course")
    set_version(raw, LAYOUT_VERSION - 1)
    with pytest.raises(SchemaError, match="run `frappe-enroll setup`"):
        storage.check_schema()
    assert storage.list_drift() == ("index by_course of coupons differs",)
    storage.setup()
    storage.check_schema()
    assert storage.list_drift() == ()
    assert storage.coupons.find("GRANT-1") is not None


def test_setup_never_drops_a_unique_index(database):
    """While it was gone a promise would be: that is an operator's decision."""
    storage, raw = database
    raw.coupon_seats.drop_index("holder")
    raw.coupon_seats.create_index([("holder", 1)], name="holder")
    with pytest.raises(SchemaError, match="holder of coupon_seats is unique"):
        storage.setup()
    assert "holder" in raw.coupon_seats.index_information()


def test_newer_schema_is_left_as_it_is_and_told(database):
    """Older code neither undoes newer rules nor names a command that can't help."""
    storage, raw = database
    set_version(raw, LAYOUT_VERSION + 1)
    raw.coupons.drop_index("by_course")
    for refused in (storage.setup, storage.check_schema, storage.ping):
        with pytest.raises(SchemaError, match="update frappe-enroll-sdk"):
            refused()
    assert storage.list_drift() == ("index by_course of coupons is missing",)


def test_schema_that_is_upgraded_under_a_process_stops_it(database, monkeypatch):
    """It looks again before long, and neither writes nor reads from then on."""
    storage, raw = database
    storage.jobs.enqueue("job-1", "sync", {}, NOW, now=NOW)
    set_version(raw, LAYOUT_VERSION + 1)
    assert storage.jobs.find("job-1") is not None
    monkeypatch.setattr(rows, "_LOOK_EVERY_S", 0.0)
    for _ in range(2):
        with pytest.raises(SchemaError, match="update frappe-enroll-sdk"):
            storage.jobs.enqueue("job-2", "sync", {}, NOW, now=NOW)
        with pytest.raises(SchemaError, match="update frappe-enroll-sdk"):
            storage.jobs.find("job-1")
    assert raw.jobs.count_documents({}) == 1
    set_version(raw, LAYOUT_VERSION)
    assert storage.jobs.find("job-1") is not None


@pytest.mark.parametrize(
    "rule", [{"validationAction": "warn"}, {"validationLevel": "moderate"}]
)
def test_rule_that_is_not_enforced_is_drift(database, rule):
    """The validator is there, and lets everything pass."""
    storage, raw = database
    raw.command("collMod", "jobs", **rule)
    assert storage.list_drift() == ("the validator of jobs differs",)
    storage.setup()
    assert storage.list_drift() == ()


def test_schema_that_newer_code_has_made_ends_every_process(database, mongod):
    """Setup, a pass and a worker: 78, and what to do."""
    _, raw = database
    set_version(raw, LAYOUT_VERSION + 1)
    env = os.environ | {
        "MONGODB_URI": mongod.uri,
        "MONGODB_DATABASE": raw.name,
        "STRIPE_SECRET_KEY": "sk_test_of_no_worth",
        "FRAPPE_LMS_URL": "http://127.0.0.1:9",
        "FRAPPE_LMS_API_KEY": "key",
        "FRAPPE_LMS_API_SECRET": "secret",
    }
    for arguments in (["setup"], ["worker", "--once"], ["worker"], ["stats"]):
        done = subprocess.run(
            [sys.executable, "-m", "frappe_enroll_cli", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=env,
            timeout=60,
        )
        assert (done.returncode, done.stdout) == (78, "")
        assert "update frappe-enroll-sdk on this host" in done.stderr


# From the documents of version 3.

DOCUMENTS = Path(mongo_v3.__file__).with_suffix(".json").read_text()


@pytest.fixture
def earlier(mongod, monkeypatch):
    """Return what opens a database of version 3, and its database."""
    monkeypatch.setattr(migrate, "_GRACE_S", 0.0)
    monkeypatch.setattr(migrate, "_LOCK_MS", 50)
    monkeypatch.setattr(migrate, "_BATCH", 4)
    name, opened = f"earlier_{secrets.token_hex(4)}", []

    def open_store():
        opened.append(MongoStorage(mongod.uri, name))
        return opened[-1]

    with mongod.client() as client:
        fill(client[name])
        yield open_store, client[name]
        for storage in opened:
            storage.close()
        client.drop_database(name)


def fill(database) -> None:
    """Leave what the code of version 3 left."""
    for name in database.list_collection_names():
        database.drop_collection(name)
    for name, documents in json_util.loads(DOCUMENTS).items():
        database[name].insert_many(documents)
    database.enrollments.create_index(
        [("email", 1), ("course_id", 1)],
        name="slot",
        unique=True,
        partialFilterExpression={"holds_slot": True},
    )


@pytest.fixture(scope="module")
def lived(mongod):
    """Return what this code tells of the same life, and of what comes after it."""
    storage = MongoStorage(mongod.uri, "lived")
    mongo_v3.live(storage)
    told = mongo_v3.everything(storage)
    yield told, mongo_v3.go_on(storage)
    with mongod.client() as client:
        client.drop_database("lived")
    storage.close()


def moved(storage, database) -> dict:
    """Return all that is told after `setup`; it has left nothing to do."""
    storage.setup()
    storage.check_schema()
    assert storage.list_drift() == ()
    names = {table.name for table in TABLES}
    assert {*database.list_collection_names()} == {*names, "meta"}
    found = database.meta.find_one({"_id": "schema"})
    assert (found["version"], found.keys() & {"moved", "holder", "until"}) == (
        LAYOUT_VERSION,
        set(),
    )
    return mongo_v3.everything(storage)


def test_setup_moves_all_that_version_3_left(earlier, lived):
    """Every record is told as before, and the shop's life goes on from there."""
    open_store, database = earlier
    storage = open_store()
    assert lived[0] == moved(storage, database)
    assert lived[1] == mongo_v3.go_on(storage)
    storage.setup()
    for table in TABLES:
        # Every row is one that this code could have written.
        rules = database.command("listCollections", filter={"name": table.name})
        validator = rules["cursor"]["firstBatch"][0]["options"]["validator"]
        assert database[table.name].count_documents({"$nor": [validator]}) == 0


def test_old_schema_and_one_that_moves_are_refused_with_words(earlier, monkeypatch):
    """By this code, and by the code before it."""
    open_store, database = earlier
    storage = open_store()
    with pytest.raises(SchemaError, match="run `frappe-enroll setup`"):
        storage.jobs.find("due")

    def die(*_):
        raise Crash("moving")

    monkeypatch.setattr(migrate, "_move_rows", die)
    with pytest.raises(Crash):
        storage.setup()
    version = database.meta.find_one({"_id": "schema"})["version"]
    with pytest.raises(SchemaError, match="run `frappe-enroll setup`"):
        storage.check_schema()
    for left in (version, LAYOUT_VERSION):
        with pytest.raises(SchemaError, match="update frappe-enroll-sdk on this host"):
            require_schema(left, 3)


@pytest.mark.timeout(600)
def test_setup_that_dies_goes_on_where_it_was(earlier, lived):
    """At each command, never sent or its answer lost: nothing is lost or doubled."""
    open_store, database = earlier

    def run(k):
        fill(database)
        storage, plan = open_store(), CommandPlan()
        make = storage.tables.link._factory
        uri = storage.tables.link._uri
        storage.tables.link._make_client = lambda: make(uri, event_listeners=[plan])

        def die(what):
            raise Crash(what)

        plan.arm(k, die)
        try:
            storage.setup()
        except Crash:
            assert k
        steps = [*plan.log]
        plan.disarm()
        storage.close()
        return steps

    steps = len(run(0))
    assert steps > 200
    step, first = step_of(steps, small=12)
    for k in range(first, steps + 1, step):
        assert len(run(k)) >= k, "it did not die"
        storage = open_store()
        assert lived[0] == moved(storage, database), k
        storage.close()


def test_hosts_that_upgrade_at_once_move_each_row_once(earlier, lived):
    """One moves them; the others wait for it, and find nothing left to do."""
    open_store, database = earlier
    stores, failed = [open_store() for _ in range(4)], []

    def upgrade(storage):
        try:
            storage.setup()
        except SchemaError as error:
            failed.append(error)

    threads = [threading.Thread(target=upgrade, args=(one,)) for one in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failed) < 4
    assert lived[0] == moved(stores[0], database)


def test_host_that_has_lost_the_lock_stops(earlier, monkeypatch):
    """It was thought dead: what the other host does is not disturbed."""
    open_store, database = earlier
    row_of, moved = migrate.row_of, []

    def lose(table, document):
        lock = {"holder": "b", "until": {"$add": ["$$NOW", 60_000]}}
        database.meta.update_one({"_id": "schema"}, [{"$set": lock}])
        moved.append(document)
        return row_of(table, document)

    monkeypatch.setattr(migrate, "row_of", lose)
    with pytest.raises(SchemaError, match="another host is continuing"):
        open_store().setup()
    assert len(moved) <= 4, "the batch that it had begun"
    assert database.meta.find_one({"_id": "schema"})["holder"] == "b"


def test_process_of_the_code_before_writes_nothing_more(earlier):
    """It looks at the version every 15 seconds: until then the validators refuse it."""
    open_store, database = earlier
    open_store().setup()
    for name, documents in json_util.loads(DOCUMENTS).items():
        if name != "meta":
            with pytest.raises(WriteError, match="failed validation"):
                database[name].insert_one(documents[0] | {"_id": "new"})
    with pytest.raises(WriteError, match="failed validation"):
        database.jobs.update_one({"_id": "due"}, {"$set": {"due_at": NOW}})


def test_row_whose_place_is_taken_is_kept_and_named(earlier, lived):
    """An operator decides; then `setup` goes on."""
    open_store, database = earlier
    given = database.enrollments.find_one({"_id": "enr_0003"})
    database.enrollments.drop_index("slot")
    # (Its session is another's: of two rows of a pair each has a place.)
    database.enrollments.insert_one(given | {"_id": "zzz"})
    storage = open_store()
    with pytest.raises(SchemaError, match="zzz of enrollments_v3"):
        storage.setup()
    with pytest.raises(SchemaError, match="run `frappe-enroll setup`"):
        storage.check_schema()
    assert database.enrollments_v3.find_one()["_id"] == "zzz"
    database.enrollments_v3.delete_one({"_id": "zzz"})
    assert lived[0] == moved(storage, database)


def fill_pairs(database) -> None:
    """Leave pairs that were entitled twice, as the code of version 3 kept rows."""
    fill(database)
    for name in ("enrollments", "jobs", "events"):
        database[name].delete_many({})
    for data, was in zip(old_pairs.documents(), old_pairs.ROWS, strict=True):
        given = {k: v for k, v in data.items() if v is not None and k != "id"}
        moments = {k: getattr(was, k) for k in ("due_at", "created_at", "updated_at")}
        lines = [
            line | {"at": entry.at, "detail": json.dumps(line["detail"])}
            for line, entry in zip(data["history"], was.history, strict=True)
        ]
        follows = was.status in ENTITLED or was.lms_enrollment_id is not None
        more = {"_id": was.id, "history": lines, "for_sync": follows}
        database.enrollments.insert_one(given | moments | more)


@pytest.mark.parametrize("batch", [1, 4, 500])
def test_one_of_a_pair_takes_the_slot_and_the_others_are_held(
    earlier, batch, monkeypatch
):
    """Our LMS row, else the first paid; attempts and a claim stand as they stood."""
    open_store, database = earlier
    monkeypatch.setattr(migrate, "_BATCH", batch)
    fill_pairs(database)
    storage = open_store()
    storage.setup()
    assert storage.list_drift() == ()
    old_pairs.check(storage)
    found = database.command("listCollections", filter={"name": "enrollments"})
    validator = found["cursor"]["firstBatch"][0]["options"]["validator"]
    assert database.enrollments.count_documents({"$nor": [validator]}) == 0
    old_pairs.check_told(storage)


@pytest.mark.parametrize("lost", ["insert_many", "delete_many"])
@pytest.mark.parametrize("calls", [1, 3, 5, 7])
def test_pairs_are_the_same_after_a_setup_that_died(earlier, lost, calls, monkeypatch):
    """After a batch was written, or taken away: each pair has the same holder."""
    open_store, database = earlier
    monkeypatch.setattr(migrate, "_BATCH", 2)
    fill_pairs(database)
    real, count = getattr(Collection, lost), iter(range(1, 99))

    def die(self, *args, **options):
        done = real(self, *args, **options)
        if self.name.startswith("enrollments") and next(count) == calls:
            raise Crash(lost)
        return done

    with monkeypatch.context() as patched:
        patched.setattr(Collection, lost, die)
        with pytest.raises(Crash):
            open_store().setup()
    assert 0 < database.enrollments.count_documents({}) < len(old_pairs.ROWS)
    storage = open_store()
    storage.setup()
    old_pairs.check(storage)


def test_damaged_row_is_moved_as_it_is(earlier, lived):
    """It fails alone, before and after: whoever repairs it finds it."""
    open_store, database = earlier
    damaged = {"data": "[]", "errors": "gone"}
    database.jobs.update_one({"_id": "many-00"}, {"$set": damaged})
    database.enrollments.update_one({"_id": "enr_0004"}, {"$set": {"history": [7]}})
    storage = open_store()
    storage.setup()
    assert storage.jobs.find("many-00").outcome == "undecodable"
    assert database.jobs.find_one({"_id": "many-00"}).items() >= damaged.items()
    assert database.enrollments.find_one({"_id": "enr_0004"})["history"] == ["7"]
    # It fits its validator: whoever takes what is due is not stopped by it.
    due = {"$set": {"due_at": 5}}
    assert database.enrollments.update_one({"_id": "enr_0004"}, due).modified_count
    found = storage.jobs.list(limit=99).items
    assert [job.key for job in found] == [job.key for job in lived[0]["jobs"]]


def test_schema_before_version_3_is_refused_with_words(earlier):
    """It has to become version 3 first; nothing is changed."""
    open_store, database = earlier
    set_version(database, 2)
    with pytest.raises(SchemaError, match="makes it 3 first"):
        open_store().setup()
    assert database.jobs.find_one({"_id": "due"})["created_at"] is not None
    assert "jobs_v3" not in database.list_collection_names()
