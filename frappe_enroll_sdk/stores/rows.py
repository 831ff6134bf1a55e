# SPDX-License-Identifier: MIT
"""
Rows of one table: conditional writes that end, whatever is lost on the way.

Every write is stamped with its operation. One whose acknowledgement was lost is sent
again, and what was refused then is looked up: it is ours if it carries our stamp
**and** has another version than the one that the write was made for (a row that we
wrote before carries our stamp, too).

A row may be given as a guess, as somebody has last seen it: a guess that is wrong is
refused by the database, and costs one trip. But that there is nothing to change is only
believed of a row that was read.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial
from itertools import chain, count
from typing import Any, Generic, TypeVar

import attrs

from ..clock import Ambient
from ..codec import cursor_of, parts_of
from ..errors import ConflictError, UnclearWriteError, ValidationError
from ..interfaces.tables import (
    Cell,
    CellKind,
    Query,
    Row,
    Swap,
    Table,
    Tables,
    TakingTables,
)
from ..models import Page
from .records import Changes, Codec, require_name


__all__ = ("SlotTakenError",)


logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

#: How often one write may lose its race; each loss is another's success.
MAX_RACES = 100
#: How often a write whose acknowledgement was lost is sent again.
_MAX_REPEATS = 2
#: Seconds after which the schema is looked at again: another host may upgrade it.
_LOOK_EVERY_S = 15.0
#: Seconds that a thread waits for its turn: nothing depends on it.
_TURN_S = 2.0
#: Turns that are told apart.
_MAX_TURNS = 16
_PAGE = 200

#: What becomes of a row; None = it is left as it is.
Change = Callable[[Row], Changes | None]
#: A write that changes nothing but the stamp.
NOTHING = Changes({})


class SlotTakenError(Exception):
    """A write was refused although its row is unchanged: another row has the slot."""


class _Forks:
    """How many forks this process is away from the first one."""

    count = 0

    @classmethod
    def more(cls) -> None:
        """Count one."""
        cls.count += 1


os.register_at_fork(after_in_child=_Forks.more)


class Port:
    """
    The database, as all stores of one storage use it. Thread-safe and fork-safe.

    Args:
        tables: The backend.
        version: The layout's version, which is looked at now and then.
        ambient: Time and dice.
        takes_turns: Whether threads of one process wait for each other before they
            write a row that all of them write.

    Attributes:
        ambient: Time and dice.
        taking: The backend, if it can take rows under locks.
    """

    def __init__(
        self, tables: Tables, version: int, ambient: Ambient, *, takes_turns: bool
    ) -> None:
        self.ambient, self.version = ambient, version
        self._tables, self._takes_turns = tables, takes_turns
        self.taking = tables if isinstance(tables, TakingTables) else None
        self._checked, self._monotonic = float("-inf"), ambient.monotonic
        self._renew()

    def _renew(self) -> None:
        # Once forked: stamps would come twice, and a lock that was held stays locked.
        self._forks, self._numbers = _Forks.count, count()
        self._mark = self.ambient.token_hex(8)
        most = _MAX_TURNS if self._takes_turns else 0
        self._turns = [threading.Lock() for _ in range(most)]

    def use(self) -> Tables:
        """Return the backend, its schema being this code's."""
        mark = self._monotonic()
        if mark - self._checked > _LOOK_EVERY_S:
            self._tables.check_schema(self.version)
            self._checked = mark
        return self._tables

    def look_again(self) -> None:
        """Look at the schema before the next use."""
        self._checked = float("-inf")

    def stamp(self) -> str:
        """Return a stamp that no other operation has, in this process or another."""
        if self._forks != _Forks.count:
            self._renew()
        return f"{self._mark}{next(self._numbers):x}"

    def turn(self, name: str) -> AbstractContextManager[object]:
        """Wait until no other thread of this process has this turn (or not so long)."""
        if not self._takes_turns:
            return _NO_TURN
        if self._forks != _Forks.count:
            self._renew()
        return _turn(self._turns[hash(name) % _MAX_TURNS])


_NO_TURN = nullcontext()


@contextmanager
def _turn(lock: threading.Lock) -> Iterator[None]:
    has_it = lock.acquire(timeout=_TURN_S)
    try:
        yield
    finally:
        if has_it:
            lock.release()


@cache
def _slots_of(table: Table) -> frozenset[str]:
    unique = (one.fields for one in table.indexes if one.unique)
    return frozenset(chain.from_iterable(unique))


