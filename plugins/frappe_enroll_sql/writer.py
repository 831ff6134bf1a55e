# SPDX-License-Identifier: MIT
"""
One writer per process: a connection, the threads that wait for it, and their turn.

SQLite lets one process write at a time. So what counts is how long the file's lock is
held, and how soon the next one sees that it is free.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar, cast

import attrs
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from frappe_enroll_sdk.clock import SYSTEM
from frappe_enroll_sdk.errors import StorageUnavailableError

from .file import BUSY_TIMEOUT_S, OpenFile


T = TypeVar("T")

#: Milliseconds that SQLite waits by itself: two looks, a millisecond apart.
_FIRST_LOOKS_MS = 2

#: Writes of one commit: more would only make the first ones wait.
_MOST_TOGETHER = 64


@attrs.define(eq=False)
class _Asked(Generic[T]):
    """A write that a thread waits for."""

    run: Callable[[Connection], T]
    answer: T | None = None
    error: Exception | None = None
    done: bool = False


class Writer:
    """
    What writes in one process. Thread-safe; a forked child makes its own.

    Attributes:
        lock: Whose turn it is.
    """

    def __init__(self, connect: Callable[[], Connection], file: OpenFile) -> None:
        self.lock = threading.Lock()
        self._connect, self._file = connect, file
        self._connection: Connection | None = None
        self._waiting: deque[_Asked[Any]] = deque()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Run one transaction, alone: wholly done, or not at all."""
        with self.lock, self._begun() as connection:
            self._begin_immediate(connection)
            yield connection

    def run(self, write: Callable[[Connection], T]) -> T:
        """
        Run a short write, and return its answer.

        What other threads ask for meanwhile is committed together with it (group
        commit): whoever gets its turn does it for all, and nobody is answered before
        the file is synced. Each sees what those before it have written, as if it came
        after them. Where one is refused, none is made, and each runs again, alone.
        """
        asked = _Asked(write)
        self._waiting.append(asked)
        with self.lock:
            while not asked.done:
                self._run_some()
        if asked.error is not None:
            raise asked.error
        return cast("T", asked.answer)

    def close(self, *, wait: bool = True) -> None:
        """Close the connection (with `wait`, whoever writes ends before)."""
        if self.lock.acquire(blocking=wait):
            try:
                self._close()
            finally:
                self.lock.release()

    def _run_some(self) -> None:
        count = min(len(self._waiting), _MOST_TOGETHER)
        batch = [self._waiting.popleft() for _ in range(count)]
        try:
            if len(batch) == 1 or not self._run_together(batch):
                for asked in batch:
                    self._run_alone(asked)
                    asked.done = True
        except Exception as error:  # noqa: BLE001  raised where it was asked for
            _end(batch, error)
        except BaseException:
            _end(batch, StorageUnavailableError("the writing thread was stopped"))
            raise
        else:
            _end(batch, None)

    def _run_together(self, batch: list[_Asked[Any]]) -> bool:
        """Make all in one transaction; False when one is refused, and none is made."""
        try:
            with self._begun() as connection:
                self._begin_immediate(connection)
                for asked in batch:
                    _run_or_refuse(asked, connection)
        except _RefusedError:
            return False
        return True

    def _run_alone(self, asked: _Asked[Any]) -> None:
        try:
            with self._begun() as connection:
                self._begin_immediate(connection)
                asked.answer = asked.run(connection)
        except Exception as error:  # noqa: BLE001  raised where it was asked for
            _end([asked], error)

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        if self._connection is None:
            self._connection = self._connect()
            _let_us_wait(self._connection)
        try:
            with self._connection.begin():
                yield self._connection
            self._file.require_same()
        except BaseException:
            # Whatever state it is in: the next write has a new one.
            self._close()
            raise

    def _begin_immediate(self, connection: Connection) -> None:
        _patiently(lambda: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        # Now that nobody else can write: what held the lock may have been `setup`.
        self._file.require_schema(raw(connection))

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _end(batch: list[_Asked[Any]], error: Exception | None) -> None:
    for asked in batch:
        if not asked.done:
            asked.error, asked.done = error, True


class _RefusedError(Exception):
    """One write of several is not possible (a constraint, or a full disk)."""


def _run_or_refuse(asked: _Asked[Any], connection: Connection) -> None:
    try:
        asked.answer = asked.run(connection)
    except Exception as error:
        raise _RefusedError from error


def raw(connection: Connection) -> sqlite3.Connection:
    """Return the driver's connection: for what is asked with each statement."""
    return cast("sqlite3.Connection", connection.connection.driver_connection)


def _let_us_wait(connection: Connection) -> None:
    """
    Let `_patiently` wait for the file's write lock, instead of SQLite.

    Without a write-ahead log (where the file's system knows none) a commit has to wait
    for readers as well, and only SQLite can.
    """
    mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    if mode == "wal":
        connection.exec_driver_sql(f"PRAGMA busy_timeout={_FIRST_LOOKS_MS}")
    connection.rollback()


def _patiently(run: Callable[[], T]) -> T:
    """
    Run what needs the file's write lock, looking again while another process has it.

    SQLite's own busy handler comes to sleep a tenth of a second between two looks, so
    that one of two busy processes waits for seconds.
    """
    ends = SYSTEM.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            return run()
        except OperationalError as error:
            code = getattr(error.orig, "sqlite_errorcode", 0)
            # The extended codes of "busy" end in the plain one.
            if code & 0xFF != sqlite3.SQLITE_BUSY or SYSTEM.monotonic() > ends:
                raise
