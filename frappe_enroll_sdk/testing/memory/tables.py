# SPDX-License-Identifier: MIT
"""Tables in memory: the semantics of the port, no durability. Thread-safe."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import cache
from itertools import islice
from threading import RLock
from typing import Any

from ...clock import Clock, SystemClock
from ...interfaces import Watch
from ...interfaces.tables import KEY, CellKind, Index, Query, Row, Swap, Table
from ...stores.news import News, NewsWatch


Entry = tuple[Any, ...]
#: After all text, and after all numbers.
_LAST, _INFINITE = "\U0010ffff" * 2, float("inf")


class _Order:
    """What one index orders: rows as entries (fields, then the key)."""

    def __init__(self, index: Index, table: Table) -> None:
        self.name, self.unique = index.name, index.unique
        *self._first, self._last = index.fields
        # (A key in an index is its last field.)
        self._by_key = self._last == KEY
        self._columns = tuple([one for one in index.fields if one != KEY])
        by_number = (CellKind.INT, CellKind.FLOAT)
        is_text = self._by_key or table.column(self._last).kind not in by_number
        # What comes after all that the last field can hold.
        self._top = _LAST if is_text else _INFINITE

    def entry(self, row: Row) -> Entry | None:
        """Return a row's entry, if it has one."""
        entry = *map(row.cells.get, self._columns), row.key
        if None in entry:
            return None
        return (*entry, row.key) if self._by_key else entry

    def bounds(self, entries: list[Entry], query: Query) -> tuple[int, int, bool]:
        """Return where a query's entries begin and end, and if the rest are filters."""
        equal, end = query.equal, self._top
        low, high = 0, len(entries)
        prefix: Entry = tuple([equal[field] for field in self._first])
        if query.after is not None:
            after = (*prefix, *query.after)
            if query.newest:
                high = bisect_left(entries, after)
            else:
                low = bisect_right(entries, after)
        if self._last in equal:
            prefix, end = (*prefix, equal[self._last]), _LAST
        if prefix or query.low is not None:
            begin = prefix if query.low is None else (*prefix, query.low)
            low = bisect_left(entries, begin, low, max(low, high))
        if prefix or query.high is not None:
            stop = (*prefix, end if query.high is None else query.high)
            high = bisect_left(entries, stop, low, max(low, high))
        others = len(equal) != len(prefix) or query.among or query.not_among
        return low, high, bool(others)


@cache
def _orders_of(table: Table) -> dict[str, _Order]:
    indexes = (table.index(KEY), *table.indexes)
    return {one.name: _Order(one, table) for one in indexes}


@cache
def _moved_by(table: Table, columns: tuple[str, ...]) -> list[_Order]:
    """Return the indexes that a write of these columns may move a row in."""
    names = [one.name for one in table.indexes if {*columns} & {*one.fields}]
    return [_orders_of(table)[name] for name in names]


def _is_taken(entries: list[Entry], entry: Entry) -> bool:
    """Tell whether another row stands in a row's way."""
    place = bisect_left(entries, entry[:-1])
    return place < len(entries) and entries[place][:-1] == entry[:-1]


class _Table:
    """The rows of one table, and the entries of its indexes in their order."""

    def __init__(self, table: Table) -> None:
        self._table, self.rows = table, dict[str, Row]()
        self._orders = _orders_of(table)
        self._entries: dict[str, list[Entry]] = {name: [] for name in self._orders}

    def write(self, before: Row | None, after: Row | None, changed: Any = None) -> bool:
        """Put a row in the place of another; False = a slot is taken."""
        moved: Collection[_Order] = self._orders.values()
        if changed is not None:
            moved = _moved_by(self._table, tuple(changed))
        moves = []
        for order in moved:
            old = None if before is None else order.entry(before)
            new = None if after is None else order.entry(after)
            if old != new:
                entries = self._entries[order.name]
                if order.unique and new is not None and _is_taken(entries, new):
                    return False
                moves.append((entries, old, new))
        for entries, old, new in moves:
            if old is not None:
                del entries[bisect_left(entries, old)]
            if new is not None:
                insort(entries, new)
        if after is not None:
            self.rows[after.key] = after
        elif before is not None:
            del self.rows[before.key]
        return True

    def swap(self, swap: Swap) -> bool:
        """Change a row that still is as it was read."""
        row = self.rows.get(swap.key)
        if row is None or row.rev != swap.rev:
            return False
        return self.write(row, swap.applied(row), swap.cells)

    def find(self, query: Query, limit: int) -> Sequence[Row]:
        """Return the first rows of a query, in its order."""
        every, rows = self._entries[query.index], self.rows
        if not every:
            return []
        low, high, filters = self._orders[query.index].bounds(every, query)
        if low >= high:
            return []
        if filters:
            entries = every[low:high]
        elif query.newest:
            entries = every[max(low, high - limit) : high]
        else:
            entries = every[low : min(high, low + limit)]
        if query.newest:
            entries.reverse()
        found = [rows[entry[-1]] for entry in entries]
        if not filters:
            return found
        return [*islice((row for row in found if _passes(row, query)), limit)]

    def count(self, query: Query, cap: int) -> int:
        """Return how many rows a query has, capped."""
        every = self._entries[query.index]
        low, high, filters = self._orders[query.index].bounds(every, query)
        if filters:
            return len(self.find(query, cap))
        return min(max(high - low, 0), cap)


