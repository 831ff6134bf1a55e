# SPDX-License-Identifier: MIT
"""A file of an older schema becomes one of this: nothing in it is lost."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import threading
from pathlib import Path

import attrs
import pytest
from support import old_pairs

from frappe_enroll_sdk.codec import dump, text_of
from frappe_enroll_sdk.errors import SchemaError
from frappe_enroll_sdk.models import Job, JobState
from frappe_enroll_sdk.pair import Pair
from frappe_enroll_sdk.stores.layout import LAYOUT_VERSION
from frappe_enroll_sdk.stores.records import ms_of
from frappe_enroll_sdk.testing.conformance.records import (
    NOW,
    after,
    enrollment,
    try_error,
)
from frappe_enroll_sql import migrate
from frappe_enroll_sql.storage import SQLStorage


#: What the code before this layout made, and what it read in it.
SCHEMA_5 = Path(__file__).parents[1] / "support" / "schema_5.sql"
RECORDS = json.loads(SCHEMA_5.with_suffix(".json").read_text())

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
        ms_of(job.due_at),
        ms_of(job.due_at) if claimable else None,
        job.token,
        int(job.payload is None),
        ms_of(job.created_at),
        ms_of(job.updated_at),
        doc or json.dumps(dump(job)),
    )
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608  ours


def run(path, *statements):
    """Do something to the file by hand."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(*statement)


def query(path, statement):
    """Return all rows."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


@pytest.fixture
def old(db_folder):
    """Return the path of a file of version 5, with a row of each sort."""
    path = db_folder / "store.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA_5.read_text())
    return path


@pytest.fixture
def oldest(old):
    """Return the path of a file of version 1 with jobs in it."""
    with contextlib.closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("DROP INDEX enrollments_by_code")
        connection.execute("ALTER TABLE enrollments DROP COLUMN coupon_code")
        connection.execute("DROP TABLE workers")
        for table in ("jobs", "events"):
            connection.execute(f"DROP TABLE {table}")
            connection.executescript(VERSION_1.format(name=table))
            for job in JOBS:
                insert(connection, table, job)
        bad = Job(key="bad", kind="k", due_at=NOW, created_at=NOW, updated_at=NOW)
        insert(connection, "jobs", bad, '{"key": 5')
        connection.execute("UPDATE schema_version SET version = 1")
    return old


@pytest.fixture
def opened():
    """Return what opens a file; it is closed afterwards."""
    with contextlib.ExitStack() as stack:

        def open_file(path):
            storage = SQLStorage(f"sqlite:///{path}")
            stack.callback(storage.close)
            return storage

        yield open_file


def records_of(storage):
    """Return all that can be read, as plain data."""
    seats = [(seat["code"], seat["holder"]) for seat in RECORDS["seats"]]
    found = {
        "coupons": storage.coupons.list().items,
        "enrollments": storage.enrollments.list().items,
        "jobs": storage.jobs.list().items,
        "events": storage.events.list().items,
        "audit": storage.audit.list().items,
        "workers": storage.workers.list(),
        "grants": storage.grants.list().items,
        "affiliates": storage.affiliates.list().items,
        "ledger": storage.affiliates.list_rows("ada").items,
        "seats": [storage.coupons.find_seat(*seat) for seat in seats],
    }
    return {name: [dump(record) for record in rows] for name, rows in found.items()}


def without_tokens(records):
    """Return the records without what fences claims: whoever had it was stopped."""
    dropped = {"token": None}
    return {
        name: [row | dropped if "token" in row else row for row in rows]
        for name, rows in records.items()
    }


#: What an enrollment did not have then.
NEW = {
    "opened_by": "anybody",
    "refund_begun_at": None,
    "lms_left": None,
    "claims_slot": False,
}


def as_told_now(records):
    """Return the old file's records as this code tells them, and no word else."""
    slots = [*records["enrollments"], *records["grants"]]
    assert all("holds_slot" in row for row in slots)
    told = {
        name: [{k: v for k, v in row.items() if k != "holds_slot"} for row in rows]
        for name, rows in records.items()
    }
    sums = ("price", "discount", "amount")
    told["enrollments"] = [
        row | NEW | {name: row[name] | {"exponent": 2} for name in sums}
        for row in told["enrollments"]
    ]
    told["ledger"] = [
        row | {"totals": [total | {"exponent": None} for total in row["totals"]]}
        for row in told["ledger"]
    ]
    return told


def has_all(storage):
    """Tell whether each record of the old file is there, as it was."""
    wanted = as_told_now(RECORDS)
    return without_tokens(records_of(storage)) == without_tokens(wanted)