class Rows:
    """Rows of one table, as cells. Thread-safe."""

    def __init__(self, port: Port, table: Table) -> None:
        self.port, self.table = port, table
        self._slots = _slots_of(table)

    # Reads.

    def get(self, keys: Collection[str]) -> dict[str, Row]:
        """Return the rows of these keys that are there, by key."""
        return self._get(self.port.use(), keys)

    def _get(self, tables: Tables, keys: Collection[str]) -> dict[str, Row]:
        for key in keys:
            require_name(key, "key")
        return {row.key: row for row in tables.get(self.table, keys)} if keys else {}

    def one(self, key: str) -> Row | None:
        """Return a row, or None."""
        tables = self.port.use()
        require_name(key, "key")
        return self._one(tables, key)

    def _one(self, tables: Tables, key: str) -> Row | None:
        found = tables.get(self.table, [key])
        return found[0] if found else None

    def page(self, query: Query, limit: int) -> Sequence[Row]:
        """Return the first rows of a query."""
        for name, value in query.equal.items():
            if isinstance(value, str):
                require_name(value, name)
        return self.port.use().page(self.table, query, limit) if limit > 0 else ()

    def first(self, query: Query) -> Row | None:
        """Return the first row of a query, or None."""
        found = self.page(query, 1)
        return found[0] if found else None

    def each(self, query: Query) -> Iterator[Row]:
        """Return all rows of a query, page by page."""
        last = self.table.index(query.index).fields[-1]
        while True:
            found = self.page(query, _PAGE)
            yield from found
            if len(found) < _PAGE:
                return
            query = attrs.evolve(query, after=(cell_of(found[-1], last), found[-1].key))

    def count(self, queries: Sequence[Query], cap: int) -> Sequence[int]:
        """Return how many rows each query has, capped."""
        return self.port.use().count(self.table, queries, cap) if queries else ()

    # Writes.

    def insert(self, rows: Mapping[str, Mapping[str, Cell]]) -> list[bool]:
        """Write new rows by key; False where a key or a slot is taken."""
        op = self.port.stamp()
        return self.write_new([Row(key, 1, op, cells) for key, cells in rows.items()])

    def write_new(self, made: Sequence[Row]) -> list[bool]:
        """Write new rows of one operation; False where a key or a slot is taken."""
        if not made:
            return []
        tables, op = self.port.use(), made[0].op
        answers, lost = _repeated(lambda: tables.insert(self.table, made))
        if not lost or all(answers):
            return list(answers)
        # The first one may have written them: the stamps tell. (Of a key that comes
        # twice the first row was written.)
        refused = {row.key for row, yes in zip(made, answers, strict=True) if not yes}
        ours = {key for key, row in self.get(refused).items() if row.op == op}
        told = []
        for row, yes in zip(made, answers, strict=True):
            told.append(yes or row.key in ours)
            ours.discard(row.key)
        return told

    def change(
        self,
        key: str,
        change: Change,
        *,
        guess: Row | None = None,
        confirm: bool = False,
        op: str | None = None,
    ) -> Row | None:
        """Do `change_many` for one row; None = it is not there, or was left."""
        tables, op = self.port.use(), op or self.port.stamp()
        confirms = confirm and not tables.durable_reads
        require_name(key, "key")
        row = guess or self._one(tables, key)
        if row is None:
            return None
        want, sent, lost = change(row), None, False
        if want is not None and (want.cells or want.more or confirms):
            # Most writes end with their first trip: there is nothing to keep of them.
            sent = Swap(key, row.rev, op, want.cells, want.more, want.record)
            try:
                if tables.swap(self.table, [sent])[0]:
                    return sent.applied(row)
            except UnclearWriteError:
                lost = True
        elif guess is None:
            return None if want is None else row
        run = _Run(self, {key: change}, op, None, guessed=set())
        run.confirms = confirms
        if sent is not None:
            run.refused(sent, lost=lost)
        return self._go_on(tables, run, self._get(tables, [key])).get(key)

    def change_many(
        self,
        changes: Mapping[str, Change],
        *,
        guesses: Mapping[str, Row] | None = None,
        confirm: bool = False,
        op: str | None = None,
        is_mine: Callable[[Row], bool] | None = None,
    ) -> dict[str, Row]:
        """
        Write what each change makes of its row; return the rows that then stand.

        Rows that are not there, or whose change is None, are not in the answer.

        Args:
            changes: By key; called again with the row anew after each lost race.
            guesses: Rows as they may be.
            confirm: Whether a row that needs no change is written where a read is not
                durable.
            op: Stamp of this operation, if the caller wants to know it.
            is_mine: Tells our own write where the stamp may have been replaced.

        Raises:
            SlotTakenError: A row needs a slot that is taken.
            ConflictError: The rows keep changing.
        """
        tables, rows = self.port.use(), dict(guesses or {})
        run = _Run(self, changes, op or self.port.stamp(), is_mine, guessed=set(rows))
        run.confirms = confirm and not tables.durable_reads
        rows |= self._get(tables, [key for key in changes if key not in rows])
        return self._go_on(tables, run, rows)

    def _go_on(self, tables: Tables, run: _Run, rows: dict[str, Row]) -> dict[str, Row]:
        for _ in range(MAX_RACES):
            run.send(tables, run.plan(rows), rows)
            if not run.left:
                return run.done
            rows = self._get(tables, run.left)
        raise ConflictError(f"rows keep changing: {', '.join(run.left)}")

    def needs_slot(self, swap: Swap) -> bool:
        """Tell whether a slot may be what refuses a write."""
        return not self._slots.isdisjoint(swap.cells)

    def confirm(self, key: str) -> Row | None:
        """Return a row as durable as one that was just written, or None."""
        return self.change(key, lambda _: NOTHING, confirm=True)

    def swap(self, row: Row, changes: Changes, *, op: str | None = None) -> Row | None:
        """
        Write a row that still is as it was read; None when it no longer is.

        Raises:
            SlotTakenError: It is, and needs a slot that is taken.
        """
        tables, op = self.port.use(), op or self.port.stamp()
        swap = Swap(row.key, row.rev, op, changes.cells, changes.more, changes.record)
        (yes,), lost = _repeated(lambda: tables.swap(self.table, [swap]))
        if yes:
            return swap.applied(row)
        if not (lost or self.needs_slot(swap)):
            return None
        found = self.one(row.key)
        if found is not None and found.rev == row.rev:
            raise SlotTakenError(row.key)
        ours = lost and found is not None and found.op == op
        return found if ours else None

    def take(
        self,
        query: Query,
        limit: int,
        make: Callable[[Row], Changes],
        *,
        is_mine: Callable[[Row], bool] | None = None,
    ) -> list[Row]:
        """
        Write up to `limit` rows of a query, each for one caller alone.

        Fewer, where others take at the same time; () only when there was nothing left
        to take.
        """
        tables, op = self.port.use(), ""
        made: dict[str, Row] = {}
        swaps: dict[str, Swap] = {}
        if limit <= 0:
            return []

        def swap_of(row: Row) -> Swap:
            nonlocal op
            op, want = op or self.port.stamp(), make(row)
            swap = Swap(row.key, row.rev, op, want.cells, want.more, want.record)
            made[row.key], swaps[row.key] = swap.applied(row), swap
            return swap

        if self.port.taking is not None:
            try:
                written = self.port.taking.take(self.table, query, limit, swap_of)
                return [made[row.key] for row in written]
            except UnclearWriteError:
                if ours := self._ours(swaps, op, is_mine):
                    return [*ours.values()]
        for _ in range(MAX_RACES):
            swaps.clear()
            found = tables.page(self.table, query, limit)
            if not found:
                return []
            sent = [swap_of(row) for row in found]
            answers, lost = _repeated(partial(tables.swap, self.table, sent))
            yes = {s.key for s, ok in zip(sent, answers, strict=True) if ok}
            taken = {key: made[key] for key in swaps if key in yes}
            if lost:
                rest = {key: swap for key, swap in swaps.items() if key not in yes}
                taken |= self._ours(rest, op, is_mine)
            if taken:
                return [taken[key] for key in swaps if key in taken]
        return []

    def _ours(
        self,
        swaps: Mapping[str, Swap],
        op: str,
        is_mine: Callable[[Row], bool] | None,
    ) -> dict[str, Row]:
        """Return the rows that an earlier run has written without learning of it."""
        return {
            key: row
            for key, row in (self.get(swaps) if swaps else {}).items()
            if row.rev != swaps[key].rev and (is_mine(row) if is_mine else row.op == op)
        }

    def put(
        self, key: str, cells: Mapping[str, Cell], *, guess: Row | None = None
    ) -> Row:
        """Write a row, whatever is there; return it as it then is."""
        for _ in range(MAX_RACES):
            row = self.change(key, lambda _: Changes(cells), guess=guess)
            if row is not None:
                return row
            guess, new = None, Row(key, 1, self.port.stamp(), cells)
            if self.write_new([new])[0]:
                return new
        raise ConflictError(f"a row keeps coming and going: {key}")

    def delete(self, rows: Collection[Row]) -> int:
        """Delete rows that still are as they were read; return how many."""
        if not rows:
            return 0
        tables = self.port.use()
        deleted, lost = _repeated(lambda: tables.delete(self.table, rows))
        if not lost:
            return deleted
        # Those that are no longer there were deleted by one of the runs.
        return len(rows) - len(self.get([row.key for row in rows]))


