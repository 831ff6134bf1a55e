# SPDX-License-Identifier: MIT
"""
One engine per process, one writer at a time, and errors in our own words.

SQLite: WAL, synchronous FULL, foreign keys. A write is one statement, or it begins with
``BEGIN IMMEDIATE`` (a deferred transaction that turns into a write can fail with "busy"
at once).
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    Executable,
    Row,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    SQLAlchemyError,
)

from frappe_enroll_sdk.errors import (
    EnrollError,
    SchemaError,
    SettingsError,
    StorageUnavailableError,
)
from frappe_enroll_sdk.news import News

from .writer import BUSY_TIMEOUT_S, Writer


#: What no second try mends: somebody has to give the folder, or name another one.
_REFUSED = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}
)


def checked_url(url: str) -> URL:
    """
    Return the URL if it is a SQLite file's.

    Raises:
        SettingsError: Any other database (until its conformance run exists), or a
            database in memory (each connection would see its own).
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise SettingsError("DATABASE_URL: is not a database URL") from error
    if parsed.get_backend_name() != "sqlite":
        raise SettingsError(
            f"DATABASE_URL: {parsed.get_backend_name()} is not supported; "
            "use sqlite:////absolute/path"
        )
    name = parsed.database or ":memory:"
    if ":memory:" in name or name.startswith("file:"):
        # In memory each process has its own: what one has sold, no other knows of.
        raise SettingsError("DATABASE_URL: must name a file (sqlite:////absolute/path)")
    if "~" in Path(name).parts or name.startswith("~"):
        raise SettingsError(
            "DATABASE_URL: nobody expands ~ here; write the folder in full"
        )
    return parsed


T = TypeVar("T")


class Database:
    """
    The engine and its transactions. Thread-safe and fork-safe.

    A forked child never uses its parent's connections: it makes its own engine.

    Attributes:
        news: Where this process's writers announce what fell due.
    """

    def __init__(self, url: str) -> None:
        self.news = News()
        self._url = checked_url(url)
        self._lock = threading.Lock()
        self._pid = -1
        self._engine: Engine | None = None
        self._writer = self._new_writer()
        self._parents: Writer | None = None

    def _new_writer(self) -> Writer:
        return Writer(lambda: self.engine().connect())

    def engine(self) -> Engine:
        """Return this process's engine."""
        if self._pid == os.getpid() and self._engine is not None:
            return self._engine
        if self._pid != os.getpid():
            # A lock that the parent held at the fork stays locked in the child. The
            # parent's writer is kept, so that nothing ends what is going on there.
            self._lock = threading.Lock()
            self._parents, self._writer = self._writer, self._new_writer()
            self.news = News()
        with self._lock:
            if self._pid != os.getpid() and self._engine is not None:
                self._engine.dispose(close=False)
                self._engine = None
            if self._engine is None:
                self._engine = _make_engine(self._url)
            self._pid = os.getpid()
            return self._engine

    def close(self) -> None:
        """Close this process's connections."""
        self.engine()  # a forked child has none of its parent's
        self._writer.close()
        if self._engine is not None:
            self._engine.dispose()
        self._engine = None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Run one write transaction: wholly done, or not at all."""
        self.engine()
        with our_errors(), self._writer.transaction() as connection:
            yield connection

    def write_one(self, statement: Executable, values: Mapping[str, Any]) -> int:
        """Run a write of one statement, and return how many rows it has changed."""
        self.engine()

        def run(connection: Connection) -> int:
            return connection.execute(statement, values).rowcount

        with our_errors():
            return self._writer.run(run, is_one_statement=True)

    def write_short(self, write: Callable[[Connection], T]) -> T:
        """
        Run a short write and return its answer; others' may be in the same commit.

        It may be run again, from its beginning, after all of them were rolled back.
        """
        self.engine()
        with our_errors():
            return self._writer.run(write)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Run one read transaction."""
        engine = self.engine()
        with our_errors(), engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("BEGIN")
            yield connection

    def first(self, query: Executable, values: Mapping[str, Any]) -> Row[Any] | None:
        """Run a query of one statement, and return its first row, or None."""
        engine = self.engine()
        with our_errors(), engine.connect() as connection:
            return connection.execute(query, values).first()

    def ensure_folder(self) -> None:
        """Make the file's folder, for the owner's eyes only."""
        try:
            folder = Path(str(self._url.database)).parent
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            words = f"DATABASE_URL: the folder can't be made: {error.strerror}"
            if error.errno in _REFUSED:
                raise SettingsError(words) from error
            raise StorageUnavailableError(words) from error


def _make_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        pool_size=8,
        max_overflow=64,
        pool_timeout=BUSY_TIMEOUT_S,
        # Its errors are the causes of ours, and parameters are learners' addresses.
        hide_parameters=True,
    )
    event.listen(engine, "connect", _on_connect)
    return engine


def _on_connect(connection: sqlite3.Connection, _: Any) -> None:
    # We begin our transactions ourselves (SQLAlchemy, "SQLite transactions").
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


@contextmanager
def our_errors() -> Iterator[None]:
    """Turn the driver's errors into ours, without paths or parameters."""
    try:
        yield
    except EnrollError:
        raise
    except (SQLAlchemyError, sqlite3.Error) as error:
        cause = getattr(error, "orig", None) or error
        words = str(cause) if isinstance(cause, sqlite3.Error) else type(error).__name__
        if isinstance(error, DatabaseError) and "no such table" in words:
            raise SchemaError(
                "the database has no tables yet: run `frappe-enroll setup`"
            ) from error
        raise StorageUnavailableError(f"DATABASE_URL: {words}") from error


def capped_count(
    connection: Connection, column: Column[Any], cap: int, *where: ColumnElement[bool]
) -> int:
    """Count rows, but no more than `cap`."""
    capped = select(column).where(*where).limit(cap).subquery()
    return int(
        connection.execute(select(func.count()).select_from(capped)).scalar_one()
    )
