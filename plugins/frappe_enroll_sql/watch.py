# SPDX-License-Identifier: MIT
"""
Waiting for news in a SQLite file.

Within the process, writers announce. Other processes' commits show in ``PRAGMA
data_version``, which changes with any commit of another connection; a look at the
claims' index then tells whether something is due.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, PoolProxiedConnection

from frappe_enroll_sdk.clock import SYSTEM
from frappe_enroll_sdk.errors import StorageUnavailableError
from frappe_enroll_sdk.stores.records import ms_of

from .engine import our_errors


if TYPE_CHECKING:
    from .engine import Database
    from .layout import Layout

#: Seconds between checks of the data version, which take about ten microseconds.
_LOOK_S = 0.01


class SQLWatch:
    """`Watch` on a SQLite file; used by one thread."""

    def __init__(self, database: Database, layouts: Sequence[Layout]) -> None:
        self._database, self._layouts = database, layouts
        self._seen = database.news.count
        self._connection: PoolProxiedConnection | None = None
        self._engine: Engine | None = None
        self._version = self._ask(self._data_version) or 0

    def wait(self, timeout_s: float, *, now: datetime) -> bool:
        """See `Watch.wait`."""
        began = SYSTEM.monotonic()
        while True:
            left_s = timeout_s - (SYSTEM.monotonic() - began)
            seen = self._database.news.wait(self._seen, max(min(left_s, _LOOK_S), 0.0))
            if seen != self._seen:
                self._seen = seen
                return True
            passed = timedelta(seconds=SYSTEM.monotonic() - began)
            if self._is_news(ms_of(now + passed)):
                return True
            if left_s <= 0:
                return False

    def close(self) -> None:
        """Return the connection to the pool."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _is_news(self, now_ms: int) -> bool:
        version = self._ask(self._data_version)
        if version in (None, self._version):
            return False
        self._version = version or 0
        return bool(self._ask(lambda: self._due(now_ms)))

    def _ask(self, question: Callable[[], int]) -> int | None:
        """Run a query; return None while the file can't be read, as polling goes on."""
        try:
            with our_errors():
                return question()
        except StorageUnavailableError:
            self.close()
            return None

    def _data_version(self) -> int:
        engine = self._database.engine()
        if engine is not self._engine:
            # There is none yet, or the path now names another file.
            self.close()
            self._engine = engine
        if self._connection is None:
            self._connection = engine.raw_connection()
        # Outside any transaction, in which the version would not change.
        cursor = self._connection.cursor()
        try:
            (version,) = cursor.execute("PRAGMA data_version").fetchone()
        finally:
            cursor.close()
        return int(version)

    def _due(self, now_ms: int) -> int:
        asked = [layout.due(now_ms) for layout in self._layouts]

        def ask(connection: Connection) -> int:
            return sum(int(connection.execute(*one).scalar_one()) for one in asked)

        return self._database.read(ask)
