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


#: Seconds that a writer waits for other processes' writers.
BUSY_TIMEOUT_S = 30

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
#: How often a file may be put in another's place while it is being opened.
_MOST_TRIES = 3

_MOVED = (
    "DATABASE_URL: the database file (or its -wal or -shm file) was deleted, replaced, "
    "moved or cut under this process; what was not answered as done has to be asked "
    "for again, and goes to the file that is there now"
)
_GONE = (
    "DATABASE_URL: there is no database file any more: put it back, or restore a "
    "backup (docs/operations.md); `frappe-enroll setup` would make an empty one"
)
_LEFT = (
    "DATABASE_URL: another database file was put there, and the -wal file beside it is "
    "still the former one's: SQLite would mix the two. Stop all processes, delete the "
    "-wal and -shm files, start again"
)
_NEVER = (
    "DATABASE_URL: there is no database file: run `frappe-enroll setup` for a new one, "
    "or restore a backup (docs/operations.md)"
)


@attrs.frozen
class _Seen:
    """Device and inode of the file, its log and its index; 0 where there is none."""

    file: tuple[int, int]
    log: tuple[int, int]
    index: tuple[int, int]


class OpenFile:
    """
    One file, as the first connection has found it. Thread-safe.

    Args:
        path: Where it is.
        needed: Tells the schema's version that is required, or None (any).
        known: Whether this process has had the file open before.

    Attributes:
        is_stale: Whether the path names another file by now: open it anew.
        was_open: Whether it could be opened.
    """

    def __init__(
        self, path: Path, needed: Callable[[], int | None], *, known: bool = False
    ) -> None:
        self.is_stale, self.was_open = False, known
        self._path, self._needed = path, needed
        # SQLite follows links when it opens: the other two stand beside the target.
        self._log, self._index = _beside(path, "-wal"), _beside(path, "-shm")
        self._seen: _Seen | None = None
        self._has_log = True
        self._size = 0

    def connect(self) -> sqlite3.Connection:
        """
        Open one connection; a file that is not there is never made.

        Raises:
            StorageUnavailableError: The file is gone, or another one by now.
            SchemaError: There never was one, or its schema is not this code's.
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
                # With its last connection SQLite has deleted the log that was seen.
                self._seen = None
            raise
        self.was_open = True
        return connection

    def _connect(self) -> sqlite3.Connection:
        if self._seen is not None:
            # Looked at before it is opened: whoever opens another file beside this
            # one's log has mixed the two as soon as it closes it.
            self.require_same()
        for _ in range(_MOST_TRIES):
            before = _inode(self._path.stat())
            connection = _open(self._path)
            try:
                seen = self._look(connection)
            except (OSError, sqlite3.Error):
                connection.close()
                raise
            # Opened between two looks that agree: so it is what both have seen.
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
        # Where the file's system knows no log, SQLite itself looks whether it moved.
        self._has_log = mode == "wal"
        if self._has_log:
            # The log is opened by the first read.
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return self._look_again()

    def _look_again(self) -> _Seen | None:
        # Known before the look: another thread may see it grow meanwhile.
        least = self._size
        file = self._path.stat()
        if not self._has_log:
            return _Seen(_inode(file), (0, 0), (0, 0))
        if file.st_size < least:
            # A log is written back by adding to the file: somebody has cut it.
            return None
        self._size = file.st_size
        log, index = self._log.stat(), self._index.stat()
        return _Seen(_inode(file), _inode(log), _inode(index))

    def require_same(self) -> None:
        """
        Prove that the path still names what was opened: right before each answer.

        Raises:
            StorageUnavailableError: It doesn't, and this file is stale from now on.
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
        Prove that no other file stands beside this one's log; before it is closed.

        While it is open its log can be told from any other.

        Raises:
            StorageUnavailableError: SQLite would write the one's log into the other.
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
        Prove that the schema is this code's: another process may have upgraded it.

        Raises:
            SchemaError: It is missing, older or newer; says what to do.
        """
        needed = self._needed()
        if needed is not None:
            require_schema(version_of(connection), needed)


def version_of(connection: sqlite3.Connection) -> int | None:
    """Return the schema's version (of one under way, the old), or None for none."""
    for version in ("coalesce(coming_from, version)", "version"):
        try:
            query = f"SELECT {version} FROM schema_version"  # noqa: S608  ours
            found = connection.execute(query).fetchone()
        except sqlite3.OperationalError as error:
            # Schema 5 and those before it knew no way from another.
            if "no such" not in str(error):
                raise
        else:
            return None if found is None else int(found[0])
    return None


#: Somebody has to give the folder, or name another one.
_REFUSED = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}
)


def make(path: Path) -> None:
    """
    Make the file and its folder where they are missing, for the owner's eyes only.

    Raises:
        SettingsError: They can't be made, and no second try mends it.
        StorageUnavailableError: They can't be made now.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # SQLite gives its -wal and -shm files the same rights. One that is there is
        # never opened here: closing it would drop the locks of this process (POSIX).
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
