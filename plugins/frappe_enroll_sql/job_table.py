# SPDX-License-Identifier: MIT
"""Reading and writing rows of one queue's table."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, Update, bindparam, select
from sqlalchemy.dialects.sqlite import insert

from frappe_enroll_sdk.models import Job

from .job_rows import changed_documents, decode, row_of, state_of, undecodable


logger = logging.getLogger(__name__)

#: Values of one IN list.
_CHUNK = 500


class QueueTable:
    """
    One queue's table; its methods run inside the caller's transaction.

    Attributes:
        table: The table.
        insert_new: Writes one row (see `row_of`) unless its key is known.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        key = table.c.key == bindparam("of_key")
        # Built once: SQLAlchemy takes longer to build a statement than SQLite to
        # run it.
        self._find = select(table).where(key)
        self._insert = table.insert()
        self.insert_new = insert(table).on_conflict_do_nothing(index_elements=["key"])
        self._update = table.update().where(key)
        self._updates: dict[tuple[str, ...], Update] = {}

    def row(self, connection: Connection, key: str) -> Row[Any] | None:
        """Return the row of a key, or None."""
        return connection.execute(self._find, {"of_key": key}).one_or_none()

    def find(self, connection: Connection, key: str) -> Job | None:
        """Return the job of a key (a damaged one as far as it can be read), or None."""
        row = self.row(connection, key)
        return (decode(row) or undecodable(row)) if row else None

    def find_many(
        self, connection: Connection, column: str, values: Sequence[str]
    ) -> Iterator[Row[Any]]:
        """Return the rows that have one of the values in a column."""
        for first in range(0, len(values), _CHUNK):
            chunk = values[first : first + _CHUNK]
            query = select(self.table).where(self.table.c[column].in_(chunk))
            yield from connection.execute(query).all()

    def insert(self, connection: Connection, jobs: Collection[Job]) -> None:
        """Write new rows."""
        if jobs:
            connection.execute(self._insert, [row_of(job) for job in jobs])

    def update(
        self, connection: Connection, changes: Iterable[tuple[Job | None, Job]]
    ) -> None:
        """Write rows again: pairs of the job as it was read (None: damaged) and is."""
        states: list[dict[str, Any]] = []
        whole: list[dict[str, Any]] = []
        for before, job in changes:
            row = {"of_key": job.key, **state_of(job)}
            documents = changed_documents(job, before)
            (states if documents is None else whole).append(row | (documents or {}))
        for rows in (states, whole):
            if rows:
                connection.execute(self._update_of(tuple(rows[0])), rows)

    def _update_of(self, names: tuple[str, ...]) -> Update:
        if names not in self._updates:
            values: dict[str, Any] = {
                name: bindparam(name) for name in names if name != "of_key"
            }
            self._updates[names] = self._update.values(values)
        return self._updates[names]

    def change(
        self,
        connection: Connection,
        row: Row[Any] | None,
        change: Callable[[Job], Job | None],
    ) -> Job | None:
        """Apply a rule of ``queue.py`` to a row; None = no row, or it does not fit."""
        # A damaged row is kept as it is for whoever repairs it.
        before = decode(row) if row else None
        after = change(before) if before else None
        if after is not None:
            self.update(connection, [(before, after)])
        return after

    def bury_undecodable(self, connection: Connection, row: Row[Any]) -> None:
        """Let a row that can't be decoded fail alone: the others go on."""
        logger.error("row can't be decoded", extra={"job": row.key})
        connection.execute(
            self.table.update()
            .where(self.table.c.key == row.key)
            .values(state="dead", claim_at=None, token=None)
        )
