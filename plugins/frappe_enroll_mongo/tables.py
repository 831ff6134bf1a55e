# SPDX-License-Identifier: MIT
"""
`Tables` on MongoDB: each write is conditional on one document's `rev`.

Reads are not durable here, whatever their concern: a primary that has been deposed, and
does not know it, answers with what it had, and an index may refuse because of a row
that is rolled back. So `durable_reads` is False, and the core confirms by a write.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pymongo
from bson.int64 import Int64
from pymongo import DeleteOne, ReturnDocument, UpdateMany, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from frappe_enroll_sdk.clock import SYSTEM
from frappe_enroll_sdk.errors import StorageUnavailableError, UnclearWriteError
from frappe_enroll_sdk.interfaces.tables import OP, REV, Row, Swap
from frappe_enroll_sdk.stores.schema import require_schema

from . import layout, migrate
from .failures import only_duplicates, our_errors
from .link import Link
from .queries import filter_of, may_match, order_of
from .watch import MongoWatch, Stream


if TYPE_CHECKING:
    from frappe_enroll_sdk.interfaces import Watch
    from frappe_enroll_sdk.interfaces.tables import Cell, Query, Table

    from .link import Document


#: Stored rows by key: rev and op, or None for one that is certainly not ours.
_Stands = Mapping[str, "tuple[int, str] | None"]
#: Of a document that is not ours: rows of ours begin with 1.
_NO_REV = 0
#: Most counts in one command: the server refuses pipelines of over 1,000 stages.
_MAX_COUNTS = 200
#: After losing a race, a take chooses among this multiple of what it wants.
_SPREAD = 4
#: How often a take may lose a race; each loss is another caller's success.
_MAX_RACES = 100


class MongoTables:
    """
    Tables of one database on MongoDB 6.0 or later, standalone or a replica set.

    Thread-safe and fork-safe. A write is acknowledged by a majority and journaled.

    Args:
        uri: MongoDB connection string; pool, TLS and app name come from it.
        database: Name of the database.
        client_factory: Creates the client (with listeners, or a stand-in without
            sessions in unit tests).
    """

    durable_reads = False

    def __init__(
        self,
        uri: str,
        database: str,
        *,
        client_factory: Callable[..., Any] = pymongo.MongoClient,
    ) -> None:
        self.link = Link(uri, database, client_factory=client_factory)
        self._stream = Stream(self.link)

    # Reads.

    def _find(self, table: Table, where: Document, **options: Any) -> list[Document]:
        collection = self.link.collection(table.name)
        with self.link.session() as session:
            return [*collection.find(where, session=session, **options)]

    def get(self, table: Table, keys: Collection[str]) -> Sequence[Row]:
        """See `Tables.get`."""
        if not keys:
            return ()
        names = [*keys]
        key = names[0] if len(names) == 1 else {"$in": names}
        found = self._find(table, {"_id": key}, limit=len(names), batch_size=len(names))
        return [_row_of(one) for one in found]

    def page(self, table: Table, query: Query, limit: int) -> Sequence[Row]:
        """See `Tables.page`."""
        if limit <= 0 or not may_match(query):
            return ()
        found = self._find(
            table,
            filter_of(table, query),
            **order_of(table, query),
            limit=limit,
            batch_size=limit,
        )
        return [_row_of(one) for one in found]

    def count(self, table: Table, queries: Sequence[Query], cap: int) -> Sequence[int]:
        """See `Tables.count`."""
        counted: dict[int, int] = {}
        for first in range(0, len(queries), _MAX_COUNTS):
            some = enumerate(queries[first : first + _MAX_COUNTS], first)
            counted |= self._count(table, dict(some), cap)
        return [counted.get(number, 0) for number in range(len(queries))]

    def _count(
        self, table: Table, queries: Mapping[int, Query], cap: int
    ) -> dict[int, int]:
        """Count with one command: each query is a pipeline in it."""
        steps: list[list[Mapping[str, Any]]] = [
            [
                {"$match": filter_of(table, query)},
                {"$limit": cap},
                {"$group": {"_id": number, "count": {"$sum": 1}}},
            ]
            for number, query in queries.items()
            if cap > 0 and may_match(query)
        ]
        if not steps:
            return {}
        others = [
            {"$unionWith": {"coll": table.name, "pipeline": more}} for more in steps[1:]
        ]
        collection = self.link.collection(table.name)
        with self.link.session() as session:
            # One more than there can be, so that the first batch also ends the cursor.
            answers = collection.aggregate(
                [*steps[0], *others], session=session, batchSize=len(steps) + 1
            )
            return {one["_id"]: int(one["count"]) for one in answers}

    # Writes.

    def insert(self, table: Table, rows: Sequence[Row]) -> Sequence[bool]:
        """See `Tables.insert`."""
        if not rows:
            return ()
        try:
            return self._insert(table, rows)
        finally:
            self.link.marks.expect(table, [row.cells for row in rows])

    def _insert(self, table: Table, rows: Sequence[Row]) -> Sequence[bool]:
        documents = [_document_of(row) for row in rows]
        collection = self.link.collection(table.name)
        with self.link.session(writes=True) as session:
            try:
                if len(documents) == 1:
                    collection.insert_one(documents[0], session=session)
                else:
                    collection.insert_many(documents, ordered=False, session=session)
            except DuplicateKeyError:
                return (False,)
            except BulkWriteError as error:
                if not only_duplicates(error):
                    raise
                taken = {one["index"] for one in (error.details or {})["writeErrors"]}
                return [number not in taken for number in range(len(rows))]
        return [True] * len(rows)

    def swap(self, table: Table, swaps: Sequence[Swap]) -> Sequence[bool]:
        """See `Tables.swap`."""
        stands = self._swap(table, swaps)
        return [_is_done(swap, stands) for swap in swaps]

    def _swap(self, table: Table, swaps: Sequence[Swap]) -> _Stands:
        """Send swaps; return the stored state of those that may not have been made."""
        try:
            if len(swaps) == 1:
                return self._swap_one(table, swaps[0])
            if not swaps or self._swap_many(table, swaps):
                return {}
        finally:
            self.link.marks.expect(table, [swap.cells for swap in swaps])
        # The server only gives a count: the stamps show which writes were ours.
        keys = [swap.key for swap in swaps]
        try:
            found = self._find(table, {"_id": {"$in": keys}}, projection=(REV, OP))
        except StorageUnavailableError as error:
            # Some of them may be done: "nothing was written" would not be true.
            raise UnclearWriteError(str(error)) from error
        return dict.fromkeys(keys) | {one["_id"]: (one[REV], one[OP]) for one in found}

    def _swap_one(self, table: Table, swap: Swap) -> _Stands:
        where, collection = _where(swap.rev, [swap]), self.link.collection(table.name)
        with self.link.session(writes=True) as session:
            try:
                done = collection.update_one(where, _update_of(swap), session=session)
            except DuplicateKeyError:
                return {swap.key: None}
            return {} if done.matched_count else {swap.key: None}

    def _swap_many(self, table: Table, swaps: Sequence[Swap]) -> bool:
        """Make swaps with one command; tell whether all of them were made."""
        operations = _grouped(table, swaps)
        collection = self.link.collection(table.name)
        with self.link.session(writes=True) as session:
            try:
                done = collection.bulk_write(operations, ordered=False, session=session)
            except BulkWriteError as error:
                if not only_duplicates(error):
                    raise
                return False
            return done.matched_count == len(swaps)

    def take(
        self, table: Table, query: Query, limit: int, make: Callable[[Row], Swap]
    ) -> Sequence[Row]:
        """See `TakingTables.take`: uses no locks, but skips entries of removed rows."""
        for race in range(_MAX_RACES):
            found = self._first(table, query, limit, spread=race > 0)
            swaps = [make(row) for row in found]
            stands = self._swap(table, swaps)
            revs = {key: one[0] for key, one in stands.items() if one is not None}
            if any(revs.get(swap.key, 0) > swap.rev + 1 for swap in swaps):
                # It may have been ours before someone else wrote it.
                raise UnclearWriteError
            taken = [
                swap.applied(row)
                for row, swap in zip(found, swaps, strict=True)
                if _is_done(swap, stands)
            ]
            if taken or not found:
                return taken
        return ()

    def _first(
        self, table: Table, query: Query, limit: int, *, spread: bool
    ) -> Sequence[Row]:
        """Return the first rows, or a random choice if others compete for those."""
        most = limit * _SPREAD if spread else limit
        found = self.link.marks.page(self.page, table, query, most)
        if len(found) <= limit:
            return found
        # The rows before the chosen ones are still to be taken.
        self.link.marks.expect(table, [found[0].cells])
        first = int(SYSTEM.token_hex(2), 16) % (len(found) // limit) * limit
        return found[first : first + limit]

    def take_first(
        self, table: Table, query: Query, cells: Mapping[str, Cell], op: str
    ) -> tuple[Row | None, bool]:
        """
        Write cells into whichever row is a query's first at that moment.

        Returns:
            The row as written, or None if there is none; and whether its slots allow
                it.
        """
        change = _update_of(Swap("", 0, op, cells))
        del change["$set"][REV]
        collection = self.link.collection(table.name)
        with self.link.session(writes=True) as session:
            try:
                found: Document | None = collection.find_one_and_update(
                    filter_of(table, query),
                    change | {"$inc": {REV: 1}},
                    **order_of(table, query),
                    return_document=ReturnDocument.AFTER,
                    session=session,
                )
            except DuplicateKeyError:
                return None, False
        return (_row_of(found) if found else None), True

    def delete(self, table: Table, rows: Collection[Row]) -> int:
        """See `Tables.delete`."""
        if not rows:
            return 0
        operations = [DeleteOne({"_id": r.key, REV: r.rev, OP: r.op}) for r in rows]
        collection = self.link.collection(table.name)
        with self.link.session(writes=True) as session:
            done = collection.bulk_write(operations, ordered=False, session=session)
            return done.deleted_count

    # Time, news, schema.

    def now(self) -> datetime:
        """See `Tables.now`."""
        return self.link.server_time()

    def watch(self, tables: Collection[Table]) -> Watch:
        """See `Tables.watch`: follows a change stream, if there is one."""
        return MongoWatch(self.link.news, self._stream, tables)

    def announce(self) -> None:
        """See `Tables.announce`."""
        self.link.news.announce()

    def setup(self, tables: Collection[Table], version: int) -> None:
        """See `Tables.setup`."""
        migrate.setup(self.link, tables, version)

    def check_schema(self, version: int) -> None:
        """See `Tables.check_schema`."""
        require_schema(migrate.version_of(self.link), version)

    def list_drift(self, tables: Collection[Table]) -> tuple[str, ...]:
        """See `Tables.list_drift`."""
        with our_errors():
            return layout.drift(self.link.database(), tables)

    def ping(self) -> None:
        """See `Tables.ping`."""
        mine, meta = {"_id": migrate.SCHEMA_ID}, self.link.collection(migrate.META)
        with self.link.session(writes=True) as session:
            meta.update_one(mine, {"$inc": {"pings": 1}}, session=session)

    def close(self) -> None:
        """See `Tables.close`."""
        self.link.close()


# Rows and documents.


def _document_of(row: Row) -> Document:
    cells = {name: cell for name, cell in row.cells.items() if cell is not None}
    return {"_id": row.key, REV: row.rev, OP: row.op, **cells}


def _row_of(document: Document) -> Row:
    """
    Return the row of a document.

    What somebody else has put there is handed on, and the core judges it: no write of
    ours ever finds its revision.
    """
    key, rev, op = document.pop("_id"), document.pop(REV, None), document.pop(OP, "")
    is_ours = isinstance(key, str) and isinstance(rev, (int, float))
    return Row(
        key if is_ours else str(key),
        int(rev) if is_ours else _NO_REV,
        op,
        {name: _cell(one) for name, one in document.items()},
    )


def _cell(value: Any) -> Any:
    """Return a value without the driver's own types."""
    if type(value) is Int64:
        return int(value)
    return tuple(value) if type(value) is list else value


