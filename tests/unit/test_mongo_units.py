# SPDX-License-Identifier: MIT
"""
The storage suite on mongomock: the documents that verbs write, within a second or so.

It proves no atomicity: mongomock is a dict in this process. What keeps the promises is
proved on real servers (``tests/conformance``, ``tests/integration/test_mongo_*``). What
mongomock cannot do is left out by name, with the reason.
"""

from __future__ import annotations

from itertools import chain

import mongomock
import pytest
from bson import ObjectId
from support.world import COURSE, World

from frappe_enroll_mongo.storage import MongoStorage
from frappe_enroll_sdk.testing.conformance.storage import StorageConformance


_RACES = "mongomock writes nothing atomically: a race on it proves nothing"
#: What mongomock cannot do, by the suite's tests.
LEFT_OUT = {
    "test_fresh_schema_has_not_drifted": "mongomock has no list_collections",
    "test_clock_is_aware_and_goes_forward": "mongomock has no command hello",
    "test_silence_lets_the_time_pass": "mongomock has no change streams to refuse",
} | {name: _RACES for name in dir(StorageConformance) if name.startswith("test_race_")}


@pytest.fixture(autouse=True)
def left_out(request):
    """Skip what mongomock cannot do, saying why."""
    if reason := LEFT_OUT.get(request.node.originalname):
        pytest.skip(reason)


@pytest.fixture(autouse=True)
def mended(monkeypatch):
    """Keep from mongomock what it refuses, or forgets, and can be done without."""
    rows, plain = mongomock.Collection, mongomock.Database.create_collection
    plain_find, plain_aggregate = rows.find, rows.aggregate
    plain_change = rows.find_one_and_update

    def create(self, name, **_rules):
        return plain(self, name)

    def find(self, *args, hint=None, **options):
        return plain_find(self, *args, **options)

    def change(self, *args, hint=None, **options):
        return plain_change(self, *args, **options)

    def aggregate(self, pipeline, **_options):
        first = [step for step in pipeline if "$unionWith" not in step]
        others = [step["$unionWith"] for step in pipeline[len(first) :]]
        pipelines = [first, *(other["pipeline"] for other in others)]
        found = chain.from_iterable(plain_aggregate(self, one) for one in pipelines)
        # Its groups forget an `_id` that is 0.
        return [one | {"_id": one["_id"] or 0} for one in found]

    def create_indexes(self, indexes):
        for index in indexes:
            options = dict(index.document)
            self.create_index([*options.pop("key").items()], **options)

    plain_command = mongomock.Database.command

    def command(self, name, *args, **rules):
        # It has no validators that could be changed.
        return {} if name == "collMod" else plain_command(self, name, *args, **rules)

    bulk = mongomock.collection.BulkOperationBuilder
    plain_update = bulk.add_update

    def add_update(self, *args, sort=None, **options):
        assert sort is None
        return plain_update(self, *args, **options)

    monkeypatch.setattr(bulk, "add_update", add_update)
    monkeypatch.setattr(mongomock.Database, "create_collection", create)
    monkeypatch.setattr(mongomock.Database, "command", command)
    for name, does in {
        "find": find,
        "find_one_and_update": change,
        "aggregate": aggregate,
        "create_indexes": create_indexes,
    }.items():
        monkeypatch.setattr(rows, name, does)


class TestMongomock(StorageConformance):
    """One server for all instances of a test; no races, no news of other processes."""

    hears_news = False

    @pytest.fixture
    def storage_factory(self):
        """Return what opens the test's database."""
        server = mongomock.store.ServerStore()

        def client(uri, **_options):
            return mongomock.MongoClient(uri, _store=server, tz_aware=True)

        return lambda: MongoStorage("mongodb://127.0.0.1/", "t", client_factory=client)


@pytest.mark.parametrize(
    "foreign",
    [
        {"_id": "enr_foreign"},
        {"_id": "enr_foreign", "rev": "one", "op": 7, "status": {"$gt": ""}},
        {"_id": ObjectId("0123456789abcdef01234567"), "rev": 1, "op": "x"},
        {"_id": 5, "email": ["a"], "history": "[]", "version": None},
    ],
)
def test_document_that_is_not_ours_hides_none_that_is(foreign):
    """Somebody has written it past us: it is named, nothing is done with it."""
    server = mongomock.store.ServerStore()

    def client(uri, **_options):
        return mongomock.MongoClient(uri, _store=server, tz_aware=True)

    def storage():
        return MongoStorage("mongodb://127.0.0.1/", "t", client_factory=client)

    world = World(storage)
    for number in range(3):
        world.sdk().checkout(course_id=COURSE, email=f"u{number}@x.example")
        world.clock.advance(1)
    rows = client("mongodb://127.0.0.1/")["t"]["enrollments"]
    rows.insert_one({"created_at": 10**12, "due_at": 1} | foreign)
    seen, unreadable, cursor = [], [], None
    while True:
        page = world.storage.enrollments.list(limit=1, cursor=cursor)
        seen += page.items
        unreadable += page.unreadable
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(seen) == 3
    assert [text.partition(": ")[0] for text in unreadable] == [str(foreign["_id"])]
    world.clock.advance(3600)
    assert world.sdk().run_jobs().dead == 0


def test_left_out_names_are_of_the_suite():
    """A test that is renamed comes back, or its reason is lost."""
    assert all(hasattr(StorageConformance, name) for name in LEFT_OUT)
