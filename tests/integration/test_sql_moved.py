# SPDX-License-Identifier: MIT
"""SQLite's file deleted, replaced, moved or cut under a process: every yes is in it."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import stat
import threading
import time

import pytest

from frappe_enroll_sdk.errors import SchemaError, StorageUnavailableError
from frappe_enroll_sdk.stores.layout import LAYOUT_VERSION
from frappe_enroll_sdk.testing.conformance.records import NOW, coupon
from frappe_enroll_sql.storage import SQLStorage


def enqueue(storage, key, **payload):
    """Owe one job."""
    return storage.jobs.enqueue(key, "sync", payload, NOW, now=NOW)


def back_up(path, to):
    """Copy the file as SQLite does, with what is in its log."""
    source, copy = sqlite3.connect(path), sqlite3.connect(to)
    source.backup(copy)
    copy.close()
    source.close()
    return to


def remove_log(path):
    """Delete what stands beside the file."""
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def delete(path, _copy):
    """Somebody deletes all three files."""
    remove_log(path)
    path.unlink()


def replace(path, copy):
    """An older copy takes the file's place in one step; the log stays."""
    copy.replace(path)


def replace_all(path, copy):
    """The same, and nothing of the former file is left."""
    copy.replace(path)
    remove_log(path)


def restore(path, copy):
    """An operator deletes the old files and moves the backup there."""
    delete(path, copy)
    copy.rename(path)


def link_another(path, copy):
    """A hard link to another file takes its place."""
    other = path.with_name("other")
    os.link(copy, other)
    other.replace(path)
    remove_log(path)


def move_folder(path, copy):
    """The folder is moved, and another one of its name holds the backup."""
    kept = copy.read_bytes()
    path.parent.rename(path.parent.with_name("elsewhere"))
    path.parent.mkdir()
    path.write_bytes(kept)


def lose_folder(path, _copy):
    """The folder is moved away."""
    path.parent.rename(path.parent.with_name("elsewhere"))


def delete_log(path, _copy):
    """Only the log is deleted: it holds the newest writes."""
    path.with_name(f"{path.name}-wal").unlink()


def delete_index(path, _copy):
    """Only the log's index is deleted."""
    path.with_name(f"{path.name}-shm").unlink()


def cut(path, _copy):
    """The file is cut to nothing where it stands."""
    os.truncate(path, 0)


GONE = (delete, lose_folder)
OTHER = (replace_all, restore, link_another, move_folder)
BESIDE = (delete_log, delete_index)


@pytest.fixture
def opened(tmp_path):
    """Return (a store with one job, its path, a backup without that job)."""
    folder = tmp_path / "store"
    folder.mkdir()
    path = folder / "store.sqlite3"
    storage = SQLStorage(f"sqlite:///{path}")
    storage.setup()
    copy = back_up(path, folder / "copy.sqlite3")
    enqueue(storage, "job-1")
    yield storage, path, copy
    storage.close()


def found_by_another(path, key):
    """Tell whether a process that starts now finds a job."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT key FROM jobs WHERE key = ?", [key])
        there = rows.fetchone() is not None
    connection.close()
    return there


def asks(storage):
    """Yield each way in which the store is asked to write or read, by name."""
    coupons = storage.coupons
    yield "short", lambda: enqueue(storage, "job-2")
    yield "transaction", lambda: coupons.create(coupon(code="GRANT-9"))
    yield "statement", lambda: coupons.disable("GRANT-9")
    yield "read", lambda: storage.jobs.find("job-1")
    yield "first", lambda: coupons.find("GRANT-9", counted=False)
    yield "ping", storage.ping


@pytest.mark.parametrize("name", ["short", "transaction", "statement", "read", "ping"])
@pytest.mark.parametrize("do", [*GONE, *OTHER, *BESIDE, replace, cut])
def test_whoever_notices_first_says_no(opened, do, name):
    """Whatever happened to the file and whatever is asked: a 503 that says so."""
    storage, path, copy = opened
    do(path, copy)
    with pytest.raises(StorageUnavailableError, match="DATABASE_URL: ") as caught:
        dict(asks(storage))[name]()
    assert str(path) not in str(caught.value)
    words = "there is no database file any more" if do in GONE else "was deleted, repl"
    assert words in str(caught.value)


@pytest.mark.parametrize("do", GONE)
def test_file_that_is_gone_is_never_made_anew(opened, do):
    """However often it asks; and it goes on once the file is back."""
    storage, path, copy = opened
    kept = copy.read_bytes()
    do(path, copy)
    for _ in range(3):
        for _name, ask in asks(storage):
            with pytest.raises(StorageUnavailableError, match="put it back"):
                ask()
    assert not path.exists()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(kept)
    assert enqueue(storage, "job-3").key == "job-3"
    assert found_by_another(path, "job-3")


@pytest.mark.parametrize("do", OTHER)
def test_process_goes_on_with_the_file_that_is_there_now(opened, do):
    """One refusal; from then on reads and writes are the new file's."""
    storage, path, copy = opened
    do(path, copy)
    with pytest.raises(StorageUnavailableError):
        enqueue(storage, "job-2")
    assert storage.jobs.find("job-1") is None
    assert enqueue(storage, "job-3").key == "job-3"
    assert found_by_another(path, "job-3")
    assert not found_by_another(path, "job-2")


