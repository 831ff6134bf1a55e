# SPDX-License-Identifier: MIT
"""`setup` on a database of another version, and what `list_drift` sees."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys

import pytest
from support.size import LEAST, SERVER_DIFFERS

from frappe_enroll_mongo import link
from frappe_enroll_mongo.schema import SCHEMA_VERSION
from frappe_enroll_mongo.storage import MongoStorage
from frappe_enroll_sdk.codec import text_of
from frappe_enroll_sdk.errors import SchemaError
from frappe_enroll_sdk.pair import Pair
from frappe_enroll_sdk.testing.conformance.records import NOW, coupon


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
    set_version(raw, SCHEMA_VERSION - 1)
    with pytest.raises(SchemaError, match="run `frappe-enroll setup`"):
        storage.check_schema()
    assert storage.list_drift() == ("index by_course of coupons differs",)
    storage.setup()
    storage.check_schema()
    assert storage.list_drift() == ()
    assert storage.coupons.find("GRANT-1") is not None


def test_setup_makes_sets_of_what_the_previous_version_knew(database):
    """A try of version 2 that was cut off: its insert is looked for all the same."""
    storage, raw = database
    for key in ("unclear", "suspected", "idle", "damaged"):
        storage.jobs.enqueue(key, "sync", {"n": 1}, NOW, now=NOW)
    unclear = {"known_before": ["r0"], "inserted": [], "unclear_at": text_of(NOW)}
    for field, value, key in (
        ("data", json.dumps(unclear), "unclear"),
        ("payload", json.dumps({"n": 1, "suspects": ["r1"]}), "suspected"),
        ("data", "[]", "damaged"),
    ):
        raw.jobs.update_one({"_id": key}, {"$set": {field: value}})
    set_version(raw, 2)
    for _ in range(2):
        storage.setup()
        known = {key: storage.jobs.find(key) for key in ("unclear", "suspected")}
        pair = Pair(known["unclear"].data)
        assert (pair.left, pair.began(), pair.before) == (1, NOW, {"r0"})
        assert Pair(known["suspected"].data).made == {"r1"}
        assert [job.payload for job in known.values()] == [{"n": 1}, {"n": 1}]
        assert storage.jobs.find("idle").data == {}
        assert raw.jobs.find_one({"_id": "damaged"})["data"] == "[]"
        set_version(raw, 2)


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
    set_version(raw, SCHEMA_VERSION + 1)
    raw.coupons.drop_index("by_course")
    for refused in (storage.setup, storage.check_schema, storage.ping):
        with pytest.raises(SchemaError, match="update frappe-enroll-sdk"):
            refused()
    assert storage.list_drift() == ("index by_course of coupons is missing",)


def test_schema_that_is_upgraded_under_a_process_stops_it(database, monkeypatch):
    """It looks again before long, and neither writes nor reads from then on."""
    storage, raw = database
    storage.jobs.enqueue("job-1", "sync", {}, NOW, now=NOW)
    set_version(raw, SCHEMA_VERSION + 1)
    assert storage.jobs.find("job-1") is not None
    monkeypatch.setattr(link, "LOOK_EVERY_S", 0.0)
    for _ in range(2):
        with pytest.raises(SchemaError, match="update frappe-enroll-sdk"):
            storage.jobs.enqueue("job-2", "sync", {}, NOW, now=NOW)
        with pytest.raises(SchemaError, match="update frappe-enroll-sdk"):
            storage.jobs.find("job-1")
    assert raw.jobs.count_documents({}) == 1
    set_version(raw, SCHEMA_VERSION)
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
    set_version(raw, SCHEMA_VERSION + 1)
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