def test_older_file_is_refused_until_setup(old, opened):
    """The error names the command; nothing is written before."""
    tables = "SELECT sql FROM sqlite_master"
    before = query(old, tables)
    storage = opened(old)
    with pytest.raises(SchemaError, match="frappe-enroll setup"):
        storage.check_schema()
    with pytest.raises(SchemaError, match="version 5, this code needs"):
        storage.jobs.enqueue("job-1", "sync", {}, NOW, now=NOW)
    assert query(old, "SELECT version FROM schema_version") == [(5,)]
    assert query(old, tables) == before


@pytest.mark.parametrize("page", [1, 2, 500])
def test_setup_keeps_every_record_of_version_5(old, opened, page, monkeypatch):
    """Every field comes back, whatever fits into a page; and no table is left over."""
    monkeypatch.setattr(migrate, "_PAGE", page)
    storage = opened(old)
    storage.setup()
    storage.check_schema()
    assert has_all(storage)
    assert storage.list_drift() == ()
    names = "SELECT name FROM sqlite_master WHERE name GLOB '*_of_5'"
    assert query(old, names) == []


def test_old_code_is_refused_from_the_first_page_on(old, opened, monkeypatch):
    """It reads the version as it always did, and finds a newer one than its own."""
    storage = opened(old)
    with pytest.raises(KeyboardInterrupt):
        stop_at(2, storage.setup, monkeypatch)
    assert query(old, "SELECT version FROM schema_version") == [(LAYOUT_VERSION,)]
    storage.setup()
    assert query(old, "SELECT version FROM schema_version") == [(LAYOUT_VERSION,)]


def stop_at(page, setup, monkeypatch):
    """Interrupt `setup` before this page."""
    real, pages = migrate._move_page, []

    def move(*args):
        pages.append(args)
        if len(pages) == page:
            raise KeyboardInterrupt
        return real(*args)

    with monkeypatch.context() as patched:
        patched.setattr(migrate, "_PAGE", 1)
        patched.setattr(migrate, "_move_page", move)
        setup()


@pytest.mark.parametrize("page", [1, 2, 5, 9, 14, 20, 30, 40])
def test_setup_goes_on_where_it_was_stopped(old, opened, page, monkeypatch):
    """Until it is done this code refuses the file, and says what to run."""
    storage = opened(old)
    with pytest.raises(KeyboardInterrupt):
        stop_at(page, storage.setup, monkeypatch)
    for _ in range(2):
        with pytest.raises(SchemaError, match=r"version 5, this code .*enroll setup"):
            opened(old).jobs.find("due")
    storage.setup()
    assert has_all(storage)
    storage.jobs.enqueue("job-1", "sync", {}, NOW, now=NOW)


def test_setup_that_was_killed_goes_on(old, opened, monkeypatch):
    """A page is moved wholly or not at all, whatever dies in it."""
    real, count = migrate._run, iter(range(10_000))
    pid = os.fork()
    if pid == 0:
        try:
            monkeypatch.setattr(migrate, "_PAGE", 2)

            def move(*args, **values):
                if next(count) == 60:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **values)

            monkeypatch.setattr(migrate, "_run", move)
            opened(old).setup()
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert query(old, "SELECT coming_from FROM schema_version") == [(5,)]
    storage = opened(old)
    storage.setup()
    assert has_all(storage)


