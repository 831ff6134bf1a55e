# SPDX-License-Identifier: MIT
"""Dying at the k-th thing that a store asks of its database driver."""

from __future__ import annotations

from sqlalchemy import event


class StatementPlan:
    """
    Counts statements and commits of a `SQLStorage`, and calls `die` at the k-th one.

    Each statement counts twice (before and after it), each commit too: "never made"
    and "done, answer lost". `log` tells what each was; a write outside of a transaction
    is its own commit.
    """

    def __init__(self, storage, die=None) -> None:
        self.k, self.log = 0, []
        self._die = die
        engine = storage.tables.database.engine()
        event.listen(engine, "before_cursor_execute", self._before)
        event.listen(engine, "after_cursor_execute", self._after)
        commit = engine.dialect.do_commit

        def do_commit(connection):
            if not connection.dbapi_connection.in_transaction:
                return commit(connection)
            self._count("before COMMIT")
            commit(connection)
            return self._count("after COMMIT")

        engine.dialect.do_commit = do_commit

    def arm(self, k: int, die) -> None:
        """Begin to count anew; die at the k-th."""
        self.k, self.log, self._die = k, [], die

    def _before(self, _connection, _cursor, statement, *_):
        self._count(f"before {statement.split(chr(10))[0]}")

    def _after(self, connection, _cursor, statement, *_):
        writes = statement.startswith(("INSERT", "UPDATE", "DELETE"))
        alone = not connection.connection.driver_connection.in_transaction
        name = "COMMIT by itself of " if writes and alone else ""
        self._count(f"after {name}{statement.split(chr(10))[0]}")

    def _count(self, what: str) -> None:
        self.log.append(what)
        if self.k and len(self.log) >= self.k:
            self._die(what)
