# SPDX-License-Identifier: MIT
"""Where claims on a real server begin, told by the server's own count of keys."""

from __future__ import annotations

import secrets

import pytest
from support.size import LEAST, SERVER_DIFFERS

from frappe_enroll_mongo.storage import MongoStorage
from frappe_enroll_sdk.models import NewJob
from frappe_enroll_sdk.testing.conformance.records import NOW, after


pytestmark = pytest.mark.skipif(LEAST, reason=SERVER_DIFFERS)
OTHERS = 300


@pytest.fixture
def storage(mongo_uri):
    """Return a store whose front is full of jobs of a kind that is not asked for."""
    storage = MongoStorage(mongo_uri, f"claims_{secrets.token_hex(4)}")
    storage.setup()
    storage.jobs.enqueue_many([order("other", n) for n in range(OTHERS)], now=NOW)
    storage.jobs.enqueue_many(
        [order("wanted", n, due_at=after(60 + n)) for n in range(9)], now=NOW
    )
    yield storage
    storage.tables.link.client().drop_database(storage.tables.link.name)
    storage.close()


def order(kind, number, due_at=NOW):
    """Return an order for a job."""
    return NewJob(key=f"{kind}:{number:03d}", kind=kind, due_at=due_at)


def claimed(storage, limit=3, **choice):
    """Claim, and return the jobs' numbers."""
    jobs = storage.jobs.claim("w", after(900), 600, limit, **choice)
    return [job.key.partition(":")[2] for job in jobs]


@pytest.mark.parametrize("choice", [{"kinds": ["wanted"]}, {"not_kinds": ["other"]}])
def test_claim_of_some_kinds_begins_where_the_last_one_ended(storage, choice):
    """Only the first one walks past the jobs that it does not want."""
    database = storage.tables.link.client()[storage.tables.link.name]
    database.command("profile", 2)
    assert claimed(storage, **choice) == ["000", "001", "002"]
    assert claimed(storage, **choice) == ["003", "004", "005"]
    database.command("profile", 0)
    finds = database["system.profile"].find(
        {"command.find": "jobs", "command.hint": "claimable"}, sort=[("ts", 1)]
    )
    first, second = [found["keysExamined"] for found in finds]
    assert first >= OTHERS
    assert second <= 9


def test_claim_goes_back_for_a_job_that_falls_due_earlier(storage, mongo_uri):
    """Ours at once; another process's when a claim finds too few."""
    assert claimed(storage, kinds=["wanted"]) == ["000", "001", "002"]
    storage.jobs.enqueue_many([order("wanted", 100)], now=NOW)
    assert claimed(storage, 1, kinds=["wanted"]) == ["100"]
    elsewhere = MongoStorage(mongo_uri, storage.tables.link.name)
    elsewhere.jobs.enqueue_many([order("wanted", 200)], now=NOW)
    elsewhere.close()
    found = claimed(storage, 8, kinds=["wanted"])
    assert set(found) == {"200", "003", "004", "005", "006", "007", "008"}