class _Run:
    """
    One operation that changes rows: what is left to do, and what is done.

    Attributes:
        left: Changes by key.
        done: Rows that now stand.
        confirms: Whether a row that needs no change is written, too.
    """

    def __init__(
        self,
        rows: Rows,
        changes: Mapping[str, Change],
        op: str,
        is_mine: Callable[[Row], bool] | None,
        guessed: set[str],
    ) -> None:
        self._rows, self._op, self._guessed = rows, op, guessed
        self._mine = is_mine
        self.left, self.done, self.confirms = dict(changes), dict[str, Row](), False
        self._sent: dict[str, Swap] = {}
        self._lost, self._was_lost = 0, False

    def refused(self, swap: Swap, *, lost: bool) -> None:
        """Go on from a first write that was refused, or not answered."""
        self._sent[swap.key] = swap
        self._lost, self._was_lost = int(lost), lost

    def _is_mine(self, row: Row) -> bool:
        return self._mine(row) if self._mine else row.op == self._op

    def plan(self, rows: Mapping[str, Row]) -> list[Swap]:
        """Return what is to be written, now that these rows were read (or guessed)."""
        swaps = []
        for key in [*self.left]:
            swap = self._next(key, rows.get(key))
            if swap is not None:
                swaps.append(swap)
        return swaps

    def _next(self, key: str, row: Row | None) -> Swap | None:
        sent = self._sent.get(key)
        if row is None:
            self._end(key, None)
            return None
        if sent is not None and row.rev != sent.rev and self._is_mine(row):
            self._end(key, row)
            return None
        if sent is not None and row.rev == sent.rev and not self._was_lost:
            # Unchanged, and not written. (Else: read before what refused it.)
            if self._rows.needs_slot(sent):
                raise SlotTakenError(key)
        want = self.left[key](row)
        if want is not None and (want.cells or want.more or self.confirms):
            return Swap(key, row.rev, self._op, want.cells, want.more, want.record)
        if key not in self._guessed:
            self._end(key, None if want is None else row)
        return None

    def _end(self, key: str, row: Row | None) -> None:
        del self.left[key]
        if row is not None:
            self.done[key] = row

    def send(
        self, tables: Tables, swaps: Sequence[Swap], rows: Mapping[str, Row]
    ) -> None:
        """Write; what was refused, or not answered, is left."""
        self._was_lost = False
        if not swaps:
            self._sent, self._guessed = {}, set()
            return
        answers: Sequence[bool] = [False] * len(swaps)
        try:
            answers = tables.swap(self._rows.table, swaps)
        except UnclearWriteError:
            self._lost, self._was_lost = self._lost + 1, True
            if self._lost > _MAX_REPEATS:
                raise
        self._sent, self._guessed = {}, set()
        for swap, yes in zip(swaps, answers, strict=True):
            if yes:
                self._end(swap.key, swap.applied(rows[swap.key]))
            else:
                self._sent[swap.key] = swap