def test_log_of_the_former_file_is_never_mixed_into_another(opened):
    """Refused, however often it asks, until what is left of the former one is gone."""
    storage, path, copy = opened
    replace(path, copy)
    before = path.read_bytes()
    with pytest.raises(StorageUnavailableError, match="was deleted, replaced"):
        storage.ping()
    for _ in range(3):
        for _name, ask in asks(storage):
            with pytest.raises(StorageUnavailableError, match="delete the -wal"):
                ask()
    assert path.read_bytes() == before
    remove_log(path)
    assert storage.jobs.find("job-1") is None
    assert enqueue(storage, "job-3").key == "job-3"
    assert found_by_another(path, "job-3")


@pytest.mark.parametrize("do", BESIDE)
def test_log_that_was_deleted_is_written_back(opened, do):
    """Whoever has it open is the only one who still can: nothing answered is lost."""
    storage, path, copy = opened
    do(path, copy)
    with pytest.raises(StorageUnavailableError):
        enqueue(storage, "job-2")
    assert storage.jobs.find("job-1") is not None
    assert enqueue(storage, "job-3").key == "job-3"
    for key in ("job-1", "job-3"):
        assert found_by_another(path, key)


def test_link_to_another_file_is_followed(tmp_path):
    """A symbolic link says which file it is, at each answer."""
    link, first, second = (tmp_path / name for name in ("link", "first", "second"))
    for path in (first, second):
        storage = SQLStorage(f"sqlite:///{path}")
        storage.setup()
        storage.close()
    link.symlink_to(first)
    storage = SQLStorage(f"sqlite:///{link}")
    enqueue(storage, "job-1")
    link.unlink()
    link.symlink_to(second)
    with pytest.raises(StorageUnavailableError):
        enqueue(storage, "job-2")
    enqueue(storage, "job-3")
    storage.close()
    assert found_by_another(first, "job-1")
    assert found_by_another(second, "job-3")


def test_every_yes_after_a_restore_is_in_the_restored_file(opened):
    """Eight threads write while an older copy takes the file's place."""
    storage, path, copy = opened
    answered, refused, stop = [], [], threading.Event()

    def go(thread):
        for n in range(100_000):
            if stop.is_set():
                return
            key, began = f"{thread}-{n}", time.monotonic()
            try:
                enqueue(storage, key)
                answered.append((began, key))
            except StorageUnavailableError:
                refused.append(key)

    threads = [threading.Thread(target=go, args=[n]) for n in range(8)]
    for thread in threads:
        thread.start()
    while len(answered) < 200:
        time.sleep(0.001)
    restore(path, copy)
    restored = time.monotonic()
    until = len(answered) + 400
    while len(answered) < until:
        time.sleep(0.001)
    stop.set()
    for thread in threads:
        thread.join()
    storage.close()
    with sqlite3.connect(path) as connection:
        there = {key for (key,) in connection.execute("SELECT key FROM jobs")}
    connection.close()
    after = [key for began, key in answered if began > restored]
    assert len(after) >= 300
    assert [key for key in after if key not in there] == []
    assert refused


def test_watch_hears_the_file_that_is_there_now(opened):
    """A worker that waits for news goes over to the restored file, too."""
    storage, path, copy = opened
    watch = storage.watch()
    restore(path, copy)
    with pytest.raises(StorageUnavailableError):
        storage.ping()
    watch.wait(0.0, now=NOW)
    other = SQLStorage(f"sqlite:///{path}")
    enqueue(other, "job-9")
    assert watch.wait(5.0, now=NOW)
    watch.close()
    other.close()


@pytest.mark.parametrize("vacuum", [False, True])
def test_what_is_no_move_refuses_nothing(opened, vacuum):
    """Backups, checkpoints and other processes come and go; the file is the same."""
    storage, path, copy = opened
    for n in range(5):
        other = sqlite3.connect(path)
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        if vacuum:
            other.execute("PRAGMA optimize")
        other.close()
        back_up(path, copy)
        enqueue(storage, f"again-{n}")
    assert len(storage.jobs.list().items) == 6


