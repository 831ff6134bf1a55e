# SPDX-License-Identifier: MIT
"""
`Tables` on SQLAlchemy Core: what every SQL database does alike, and SQLite's own.

Another dialect is a small subclass of `SQLTables`: its types, how it reads and writes,
an insert that passes over taken keys and slots, a swap that may find a slot taken.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

from sqlalchemy import (
    REAL,
    Connection,
    Executable,
    Insert,
    Integer,
    Table,
    Text,
    Update,
    text,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.types import TypeEngine

from frappe_enroll_sdk.interfaces import tables as port
from frappe_enroll_sdk.interfaces.tables import CellKind, Query, Row, Swap

from .engine import Database
from .layout import Layout
from .watch import SQLWatch


__all__ = ("SQLTables",)


T = TypeVar("T")

#: Name pattern of the tables that `setup` sets aside: old name and version.
ASIDE = re.compile(r"(\w+)_of_\d+")
#: Most values of one IN list.
_CHUNK = 500


class SQLTables(ABC):
    """Base class for dialects; see `Tables` for the verbs. Thread-safe."""

    durable_reads = True
    #: SQL type of each kind of column.
    types: ClassVar[Mapping[CellKind, TypeEngine[Any]]]

    def __init__(self) -> None:
        self._layouts: dict[port.Table, Layout] = {}

    def layout_of(self, table: port.Table) -> Layout:
        """Return a table's layout."""
        layout = self._layouts.get(table)
        if layout is None:
            layout = self._layouts.setdefault(table, Layout(table, self.types))
        return layout

    @abstractmethod
    def _read(self, ask: Callable[[Connection], T], *, snapshot: bool = False) -> T:
        """Run queries and return their answer; with `snapshot`, all at one moment."""

    @abstractmethod
    def _write(self, write: Callable[[Connection], T]) -> T:
        """Run a write in a transaction; return its result once it is durable."""

    @abstractmethod
    def _insert_into(self, table: Table) -> Insert:
        """Build an insert that writes nothing if a key or a slot is taken."""

    def _into_slot(self, write: Update) -> Update:
        """Build an update that may find a slot taken; `_each` handles the outcome."""
        return write

    def _each(
        self,
        connection: Connection,
        write: Executable,
        rows: Sequence[dict[str, Any]],
        *,
        slots: bool = False,  # noqa: ARG002  for a dialect that has to undo
    ) -> list[bool]:
        """Run a write for each set of parameters; return which ones wrote a row."""
        if len(rows) > 1:
            with connection.begin_nested() as together:
                if connection.execute(write, rows).rowcount == len(rows):
                    return [True] * len(rows)
                together.rollback()
        return [connection.execute(write, row).rowcount == 1 for row in rows]

    def get(self, table: port.Table, keys: Collection[str]) -> Sequence[Row]:
        """See `Tables.get`."""
        layout, given = self.layout_of(table), list(keys)
        if not given:
            return ()

        def ask(connection: Connection) -> list[Any]:
            if len(given) == 1:
                one = connection.execute(layout.find(many=False), {"keys": given[0]})
                return list(one)
            query = layout.find(many=True)
            chunks = (given[n : n + _CHUNK] for n in range(0, len(given), _CHUNK))
            return [r for c in chunks for r in connection.execute(query, {"keys": c})]

        return [layout.row(found) for found in self._read(ask)]

    def insert(self, table: port.Table, rows: Sequence[Row]) -> Sequence[bool]:
        """See `Tables.insert`."""
        layout = self.layout_of(table)
        write = layout.insert(self._insert_into)
        values = [layout.values(row) for row in rows]
        return self._write(lambda connection: self._each(connection, write, values))

    def swap(self, table: port.Table, swaps: Sequence[Swap]) -> Sequence[bool]:
        """See `Tables.swap`."""
        run = self._swapping(table, swaps)
        return self._write(run)

    def _swapping(
        self, table: port.Table, swaps: Sequence[Swap]
    ) -> Callable[[Connection], list[bool]]:
        """Return a write that makes these swaps, sending equal shapes together."""
        layout = self.layout_of(table)
        groups: dict[Update, list[int]] = {}
        for n, swap in enumerate(swaps):
            groups.setdefault(layout.swap(swap, self._into_slot), []).append(n)
        values = [layout.changes(swap) for swap in swaps]

        def run(connection: Connection) -> list[bool]:
            done = [False] * len(swaps)
            for write, places in groups.items():
                slots = layout.takes_slot(swaps[places[0]])
                rows = [values[n] for n in places]
                answers = self._each(connection, write, rows, slots=slots)
                for n, answer in zip(places, answers, strict=True):
                    done[n] = answer
            return done

        return run

    def take(
        self,
        table: port.Table,
        query: Query,
        limit: int,
        make: Callable[[Row], Swap],
    ) -> Sequence[Row]:
        """See `TakingTables.take`; after a rollback it reads the rows again."""
        layout = self.layout_of(table)
        statement, values = layout.page(query, limit, locked=True)

        def run(connection: Connection) -> list[Row]:
            found = connection.execute(statement, values).all()
            rows = [layout.row(one) for one in found]
            swaps = [make(row) for row in rows]
            done = self._swapping(table, swaps)(connection)
            pairs = zip(rows, swaps, done, strict=True)
            return [swap.applied(row) for row, swap, yes in pairs if yes]

        return self._write(run)

    def delete(self, table: port.Table, rows: Collection[Row]) -> int:
        """See `Tables.delete`."""
        write = self.layout_of(table).delete()
        those = [{"of_key": r.key, "of_rev": r.rev, "of_op": r.op} for r in rows]
        if not those:
            return 0
        return self._write(lambda connection: connection.execute(write, those).rowcount)

    def page(self, table: port.Table, query: Query, limit: int) -> Sequence[Row]:
        """See `Tables.page`."""
        layout = self.layout_of(table)
        statement, values = layout.page(query, limit)
        found = self._read(
            lambda connection: connection.execute(statement, values).all()
        )
        return [layout.row(row) for row in found]

    def count(
        self, table: port.Table, queries: Sequence[Query], cap: int
    ) -> Sequence[int]:
        """See `Tables.count`."""
        layout = self.layout_of(table)
        asked = [layout.count(query, cap) for query in queries]

        def ask(connection: Connection) -> list[int]:
            return [int(connection.execute(*one).scalar_one()) for one in asked]

        return self._read(ask, snapshot=True)


