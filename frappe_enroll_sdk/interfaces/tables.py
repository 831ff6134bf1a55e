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


#: What a column holds; see `CellKind`. A column that is null in a row, or that a row
#: does not name, is None.
Cell = str | int | float | tuple[str, ...] | None

#: The row's own key, where an index or a query names a field; and the name of the index
#: on it, which every table has. No column is called so (nor `REV`, nor `OP`).
KEY, REV, OP = "key", "rev", "op"


class CellKind(StrEnum):
    """
    Kind of a column.

    Attributes:
        NAME: Text that an index may hold: at most 1,024 bytes of UTF-8, compared byte
            by byte (case and accents count, trailing spaces too). Keys are of this
            kind. No index has more than two of them.
        TEXT: Text of any length (up to some megabytes); in no index, and compared by
            no query.
        INT: A whole number of 64 bits. Moments are milliseconds since 1970 (UTC),
            flags are 0 and 1.
        FLOAT: A double.
        LINES: A tuple of texts that only grows: a swap appends to it (`Swap.more`). In
            no index. () where nothing was written.
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
        required: Whether it is never null. (The core sees to it; a backend may have the
            database check it, too.)
    """

    name: str
    kind: CellKind
    required: bool = False


@attrs.frozen
class Index:
    """
    One index: rows in the order of its fields, and then of their keys.

    A row with a null in one of the fields is **not in it**: it is neither found by it
    nor refused by it.

    Attributes:
        name: Unique within the table.
        fields: Columns of kind NAME, INT or FLOAT, or `KEY`.
        unique: Whether two rows in it may not be equal in all fields. This is what a
            *slot* is: `insert` and `swap` answer False where it is taken.
        drains: Whether rows come in at its end and leave at its front all the time, as
            in a queue. A hint: where the database keeps the entries of rows that have
            left for a while, reading from the front should not walk over them.
    """

    name: str
    fields: tuple[str, ...]
    unique: bool = False
    drains: bool = False


