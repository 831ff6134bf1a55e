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
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import pymongo
from bson.codec_options import CodecOptions
from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from frappe_enroll_sdk.clock import SYSTEM
from frappe_enroll_sdk.errors import SettingsError
from frappe_enroll_sdk.stores.news import News

from .documents import Document
from .failures import is_unclear, our_errors


if TYPE_CHECKING:
    from bson.timestamp import Timestamp
    from pymongo.client_session import ClientSession
    from pymongo.collection import Collection
    from pymongo.database import Database

T = TypeVar("T")

#: Seconds after which a process looks again whether the schema is its code's: another
#: host may upgrade it.
LOOK_EVERY_S = 15.0
#: Milliseconds that one operation may take in all, unless the URI says otherwise.
TIMEOUT_MS = 10_000
#: Seconds that the end of a client may take.
_CLOSE_S = 2.0
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


class _Process:
    """What one process has: its client, its collections, its threads' news."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.client: Any = None
        self.collections: dict[str, Collection[Document]] = {}
        self.checked = float("-inf")
        self.news = News()


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
        self._guard: Callable[[], None] | None = None
        self._seen: Timestamp | None = None

    def guard(self, check: Callable[[], None]) -> None:
        """Run `check` in each process before the first collection is used, and on."""
        self._guard = check

    # The client.

    def _here(self) -> _Process:
        if self._process.pid != os.getpid():
            # Forked: a lock that was held stays locked here, and the sockets are the
            # parent's own.
            self._process = _Process()
        return self._process

    @property
    def news(self) -> News:
        """What this process's threads tell each other."""
        return self._here().news

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
            # What the driver says of a port or a password that is not escaped.
            raise SettingsError("MONGODB_URI: is not usable (ValueError)") from error

    def _make_client(self) -> Any:
        # (Other options end in these words, wtimeoutMS and socketTimeoutMS for two;
        # a limit of 0 is none.)
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
        """Close this process's client; the next use makes another."""
        here = self._here()
        with here.lock:
            client, here.client = here.client, None
            here.collections, here.checked = {}, float("-inf")
        if client is not None:
            # It tells the server which sessions have ended, and looks for one that
            # takes it; a server that is gone must not keep the process.
            with pymongo.timeout(_CLOSE_S):
                client.close()

    def collection(self, name: str, *, checked: bool = True) -> Collection[Document]:
        """Return a collection with its durability pinned."""
        here = self._here()
        if checked and SYSTEM.monotonic() - here.checked > LOOK_EVERY_S:
            if self._guard is not None:
                self._guard()
            here.checked = SYSTEM.monotonic()
        # Taken once: `close` leaves it to those whose client it closes.
        known = here.collections
        found = known.get(name)
        if found is None:
            found = known[name] = self.database().get_collection(
                name,
                codec_options=_OPTIONS,
                read_preference=ReadPreference.PRIMARY,
                write_concern=_DURABLE,
                read_concern=_COMMITTED,
            )
        return found

    # Operations.

    def write(self, act: Callable[[Run], T], *, is_hint: bool = False) -> T:
        """
        Run a verb that writes; run it once more when its acknowledgement was lost.

        The second run has to look for the stamp that the first one may have left.

        Args:
            act: The verb.
            is_hint: Nothing depends on what it writes: later reads do not wait until
                that is durable.
        """
        with our_errors():
            try:
                return self._run(act, again=False, is_hint=is_hint)
            except PyMongoError as error:
                if not is_unclear(error):
                    raise
            return self._run(act, again=True, is_hint=is_hint)

    def read(self, act: Callable[[Run], T]) -> T:
        """Run a verb that only reads."""
        with our_errors():
            return self._run(act, again=False)

    def _run(self, act: Callable[[Run], T], *, again: bool, is_hint: bool = False) -> T:
        """Run it in a session that reads no less than this process has seen."""
        client = self.client()
        if not isinstance(client, MongoClient):
            # A stand-in for unit tests has no sessions.
            return act(Run(session=None, again=again))
        with client.start_session(causal_consistency=True) as session:
            seen = self._seen
            if seen is not None:
                session.advance_operation_time(seen)
            try:
                return act(Run(session=session, again=again))
            finally:
                if not is_hint:
                    self._advance(session.operation_time)

    def _advance(self, moment: Timestamp | None) -> None:
        if moment is None or moment == self._seen:
            return
        with self._here().lock:
            if self._seen is None or moment > self._seen:
                self._seen = moment