class _Database(dict[Table, _Table]):
    """Tables by what declares them; one that nobody has used is empty."""

    def __missing__(self, table: Table) -> _Table:
        self[table] = made = _Table(table)
        return made


def _passes(row: Row, query: Query) -> bool:
    cells = row.cells
    return (
        all(cells.get(name) == value for name, value in query.equal.items())
        and all(cells.get(name) in values for name, values in query.among.items())
        and not any(cells.get(name) in vs for name, vs in query.not_among.items())
    )


class MemoryTables:
    """
    `Tables` in memory.

    Args:
        clock: What the database's time is.
        shared: Other tables, whose rows these are, too: another process's, as it were.
        step: Called before each verb that reads or writes rows, with its name: it may
            let others take their turns there, or raise.
    """

    durable_reads = True

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        shared: MemoryTables | None = None,
        step: Callable[[str], object] = bool,
    ) -> None:
        self._clock, self._step = clock or SystemClock(), step
        self.data: tuple[RLock, News, _Database]
        self.data = shared.data if shared else (RLock(), News(), _Database())
        self._lock, self._news, self._tables = self.data

    def get(self, table: Table, keys: Collection[str]) -> Sequence[Row]:
        """See `Tables.get`."""
        self._step("get")
        with self._lock:
            rows = self._tables[table].rows
            return [rows[key] for key in keys if key in rows]

    def insert(self, table: Table, rows: Sequence[Row]) -> Sequence[bool]:
        """See `Tables.insert`."""
        self._step("insert")
        with self._lock:
            of = self._tables[table]
            return [of.write(None, row) for row in rows]

    def swap(self, table: Table, swaps: Sequence[Swap]) -> Sequence[bool]:
        """See `Tables.swap`."""
        self._step("swap")
        with self._lock:
            of = self._tables[table]
            return [of.swap(swap) for swap in swaps]

    def delete(self, table: Table, rows: Collection[Row]) -> int:
        """See `Tables.delete`."""
        self._step("delete")
        with self._lock:
            of = self._tables[table]
            there = [(of.rows[row.key], row) for row in rows if row.key in of.rows]
            return sum(
                of.write(found, None)
                for found, row in there
                if (found.rev, found.op) == (row.rev, row.op)
            )

    def page(self, table: Table, query: Query, limit: int) -> Sequence[Row]:
        """See `Tables.page`."""
        self._step("page")
        with self._lock:
            return self._tables[table].find(query, limit)

    def count(self, table: Table, queries: Sequence[Query], cap: int) -> Sequence[int]:
        """See `Tables.count`."""
        self._step("count")
        with self._lock:
            of = self._tables[table]
            return [of.count(query, cap) for query in queries]

    def now(self) -> datetime:
        """Return the given clock's time."""
        return self._clock.now()

    def watch(self, tables: Collection[Table]) -> Watch:
        """Return a watch over what is announced in this process."""
        return NewsWatch(self._news)

    def announce(self) -> None:
        """See `Tables.announce`."""
        self._news.announce()

    def setup(self, tables: Collection[Table], version: int) -> None:
        """Do nothing: there is no schema."""

    def check_schema(self, version: int) -> None:
        """Do nothing: there is no schema."""

    def list_drift(self, tables: Collection[Table]) -> tuple[str, ...]:
        """Return nothing: there is no schema."""
        return ()

    def ping(self) -> None:
        """Do nothing: memory is there."""

    def close(self) -> None:
        """Do nothing: what is in memory stays."""
