# SPDX-License-Identifier: MIT
"""A file of the first schema becomes one of this: nothing in it is lost."""

from __future__ import annotations

import json
import re
import sqlite3

import attrs
import pytest

from frappe_enroll_sdk.codec import dump, text_of
from frappe_enroll_sdk.errors import SchemaError
from frappe_enroll_sdk.models import Job, JobState
from frappe_enroll_sdk.pair import Pair
from frappe_enroll_sdk.testing.conformance.records import (
    NOW,
    after,
    enrollment,
    try_error,
)
from frappe_enroll_sql.storage import SQLStorage
from frappe_enroll_sql.times import to_ms


#: The queue's table as version 1 made it.
VERSION_1 = """
CREATE TABLE {name} (
    "key" TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
    due_at INTEGER NOT NULL, claim_at INTEGER, token TEXT,
    pruned INTEGER DEFAULT '0' NOT NULL, created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL, doc TEXT NOT NULL, PRIMARY KEY ("key")
) STRICT;
CREATE INDEX {name}_claimable ON {name} (claim_at, "key") WHERE claim_at IS NOT NULL;
CREATE UNIQUE INDEX {name}_by_token ON {name} (token);
CREATE INDEX {name}_by_state ON {name} (state, due_at, "key");
"""

JOBS = [
    Job(
        key="due",
        kind="sync",
        payload={"n": "ü"},
        due_at=NOW,
        created_at=NOW,
        updated_at=NOW,
    ),
    Job(
        key="running",
        kind="sync",
        payload={"n": [1], "suspects": ["r2"]},
        data={
            "inserted": ["r1"],
            "known_before": ["r0"],
            "unclear_at": "2026-01-01T11:00:00.000Z",
        },
        state=JobState.RUNNING,
        seq=3,
        due_at=after(60),
        tries=2,
        token="t" * 32,
        owner="w",
        errors=(try_error(),),
        recovered=True,
        created_at=NOW,
        updated_at=after(1),
    ),
    Job(
        key="pruned",
        kind="payment_event",
        payload=None,
        state=JobState.DONE,
        due_at=NOW,
        outcome="processed",
        deliveries=4,
        created_at=NOW,
        updated_at=NOW,
    ),
]


def insert(connection, table, job, doc=None):
    """Write a job as version 1 did."""
    claimable = job.state in (JobState.DUE, JobState.RUNNING)
    row = (
        job.key,
        job.kind,
        str(job.state),
        to_ms(job.due_at),
        to_ms(job.due_at) if claimable else None,
        job.token,
        int(job.payload is None),
        to_ms(job.created_at),
        to_ms(job.updated_at),
        doc or json.dumps(dump(job)),
    )
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608  ours


@pytest.fixture
def old(tmp_path):
    """Return the path of a file of version 1 with jobs in it."""
    path = tmp_path / "store.sqlite3"
    storage = SQLStorage(f"sqlite:///{path}")
    storage.setup()
    storage.enrollments.open(enrollment(1, coupon_code="CODE-1"))
    storage.close()
    connection = sqlite3.connect(path)
    connection.execute("DROP INDEX enrollments_by_code")
    connection.execute("ALTER TABLE enrollments DROP COLUMN coupon_code")
    connection.execute("DROP TABLE workers")
    for table in ("jobs", "events"):
        connection.execute(f"DROP TABLE {table}")
        connection.executescript(VERSION_1.format(name=table))
        for job in JOBS:
            insert(connection, table, job)
    insert(
        connection,
        "jobs",
        Job(key="bad", kind="k", due_at=NOW, created_at=NOW, updated_at=NOW),
        '{"key": 5',
    )
    connection.execute("UPDATE schema_version SET version = 1")
    connection.commit()
    connection.close()
    return path


def test_older_file_is_refused_until_setup(old):
    """The error names the command; nothing is written before."""
    storage = SQLStorage(f"sqlite:///{old}")
    with pytest.raises(SchemaError, match="frappe-enroll setup"):
        storage.check_schema()
    storage.close()


