# SPDX-License-Identifier: MIT
"""Worlds on one database of a real server, and dying at the k-th command to it."""

from __future__ import annotations

import uuid

from pymongo import MongoClient
from pymongo.monitoring import CommandListener

from frappe_enroll_mongo.storage import MongoStorage
from frappe_enroll_sdk.stores.layout import TABLES
from support.world import World


class CommandPlan(CommandListener):
    """
    Counts the commands of one client, and calls `die` at the k-th step.

    Each command counts twice: before it is sent ("never sent") and after its answer has
    come ("done, answer lost"). Once dead, every further command dies too. What `die`
    raises has to be no `Exception`: the driver swallows those of its listeners.
    """

    def __init__(self) -> None:
        self.k, self.log = 0, []
        self._die = None

    def arm(self, k: int, die) -> None:
        """Begin to count anew; die at the k-th."""
        self.k, self.log, self._die = k, [], die

    def disarm(self) -> None:
        """Let what is sent live."""
        self.k = 0

    def started(self, event) -> None:
        """Count a command that is about to be sent."""
        self._count(f"before {event.command_name}")

    def succeeded(self, event) -> None:
        """Count a command whose answer has come."""
        self._count(f"after {event.command_name}")

    def failed(self, event) -> None:
        """Count a command that the server has refused: it has come as well."""
        self._count(f"after {event.command_name}")

    def _count(self, what: str) -> None:
        self.log.append(what)
        if self.k and len(self.log) >= self.k:
            self._die(what)


class MongoWorlds:
    """
    Makes worlds, one after another, on one database that is emptied for each.

    Args:
        uri: The server's.
    """

    def __init__(self, uri: str) -> None:
        self._uri, self._name = uri, f"world_{uuid.uuid4().hex}"
        self._client = MongoClient(uri)
        self._opened: list[MongoStorage] = []

    def open(self, listener=None) -> MongoStorage:
        """Open the database, with a listener to all that is sent."""
        storage = MongoStorage(self._uri, self._name)
        if listener is not None:
            # The store's own options, and a listener beside them.
            make = storage.tables.link._factory
            storage.tables.link._make_client = lambda: make(
                self._uri, timeoutMS=10_000, event_listeners=[listener]
            )
        self._opened.append(storage)
        return storage

    def __call__(self, **settings) -> World:
        """End the world before, empty the database; return a world on it."""
        self._end()
        database = self._client[self._name]
        for table in TABLES:
            database[table.name].delete_many({})
        return World(self.open, probed=True, **settings)

    def _end(self) -> None:
        while self._opened:
            self._opened.pop().close()

    def close(self) -> None:
        """Drop the database."""
        self._end()
        self._client.drop_database(self._name)
        self._client.close()