def _repeated(act: Callable[[], R]) -> tuple[R, bool]:
    """Send a write, again when its answer was lost; tell whether it ever was."""
    for left in range(_MAX_REPEATS, -1, -1):
        try:
            return act(), left != _MAX_REPEATS
        except UnclearWriteError:
            if not left:
                raise
    raise AssertionError  # the last one has raised


def cell_of(row: Row, field: str) -> Any:
    """Return a field of a row: a column's cell, or its key."""
    return row.key if field == "key" else row.cells.get(field)


def query_of(
    wanted: Mapping[str, tuple[str | None, str]], *, newest: bool = True
) -> Query:
    """
    Return the query for rows by columns, in the order of the index that fits.

    Args:
        wanted: Value (None = any) and index by column; the first one that is asked for
            is looked up, the others are filters.
        newest: Whether the last ones come first.
    """
    equal = {name: value for name, (value, _) in wanted.items() if value is not None}
    index = next((wanted[name][1] for name in wanted if name in equal), "newest")
    return Query(index, equal, newest=newest)


class Records(Generic[T]):
    """
    Records of one kind, kept in rows. Thread-safe.

    Attributes:
        rows: The rows.
        codec: Makes cells of a record and a record of cells.
    """

    def __init__(self, port: Port, codec: Codec[T]) -> None:
        self.rows, self.codec = Rows(port, codec.table), codec
        self.read = codec.record_of

    def find(self, key: str) -> T | None:
        """Return a record, or None."""
        row = self.rows.one(key)
        return None if row is None else self.read(row)

    def first(self, query: Query) -> T | None:
        """Return the first record of a query, or None."""
        row = self.rows.first(query)
        return None if row is None else self.read(row)

    def insert(self, records: Sequence[T]) -> list[bool]:
        """Write new records; False where a key or a slot is taken."""
        op = self.rows.port.stamp()
        return self.rows.write_new([self._new(record, op) for record in records])

    def add(self, record: T) -> Row | None:
        """Write a new record; return its row, or None where a slot is taken."""
        row = self._new(record, self.rows.port.stamp())
        return row if self.rows.write_new([row])[0] else None

    def _new(self, record: T, op: str) -> Row:
        row = Row(self.codec.key_of(record), 1, op, self.codec.cells_of(record))
        row.record = record
        return row

    def stand(self, record: T, standing: Callable[[], Row | None]) -> T:
        """Write a new record, or return the one that stands in its way, confirmed."""
        for _ in range(MAX_RACES):
            if self.insert([record])[0]:
                return record
            # None: it has just given way, or was rolled back with its primary.
            row = standing()
            row = row and self.rows.confirm(row.key)
            if row is not None:
                return self.read(row)
        raise ConflictError("rows keep coming and going")

    def changing(self, change: Callable[[T], T | None]) -> Change:
        """Return a change of records as one of rows; a damaged row is left."""

        def run(row: Row) -> Changes | None:
            try:
                before = self.read(row)
            except ValidationError:
                return None
            after = change(before)
            return None if after is None else self.codec.changes_of(before, after)

        return run

    def change(
        self,
        key: str,
        change: Callable[[T], T | None],
        *,
        guess: Row | None = None,
        confirm: bool = False,
    ) -> T | None:
        """Write what `change` makes of a record; None = not there, or left as it is."""
        row = self.rows.change(key, self.changing(change), guess=guess, confirm=confirm)
        return None if row is None else self.read(row)

    def take(
        self,
        query: Query,
        limit: int,
        change: Callable[[T], T],
        damaged: Mapping[str, Cell],
        *,
        is_mine: Callable[[Row], bool] | None = None,
    ) -> list[Row]:
        """
        Take rows by what `change` makes of their records; see `Rows.take`.

        One that can't be read is written down, and given `damaged`: it fails alone, and
        the others go on.
        """
        broken: set[str] = set()

        def make(row: Row) -> Changes:
            try:
                before = self.read(row)
            except ValidationError:
                logger.exception(
                    "row can't be decoded",
                    extra={"table": self.rows.table.name, "key": row.key},
                )
                broken.add(row.key)
                return Changes(damaged)
            return self.codec.changes_of(before, change(before))

        for _ in range(MAX_RACES):
            taken = self.rows.take(query, limit, make, is_mine=is_mine)
            if not taken:
                return []
            whole = [row for row in taken if row.key not in broken]
            if whole:
                return whole
        return []

    def list(
        self,
        query: Query,
        limit: int,
        cursor: str | None,
        read: Callable[[Row], T] | None = None,
    ) -> Page[T]:
        """
        Return one page of a query; the cursor holds the last row's place.

        A damaged row never hides the others: it is named (`Page.unreadable`), and
        counted in the log, for those who get no more than the items.
        """
        table, read = self.rows.table, read or self.read
        field = table.index(query.index).fields[-1]
        by_number = field != "key" and table.column(field).kind is CellKind.INT
        after = parts_of(cursor, (int if by_number else str, str))
        if after is not None:
            query = attrs.evolve(query, after=(after[0], after[1]))
        found = self.rows.page(query, limit + 1 if limit > 0 else 0)
        items, unreadable = list[T](), list[str]()
        for row in found[:limit]:
            try:
                items.append(read(row))
            except ValidationError as error:
                unreadable.append(f"{row.key}: {error}")
        if unreadable:
            logger.warning(
                "rows of a list are damaged",
                extra={"table": table.name, "count": len(unreadable)},
            )
        more = None
        if len(found) > limit:
            last = found[limit - 1]
            more = cursor_of(cell_of(last, field), last.key)
        return Page(items=tuple(items), next_cursor=more, unreadable=tuple(unreadable))
