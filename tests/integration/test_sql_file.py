# SPDX-License-Identifier: MIT
"""The file itself: pragmas, checks, schema, forks, and files that can't be used."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading

import pytest
from sqlalchemy import text
from support.world import World

from frappe_enroll_sdk.errors import (
    SchemaError,
    SettingsError,
    StorageUnavailableError,
    ValidationError,
)
from frappe_enroll_sdk.models import JobState, Status
from frappe_enroll_sdk.testing.conformance.records import (
    NOW,
    after,
    coupon,
    enrollment,
    entry,
)
from frappe_enroll_sql.storage import SQLStorage


def test_connection_is_durable_and_checked(sql_storage):
    """WAL, synchronous FULL, foreign keys: on every connection."""

    def pragmas(connection):
        names = ("journal_mode", "synchronous", "foreign_keys")
        found = {name: connection.execute(text(f"PRAGMA {name}")) for name in names}
        return {name: cursor.scalar() for name, cursor in found.items()}

    found = sql_storage.tables.database.write(pragmas)
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_write_begins_immediately(sql_storage, sql_path):
    """A writer holds the lock from its first moment: no read turns into a write."""
    other = sqlite3.connect(sql_path, timeout=0)

    def write(_connection):
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")

    sql_storage.tables.database.write(write)
    other.execute("BEGIN IMMEDIATE")
    other.close()


@pytest.fixture
def console(sql_storage, sql_path):
    """Return a hand at the console of a file with a row of each sort."""
    sql_storage.coupons.create(coupon(max_redemptions=2))
    for number in (1, 2):
        sql_storage.enrollments.open(enrollment(number))
        sql_storage.coupons.reserve("GRANT-1", f"enr_{number}", NOW, after(9))
    sql_storage.jobs.enqueue("job-1", "sync", {}, NOW, now=NOW)
    with contextlib.closing(sqlite3.connect(sql_path)) as connection:
        yield connection


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE coupons SET max_redemptions = 'many'",
        "UPDATE coupons SET issued = NULL",
        "UPDATE coupon_seats SET key = 'GRANT-1#00000000'",
        "UPDATE coupon_seats SET holder = 'enr_1'",
        "UPDATE coupon_seats SET state = NULL",
        "UPDATE enrollments SET status = NULL",
        "UPDATE enrollments SET amount_minor = 0.5",
        "UPDATE enrollments SET history = NULL",
        "UPDATE jobs SET due_at = 'soon'",
        "UPDATE jobs SET claim_at = 'soon'",
        "UPDATE jobs SET rev = NULL",
        "INSERT INTO jobs SELECT * FROM jobs",
    ],
)
def test_database_itself_refuses_what_can_not_be(console, damage):
    """Types, keys, slots and what is required hold even against a hand there."""
    with pytest.raises(sqlite3.IntegrityError):
        console.execute(damage)


def _move(storage):
    storage.enrollments.transition(
        "enr_0001", 1, Status.CONFIRMED, entry(2, Status.CONFIRMED), None, {}
    )


@pytest.mark.parametrize(
    ("damage", "use"),
    [
        (
            "UPDATE coupons SET max_redemptions = 0",
            lambda s: s.coupons.disable("GRANT-1"),
        ),
        (
            "UPDATE enrollments SET status = 'paid'",
            lambda s: s.enrollments.find("enr_0001"),
        ),
        ("UPDATE enrollments SET amount_minor = 1", _move),
        ("UPDATE enrollments SET amount_minor = -1, discount_minor = 4901", _move),
    ],
)
def test_what_a_hand_writes_and_no_record_may_say_is_refused(
    sql_storage, console, damage, use
):
    """What only the rules of the records know is checked where they are used."""
    with console:
        console.execute(damage)
    with pytest.raises(ValidationError):
        use(sql_storage)


def test_two_entitled_rows_of_a_slot_are_refused_by_the_index(sql_storage, sql_path):
    """The slot is kept by a unique partial index, not by our care alone."""
    for number in (1, 2):
        sql_storage.enrollments.open(enrollment(number, status=Status.ENROLLED))
    connection = sqlite3.connect(sql_path)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        connection.execute("UPDATE enrollments SET email = 'same@example.com'")
    connection.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://host/db",
        "mysql+pymysql://host/db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file::memory:?cache=shared&uri=true",
        "sqlite:///file:/srv/e.db?uri=true",
        "sqlite:///~/e.db",
        "sqlite:///~ada/e.db",
        "sqlite:////srv/e.db?password=hidden",
        "sqlite:////srv/e.db?mode=memory",
        "sqlite:///srv\\e.db",
        "sqlite:////srv/\x00e.db",
        "nonsense",
    ],
)
def test_other_url_is_refused_by_name(url):
    """Only SQLite files: the error names the variable."""
    with pytest.raises(SettingsError, match=r"^DATABASE_URL: ") as caught:
        SQLStorage(url)
    assert "hidden" not in str(caught.value)


def test_missing_schema_names_the_command(sql_path):
    """A file without tables says what to run."""
    sql_storage = SQLStorage(f"sqlite:///{sql_path}")
    with pytest.raises(SchemaError, match="frappe-enroll setup"):
        sql_storage.check_schema()
    with pytest.raises(SchemaError, match="frappe-enroll setup"):
        sql_storage.jobs.find("x")
    sql_storage.close()


@pytest.mark.parametrize(
    ("version", "words"), [(0, "frappe-enroll setup"), (99, "frappe-enroll-sdk on")]
)
def test_other_schema_version_names_the_remedy(sql_storage, sql_path, version, words):
    """An older (or newer) schema is refused before anything is written."""
    connection = sqlite3.connect(sql_path)
    connection.execute("UPDATE schema_version SET version = ?", (version,))
    connection.commit()
    connection.close()
    with pytest.raises(SchemaError, match=words):
        sql_storage.check_schema()


def test_setup_from_many_hosts_at_once(sql_path):
    """Any number of processes and threads may set up together."""
    storages = [SQLStorage(f"sqlite:///{sql_path}") for _ in range(6)]
    errors = []

    def run(sql_storage):
        try:
            sql_storage.setup()
            sql_storage.check_schema()
        except Exception as error:  # noqa: BLE001  shown below
            errors.append(error)

    threads = [
        threading.Thread(target=run, args=(sql_storage,)) for sql_storage in storages
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    for sql_storage in storages:
        sql_storage.close()


def test_file_that_is_no_database_is_a_typed_error(sql_path):
    """Whatever lies there is not touched."""
    sql_path.write_bytes(b"this is not a database, not at all" * 200)
    sql_storage = SQLStorage(f"sqlite:///{sql_path}")
    with pytest.raises(StorageUnavailableError, match=r"^DATABASE_URL: "):
        sql_storage.setup()
    assert sql_path.read_bytes().startswith(b"this is not a database")
    sql_storage.close()


def test_folder_that_can_not_be_made_is_a_typed_error(tmp_path):
    """A file where the folder should be: no second try mends it."""
    (tmp_path / "file").write_text("")
    sql_storage = SQLStorage(f"sqlite:///{tmp_path}/file/store.sqlite3")
    with pytest.raises(SettingsError, match=r"^DATABASE_URL: "):
        sql_storage.setup()


def test_read_only_database_refuses_a_checkout_whole(sql_path, monkeypatch):
    """Nothing is half-done where nothing can be written: no seat, no session."""
    world = World(lambda: SQLStorage(f"sqlite:///{sql_path}"))
    code = world.coupon(50)
    world.storage.close()
    real = sqlite3.connect

    def read_only(file, *args, **kwargs):
        connection = real(file, *args, **kwargs)
        connection.execute("PRAGMA query_only=ON")
        return connection

    monkeypatch.setattr(sqlite3.dbapi2, "connect", read_only)
    monkeypatch.setattr(sqlite3, "connect", read_only)
    with pytest.raises(StorageUnavailableError, match=r"^DATABASE_URL: "):
        world.sdk().checkout(
            course_id="python-101", email="ada@example.com", coupon_code=code
        )
    with pytest.raises(StorageUnavailableError):
        world.storage.ping()
    monkeypatch.undo()
    world.storage.close()
    assert world.rows() == ()
    assert world.payments.sessions == {}
    assert world.storage.coupons.find(code).reserved == 0


def test_error_shows_no_path_and_no_parameter(sql_path):
    """What an operator may log holds neither a path nor a learner's address."""
    sql_storage = SQLStorage(f"sqlite:///{sql_path}")
    sql_storage.setup()
    connection = sqlite3.connect(sql_path)
    connection.execute("DROP TABLE audit")
    connection.execute("CREATE TABLE audit (id TEXT)")
    connection.commit()
    connection.close()
    with pytest.raises(StorageUnavailableError) as caught:
        sql_storage.audit.list(subject="ada@example.com")
    assert str(sql_path) not in str(caught.value)
    assert "ada@example.com" not in str(caught.value)
    sql_storage.close()


