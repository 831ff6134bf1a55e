# SPDX-License-Identifier: MIT
"""
One client per process, and durability that no URI can weaken.

* Writes: majority, journaled. Reads: primary, majority, causally after everything that
  this process has seen (so that a new primary never answers with less). Both are pinned
  on each collection, whatever the URI says.
* Every operation has a time limit: the URI's ``timeoutMS``, or ten seconds.
* The client is made on first use, and again in a forked child.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pymongo
from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.read_concern import ReadConcern

from frappe_enroll_sdk.errors import SettingsError
from frappe_enroll_sdk.stores.news import News

from .drains import Marks
from .failures import our_errors


if TYPE_CHECKING:
    from bson.timestamp import Timestamp
    from pymongo.client_session import ClientSession
    from pymongo.collection import Collection
    from pymongo.database import Database

#: A document as the driver takes and returns it; also used where types are informal.
Document = dict[str, Any]

#: Total milliseconds for one operation, unless the URI says otherwise.
TIMEOUT_MS = 10_000
#: Seconds that closing a client may take.
_CLOSE_S = 2.0
_DURABLE = WriteConcern("majority", j=True)
_COMMITTED = ReadConcern("majority")


class _Process:
    """State of one process: its client and collections, its threads' news and marks."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.client: Any = None
        self.collections: dict[str, Collection[Document]] = {}
        self.news, self.marks = News(), Marks()


class Link:
    """
    The connection of one store. Thread-safe and fork-safe.

    Attributes:
        name: The database's name.
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
        self._process = _Process()
        self._seen: Timestamp | None = None

    # The client.

    def _here(self) -> _Process:
        if self._process.pid != os.getpid():
            # Forked: a lock held at the fork stays locked here, and the sockets belong
            # to the parent.
            self._process = _Process()
        return self._process

    @property
    def news(self) -> News:
        """Announcements of due work among this process's threads."""
        return self._here().news

    @property
    def marks(self) -> Marks:
        """Where this process's takes ended."""
        return self._here().marks

    def client(self) -> MongoClient[Document]:
        """Return this process's client."""
        here = self._here()
        known: MongoClient[Document] | None = here.client
        if known is not None:
            return known
        with here.lock:
            if here.client is None:
                with our_errors():
                    here.client = self._client_of_uri()
            client: MongoClient[Document] = here.client
            return client

    def _client_of_uri(self) -> Any:
        try:
            return self._make_client()
        except ValueError as error:
            # The driver's error for an invalid port or an unescaped password.
            raise SettingsError("MONGODB_URI: is not usable (ValueError)") from error

    def _make_client(self) -> Any:
        # (Other options, such as wtimeoutMS and socketTimeoutMS, end in the same
        # letters; 0 means no limit.)
        given = self._uri.lower()
        timed = re.search(r"[?&;]timeoutms=[1-9]", given)
        limits = {} if timed else {"timeoutMS": TIMEOUT_MS}
        named = {} if "appname=" in given else {"appname": "frappe-enroll-sdk"}
        return self._factory(self._uri, retryWrites=True, **limits, **named)

    def database(self) -> Database[Document]:
        """Return the database, unchecked; its commands are as durable as writes."""
        client = self.client()
        with our_errors():
            return client.get_database(
                self.name,
                read_preference=ReadPreference.PRIMARY,
                write_concern=_DURABLE,
            )

    def server_time(self) -> datetime:
        """Return the primary's clock (MongoDB, command ``hello``)."""
        with our_errors():
            admin = self.client().get_database("admin")
            answer = admin.command("hello", read_preference=ReadPreference.PRIMARY)
        moment: datetime = answer["localTime"]
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def close(self) -> None:
        """Close this process's client; the next use creates another."""
        here = self._here()
        with here.lock:
            client, here.client = here.client, None
            here.collections = {}
        if client is not None:
            # Closing reports ended sessions to a server, and waits for one that accepts
            # them; a server that is gone must not delay the process.
            with pymongo.timeout(_CLOSE_S):
                client.close()

    def collection(self, name: str) -> Collection[Document]:
        """Return a collection with pinned durability."""
        # Read once: `close` leaves the object to those still using it.
        known = self._here().collections
        found = known.get(name)
        if found is None:
            found = known[name] = self.database().get_collection(
                name,
                read_preference=ReadPreference.PRIMARY,
                write_concern=_DURABLE,
                read_concern=_COMMITTED,
            )
        return found

    @contextmanager
    def session(
        self, *, writes: bool = False, is_hint: bool = False
    ) -> Iterator[ClientSession | None]:
        """
        Enter a session that sees everything this process has seen; None for a stand-in.

        Translates the driver's errors into ours.

        Args:
            writes: Whether it writes, so that an acknowledgement may be lost.
            is_hint: Nothing depends on its writes: later reads do not wait for them to
                be durable.
        """
        client = self.client()
        with our_errors(writes=writes):
            if not isinstance(client, MongoClient):
                # A stand-in for unit tests has no sessions.
                yield None
                return
            with client.start_session(causal_consistency=True) as session:
                if self._seen is not None:
                    session.advance_operation_time(self._seen)
                try:
                    yield session
                finally:
                    if not is_hint:
                        self._advance(session.operation_time)

    def _advance(self, moment: Timestamp | None) -> None:
        if moment is None or moment == self._seen:
            return
        with self._here().lock:
            if self._seen is None or moment > self._seen:
                self._seen = moment