def test_process_that_starts_without_a_file_is_told_what_to_run(sql_path):
    """It makes none: only `setup` does."""
    storage = SQLStorage(f"sqlite:///{sql_path}")
    for _name, ask in asks(storage):
        with pytest.raises(SchemaError, match="run `frappe-enroll setup`"):
            ask()
    storage.close()
    assert not sql_path.exists()


def test_forked_child_knows_that_there_was_a_file(opened):
    """What its parent had open is gone, not new."""
    storage, path, copy = opened
    delete(path, copy)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            storage.jobs.find("job-1")
        except StorageUnavailableError:
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_new_file_is_for_its_owner_only(sql_path):
    """Neither it nor what SQLite puts beside it can be read by others."""
    before = os.umask(0)
    try:
        storage = SQLStorage(f"sqlite:///{sql_path}")
        storage.setup()
        enqueue(storage, "job-1")
        for ending in ("", "-wal", "-shm"):
            mode = sql_path.with_name(sql_path.name + ending).stat().st_mode
            assert stat.S_IMODE(mode) == 0o600
        storage.close()
    finally:
        os.umask(before)


def in_a_child(act):
    """Run something in a process of its own; return how it exits."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = act()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_full_disk_is_a_no_and_keeps_what_was_answered(opened):
    """A write that the system refuses is no yes; what came before it stays."""
    _, path, _ = opened
    told = path.with_name("told")

    def fill():
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
        mine = SQLStorage(f"sqlite:///{path}")
        for n in range(1000):
            try:
                enqueue(mine, f"big-{n}", words="x" * 10_000)
            except StorageUnavailableError:
                return 7
            with told.open("a") as file:
                file.write(f"big-{n}\n")
        return 2

    assert in_a_child(fill) == 7
    keys = told.read_text().split()
    assert len(keys) > 5
    assert [key for key in keys if not found_by_another(path, key)] == []
    assert not found_by_another(path, f"big-{len(keys)}")


def test_file_that_was_made_read_only_is_a_no(db_folder):
    """Nothing can be written by a process that opens it now."""
    path = db_folder / "store.sqlite3"
    storage = SQLStorage(f"sqlite:///{path}")
    storage.setup()
    storage.close()
    path.chmod(0o444)
    db_folder.chmod(0o555)

    def write():
        if os.geteuid() == 0:
            os.seteuid(65534)
        mine = SQLStorage(f"sqlite:///{path}")
        try:
            enqueue(mine, "job-2")
        except StorageUnavailableError:
            return 7
        return 2

    try:
        assert in_a_child(write) == 7
    finally:
        db_folder.chmod(0o700)
    assert not found_by_another(path, "job-2")


# Another schema under a process.


def set_version(path, version):
    """Do what an upgrade does at its end."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE schema_version SET version = ?", [version])
    connection.close()


@pytest.mark.parametrize("version", [LAYOUT_VERSION + 1, LAYOUT_VERSION - 1])
def test_schema_that_changes_under_a_process_stops_it(opened, version):
    """Upgraded by newer code, or restored from older: nothing is written or read."""
    storage, path, _ = opened
    set_version(path, version)
    words = "update frappe-enroll-sdk" if version > LAYOUT_VERSION else "enroll setup"
    for _name, ask in asks(storage):
        with pytest.raises(SchemaError, match=words):
            ask()
    assert not found_by_another(path, "job-2")
    set_version(path, LAYOUT_VERSION)
    assert enqueue(storage, "job-2").key == "job-2"


def test_writer_that_waits_for_an_upgrade_writes_nothing(opened):
    """It gets the lock from `setup`, and sees what that has done."""
    storage, path, _ = opened
    upgrade = sqlite3.connect(path, isolation_level=None)
    upgrade.execute("BEGIN IMMEDIATE")
    upgrade.execute("UPDATE schema_version SET version = 99")
    errors = []

    def write():
        try:
            enqueue(storage, "job-2")
        except SchemaError as error:
            errors.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    time.sleep(0.2)
    upgrade.execute("COMMIT")
    upgrade.close()
    thread.join(30)
    assert len(errors) == 1
    assert not found_by_another(path, "job-2")


def test_setup_refuses_a_newer_schema(opened):
    """It never goes back, and says what to update."""
    storage, path, _ = opened
    set_version(path, LAYOUT_VERSION + 1)
    before = shutil.copy(path, path.with_name("before"))
    with pytest.raises(SchemaError, match="update frappe-enroll-sdk on this host"):
        storage.setup()
    assert path.read_bytes() == before.read_bytes()
