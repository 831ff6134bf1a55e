# SPDX-License-Identifier: MIT
"""
The file that the path names: what connections open, and what answers stand for.

SQLite goes on in a file that was deleted or replaced, and in a log (``-wal``) or index
(``-shm``) that was: what it commits there is gone when the process ends. So whoever has
committed or read compares what the paths name now with what the connection has opened,
and only then says yes.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import attrs

from frappe_enroll_sdk.errors import (
    EnrollError,
    SchemaError,
    SettingsError,
    StorageUnavailableError,
)
from frappe_enroll_sdk.stores.schema import require_schema


#: Seconds that a writer waits for writers in other processes.
BUSY_TIMEOUT_S = 30

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
#: How often the file may be replaced while it is being opened.
_MOST_TRIES = 3

_MOVED = (
    "DATABASE_URL: the database file (or its -wal or -shm file) was deleted, replaced, "
    "moved or truncated while in use; repeat whatever was not confirmed: it now goes "
    "to the present file"
)
_GONE = (
    "DATABASE_URL: there is no database file any more: put it back, or restore a "
    "backup (docs/operations.md); `frappe-enroll setup` would create an empty one"
)
_LEFT = (
    "DATABASE_URL: the database file was replaced, and the -wal file beside it still "
    "belongs to the old one: SQLite would mix the two. Stop all processes, delete the "
    "-wal and -shm files, and start again"
)
_NEVER = (
    "DATABASE_URL: there is no database file: run `frappe-enroll setup` for a new one, "
    "or restore a backup (docs/operations.md)"
)


@attrs.frozen
class _Seen:
    """Device and inode of the file, its log and its index; 0 = there is none."""

    file: tuple[int, int]
    log: tuple[int, int]
    index: tuple[int, int]


class OpenFile:
    """
    One file, as the first connection found it. Thread-safe.

    Args:
        path: Where it is.
        needed: Returns the required schema version, or None (any).
        known: Whether this process has had the file open before.

    Attributes:
        is_stale: Whether the path now names another file: open it again.
        was_open: Whether it could be opened.
    """

    def __init__(
        self, path: Path, needed: Callable[[], int | None], *, known: bool = False
    ) -> None:
        self.is_stale, self.was_open = False, known
        self._path, self._needed = path, needed
        # SQLite follows symbolic links: the other two files are beside the target.
        self._log, self._index = _beside(path, "-wal"), _beside(path, "-shm")
        self._seen: _Seen | None = None
        self._has_log = True
        self._size = 0

    def connect(self) -> sqlite3.Connection:
        """
        Open one connection; never create a missing file.

        Raises:
            StorageUnavailableError: The file is gone or was replaced.
            SchemaError: There never was one, or its schema does not match this code.
        """
        try:
            connection = self._connect()
        except FileNotFoundError as error:
            self.is_stale = True
            if self.was_open:
                raise StorageUnavailableError(self._words()) from error
            raise SchemaError(_NEVER) from error
        except OSError as error:
            words = f"DATABASE_URL: can't be looked at ({type(error).__name__})"
            raise StorageUnavailableError(words) from error
        try:
            self.require_schema(connection)
        except (EnrollError, sqlite3.Error):
            connection.close()
            if not self.was_open:
                # Closing the last connection made SQLite delete the log that was seen.
                self._seen = None
            raise
        self.was_open = True
        return connection

    def _connect(self) -> sqlite3.Connection:
        if self._seen is not None:
            # Check before opening: opening another file beside this one's log mixes the
            # two as soon as it is closed.
            self.require_same()
        for _ in range(_MOST_TRIES):
            before = _inode(self._path.stat())
            connection = _open(self._path)
            try:
                seen = self._look(connection)
            except (OSError, sqlite3.Error):
                connection.close()
                raise
            # Opened between two identical looks, so it is the file that both saw.
            if seen and seen.file == before and self._seen in {None, seen}:
                self._seen = seen
                return connection
            connection.close()
            if self._seen is not None:
                break
        self.is_stale = True
        raise StorageUnavailableError(_MOVED)

    def _look(self, connection: sqlite3.Connection) -> _Seen | None:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        # On a file system without WAL support, SQLite itself detects a moved file.
        self._has_log = mode == "wal"
        if self._has_log:
            # The first read opens the log.
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return self._look_again()

    def _look_again(self) -> _Seen | None:
        # Read before the look: another thread may see it grow meanwhile.
        least = self._size
        file = self._path.stat()
        if not self._has_log:
            return _Seen(_inode(file), (0, 0), (0, 0))
        if file.st_size < least:
            # Checkpoints only extend the file: somebody has truncated it.
            return None
        self._size = file.st_size
        log, index = self._log.stat(), self._index.stat()
        return _Seen(_inode(file), _inode(log), _inode(index))

    def require_same(self) -> None:
        """
        Verify, right before each answer, that the path still names the opened file.

        Raises:
            StorageUnavailableError: It doesn't; the file is stale from now on.
        """
        try:
            if self._look_again() == self._seen:
                return
        except OSError as error:
            self.is_stale = True
            raise StorageUnavailableError(self._words()) from error
        self.is_stale = True
        raise StorageUnavailableError(_MOVED)

    def _words(self) -> str:
        return _MOVED if self._path.exists() else _GONE

    def require_own_log(self) -> None:
        """
        Verify, before closing, that no other file is beside this one's log.

        While it is open, its log can be told from any other.

        Raises:
            StorageUnavailableError: SQLite would write this file's log into the other
                one.
        """
        seen = self._seen
        try:
            if seen is None or _inode(self._path.stat()) == seen.file:
                return
            left = _inode(_beside(self._path, "-wal").stat()) == seen.log
        except OSError:
            return  # one of the two is gone
        if left:
            raise StorageUnavailableError(_LEFT)

    def require_schema(self, connection: sqlite3.Connection) -> None:
        """
        Verify that the schema matches this code: another process may have upgraded it.

        Raises:
            SchemaError: It is missing, older or newer; says what to do.
        """
        needed = self._needed()
        if needed is not None:
            require_schema(version_of(connection), needed)


def version_of(connection: sqlite3.Connection) -> int | None:
    """Return the schema's version (the old one during an upgrade), or None."""
    for version in ("coalesce(coming_from, version)", "version"):
        try:
            query = f"SELECT {version} FROM schema_version"  # noqa: S608  ours
            found = connection.execute(query).fetchone()
        except sqlite3.OperationalError as error:
            # Schemas up to 5 do not record an upgrade in progress.
            if "no such" not in str(error):
                raise
        else:
            return None if found is None else int(found[0])
    return None


#: An operator has to provide the folder, or configure another one.
_REFUSED = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}
)


def make(path: Path) -> None:
    """
    Create the file and its folder if missing, readable by the owner only.

    Raises:
        SettingsError: They can't be created, and retrying will not help.
        StorageUnavailableError: They can't be created now.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # SQLite gives its -wal and -shm files the same permissions. Never open an
        # existing file here: closing it would drop this process's locks (POSIX).
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        if isinstance(error, FileExistsError) and path.exists():
            return
        words = f"DATABASE_URL: the file can't be made: {error.strerror}"
        if error.errno in _REFUSED:
            raise SettingsError(words) from error
        raise StorageUnavailableError(words) from error


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        check_same_thread=False,
        # We begin our transactions ourselves (SQLAlchemy, "SQLite transactions").
        isolation_level=None,
    )
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").close()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _beside(path: Path, ending: str) -> Path:
    target = path.resolve()
    return target.with_name(target.name + ending)


def _inode(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino
