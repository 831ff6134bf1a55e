# SPDX-License-Identifier: MIT
"""A declared table in SQLAlchemy's terms, and its statements, each built once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Delete,
    Index,
    Insert,
    Integer,
    MetaData,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    delete,
    func,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.types import TypeEngine

from frappe_enroll_sdk.errors import ValidationError
from frappe_enroll_sdk.interfaces import tables as port
from frappe_enroll_sdk.interfaces.tables import KEY, OP, REV, CellKind, Query, Row, Swap


T = TypeVar("T")

#: A query and its parameters.
Asked = tuple[Select[Any], dict[str, Any]]
#: Ends each line in a LINES column. JSON never contains it unescaped.
_END = "\x1e"


class Layout:
    """
    One table: the storage of its cells, and its statements. Thread-safe.

    Building a statement takes SQLAlchemy longer than running it takes a database, so
    each is cached by its shape. (Each table has its own `MetaData`: filling one is not
    thread-safe, and no table refers to another.)

    Args:
        declared: The table.
        types: This database's type for each kind of column.

    Attributes:
        declared: The table as declared.
        table: The SQLAlchemy table.
    """

    def __init__(
        self,
        declared: port.Table,
        types: Mapping[CellKind, TypeEngine[Any]],
    ) -> None:
        self.declared = declared
        name, number = types[CellKind.NAME], types[CellKind.INT]
        columns: list[Column[Any]] = [
            Column(KEY, name, primary_key=True),
            Column(REV, number, nullable=False),
            Column(OP, name, nullable=False),
        ]
        self._lines = {c.name for c in declared.columns if c.kind is CellKind.LINES}
        for c in declared.columns:
            nullable = not c.required and c.name not in self._lines
            columns.append(Column(c.name, types[c.kind], nullable=nullable))
        # Small rows are stored in the index of their key.
        small = not {CellKind.TEXT, CellKind.LINES} & {c.kind for c in declared.columns}
        self.table = Table(
            declared.name,
            MetaData(),
            *columns,
            sqlite_strict=True,
            sqlite_with_rowid=not small,
        )
        self._slots = set[str]()
        for index in declared.indexes:
            self._add(index)
        self._names = [column.name for column in declared.columns]
        self._empty = {n: "" if n in self._lines else None for n in self._names}
        self._built: dict[Any, Any] = {}

    def _add(self, index: port.Index) -> None:
        fields = [self.table.c[name] for name in index.fields]
        known = [field.is_not(None) for field in fields if field.nullable]
        if index.unique:
            self._slots.update(index.fields)
        elif index.fields[-1] != KEY:
            fields.append(self.table.c[KEY])
        # A row with a null there is not in the index and costs it nothing.
        dialects = ("sqlite_where", "postgresql_where") if known else ()
        where: dict[str, Any] = {dialect: and_(*known) for dialect in dialects}
        Index(self.name_of(index.name), *fields, unique=index.unique, **where)

    def name_of(self, index: str) -> str:
        """Return an index's name in the database, where it must be unique."""
        return f"{self.declared.name}_{index}"

    def row(self, found: Any) -> Row:
        """Convert a complete row, as read, for the core."""
        key, rev, op, *values = found
        cells = dict(zip(self._names, values, strict=True))
        for name in self._lines:
            *lines, rest = cells[name].split(_END)
            # Keep an unterminated rest, which only someone else can have written.
            cells[name] = (*lines, rest) if rest else tuple(lines)
        return Row(key, rev, op, cells)

    def values(self, row: Row) -> dict[str, Any]:
        """Return the parameters of an insert."""
        values = {**self._empty, **row.cells, KEY: row.key, REV: row.rev, OP: row.op}
        for name in self._lines & row.cells.keys():
            values[name] = _text(row.cells[name])
        return values

    def changes(self, swap: Swap) -> dict[str, Any]:
        """Return the parameters of a `swap`."""
        lines = {f"more_{name}": _text(more) for name, more in swap.more.items()}
        here = {"of_key": swap.key, "of_rev": swap.rev, REV: swap.rev + 1, OP: swap.op}
        return {**swap.cells, **lines, **here}

    def takes_slot(self, swap: Swap) -> bool:
        """Tell whether a swap may be refused because of a taken slot."""
        return not self._slots.isdisjoint(swap.cells)

    def _once(self, shape: Any, build: Callable[[], T]) -> T:
        built: T | None = self._built.get(shape)
        if built is None:
            built = self._built[shape] = build()
        return built

    def find(self, *, many: bool) -> Select[Any]:
        """Return the query for the rows with ``keys`` (one, or many)."""

        def build() -> Select[Any]:
            key = self.table.c[KEY]
            keys: BindParameter[Any] = bindparam("keys", expanding=many)
            return select(self.table).where(key.in_(keys) if many else key == keys)

        return self._once(("find", many), build)

    def delete(self) -> Delete:
        """Return the statement deleting a row by ``of_key``, ``of_rev``, ``of_op``."""
        last = self.table.c[OP] == bindparam("of_op")
        return self._once(
            "delete", lambda: delete(self.table).where(*self._here(), last)
        )

    def insert(self, build: Callable[[Table], Insert]) -> Insert:
        """Return the statement that inserts a row, as the dialect builds it."""
        counted = {"preserve_rowcount": True}
        return self._once(
            "insert", lambda: build(self.table).execution_options(**counted)
        )

    def swap(self, swap: Swap, into_slot: Callable[[Update], Update]) -> Update:
        """Return the statement for a swap's changes (each named column costs time)."""

        def build() -> Update:
            c = self.table.c
            new: dict[str, Any] = {n: bindparam(n) for n in (*swap.cells, REV, OP)}
            for name in swap.more:
                new[name] = c[name] + bindparam(f"more_{name}", type_=c[name].type)
            write = update(self.table).where(*self._here()).values(new)
            return into_slot(write) if self.takes_slot(swap) else write

        return self._once((tuple(swap.cells), tuple(swap.more)), build)

    def _here(self) -> Sequence[ColumnElement[bool]]:
        key, rev = self.table.c[KEY], self.table.c[REV]
        return key == bindparam("of_key"), rev == bindparam("of_rev")

    def page(self, query: Query, limit: int, *, locked: bool = False) -> Asked:
        """Return the query for rows in order (or for those that nobody has locked)."""

        def build(most: BindParameter[int]) -> Select[Any]:
            found = self._where(query, select(self.table))
            order = [c.desc() if query.newest else c for c in self._order(query)]
            found = found.order_by(*order).limit(most)
            return found.with_for_update(skip_locked=True) if locked else found

        return self._asked("take" if locked else "page", query, limit, build)

    def count(self, query: Query, cap: int) -> Asked:
        """Return the query for a capped number of rows, and its parameters."""

        def build(most: BindParameter[int]) -> Select[Any]:
            found = self._where(query, select(literal(1).label("one")))
            capped = found.limit(most).subquery()
            return select(func.count()).select_from(capped)

        return self._asked("count", query, cap, build)

    def _asked(
        self,
        what: str,
        query: Query,
        most: int,
        build: Callable[[BindParameter[int]], Select[Any]],
    ) -> Asked:
        limit = bindparam("limit", type_=Integer)
        built = self._once((what, *_shape_of(query)), lambda: build(limit))
        return built, {**_parameters_of(query), "limit": most}

    def due(self, now_ms: int) -> Asked:
        """Return the query for whether any row may be worked on: 1, or 0."""
        wakes = next(
            index.name
            for index in self.declared.indexes
            if index.fields == (self.declared.wakes,)
        )
        return self.count(Query(wakes, high=now_ms + 1), 1)

    def _order(self, query: Query) -> list[Column[Any]]:
        """Return the columns that sort rows equal in all that the query names."""
        index, key = self.declared.index(query.index), self.table.c[KEY]
        last = self.table.c[index.fields[-1]]
        return [last] if index.unique or last is key else [last, key]

    def _where(self, query: Query, found: Select[Any]) -> Select[Any]:
        c = self.table.c
        last, *_ = order = self._order(query)

        def given(name: str, column: Column[Any], **more: Any) -> Any:
            return bindparam(name, type_=column.type, **more)

        for name in query.equal:
            found = found.where(c[name] == given(f"is_{name}", c[name]))
        for name in query.among:
            values = given(f"in_{name}", c[name], expanding=True)
            found = found.where(c[name].in_(values))
        for name in query.not_among:
            values = given(f"not_{name}", c[name], expanding=True)
            found = found.where(c[name].not_in(values))
        if last.nullable and last.name not in query.equal:
            found = found.where(last.is_not(None))
        if query.low is not None:
            found = found.where(last >= given("low", last))
        if query.high is not None:
            found = found.where(last < given("high", last))
        if query.after is not None:
            place: Any = order[0] if len(order) == 1 else tuple_(*order)
            after = [given("after", last), given("after_key", c[KEY])]
            seen: Any = after[0] if len(order) == 1 else tuple_(*after)
            found = found.where(place < seen if query.newest else place > seen)
        if query.index == KEY:
            return found.select_from(self.table)
        # Without statistics, a planner prefers the index of a filter.
        hint = f"INDEXED BY {self.name_of(query.index)}"
        return found.select_from(self.table).with_hint(self.table, hint, "sqlite")


def _shape_of(query: Query) -> tuple[Any, ...]:
    """Return the structure of a query, without its parameters."""
    named = (tuple(query.equal), tuple(query.among), tuple(query.not_among))
    parts = (query.low is None, query.high is None, query.after is None, query.newest)
    return (query.index, *named, *parts)


def _parameters_of(query: Query) -> dict[str, Any]:
    values: dict[str, Any] = {f"is_{name}": cell for name, cell in query.equal.items()}
    values |= {f"in_{name}": list(some) for name, some in query.among.items()}
    values |= {f"not_{name}": list(some) for name, some in query.not_among.items()}
    after, after_key = query.after or (None, None)
    edges = {"low": query.low, "high": query.high, "after": after}
    if after_key is not None:
        edges["after_key"] = after_key
    return values | {name: edge for name, edge in edges.items() if edge is not None}


def _text(lines: Any) -> str:
    if any(_END in line for line in lines):
        raise ValidationError("a line that the database can't hold")
    return "".join(f"{line}{_END}" for line in lines)
