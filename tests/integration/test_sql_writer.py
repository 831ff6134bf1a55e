# SPDX-License-Identifier: MIT
"""Writes of several threads in one commit: each answered right, after its sync."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text
from support.size import with_the_first_python

from frappe_enroll_sdk.errors import StorageUnavailableError
from frappe_enroll_sdk.models import Coupon, ReserveOutcome
from frappe_enroll_sql import file, writer
from frappe_enroll_sql.storage import SQLStorage


pytestmark = with_the_first_python

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=15)


@pytest.fixture
def commits(sql_storage):
    """Return what was sent to the file, by the thread that wrote: a list to read."""
    seen = []
    engine = sql_storage.tables.database.engine()

    def note(_connection, _cursor, statement, *_):
        seen.append(statement.split()[0])

    event.listen(engine, "before_cursor_execute", note)
    return seen


def enqueue(sql_storage, key):
    """Owe one job."""
    return sql_storage.jobs.enqueue(key, "sync", {"key": key}, NOW, now=NOW)


class Held:
    """Keeps the writer's turn until several threads wait for it."""

    def __init__(self, sql_storage) -> None:
        self._writer = sql_storage.tables.database._writer
        sql_storage.ping()

    def together(self, *writes):
        """Let these wait for the turn, each in a thread of its own, in this order."""
        with ThreadPoolExecutor(len(writes)) as pool:
            futures = []
            with self._writer.lock:
                for number, write in enumerate(writes, 1):
                    futures.append(pool.submit(write))
                    while len(self._writer._waiting) < number:
                        time.sleep(0.001)
            return [future.exception() or future.result() for future in futures]


def test_what_waits_is_committed_together(sql_storage, commits):
    """One transaction, each answer its own."""
    held = Held(sql_storage)
    commits.clear()
    jobs = held.together(
        *(lambda n=n: enqueue(sql_storage, f"job-{n}") for n in range(8))
    )
    assert [job.key for job in jobs] == [f"job-{n}" for n in range(8)]
    assert commits == ["BEGIN", *["INSERT"] * 8]
    assert {job.key for job in sql_storage.jobs.list().items} == {
        job.key for job in jobs
    }


def test_those_behind_see_those_before(sql_storage):
    """One seat, many claims in one commit: one of them gets it."""
    sql_storage.coupons.create(Coupon(code="ONE", percent_off=100, created_at=NOW))
    claims = Held(sql_storage).together(
        *(
            lambda n=n: sql_storage.coupons.reserve("ONE", f"enr_{n}", NOW, LATER)
            for n in range(6)
        )
    )
    outcomes = sorted(str(claim.outcome) for claim in claims)
    assert outcomes == [*["held"] * 5, "reserved"]
    coupon = sql_storage.coupons.find("ONE")
    assert (coupon.reserved, coupon.redeemed) == (1, 0)


def test_one_that_is_refused_fails_alone(sql_storage, sql_path, commits):
    """The others are made, each by itself, and the refused one is told why."""
    held = Held(sql_storage)
    connection = sqlite3.connect(sql_path)
    connection.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON jobs WHEN new.key = 'job-1' "
        "BEGIN SELECT RAISE(ABORT, 'no such job, please'); END"
    )
    connection.close()
    commits.clear()
    answers = held.together(
        *(lambda n=n: enqueue(sql_storage, f"job-{n}") for n in range(3))
    )
    assert [answers[0].key, answers[2].key] == ["job-0", "job-2"]
    assert isinstance(answers[1], StorageUnavailableError)
    assert "please" in str(answers[1])
    # Together up to the refused one, then each alone.
    assert commits.count("INSERT") == 2 + 3
    assert {job.key for job in sql_storage.jobs.list().items} == {"job-0", "job-2"}


def test_commit_that_fails_is_nobodys_yes(sql_storage):
    """All of its writes are told that the file failed, and may be repeated."""
    held = Held(sql_storage)
    dialect = sql_storage.tables.database.engine().dialect
    commit = dialect.do_commit

    def fail(connection):
        if not connection.dbapi_connection.in_transaction:
            return commit(connection)
        dialect.do_commit = commit
        raise sqlite3.OperationalError("disk I/O error")

    dialect.do_commit = fail
    answers = held.together(
        *(lambda n=n: enqueue(sql_storage, f"job-{n}") for n in range(3))
    )
    assert [type(answer) for answer in answers] == [StorageUnavailableError] * 3
    assert sql_storage.jobs.list().items == ()
    assert enqueue(sql_storage, "job-0").key == "job-0"


