# SPDX-License-Identifier: MIT
"""
One engine per process, one writer at a time, and errors in our own words.

SQLite: WAL, synchronous FULL, foreign keys. A write begins with ``BEGIN IMMEDIATE`` (a
deferred transaction that turns into a write can fail with "busy" at once).
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from frappe_enroll_sdk.errors import (
    EnrollError,
    SettingsError,
    StorageUnavailableError,
    ValidationError,
)
from frappe_enroll_sdk.stores.news import News

from .file import BUSY_TIMEOUT_S, OpenFile, make
from .writer import Writer, raw


def checked_url(url: str) -> URL:
    """
    Return the URL if it is a SQLite file's.

    Raises:
        SettingsError: Any other database (until its conformance run exists), one in
            memory (each connection would see its own), or what is no plain path.
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
    if parsed.query or "\\" in name or not name.isprintable():
        # We open the file ourselves: nobody reads options, and there is no password.
        raise SettingsError(
            "DATABASE_URL: must name a file (sqlite:////absolute/path), without "
            "options, backslashes and control characters"
        )
    if "~" in Path(name).parts or name.startswith("~"):
        raise SettingsError(
            "DATABASE_URL: nobody expands ~ here; write the folder in full"
        )
    return parsed


T = TypeVar("T")


class _Compiler(SQLiteCompiler):
    """SQLAlchemy's, which writes no hints for SQLite."""

    def get_from_hint_text(self, table: object, text: str | None) -> str | None:  # noqa: ARG002  its signature
        """Write ``INDEXED BY``: the planner may not choose another index."""
        return text


class _Opened:
    """One file, its engine and its writer: they are replaced together."""

    def __init__(self, url: URL, file: OpenFile) -> None:
        self.file = file
        self.engine = create_engine(
            url,
            creator=file.connect,
            pool_size=8,
            max_overflow=64,
            pool_timeout=BUSY_TIMEOUT_S,
            # Its errors are the causes of ours, and parameters are learners' addresses.
            hide_parameters=True,
        )
        self.engine.dialect.statement_compiler = _Compiler
        self.writer = Writer(self.engine.connect, file)

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Tell errors in our words; of a file that was moved or cut, those first."""
        try:
            with our_errors():
                yield
        except StorageUnavailableError:
            self.file.require_same()
            raise

    def close(self, *, wait: bool = True) -> None:
        self.writer.close(wait=wait)
        self.engine.dispose()


class Database:
    """
    The engine and its transactions. Thread-safe and fork-safe.

    A forked child never uses its parent's connections: it makes its own engine.

    Attributes:
        news: Where this process's writers announce what fell due.
        needed: The schema's version that each transaction requires; None = any.
    """

    def __init__(self, url: str) -> None:
        self.news = News()
        self.needed: int | None = None
        self._url = checked_url(url)
        self._path = Path(str(self._url.database)).absolute()
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._opened: _Opened | None = None
        self._parents: _Opened | None = None
        #: Whether the file was open before: then it is gone, and not new.
        self._known = False

    def _here(self) -> _Opened:
        """Return what this process has opened, or opens now."""
        opened = self._opened
        if self._pid == os.getpid() and opened and not opened.file.is_stale:
            return opened
        if self._pid != os.getpid():
            # A lock that the parent held at the fork stays locked in the child. What
            # it has opened is kept, so that nothing ends what is going on there.
            self._lock = threading.Lock()
            self._parents, self._opened = self._opened, None
            self._known |= bool(self._parents and self._parents.file.was_open)
            self.news = News()
            self._pid = os.getpid()
        with self._lock:
            stale = self._opened
            if stale is not None and not stale.file.is_stale:
                return stale
            if stale is not None:
                # All of them, before another is opened: the last one that is closed
                # writes a log back that somebody has deleted beside its file.
                stale.file.require_own_log()
                stale.close(wait=False)
                self._known |= stale.file.was_open
            opened = _Opened(self._url, self._file(known=self._known))
            self._opened = opened
            return opened

    def _file(self, *, known: bool = False) -> OpenFile:
        return OpenFile(self._path, lambda: self.needed, known=known)

    def engine(self) -> Engine:
        """Return this process's engine."""
        return self._here().engine

    @property
    def _writer(self) -> Writer:
        return self._here().writer

    def close(self) -> None:
        """Close this process's connections."""
        if self._opened is None or self._pid != os.getpid():
            return  # a forked child has none of its parent's
        opened, self._opened = self._opened, None
        opened.close()

    @contextmanager
    def set_up(self) -> Iterator[Connection]:
        """Run one write transaction whatever the schema, in a file made if need be."""
        make(self._path)
        opened = _Opened(self._url, OpenFile(self._path, lambda: None))
        try:
            with opened.asked(), opened.writer.transaction() as connection:
                yield connection
        finally:
            opened.close()

    def write(self, write: Callable[[Connection], T]) -> T:
        """
        Run a write and return its answer, once it is synced: all of it, or nothing.

        Others' may be in the same commit: it may be run again, from its beginning,
        after all of them were rolled back.
        """
        opened = self._here()
        with opened.asked():
            return opened.writer.run(write)

    def read(self, ask: Callable[[Connection], T], *, snapshot: bool = False) -> T:
        """Answer a question; with `snapshot`, all of its queries at one moment."""
        opened = self._here()
        with opened.asked(), opened.engine.connect() as connection:
            if snapshot:
                connection.exec_driver_sql("BEGIN")
            opened.file.require_schema(raw(connection))
            answer = ask(connection)
        opened.file.require_same()
        return answer


@contextmanager
def our_errors() -> Iterator[None]:
    """Turn the driver's errors into ours, without paths or parameters."""
    try:
        yield
    except EnrollError:
        raise
    except (UnicodeError, OverflowError) as error:
        raise ValidationError("a value that the database can't hold") from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        cause = getattr(error, "orig", None) or error
        words = str(cause) if isinstance(cause, sqlite3.Error) else type(error).__name__
        raise StorageUnavailableError(f"DATABASE_URL: {words}") from error