class SQLiteTables(SQLTables):
    """`Tables` in a SQLite file. Thread-safe and fork-safe; writes are synced."""

    types: ClassVar[Mapping[CellKind, TypeEngine[Any]]] = {
        CellKind.NAME: Text(),
        CellKind.TEXT: Text(),
        CellKind.LINES: Text(),
        CellKind.INT: Integer(),
        CellKind.FLOAT: REAL(),
    }

    def __init__(self, url: str) -> None:
        super().__init__()
        self.database = Database(url)

    def _read(self, ask: Callable[[Connection], T], *, snapshot: bool = False) -> T:
        return self.database.read(ask, snapshot=snapshot)

    def _write(self, write: Callable[[Connection], T]) -> T:
        return self.database.write(write)

    def _insert_into(self, table: Table) -> Insert:
        return sqlite.insert(table).on_conflict_do_nothing()

    def _into_slot(self, write: Update) -> Update:
        return write.prefix_with("OR IGNORE", dialect="sqlite")

    def now(self) -> datetime:
        """See `Tables.now`."""
        query = text("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')")
        stamp = self._read(lambda connection: connection.execute(query).scalar_one())
        return datetime.fromisoformat(stamp).replace(tzinfo=UTC)

    def watch(self, tables: Collection[port.Table]) -> SQLWatch:
        """See `Tables.watch`."""
        return SQLWatch(self.database, [self.layout_of(table) for table in tables])

    def announce(self) -> None:
        """See `Tables.announce`."""
        self.database.news.announce()

    def setup(self, tables: Collection[port.Table], version: int) -> None:
        """See `Tables.setup`."""
        from .migrate import upgrade  # noqa: PLC0415  it imports this module

        layouts = [self.layout_of(table) for table in tables]
        upgrade(self.database.set_up, layouts, version)
        self.database.needed = version

    def check_schema(self, version: int) -> None:
        """See `Tables.check_schema`. From now on, each transaction checks it, too."""
        self.database.needed = version
        self._read(lambda _connection: None)

    def list_drift(self, tables: Collection[port.Table]) -> tuple[str, ...]:
        """Return missing tables and indexes, and tables with rows that `setup` left."""
        known = text("SELECT name FROM sqlite_master WHERE type IN ('table', 'index')")
        there = self._read(lambda c: set(c.execute(known).scalars()))
        wanted = [self.layout_of(table).table for table in tables]
        names = [f"table {table.name}" for table in wanted]
        names += [f"index {index.name}" for table in wanted for index in table.indexes]
        drift = [f"{n} is missing" for n in names if n.split()[1] not in there]
        aside = sorted(name for name in there if ASIDE.fullmatch(name))
        drift += [f"table {name} has rows that setup could not read" for name in aside]
        return tuple(drift)

    def ping(self) -> None:
        """See `Tables.ping`."""
        write = text("UPDATE schema_version SET version = version")
        self._write(lambda connection: connection.execute(write))

    def close(self) -> None:
        """See `Tables.close`."""
        self.database.close()
