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

#: Milliseconds that the server holds a request for news.
_AWAIT_MS = 500
#: Seconds that a new watch waits until the stream is open.
_OPEN_S = 5.0
#: Seconds until a broken stream is opened again.
_AGAIN_S = 1.0
#: By how many milliseconds the clock of who writes may be ahead of the server's.
_AHEAD_MS = 1_000


def _pipeline_of(tables: Collection[Table]) -> Sequence[Any]:
    """Return what lets through writes after which a row may be worked on at once."""
    columns = sorted({table.wakes for table in tables if table.wakes})
    changed = ("$fullDocument", "$updateDescription.updatedFields")
    soon = {"$add": [{"$toLong": "$wallTime"}, _AHEAD_MS]}
    due = [
        # (No field sorts before every number: nothing is not soon.)
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
    The thread that turns the database's changes into this process's news.

    Runs while there is a watch; all watches are over the same tables.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._watches = 0
        self._thread: threading.Thread | None = None
        self._open, self._stop = threading.Event(), threading.Event()

    def join(self, tables: Collection[Table]) -> None:
        """Take part: returns once news is heard (or never will be)."""
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
        """Take part no longer; with the last one the thread ends."""
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
                    logger.info("no change streams here: polling finds the news")
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
                # It was interrupted: what came meanwhile is not in this stream.
                self._link.news.announce()
            opened.set()
            while stream.alive and not stop.is_set():
                if stream.try_next() is not None:
                    self._link.news.announce()


def _may_come_back(error: OperationFailure) -> bool:
    """Tell a stream that broke from a server that has none (40573: not a replica)."""
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
        """Take part no longer."""
        if self._stream is not None:
            self._stream.leave()
            self._stream = None