def _is_done(swap: Swap, stands: _Stands) -> bool:
    return swap.key not in stands or stands[swap.key] == (swap.rev + 1, swap.op)


def _where(rev: int, swaps: Sequence[Swap]) -> Document:
    keys = [swap.key for swap in swaps]
    return {"_id": keys[0] if len(keys) == 1 else {"$in": keys}, REV: rev}


def _update_of(swap: Swap) -> Document:
    """Return the update for a swap; a null removes its field."""
    new = {name: cell for name, cell in swap.cells.items() if cell is not None}
    update: Document = {"$set": {REV: swap.rev + 1, OP: swap.op, **new}}
    if len(new) < len(swap.cells):
        update["$unset"] = {n: "" for n, cell in swap.cells.items() if cell is None}
    if swap.more:
        lines = {name: {"$each": [*more]} for name, more in swap.more.items()}
        update["$push"] = lines
    return update


def _grouped(table: Table, swaps: Sequence[Swap]) -> list[UpdateOne | UpdateMany]:
    """
    Return the operations for swaps, combining equal ones.

    Batches of fresh jobs are claimed and completed by equal updates: this saves
    nineteen of twenty statements, and each document is still written on its own `rev`.
    (Not if a slot may refuse one: the others in its statement would be skipped.)
    """
    slots = {name for one in table.indexes if one.unique for name in one.fields}
    groups: dict[Any, list[Swap]] = {}
    for swap in swaps:
        alone = bool(swap.more) or not slots.isdisjoint(swap.cells)
        cells = swap.key if alone else tuple(swap.cells.items())
        groups.setdefault((swap.rev, swap.op, cells), []).append(swap)
    operations: list[UpdateOne | UpdateMany] = []
    for (rev, *_), group in groups.items():
        kind = UpdateOne if len(group) == 1 else UpdateMany
        operations.append(kind(_where(rev, group), _update_of(group[0])))
    return operations
