# SPDX-License-Identifier: MIT
"""
`Tables` on PostgreSQL: the proof that the SQL base carries another database.

It is no backend of ours: it is not configured, not migrated, and not measured.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import ClassVar

from sqlalchemy import BigInteger, Double, Text, create_engine, inspect, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from frappe_enroll_sdk.errors import (
    StorageUnavailableError,
    UnclearWriteError,
    ValidationError,
)
from frappe_enroll_sdk.interfaces.tables import CellKind
from frappe_enroll_sdk.stores.news import News, NewsWatch
from frappe_enroll_sdk.stores.schema import require_not_newer, require_schema
from frappe_enroll_sql.tables import SQLTables


#: Undone by the database for the sake of others (a deadlock, or a race): nothing was
#: written, and it may be sent again.
_UNDONE = {"40P01", "40001"}
_TRIES = 20
_VERSION = "SELECT version FROM schema_version"


class PostgresTables(SQLTables):
    """See `Tables`; a commit is as durable as the server makes it."""

    types: ClassVar = {
        # Compared byte by byte.
        CellKind.NAME: Text(collation="C"),
        CellKind.TEXT: Text(),
        CellKind.LINES: Text(),
        CellKind.INT: BigInteger(),
        CellKind.FLOAT: Double(),
    }

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url, self._pid = url, None
        self._news = News()

    @property
    def _engine(self):
        """This process's engine: a forked child makes its own."""
        if self._pid != os.getpid():
            self._pid, self._news = os.getpid(), News()
            self._made = create_engine(self._url, pool_size=16, max_overflow=64)
        return self._made

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except DataError as error:
            raise ValidationError("a value that the database can't hold") from error
        except SQLAlchemyError as error:
            raise StorageUnavailableError(type(error).__name__) from error

    def _read(self, ask, *, snapshot=False):
        with self._our_errors(), self._engine.connect() as connection:
            if snapshot:
                connection.execution_options(isolation_level="REPEATABLE READ")
            return ask(connection)

    def _write(self, write):
        with self._our_errors():
            for _ in range(_TRIES):
                with self._engine.connect() as connection:
                    try:
                        answer = write(connection)
                    except DBAPIError as error:
                        if getattr(error.orig, "sqlstate", None) in _UNDONE:
                            continue
                        raise
                    try:
                        connection.commit()
                    except DBAPIError as error:
                        raise UnclearWriteError from error
                    return answer
        raise StorageUnavailableError("undone for the sake of others, again and again")

    def _insert_into(self, table):
        return postgresql.insert(table).on_conflict_do_nothing()

    def _each(self, connection, write, rows, *, slots=False):
        if not slots:
            return super()._each(connection, write, rows)
        return [self._into_free_slot(connection, write, row) for row in rows]

    def _into_free_slot(self, connection, write, row):
        try:
            with connection.begin_nested():
                return connection.execute(write, row).rowcount == 1
        except IntegrityError:
            return False

    def now(self):
        """See `Tables.now`."""
        query = text("SELECT clock_timestamp()")
        return self._read(lambda c: c.execute(query).scalar_one()).astimezone(UTC)

    def watch(self, tables):
        """See `Tables.watch`: this process's own news."""
        return self._engine and NewsWatch(self._news)

    def announce(self):
        """See `Tables.announce`."""
        self._news.announce()

    def setup(self, tables, version):
        """See `Tables.setup`: there is nothing to upgrade from."""

        def run(connection):
            # One host at a time, until it commits.
            connection.execute(text("SELECT pg_advisory_xact_lock(5)"))
            row = "id int PRIMARY KEY CHECK (id = 1), version int NOT NULL"
            connection.execute(
                text(f"CREATE TABLE IF NOT EXISTS schema_version ({row})")
            )
            found = connection.execute(text(_VERSION)).scalar()
            require_not_newer(found, version)
            for table in (self.layout_of(table).table for table in tables):
                table.create(connection, checkfirst=True)
                for index in table.indexes:
                    index.create(connection, checkfirst=True)
            put = (
                "INSERT INTO schema_version VALUES (1, :v) ON CONFLICT (id) DO UPDATE "
            )
            connection.execute(text(put + "SET version = :v"), {"v": version})

        self._write(run)

    def check_schema(self, version):
        """See `Tables.check_schema`."""

        def ask(connection):
            there = inspect(connection).has_table("schema_version")
            return connection.execute(text(_VERSION)).scalar() if there else None

        require_schema(self._read(ask), version)

    def list_drift(self, tables):
        """See `Tables.list_drift`."""

        def ask(connection):
            look, missing = inspect(connection), []
            for table in (self.layout_of(table).table for table in tables):
                if not look.has_table(table.name):
                    missing.append(f"table {table.name} is missing")
                    continue
                there = {index["name"] for index in look.get_indexes(table.name)}
                names = {index.name for index in table.indexes} - there
                missing += [f"index {name} is missing" for name in sorted(names)]
            return tuple(missing)

        return self._read(ask)

    def ping(self):
        """See `Tables.ping`."""
        write = text("UPDATE schema_version SET version = version")
        self._write(lambda connection: connection.execute(write))

    def close(self):
        """See `Tables.close`."""
        if self._pid == os.getpid():
            self._made.dispose()