def test_forked_child_makes_its_own_connections(sql_storage):
    """Parent and child share no connection and no lock, even one that is held."""
    sql_storage.jobs.enqueue("parent", "sync", {}, NOW, now=NOW)
    held, let_go = threading.Event(), threading.Event()

    def hold_the_writer():
        with sql_storage.tables.database._writer.lock:
            held.set()
            let_go.wait(30)

    thread = threading.Thread(target=hold_the_writer)
    thread.start()
    held.wait(10)
    parents = sql_storage.tables.database.engine()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            assert sql_storage.jobs.find("parent") is not None
            assert sql_storage.tables.database.engine() is not parents
            sql_storage.jobs.enqueue("child", "sync", {}, NOW, now=NOW)
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(pid, 0)[1]
    let_go.set()
    thread.join()
    assert os.waitstatus_to_exitcode(status) == 0
    assert sql_storage.jobs.find("child") is not None
    sql_storage.jobs.enqueue("parent-2", "sync", {}, NOW, now=NOW)


def test_job_in_a_state_that_there_is_not_is_shown_as_dead(sql_storage, console):
    """It is listed and found as what can't be read, and no claim gets it."""
    with console:
        console.execute("UPDATE jobs SET state = 'lost'")
    found = sql_storage.jobs.find("job-1")
    assert (found.state, found.outcome) == (JobState.DEAD, "undecodable")
    assert sql_storage.jobs.list().items == (found,)
    assert sql_storage.jobs.claim("w", NOW, 60, 10) == ()