@attrs.frozen(eq=False)
class Table:
    """
    One table, declared: nothing of it is code. Compared, and hashed, by identity.

    Attributes:
        name: Unique within the database.
        columns: All columns but key, rev and op, which every table has: key (NAME, the
            primary key), rev (INT), op (NAME), all three never null.
        indexes: All indexes but the one on the key.
        wakes: The column of kind INT that tells when a row may be worked on, or None. A
            write after which it lies in the past is what `Tables.watch` tells of.
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
        """Return a column by its name."""
        return self._columns[name]

    def index(self, name: str) -> Index:
        """Return an index by its name; `KEY` names the one on the key."""
        return self._indexes[name]


@attrs.define(slots=True, eq=False)
class Row:
    """
    One row. Never changed once it is made: a backend may hand out what it keeps.

    Attributes:
        key: Unique within the table.
        rev: 1 when it is inserted; one more with each swap.
        op: Which operation wrote it last.
        cells: Column by name; null ones may be missing. A value of the wrong type,
            which somebody else has written, is handed on as it is: the core judges.
        record: What the core has read from the cells, if it has; a backend leaves it
            alone. Two rows with the same key, rev and op need not be one object.
    """

    key: str
    rev: int
    op: str
    cells: Mapping[str, Cell]
    record: Any = attrs.field(default=None, init=False, repr=False)


@attrs.define(slots=True)
class Swap:
    """
    One conditional write: done where the row's `rev` still is `rev`.

    Attributes:
        key: Which row.
        rev: The row's, as it was read. Done, the row has ``rev + 1``.
        op: Which operation writes; it is stored with the row.
        cells: What is to be written: changed columns only, None for null. May be empty:
            rev and op are written all the same.
        more: Lines to append, by column of kind LINES.
        record: What the core knows of the row that it makes; never stored.
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
        """Return the row that this makes of `row`; it is made once."""
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
        index: Which. `equal` names all of its fields but the last one (and that, too,
            where all rows are to be equal in it).
        equal: Columns and what they are equal to, never null. May name columns outside
            of the index: the rows are filtered. (`KEY` is not named here.)
        among: Columns and the values that one may have; filters. No values: no rows.
        not_among: Columns and the values that one may not have; filters.
        low: Least value of the last field, or None.
        high: First value of the last field that is too great, or None: ``[low, high)``.
        after: Last field and key of a row (one that need not exist any more): only what
            comes after it in the order asked for, or None.
        newest: Whether the order is turned around: greatest first, and keys downwards.
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
    Tables of one database. Which tables there are is told by `setup`.

    A verb with many rows sends them at once where the database can, in batches as the
    backend sees fit: callers give as many as they like. It is not all or nothing.
    """

    @property
    def durable_reads(self) -> bool:
        """
        Whether what a read told, or a refusal, stays true after a failover.

        False: a refusal by a unique index, or a row that was read, may be rolled back
        with the primary that knew it; the core then confirms by a write of the row what
        it promises because of it.
        """
        ...

    def get(self, table: Table, keys: Collection[str]) -> Sequence[Row]:
        """Return the rows of these keys that are there, in any order."""
        ...

    def insert(self, table: Table, rows: Sequence[Row]) -> Sequence[bool]:
        """
        Write new rows (their rev is 1); answer for each, in their order.

        False: the row was not written, because its key or one of its slots is taken;
        the others go on. Of two rows of one call with the same key or slot the first
        one is written.
        """
        ...

    def swap(self, table: Table, swaps: Sequence[Swap]) -> Sequence[bool]:
        """
        Change rows; answer for each, in their order. No key comes twice.

        False: the row was not changed: its rev is another one, or it is gone, or a slot
        is taken that it would need. (Which of these is not told: the core reads the
        row. If its rev still is the one of the swap, a slot was taken.)
        """
        ...

    def delete(self, table: Table, rows: Collection[Row]) -> int:
        """
        Delete rows whose rev **and op** still are the given ones; return how many.

        (A row that has gone and come back begins with the same revs.)
        """
        ...

    def page(self, table: Table, query: Query, limit: int) -> Sequence[Row]:
        """Return the first `limit` rows (0 or more) of a query, in its order."""
        ...

    def count(self, table: Table, queries: Sequence[Query], cap: int) -> Sequence[int]:
        """
        Return how many rows each query has, up to `cap`; in as few trips as possible.

        Never a walk through more than `cap` entries of the index and what is filtered.
        """
        ...

    def now(self) -> datetime:
        """Return the database's own time (asked every time), in UTC."""
        ...

    def watch(self, tables: Collection[Table]) -> Watch:
        """Return a watch over rows of these tables that fall due (`Table.wakes`)."""
        ...

    def announce(self) -> None:
        """
        Wake this process's watches: the core has just written a row that is due.

        Nothing to do where `watch` finds this process's own writes as it finds others'.
        """
        ...

    def setup(self, tables: Collection[Table], version: int) -> None:
        """
        Create or upgrade the schema; idempotent, and safe to run from many hosts.

        `version` is the layout's: it is stored, and grows with each change of a table.
        Use ``stores.schema.require_not_newer`` before anything is changed.

        Raises:
            SchemaError: It is newer than this code.
        """
        ...

    def check_schema(self, version: int) -> None:
        """
        Raise `SchemaError` when the schema is missing, older or newer than this code.

        By ``stores.schema.require_schema``. The core calls it before the first verb of
        a process, and now and then: one cheap read.
        """
        ...

    def list_drift(self, tables: Collection[Table]) -> tuple[str, ...]:
        """Return what differs from what `setup` makes, in words; () = nothing."""
        ...

    def ping(self) -> None:
        """Raise `StorageUnavailableError` when the database can't be written."""
        ...

    def close(self) -> None:
        """Close what is open; the next use opens it again."""
        ...


@runtime_checkable
class TakingTables(Protocol):
    """What `Tables` have besides where rows can be taken under locks (SKIP LOCKED)."""

    def take(
        self,
        table: Table,
        query: Query,
        limit: int,
        make: Callable[[Row], Swap],
    ) -> Sequence[Row]:
        """
        Swap up to `limit` rows of a query by what `make` tells; return them as written.

        In the query's order, and one that somebody else is taking is passed over, so
        that two callers never wait for each other. `make` makes no I/O and gives a
        swap of the row at its rev. It is called anew for rows that are read anew, after
        a transaction that was rolled back.
        """
        ...