def test_writers_interrupt_leaves_no_one_waiting(sql_storage):
    """Who writes for others is interrupted: they are told, and the turn goes on."""
    held = Held(sql_storage)
    engine = sql_storage.tables.database.engine()

    def interrupt(*_):
        event.remove(engine, "before_cursor_execute", interrupt)
        raise KeyboardInterrupt

    event.listen(engine, "before_cursor_execute", interrupt)
    answers = held.together(
        *(lambda n=n: enqueue(sql_storage, f"job-{n}") for n in range(3))
    )
    kinds = [type(answer) for answer in answers]
    assert kinds.count(KeyboardInterrupt) == 1
    assert kinds.count(StorageUnavailableError) == 2
    assert sql_storage.jobs.list().items == ()
    assert enqueue(sql_storage, "job-0").key == "job-0"


def test_answer_is_in_the_file_when_it_is_given(sql_storage, sql_path):
    """Killed while many write: whatever was answered is there."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            mine = SQLStorage(f"sqlite:///{sql_path}")

            def go(thread):
                for n in range(10_000):
                    key = f"{thread}-{n}"
                    enqueue(mine, key)
                    os.write(write, f"{key}\n".encode())

            for thread in range(8):
                threading.Thread(target=go, args=[thread]).start()
            time.sleep(60)
        finally:
            os._exit(1)
    os.close(write)
    with os.fdopen(read) as lines:
        told = [lines.readline().strip() for _ in range(400)]
        os.kill(pid, signal.SIGKILL)
        told += [line.strip() for line in lines if line.endswith("\n")]
    os.waitpid(pid, 0)
    assert len(told) == len(set(told)) >= 400
    missing = [key for key in told if sql_storage.jobs.find(key) is None]
    assert missing == []


def test_writer_waits_for_another_process(sql_storage, sql_path):
    """A lock that is held for some time delays a write, and a long one fails it."""
    other = sqlite3.connect(sql_path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.3, lambda: other.execute("COMMIT")).start()
    began = time.monotonic()
    assert enqueue(sql_storage, "job-1").key == "job-1"
    assert time.monotonic() - began >= 0.25
    other.close()


def test_lock_that_stays_is_an_error_in_our_words(sql_storage, sql_path, monkeypatch):
    """After the busy time-out: transient, nothing half-done, and writable again."""
    monkeypatch.setattr(writer, "BUSY_TIMEOUT_S", 0.05)
    other = sqlite3.connect(sql_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailableError, match="locked"):
        enqueue(sql_storage, "job-1")
    with pytest.raises(StorageUnavailableError, match="locked"):
        sql_storage.coupons.reserve("NONE", "enr_1", NOW, LATER)
    with pytest.raises(StorageUnavailableError, match="locked"):
        sql_storage.ping()
    other.execute("ROLLBACK")
    other.close()
    assert enqueue(sql_storage, "job-1").key == "job-1"


def test_without_a_write_ahead_log_sqlite_waits(sql_path, monkeypatch):
    """Where WAL is not to be had, a commit waits for readers."""
    sql_storage = SQLStorage(f"sqlite:///{sql_path}")
    sql_storage.setup()

    def wait_ms():
        return sql_storage.tables.database.write(
            lambda connection: connection.execute(text("PRAGMA busy_timeout")).scalar()
        )

    assert wait_ms() == writer._FIRST_LOOKS_MS
    sql_storage.close()

    monkeypatch.setattr(file, "_PRAGMAS", ["journal_mode=DELETE"])
    assert wait_ms() == writer.BUSY_TIMEOUT_S * 1000
    reader = sqlite3.connect(sql_path, isolation_level=None, check_same_thread=False)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM jobs").fetchone()
    threading.Timer(0.3, reader.close).start()
    assert enqueue(sql_storage, "job-1").key == "job-1"
    assert sql_storage.coupons.reserve("NONE", "enr_1", NOW, LATER).outcome is (
        ReserveOutcome.EXHAUSTED
    )
    sql_storage.close()
