# SPDX-License-Identifier: MIT
"""Tables in memory: the semantics of the port, no durability. Thread-safe."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from itertools import islice
from threading import RLock
from typing import Any

from ...clock import Clock, SystemClock
from ...interfaces import Watch
from ...interfaces.tables import KEY, Index, Query, Row, Swap, Table
from ...stores.news import News, NewsWatch


Entry = tuple[Any, ...]


class _Table:
    """The rows of one table, and the entries of each index in their order."""

    def __init__(self, table: Table) -> None:
        own = table.index(KEY)
        self.rows: dict[str, Row] = {}
        self.entries: dict[Index, list[Entry]] = {
            index: [] for index in (own, *table.indexes)
        }

    def write(self, before: Row | None, after: Row | None) -> bool:
        """Put a row in the place of another; False = a slot is taken."""
        moves = []
        for index, entries in self.entries.items():
            old, new = _entry(index, before), _entry(index, after)
            if old != new:
                if new is not None and index.unique:
                    place = bisect_left(entries, new[:-1])
                    if entries[place : place + 1] and entries[place][:-1] == new[:-1]:
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
        return self.write(row, swap.applied(row))

    def find(self, index: Index, query: Query) -> Iterator[Row]:
        """Return the rows of a query, in its order."""
        rows, entries = self.rows, self.entries[index]
        *first, last = index.fields
        prefix = tuple(query.equal[field] for field in first)
        if last in query.equal:
            prefix += (query.equal[last],)
        size = len(prefix)
        low = bisect_left(
            entries, prefix if query.low is None else (*prefix, query.low)
        )
        if query.high is None:
            high = bisect_right(entries, prefix, key=lambda entry: entry[:size])
        else:
            high = bisect_left(entries, (*prefix, query.high))
        if query.after is not None:
            after = (*prefix[: len(first)], *query.after)
            if query.newest:
                high = min(high, bisect_left(entries, after))
            else:
                low = max(low, bisect_right(entries, after))
        places = range(high - 1, low - 1, -1) if query.newest else range(low, high)
        found = (rows[entries[place][-1]] for place in places)
        others = [kv for kv in query.equal.items() if kv[0] not in index.fields]
        if not (others or query.among or query.not_among):
            return found
        return (row for row in found if _passes(row, others, query))


def _entry(index: Index, row: Row | None) -> Entry | None:
    if row is None:
        return None
    cells, key = row.cells, row.key
    entry = tuple([key if f == KEY else cells.get(f) for f in index.fields])
    return None if None in entry else (*entry, key)


def _passes(row: Row, equal: list[tuple[str, Any]], query: Query) -> bool:
    cells = row.cells
    return (
        all(cells.get(name) == value for name, value in equal)
        and all(cells.get(name) in values for name, values in query.among.items())
        and not any(cells.get(name) in vs for name, vs in query.not_among.items())
    )


class _Data:
    """What tables share: rows, a lock, news."""

    def __init__(self) -> None:
        self.lock, self.news = RLock(), News()
        self._tables: dict[Table, _Table] = {}

    def of(self, table: Table) -> _Table:
        """Return what is kept of a table."""
        if table not in self._tables:
            self._tables[table] = _Table(table)
        return self._tables[table]


def _nothing(_verb: str) -> None:
    """Go on at once."""


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
        step: Callable[[str], None] = _nothing,
    ) -> None:
        self._clock = clock or SystemClock()
        self._step = step
        self.data: _Data = shared.data if shared else _Data()

    def get(self, table: Table, keys: Collection[str]) -> Sequence[Row]:
        """See `Tables.get`."""
        self._step("get")
        with self.data.lock:
            rows = self.data.of(table).rows
            return [rows[key] for key in keys if key in rows]

    def insert(self, table: Table, rows: Sequence[Row]) -> Sequence[bool]:
        """See `Tables.insert`."""
        self._step("insert")
        with self.data.lock:
            return [self.data.of(table).write(None, row) for row in rows]

    def swap(self, table: Table, swaps: Sequence[Swap]) -> Sequence[bool]:
        """See `Tables.swap`."""
        self._step("swap")
        with self.data.lock:
            return [self.data.of(table).swap(swap) for swap in swaps]

    def delete(self, table: Table, rows: Collection[Row]) -> int:
        """See `Tables.delete`."""
        self._step("delete")
        with self.data.lock:
            of = self.data.of(table)
            there = [(of.rows[row.key], row) for row in rows if row.key in of.rows]
            return sum(
                of.write(found, None)
                for found, row in there
                if (found.rev, found.op) == (row.rev, row.op)
            )

    def page(self, table: Table, query: Query, limit: int) -> Sequence[Row]:
        """See `Tables.page`."""
        self._step("page")
        with self.data.lock:
            found = self.data.of(table).find(table.index(query.index), query)
            return [*islice(found, limit)]

    def count(self, table: Table, queries: Sequence[Query], cap: int) -> Sequence[int]:
        """See `Tables.count`."""
        self._step("count")
        with self.data.lock:
            found = [self.data.of(table).find(table.index(q.index), q) for q in queries]
            return [sum(1 for _ in islice(rows, cap)) for rows in found]

    def now(self) -> datetime:
        """Return the given clock's time."""
        return self._clock.now()

    def watch(self, tables: Collection[Table]) -> Watch:
        """Return a watch over what is announced in this process."""
        return NewsWatch(self.data.news)

    def announce(self) -> None:
        """See `Tables.announce`."""
        self.data.news.announce()

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
