# SPDX-License-Identifier: MIT
"""
One client per process, pinned durability, and the one rule for lost acknowledgements.

* Writes: majority, journaled. Reads: primary, majority, causally after everything that
  this process has seen (so that a new primary never answers with less). Both are pinned
  on each collection, whatever the URI says.
* Every operation has a time limit: the URI's ``timeoutMS``, or ten seconds.
* The client is made on first use, and again in a forked child.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
from bson.codec_options import CodecOptions
from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from frappe_enroll_sdk.news import News

from .documents import Document
from .failures import is_unclear, our_errors


if TYPE_CHECKING:
    from bson.timestamp import Timestamp
    from pymongo.client_session import ClientSession
    from pymongo.collection import Collection
    from pymongo.database import Database

T = TypeVar("T")

#: Milliseconds that one operation may take in all, unless the URI says otherwise.
TIMEOUT_MS = 10_000
_OPTIONS: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC)
_DURABLE = WriteConcern("majority", j=True)
_COMMITTED = ReadConcern("majority")


@attrs.frozen(kw_only=True)
class Run:
    """
    One run of a verb.

    Attributes:
        session: Carries what this process has seen; None for a stand-in.
        again: Whether the first run's acknowledgement was lost.
    """

    session: ClientSession | None
    again: bool = False


class Link:
    """
    The connection of one store. Thread-safe and fork-safe.

    Attributes:
        name: The database's name.
        news: What this process's threads tell each other.
    """

    def __init__(
        self,
        uri: str,
        database: str,
        *,
        client_factory: Callable[..., Any] = MongoClient,
    ) -> None:
        self.name = database
        self._uri = uri
        self._factory = client_factory
        self._lock = threading.Lock()
        self._pid = -1
        self._client: Any = None
        self._guard: Callable[[], None] | None = None
        self._seen: Timestamp | None = None
        self.news = News()

    def guard(self, check: Callable[[], None]) -> None:
        """Run `check` in each process once, before the first collection is used."""
        self._guard = check

    # The client.

    def client(self) -> MongoClient[Document]:
        """Return this process's client."""
        if self._pid != os.getpid():
            # A lock that the parent held at the fork stays locked in the child; the
            # parent's sockets are its own, so its client is left alone.
            self._lock, self._client = threading.Lock(), None
            self._checked = False
            self._pid = os.getpid()
        with self._lock:
            if self._client is None:
                with our_errors():
                    self._client = self._make_client()
            client: MongoClient[Document] = self._client
            return client

    def _make_client(self) -> Any:
        limits = {} if "timeoutms=" in self._uri.lower() else {"timeoutMS": TIMEOUT_MS}
        named = (
            {} if "appname=" in self._uri.lower() else {"appname": "frappe-enroll-sdk"}
        )
        return self._factory(self._uri, retryWrites=True, **limits, **named)

    def database(self) -> Database[Document]:
        """Return the database, unchecked."""
        return self.client().get_database(self.name)

    def server_time(self) -> datetime:
        """Return the primary's clock (MongoDB, command ``hello``)."""
        with our_errors():
            admin = self.client().get_database("admin")
            answer = admin.command("hello", read_preference=ReadPreference.PRIMARY)
        moment: datetime = answer["localTime"]
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def close(self) -> None:
        """Close this process's client; the next use makes another."""
        if self._client is not None and self._pid == os.getpid():
            self._client.close()
        self._client, self._checked = None, False

    _checked = False

    def collection(self, name: str, *, checked: bool = True) -> Collection[Document]:
        """Return a collection with its durability pinned."""
        database = self.database()
        if checked and not self._checked:
            if self._guard is not None:
                self._guard()
            self._checked = True
        return database.get_collection(
            name,
            codec_options=_OPTIONS,
            read_preference=ReadPreference.PRIMARY,
            write_concern=_DURABLE,
            read_concern=_COMMITTED,
        )

    # Operations.

    def write(self, act: Callable[[Run], T]) -> T:
        """
        Run a verb that writes; run it once more when its acknowledgement was lost.

        The second run has to look for the stamp that the first one may have left.
        """
        with our_errors():
            try:
                return self._run(act, again=False)
            except PyMongoError as error:
                if not is_unclear(error):
                    raise
            return self._run(act, again=True)

    def read(self, act: Callable[[Run], T]) -> T:
        """Run a verb that only reads."""
        with our_errors():
            return self._run(act, again=False)

    def _run(self, act: Callable[[Run], T], *, again: bool) -> T:
        with self._session() as session:
            return act(Run(session=session, again=again))

    @contextmanager
    def _session(self) -> Iterator[ClientSession | None]:
        """Open a session that reads no less than this process has seen."""
        if self._factory is not MongoClient:
            # A stand-in for unit tests has no sessions.
            yield None
            return
        client = self.client()
        with client.start_session(causal_consistency=True) as session:
            seen = self._seen
            if seen is not None:
                session.advance_operation_time(seen)
            try:
                yield session
            finally:
                self._advance(session.operation_time)

    def _advance(self, moment: Timestamp | None) -> None:
        with self._lock:
            if moment is not None and (self._seen is None or moment > self._seen):
                self._seen = moment
