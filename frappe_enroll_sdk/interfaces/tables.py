# SPDX-License-Identifier: MIT
"""
The port of a database: tables of cells, and conditional writes on single rows.

Whoever writes a storage backend implements `Tables` and hands it to
``stores.storage.TableStorage``, which is the `Storage` of the SDK: all nine stores are
written once, over this port. A backend knows no record and no rule. It keeps rows,
keeps the declared indexes, and answers the verbs below.

A **row** is a key, a `rev`, an `op` and cells. Each write of a row raises `rev` by one
and names the operation in `op`. Nothing is promised about two rows: every verb writes
each of its rows by itself, and none needs a transaction.

**Durable.** A verb that wrote returns once the write is durable (it survives the loss
of the process, the host, or a minority of a cluster). What a read returns is committed,
and includes everything that this process has written or read before, and whatever has
refused one of its writes.

**Errors.** No exception of a driver leaves a backend. `StorageUnavailableError`: the
database can't be reached or can't write, and nothing was written by this call.
`UnclearWriteError`: a write was sent and its acknowledgement was lost; any of its rows
may have been written. The backend repeats nothing by itself: the core repeats the verb
and looks for its `op`. `SchemaError`: see `check_schema`. `ValidationError`: text that
the database can't hold.

**Threads and processes.** All verbs may be called from many threads, and from a forked
child: what can't be shared (clients, pools, locks) is made again in the child.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import attrs

from .news import Watch


__all__ = (
    "KEY",
    "OP",
    "REV",
    "Cell",
    "CellKind",
    "Column",
    "Index",
    "Query",
    "Row",
    "Swap",
    "Table",
    "Tables",
    "TakingTables",
)


#: The value of a column; see `CellKind`. None = null, or not named by the row.
Cell = str | int | float | tuple[str, ...] | None

#: Names the row's own key as a field of an index or a query, and the index on it, which
#: every table has. No column may be called so (nor `REV`, nor `OP`).
KEY, REV, OP = "key", "rev", "op"


class CellKind(StrEnum):
    """
    Kind of a column.

    Attributes:
        NAME: Text that may be indexed: at most 1,024 bytes of UTF-8, compared byte by
            byte (case, accents and trailing spaces count). Keys are of this kind. No
            index has more than two of them.
        TEXT: Text of any length (up to some megabytes); never indexed or compared.
        INT: A 64-bit integer. Moments are milliseconds since 1970 (UTC), flags are 0
            and 1.
        FLOAT: A double.
        LINES: A tuple of strings that only grows: a swap appends to it (`Swap.more`).
            Never indexed. () if nothing was written.
    """

    NAME = "name"
    TEXT = "text"
    INT = "int"
    FLOAT = "float"
    LINES = "lines"


@attrs.frozen
class Column:
    """
    One column of a table.

    Attributes:
        name: A plain word in lower case, with underscores.
        kind: See `CellKind`.
        required: Whether it is never null. (The core ensures this; a backend may let
            the database check it as well.)
    """

    name: str
    kind: CellKind
    required: bool = False


@attrs.frozen
class Index:
    """
    One index: rows in the order of its fields, and then of their keys.

    A row with a null in one of the fields is **not in the index**: it is neither found
    through it nor refused by it.

    Attributes:
        name: Unique within the table.
        fields: Columns of kind NAME, INT or FLOAT, or `KEY`.
        unique: Whether no two of its rows may be equal in all fields. This is what a
            *slot* is: `insert` and `swap` return False when it is taken.
        drains: Whether rows constantly enter at its end and leave at its front, as in a
            queue. A hint: where the database keeps the entries of removed rows for a
            while, reading from the front should not walk over them.
    """

    name: str
    fields: tuple[str, ...]
    unique: bool = False
    drains: bool = False


@attrs.frozen(eq=False)
class Table:
    """
    The declaration of one table: pure data. Compared and hashed by identity.

    Attributes:
        name: Unique within the database.
        columns: All columns but key, rev and op, which every table has: key (NAME, the
            primary key), rev (INT), op (NAME), all three never null.
        indexes: All indexes but the one on the key.
        wakes: The INT column that says from when a row may be worked on, or None.
            `Tables.watch` announces writes that leave it in the past.
    """

    name: str
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...] = ()
    wakes: str | None = None
    _columns: Mapping[str, Column] = attrs.field(init=False, repr=False)
    _indexes: Mapping[str, Index] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        own = Index(KEY, (KEY,), unique=True)
        object.__setattr__(self, "_columns", {one.name: one for one in self.columns})
        object.__setattr__(
            self, "_indexes", {one.name: one for one in (own, *self.indexes)}
        )

    def column(self, name: str) -> Column:
        """Return a column by name."""
        return self._columns[name]

    def index(self, name: str) -> Index:
        """Return an index by name; `KEY` names the one on the key."""
        return self._indexes[name]


@attrs.define(slots=True, eq=False)
class Row:
    """
    One row. Never modified once created: a backend may hand out its own object.

    Attributes:
        key: Unique within the table.
        rev: 1 when it is inserted; one more with each swap.
        op: The operation that wrote it last.
        cells: Values by column name; nulls may be missing. Values of the wrong type,
            which someone else has written, are passed on unchanged: the core judges.
        record: What the core has decoded from the cells, if anything; a backend leaves
            it alone. Two rows with the same key, rev and op need not be one object.
    """

    key: str
    rev: int
    op: str
    cells: Mapping[str, Cell]
    record: Any = attrs.field(default=None, init=False, repr=False)


@attrs.define(slots=True)
class Swap:
    """
    One conditional write: applies if the row's `rev` is still `rev`.

    Attributes:
        key: Which row.
        rev: The row's, as it was read. Afterwards the row has ``rev + 1``.
        op: The operation that writes; stored with the row.
        cells: Changed columns only, None for null. May be empty: rev and op are written
            all the same.
        more: Lines to append, by column of kind LINES.
        record: The core's decoded form of the new row; never stored.
    """

    key: str
    rev: int
    op: str
    cells: Mapping[str, Cell]
    more: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    record: Any = attrs.field(default=None, repr=False, eq=False)
    _made: tuple[Row, Row] | None = attrs.field(
        default=None, init=False, repr=False, eq=False
    )

    def applied(self, row: Row) -> Row:
        """Return the row that results from applying this to `row`; it is built once."""
        if self._made is not None:
            of, made = self._made
            if of is row or (of.rev, of.op) == (row.rev, row.op):
                return made
        cells = {**row.cells, **self.cells}
        for name, lines in self.more.items():
            before = cells.get(name) or ()
            assert isinstance(before, tuple)  # noqa: S101  of kind LINES
            cells[name] = (*before, *lines)
        made = Row(row.key, self.rev + 1, self.op, cells)
        made.record = self.record
        self._made = row, made
        return made


@attrs.define(slots=True)
class Query:
    """
    Rows of one index, in its order: by its **last field**, and by key among equals.

    Never changed once it is made.

    Attributes:
        index: Its name. `equal` names all of its fields but the last one (and that one,
            too, to find the rows that are equal in it).
        equal: Columns and the values that they equal, never null. May name columns
            outside the index, which filter the rows. (Never names `KEY`.)
        among: Columns and their allowed values; filters. No values: no rows.
        not_among: Columns and their forbidden values; filters.
        low: Inclusive lower bound of the last field, or None.
        high: Exclusive upper bound of the last field, or None: ``[low, high)``.
        after: Last field and key of a row (which need not exist any more), or None:
            only rows after it in the requested order.
        newest: Whether the order is reversed: greatest first, keys descending.
    """

    index: str
    equal: Mapping[str, Cell] = attrs.field(factory=dict)
    among: Mapping[str, Collection[str]] = attrs.field(factory=dict)
    not_among: Mapping[str, Collection[str]] = attrs.field(factory=dict)
    low: Cell = None
    high: Cell = None
    after: tuple[Cell, str] | None = None
    newest: bool = False


class Tables(Protocol):
    """
    The tables of one database. `setup` says which ones there are.

    A verb with many rows sends them together where the database can, in batches of the
    backend's choice: callers may pass any number. It is not all or nothing.
    """

    @property
    def durable_reads(self) -> bool:
        """
        Whether the result of a read, or a refusal, stays true after a failover.

        False: a refusal by a unique index, or a row that was read, may be rolled back
        with the primary that knew it; before the core promises anything because of it,
        it confirms it with a write to the row.
        """
        ...

    def get(self, table: Table, keys: Collection[str]) -> Sequence[Row]:
        """Return the existing rows with these keys, in any order."""
        ...

    def insert(self, table: Table, rows: Sequence[Row]) -> Sequence[bool]:
        """
        Write new rows (their rev is 1); return one answer per row, in order.

        False: the row was not written, because its key or one of its slots is taken;
        the other rows are written all the same. Of two rows in one call with the same
        key or slot, the first is written.
        """
        ...

    def swap(self, table: Table, swaps: Sequence[Swap]) -> Sequence[bool]:
        """
        Change rows; return one answer per swap, in order. No key appears twice.

        False: the row was not changed, because its rev differs, it is gone, or a slot
        that it needs is taken. (The answer does not say which: the core reads the row.
        If its rev still is the swap's, a slot was taken.)
        """
        ...

    def delete(self, table: Table, rows: Collection[Row]) -> int:
        """
        Delete rows whose rev **and op** are still the given ones; return how many.

        (A row that was deleted and inserted again starts with the same revs.)
        """
        ...

    def page(self, table: Table, query: Query, limit: int) -> Sequence[Row]:
        """Return the first `limit` (0 or more) rows of a query, in its order."""
        ...

    def count(self, table: Table, queries: Sequence[Query], cap: int) -> Sequence[int]:
        """
        Return each query's row count, up to `cap`, in as few round trips as possible.

        Never reads more than `cap` matching index entries, plus those filtered out.
        """
        ...

    def now(self) -> datetime:
        """Return the database's own time (never cached), in UTC."""
        ...

    def watch(self, tables: Collection[Table]) -> Watch:
        """Return a watch for rows of these tables that become due (`Table.wakes`)."""
        ...

    def announce(self) -> None:
        """
        Wake this process's watches: the core has just written a row that is due.

        A no-op where `watch` sees this process's own writes like anyone else's.
        """
        ...

    def setup(self, tables: Collection[Table], version: int) -> None:
        """
        Create or upgrade the schema; idempotent, and safe to run from many hosts.

        `version` is the layout's: it is stored, and increases with each change to a
        table. Call ``stores.schema.require_not_newer`` before changing anything.

        Raises:
            SchemaError: It is newer than this code.
        """
        ...

    def check_schema(self, version: int) -> None:
        """
        Raise `SchemaError` when the schema is missing, older or newer than this code.

        Use ``stores.schema.require_schema``. The core calls this before the first verb
        of a process, and from time to time: it must be one cheap read.
        """
        ...

    def list_drift(self, tables: Collection[Table]) -> tuple[str, ...]:
        """Return how the schema differs from `setup`'s, in words; () = not at all."""
        ...

    def ping(self) -> None:
        """Raise `StorageUnavailableError` when the database can't be written."""
        ...

    def close(self) -> None:
        """Close all connections; the next use opens them again."""
        ...


@runtime_checkable
class TakingTables(Protocol):
    """An optional extension of `Tables` for databases with row locks (SKIP LOCKED)."""

    def take(
        self,
        table: Table,
        query: Query,
        limit: int,
        make: Callable[[Row], Swap],
    ) -> Sequence[Row]:
        """
        Swap up to `limit` rows of a query as `make` says; return them as written.

        In the query's order, skipping rows that another caller is taking, so that two
        callers never wait for each other. `make` does no I/O and returns a swap of the
        row at its rev. It is called again for rows that are read again after a
        transaction was rolled back.
        """
        ...
