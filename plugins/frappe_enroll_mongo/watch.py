# SPDX-License-Identifier: MIT
"""
Waiting for news: within the process writers announce, across processes a change stream.

One thread per process follows the stream while anybody waits. A standalone server has
no change streams: there other processes' news is found by polling, as always.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pymongo.errors import OperationFailure, PyMongoError

from frappe_enroll_sdk.stores.news import News, NewsWatch


if TYPE_CHECKING:
    from frappe_enroll_sdk.interfaces.tables import Table

    from .link import Link

logger = logging.getLogger(__name__)

#: Milliseconds for which the server holds a request for changes.
_AWAIT_MS = 500
#: Seconds that a new watch waits for the stream to open.
_OPEN_S = 5.0
#: Seconds until a broken stream is reopened.
_AGAIN_S = 1.0
#: Milliseconds by which a writer's clock may be ahead of the server's.
_AHEAD_MS = 1_000


def _pipeline_of(tables: Collection[Table]) -> Sequence[Any]:
    """Return the pipeline that passes writes after which a row is due at once."""
    columns = sorted({table.wakes for table in tables if table.wakes})
    changed = ("$fullDocument", "$updateDescription.updatedFields")
    soon = {"$add": [{"$toLong": "$wallTime"}, _AHEAD_MS]}
    due = [
        # (A missing field sorts before every number, so it has to be excluded.)
        {"$and": [{"$gt": [f"{part}.{name}", None]}, {"$lt": [f"{part}.{name}", soon]}]}
        for part in changed
        for name in columns
    ]
    watched = sorted(table.name for table in tables if table.wakes)
    where = {
        "ns.coll": {"$in": watched},
        "operationType": {"$in": ["insert", "update"]},
        "$expr": {"$or": due},
    }
    return [{"$match": where}, {"$project": {"_id": 1}}]


class Stream:
    """
    The thread that announces the database's changes to this process.

    Runs while there are watches; all watches cover the same tables.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._watches = 0
        self._thread: threading.Thread | None = None
        self._open, self._stop = threading.Event(), threading.Event()

    def join(self, tables: Collection[Table]) -> None:
        """Add a watch; return once changes are followed (or never will be)."""
        with self._lock:
            self._watches += 1
            if self._thread is None or not self._thread.is_alive():
                self._open, self._stop = threading.Event(), threading.Event()
                self._thread = threading.Thread(
                    target=self._follow,
                    args=(tables, self._open, self._stop),
                    name="frappe-enroll-news",
                    daemon=True,
                )
                self._thread.start()
            opened = self._open
        opened.wait(_OPEN_S)

    def leave(self) -> None:
        """Remove a watch; the thread ends with the last one."""
        with self._lock:
            self._watches -= 1
            if self._watches <= 0:
                self._stop.set()
                self._thread = None

    def _follow(
        self, tables: Collection[Table], opened: threading.Event, stop: threading.Event
    ) -> None:
        pipeline = _pipeline_of(tables)
        while not stop.is_set():
            try:
                self._listen(pipeline, opened, stop)
            except OperationFailure as error:
                if not _may_come_back(error):
                    logger.info("no change streams here: due work is found by polling")
                    opened.set()
                    return
                stop.wait(_AGAIN_S)
            except PyMongoError as error:
                logger.warning(
                    "news interrupted", extra={"error_code": type(error).__name__}
                )
                opened.set()
                stop.wait(_AGAIN_S)

    def _listen(
        self, pipeline: Sequence[Any], opened: threading.Event, stop: threading.Event
    ) -> None:
        database = self._link.database()
        with database.watch(pipeline, max_await_time_ms=_AWAIT_MS) as stream:
            if opened.is_set():
                # It was interrupted: this stream lacks the changes made meanwhile.
                self._link.news.announce()
            opened.set()
            while stream.alive and not stop.is_set():
                if stream.try_next() is not None:
                    self._link.news.announce()


def _may_come_back(error: OperationFailure) -> bool:
    """Tell a broken stream from a server without any (40573: not a replica set)."""
    return error.code not in {40573, 13, 18, 8000}


class MongoWatch:
    """`Watch` on MongoDB; used by one thread."""

    def __init__(self, news: News, stream: Stream, tables: Collection[Table]) -> None:
        self._stream: Stream | None = stream
        stream.join(tables)
        self._news = NewsWatch(news)

    def wait(self, timeout_s: float, *, now: datetime) -> bool:
        """See `Watch.wait`."""
        return self._news.wait(timeout_s, now=now)

    def close(self) -> None:
        """Stop watching."""
        if self._stream is not None:
            self._stream.leave()
            self._stream = None
