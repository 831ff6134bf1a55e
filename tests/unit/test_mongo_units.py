# SPDX-License-Identifier: MIT
"""
The storage suite on mongomock: the documents that verbs write, within a second or so.

It proves no atomicity: mongomock is a dict in this process. What keeps the promises is
proved on real servers (``tests/conformance``, ``tests/integration/test_mongo_*``). What
mongomock cannot do is left out by name, with the reason.
"""

from __future__ import annotations

import mongomock
import pytest
from bson.codec_options import CodecOptions

from frappe_enroll_mongo import link
from frappe_enroll_mongo.storage import MongoStorage
from frappe_enroll_sdk.testing.conformance.storage import StorageConformance


_SLOTS = "mongomock does not honour partialFilterExpression of a unique index"
_RACES = "mongomock writes nothing atomically: a race on it proves nothing"
#: What mongomock cannot do, by the suite's tests.
LEFT_OUT = {
    "test_slot_is_given_back_by_an_exit": _SLOTS,
    "test_revived_row_goes_on_without_a_taken_slot": _SLOTS,
    "test_rows_for_sync_are_the_pairs_own": _SLOTS,
    "test_one_grant_stands_per_learner_and_course": _SLOTS,
    "test_setup_is_idempotent": "mongomock has no command collMod",
    "test_fresh_schema_has_not_drifted": "mongomock has no list_collections",
    "test_clock_is_aware_and_goes_forward": "mongomock has no command hello",
    "test_ends_are_fenced_each_by_itself": "its bulk writes do not know `sort`",
    "test_silence_lets_the_time_pass": "mongomock has no change streams to refuse",
} | {name: _RACES for name in dir(StorageConformance) if name.startswith("test_race_")}


@pytest.fixture(autouse=True)
def left_out(request):
    """Skip what mongomock cannot do, saying why."""
    if reason := LEFT_OUT.get(request.node.originalname):
        pytest.skip(reason)


@pytest.fixture(autouse=True)
def mended(monkeypatch):
    """Keep from mongomock what it refuses: validators, a named zone, hints."""
    plain, plain_find = (
        mongomock.Database.create_collection,
        mongomock.Collection.find,
    )

    def create(self, name, **_rules):
        return plain(self, name)

    def find(self, *args, hint=None, **options):
        return plain_find(self, *args, **options)

    monkeypatch.setattr(mongomock.Database, "create_collection", create)
    monkeypatch.setattr(mongomock.Collection, "find", find)
    # Its zone is UTC in any case; naming it is what mongomock refuses.
    monkeypatch.setattr(link, "_OPTIONS", CodecOptions(tz_aware=True))


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


def test_left_out_names_are_of_the_suite():
    """A test that is renamed comes back, or its reason is lost."""
    assert all(hasattr(StorageConformance, name) for name in LEFT_OUT)
