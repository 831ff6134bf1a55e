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

#: Milliseconds that SQLite waits by itself: two attempts, a millisecond apart.
_FIRST_LOOKS_MS = 2

#: Most writes in one commit: more would only make the first ones wait.
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
    The writer of one process. Thread-safe; a forked child creates its own.

    Attributes:
        lock: Held by the thread whose turn it is.
    """

    def __init__(self, connect: Callable[[], Connection], file: OpenFile) -> None:
        self.lock = threading.Lock()
        self._connect, self._file = connect, file
        self._connection: Connection | None = None
        self._waiting: deque[_Asked[Any]] = deque()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Run one transaction by itself, all or nothing."""
        with self.lock, self._begun() as connection:
            self._begin_immediate(connection)
            yield connection

    def run(self, write: Callable[[Connection], T]) -> T:
        """
        Run a short write and return its result.

        Writes that other threads request meanwhile are committed with it (group
        commit): the thread whose turn it is does them all, and none returns before the
        file is synced. Each sees what the ones before it wrote, as if it came after
        them. If one is refused, all are rolled back, and each runs again alone.
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
        """Close the connection (with `wait`, after a running write has ended)."""
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
        except Exception as error:  # noqa: BLE001  raised again in the requesting thread
            _end(batch, error)
        except BaseException:
            _end(batch, StorageUnavailableError("the writing thread was stopped"))
            raise
        else:
            _end(batch, None)

    def _run_together(self, batch: list[_Asked[Any]]) -> bool:
        """Run all in one transaction; False = one was refused, all rolled back."""
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
        except Exception as error:  # noqa: BLE001  raised again in the requesting thread
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
            # Discard it, whatever its state: the next write gets a new one.
            self._close()
            raise

    def _begin_immediate(self, connection: Connection) -> None:
        _patiently(lambda: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        # Check now that nobody else can write: the lock may have been held by `setup`.
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
    """One write of several failed (a constraint, or a full disk)."""


def _run_or_refuse(asked: _Asked[Any], connection: Connection) -> None:
    try:
        asked.answer = asked.run(connection)
    except Exception as error:
        raise _RefusedError from error


def raw(connection: Connection) -> sqlite3.Connection:
    """Return the driver's connection, for calls made with each statement."""
    return cast("sqlite3.Connection", connection.connection.driver_connection)


def _let_us_wait(connection: Connection) -> None:
    """
    Make `_patiently` wait for the file's write lock, instead of SQLite.

    Without a write-ahead log (on a file system that can't have one), a commit also has
    to wait for readers, and only SQLite can do that.
    """
    mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    if mode == "wal":
        connection.exec_driver_sql(f"PRAGMA busy_timeout={_FIRST_LOOKS_MS}")
    connection.rollback()


def _patiently(run: Callable[[], T]) -> T:
    """
    Run a call that needs the file's write lock, retrying while another process has it.

    SQLite's own busy handler sleeps up to a tenth of a second between attempts, so that
    one of two busy processes waits for seconds.
    """
    ends = SYSTEM.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            return run()
        except OperationalError as error:
            code = getattr(error.orig, "sqlite_errorcode", 0)
            # The low byte of an extended "busy" code is the plain code.
            if code & 0xFF != sqlite3.SQLITE_BUSY or SYSTEM.monotonic() > ends:
                raise