def test_setup_keeps_every_job_of_an_older_file(old):
    """Every field comes back; claims and their fences go on."""
    storage = SQLStorage(f"sqlite:///{old}")
    storage.setup()
    storage.check_schema()
    assert [storage.events.find(job.key) for job in JOBS] == JOBS
    known = {
        "answered": ["earlier-r1 r1", "earlier-r2 r2"],
        "before": ["r0"],
        "begun": ["earlier 2026-01-01T11:00:00.000Z"],
    }
    jobs = [JOBS[0], attrs.evolve(JOBS[1], payload={"n": [1]}, data=known), JOBS[2]]
    assert [storage.jobs.find(job.key) for job in JOBS] == jobs
    assert storage.jobs.complete("t" * 32, 3, after(2)) is JobState.DONE
    assert storage.workers.list() == ()
    storage.close()


def test_setup_makes_sets_of_what_the_previous_version_knew(tmp_path):
    """A try of version 4 that was cut off: its insert is looked for all the same."""
    path = tmp_path / "store.sqlite3"
    storage = SQLStorage(f"sqlite:///{path}")
    storage.setup()
    for key in ("unclear", "suspected", "idle"):
        storage.jobs.enqueue(key, "sync", {"n": 1}, NOW, now=NOW)
    connection = sqlite3.connect(path)
    unclear = {"known_before": [], "inserted": [], "unclear_at": text_of(NOW)}
    for column, value, key in (
        ("data", unclear, "unclear"),
        ("payload", {"n": 1, "suspects": ["r1"]}, "suspected"),
    ):
        statement = f"UPDATE jobs SET {column} = ? WHERE key = ?"  # noqa: S608  ours
        connection.execute(statement, (json.dumps(value), key))
    connection.execute("UPDATE schema_version SET version = 4")
    connection.commit()
    connection.close()
    with pytest.raises(SchemaError, match="frappe-enroll setup"):
        storage.check_schema()
    for _ in range(2):
        storage.setup()
        known = {key: storage.jobs.find(key) for key in ("unclear", "suspected")}
        assert Pair(known["unclear"].data).left == 1
        assert Pair(known["unclear"].data).began() == NOW
        assert Pair(known["suspected"].data).made == {"r1"}
        assert [job.payload for job in known.values()] == [{"n": 1}, {"n": 1}]
        assert storage.jobs.find("idle").data == {}
    storage.close()


def test_setup_finds_the_codes_of_an_older_file(old):
    """Enrollments of before are found by their code."""
    storage = SQLStorage(f"sqlite:///{old}")
    storage.setup()
    found = storage.enrollments.list(coupon_code="CODE-1").items
    assert [row.coupon_code for row in found] == ["CODE-1"]
    storage.close()


def test_setup_keeps_a_damaged_job_as_it_is(old):
    """What can't be read is kept for whoever repairs it, and fails alone."""
    storage = SQLStorage(f"sqlite:///{old}")
    storage.setup()
    assert [job.key for job in storage.jobs.claim("w", NOW, 60, 9)] == ["due"]
    assert storage.jobs.find("bad").outcome == "undecodable"
    storage.close()
    connection = sqlite3.connect(old)
    kept = connection.execute("SELECT payload FROM jobs WHERE key = 'bad'").fetchone()
    connection.close()
    assert kept == ('{"key": 5',)


def test_older_file_gets_the_indexes_of_a_new_one(old, tmp_path):
    """An upgraded file and a fresh one have the same tables and indexes."""
    fresh = tmp_path / "fresh.sqlite3"
    found = []
    for path in (old, fresh):
        storage = SQLStorage(f"sqlite:///{path}")
        storage.setup()
        storage.setup()
        storage.close()
        connection = sqlite3.connect(path)
        query = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
        found.append([_shape(row) for row in connection.execute(query).fetchall()])
        connection.close()
    assert found[0] == found[1]


def _shape(row):
    """Return a table's parts in any order: a column that came later stands last."""
    kind, name, sql = row
    parts = re.split(r",\s|\(\n|\n\)", sql or "")
    return kind, name, sorted(part.strip(" \n\t)") for part in parts)