def test_many_hosts_may_upgrade_together(old, opened, monkeypatch):
    """Each page is moved by one of them."""
    monkeypatch.setattr(migrate, "_PAGE", 1)
    storages, errors = [opened(old) for _ in range(4)], []

    def set_up(storage):
        try:
            storage.setup()
            assert has_all(storage)
        except BaseException as error:  # noqa: BLE001  shown below
            errors.append(error)

    threads = [threading.Thread(target=set_up, args=[one]) for one in storages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []


def test_seats_go_on_after_an_upgrade(old, opened):
    """Numbers follow those that were given; lapsed seats are taken; none twice."""
    storage = opened(old)
    storage.setup()
    coupons = storage.coupons
    again = coupons.reserve("MANY", "enr_2", after(1), after(900))
    assert again.seat.state == "bound"
    took = [coupons.reserve("MANY", f"new_{n}", after(1), after(900)) for n in range(3)]
    assert [str(one.outcome) for one in took] == ["reserved", "reserved", "held"]
    took = [
        coupons.reserve("MANY", f"late_{n}", after(901), after(9999)) for n in range(4)
    ]
    assert [str(one.outcome) for one in took] == [*["reserved"] * 3, "held"]
    found = coupons.find("MANY")
    assert (found.reserved, found.redeemed) == (4, 1)
    # Switched off while a seat of it lapsed.
    assert (
        str(coupons.reserve("GONE", "x", after(99), after(999)).outcome) == "exhausted"
    )


def test_work_goes_on_after_an_upgrade(old, opened):
    """What is due is claimed, a claim of before lapses, a shut gate stays shut."""
    storage = opened(old)
    storage.setup()
    assert [job.key for job in storage.jobs.claim("w", after(1), 60, 9)] == ["due"]
    assert [job.key for job in storage.jobs.claim("w", after(61), 60, 9)] == [
        "running",
        "due",
    ]
    assert storage.jobs.prune(after(1), 9) == 1
    assert storage.jobs.find("old") is None
    assert not storage.gates.is_open("stripe")
    assert not storage.gates.hold("lms", "h-2", 1, after(1), after(60))
    assert not storage.enrollments.open(enrollment(1)).opened
    assert not storage.events.record("evt_1", {"type": "t"}, now=after(2)).new


def test_row_that_can_not_be_read_stays_and_is_told(old, opened):
    """The others are moved; it is kept for whoever repairs it."""
    run(old, ["UPDATE enrollments SET doc = '[]' WHERE id = 'enr_0002'"])
    storage = opened(old)
    storage.setup()
    storage.check_schema()
    ids = [row.id for row in storage.enrollments.list().items]
    assert ids == ["enr_0003", "enr_0001"]
    assert query(old, "SELECT id FROM enrollments_of_5") == [("enr_0002",)]
    (words,) = storage.list_drift()
    assert "enrollments_of_5" in words
    storage.setup()
    assert query(old, "SELECT id FROM enrollments_of_5") == [("enr_0002",)]


def test_damaged_job_of_version_5_is_shown_as_such(old, opened):
    """It is moved cell by cell: whoever repairs it has all of it."""
    run(old, ["UPDATE jobs SET payload = '{' WHERE key = 'due'"])
    storage = opened(old)
    storage.setup()
    assert storage.jobs.find("due").outcome == "undecodable"
    assert storage.jobs.claim("w", after(1), 60, 9) == ()
    assert query(old, "SELECT payload FROM jobs WHERE key = 'due'") == [("{",)]


# Pairs that were entitled twice before the slot was unique.


@pytest.fixture
def pairs(old):
    """Return the path of a file of version 5 with such pairs in it, and no others."""
    row = (
        ":id, :email, :course_id, :status, :lms_status, :version, :holds_slot, 0, "
        ":session_id, :payment_id, :idempotency_key, :price, :discount, :amount, "
        ":due, :created, :coupon_code, :doc"
    )
    write = f"INSERT INTO enrollments VALUES ({row})"  # noqa: S608  ours
    rows = zip(old_pairs.documents(), old_pairs.ROWS, strict=True)
    for name in ("enrollments", "jobs", "events"):
        run(old, [f"DELETE FROM {name}"])  # noqa: S608  ours
    for data, was in rows:
        money = {n: data[n]["amount_minor"] for n in ("price", "discount", "amount")}
        times = {"due": ms_of(was.due_at), "created": ms_of(was.created_at)}
        given = {k: v for k, v in data.items() if not isinstance(v, (list, dict))}
        run(old, [write, given | money | times | {"doc": json.dumps(data)}])
    return old


@pytest.mark.parametrize("page", [1, 2, 500])
def test_one_of_a_pair_takes_the_slot_and_the_others_are_held(
    pairs, opened, page, monkeypatch
):
    """Our LMS row, else the first paid; attempts and a claim stand as they stood."""
    monkeypatch.setattr(migrate, "_PAGE", page)
    storage = opened(pairs)
    storage.setup()
    assert storage.list_drift() == ()
    old_pairs.check(storage)
    storage.setup()
    old_pairs.check(storage)
    old_pairs.check_told(storage)


@pytest.mark.parametrize("page", [18, 20, 22, 24, 26, 28])
def test_pairs_are_the_same_after_a_setup_that_was_stopped(
    pairs, opened, page, monkeypatch
):
    """Whoever was moved before: each pair has the holder that it would have had."""
    storage = opened(pairs)
    with pytest.raises(KeyboardInterrupt):
        stop_at(page, storage.setup, monkeypatch)
    moved = "SELECT count(*) FROM enrollments"
    assert 0 < query(pairs, moved)[0][0] < len(old_pairs.ROWS)
    storage.setup()
    old_pairs.check(storage)


def test_row_that_is_repaired_later_finds_the_slot_taken(pairs, opened):
    """It would have been the holder; the one that works by now keeps the slot."""
    good = query(pairs, "SELECT doc FROM enrollments WHERE id = 'enr_0018'")[0]
    run(pairs, ["UPDATE enrollments SET doc = '[]' WHERE id = 'enr_0018'"])
    storage = opened(pairs)
    storage.setup()
    assert storage.enrollments.find("enr_0001").holds_slot
    run(pairs, ["UPDATE enrollments_of_5 SET doc = ?", good])
    run(pairs, ["UPDATE schema_version SET version = 6, coming_from = 5"])
    storage.setup()
    repaired = storage.enrollments.find("enr_0018")
    assert (repaired.held_for, repaired.lms_row_ours) == ("paid_twice", True)
    assert repaired.history[-1].detail == {"other": "enr_0001"}
    assert storage.list_drift() == ()


# The way from still older ones: their rows are read as they were written.


def test_setup_keeps_every_job_of_the_first_version(oldest, opened):
    """Every field comes back, but for the token: its worker was stopped."""
    storage = opened(oldest)
    storage.setup()
    storage.check_schema()
    running = attrs.evolve(JOBS[1], token=f"{'t' * 32}.running")
    events = [storage.events.find(job.key) for job in JOBS]
    assert events == [JOBS[0], running, JOBS[2]]
    known = {
        "answered": ["earlier-r1 r1", "earlier-r2 r2"],
        "before": ["r0"],
        "begun": ["earlier 2026-01-01T11:00:00.000Z"],
    }
    running = attrs.evolve(running, payload={"n": [1]}, data=known)
    jobs = [storage.jobs.find(job.key) for job in JOBS]
    assert jobs == [JOBS[0], running, JOBS[2]]
    assert [job.key for job in storage.jobs.claim("w", after(61), 60, 9)] == [
        "due",
        "running",
    ]
    assert storage.workers.list() == ()


def test_setup_makes_sets_of_what_version_4_knew(old, opened):
    """A try of version 4 that was cut off: its insert is looked for all the same."""
    unclear = {"known_before": [], "inserted": [], "unclear_at": text_of(NOW)}
    suspected = {"n": 1, "suspects": ["r1"]}
    run(
        old,
        ["UPDATE jobs SET data = ? WHERE key = 'due'", [json.dumps(unclear)]],
        ["UPDATE jobs SET payload = ? WHERE key = 'old'", [json.dumps(suspected)]],
        ["UPDATE schema_version SET version = 4"],
    )
    storage = opened(old)
    with pytest.raises(SchemaError, match="frappe-enroll setup"):
        storage.check_schema()
    for _ in range(2):
        storage.setup()
        due, suspected = storage.jobs.find("due"), storage.jobs.find("old")
        assert Pair(due.data).left == 1
        assert Pair(due.data).began() == NOW
        assert Pair(suspected.data).made == {"r1"}
        assert (due.payload, suspected.payload) == ({"n": [1]}, {"n": 1})
        assert storage.jobs.find("done").data == {}


def test_setup_finds_the_codes_of_the_first_version(oldest, opened):
    """Enrollments of before are found by their code."""
    storage = opened(oldest)
    storage.setup()
    found = storage.enrollments.list(coupon_code="MANY").items
    assert [row.coupon_code for row in found] == ["MANY"]


def test_setup_keeps_a_damaged_job_as_it_is(oldest, opened):
    """What can't be read is kept for whoever repairs it, and fails alone."""
    storage = opened(oldest)
    storage.setup()
    assert [job.key for job in storage.jobs.claim("w", NOW, 60, 9)] == ["due"]
    assert storage.jobs.find("bad").outcome == "undecodable"
    assert query(oldest, "SELECT payload FROM jobs WHERE key = 'bad'") == [
        ('{"key": 5',)
    ]


def test_older_file_gets_the_tables_of_a_new_one(oldest, db_folder, opened):
    """An upgraded file and a fresh one have the same tables and indexes."""
    fresh = db_folder / "fresh.sqlite3"
    found = []
    for path in (oldest, fresh):
        storage = opened(path)
        storage.setup()
        storage.setup()
        rows = query(
            path, "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
        )
        found.append([(kind, name, _spaced(sql)) for kind, name, sql in rows])
    assert found[0] == found[1]


def _spaced(sql):
    """Return a statement with one blank between its words and signs."""
    return " ".join(re.findall(r"\w+|[^\w\s]", (sql or "").replace('"', "")))