def test_row_that_can_not_be_decoded_fails_alone(sql_storage, sql_path):
    """The others are claimed; the damaged one is shown as dead and kept as it is."""
    for key in ("job-1", "job-2", "job-3"):
        sql_storage.jobs.enqueue(key, "sync", {}, NOW, now=NOW)
    connection = sqlite3.connect(sql_path)
    connection.execute("UPDATE jobs SET payload = '{\"n\": 5' WHERE key = 'job-2'")
    connection.commit()
    claimed = sql_storage.jobs.claim("w", NOW, 60, 10)
    assert [job.key for job in claimed] == ["job-1", "job-3"]
    (dead,) = sql_storage.jobs.list(state=JobState.DEAD).items
    assert (dead.key, dead.outcome) == ("job-2", "undecodable")
    assert not sql_storage.jobs.retry("job-2", NOW)
    query = "SELECT payload FROM jobs WHERE key = 'job-2'"
    assert connection.execute(query).fetchone() == ('{"n": 5',)
    connection.close()


def test_enrollment_that_can_not_be_decoded_fails_alone(sql_storage, sql_path):
    """A damaged row does not keep the others from being settled."""
    for number in (1, 2, 3):
        sql_storage.enrollments.open(enrollment(number, due_at=NOW))
    connection = sqlite3.connect(sql_path)
    connection.execute("UPDATE enrollments SET history = '[]' WHERE key = 'enr_0002'")
    connection.commit()
    connection.close()
    claimed = sql_storage.enrollments.claim_due(NOW, 60, 10)
    assert [row.id for row in claimed] == ["enr_0001", "enr_0003"]
