# SPDX-License-Identifier: MIT
"""The public storage suite on every store of ours."""

from __future__ import annotations

import functools
import uuid

import pymongo
import pytest
from support.size import BRIEF, LEAST, SERVER_DIFFERS, play_one_of

from frappe_enroll_mongo.storage import MongoStorage
from frappe_enroll_mongo.tables import MongoTables
from frappe_enroll_sdk.interfaces.tables import Row
from frappe_enroll_sdk.stores.storage import TableStorage
from frappe_enroll_sdk.testing.conformance.storage import StorageConformance
from frappe_enroll_sdk.testing.memory import MemoryStorage, MemoryTables
from frappe_enroll_sql.storage import SQLStorage


class TestMemory(StorageConformance):
    """In memory: races over threads."""

    @pytest.fixture
    def storage_factory(self):
        """Return the one store of this process."""
        storage = MemoryStorage()
        return lambda: storage


class Forgetful(MemoryTables):
    """Tables that hand out cells alone, as a database does: nothing is remembered."""

    def get(self, *args):
        """Return rows that nobody has read yet."""
        return [_unread(row) for row in super().get(*args)]

    def page(self, *args):
        """Return rows that nobody has read yet."""
        return [_unread(row) for row in super().page(*args)]


def _unread(row):
    return Row(row.key, row.rev, row.op, dict(row.cells))


class TestMemoryOfCells(StorageConformance):
    """In memory, every record made of its cells; and what a read tells is confirmed."""

    @pytest.fixture
    def storage_factory(self):
        """Return the one store of this process."""
        tables = Forgetful()
        tables.durable_reads = False
        storage = MemoryStorage(tables=tables)
        return lambda: storage


class TestSQLite(StorageConformance):
    """On a file: races over processes too."""

    @pytest.fixture
    def storage_factory(self, tmp_path):
        """Return what opens the file."""
        return functools.partial(SQLStorage, f"sqlite:///{tmp_path / 'store.sqlite3'}")


#: A replica set of one has all that the store asks of a server: its suite runs with
#: every Python, whole with the first one.
with_the_first_python = pytest.mark.skipif(LEAST, reason=SERVER_DIFFERS)


def fresh_database(uri, storage=MongoStorage):
    """Yield what opens a database of the test's own, and drop it afterwards."""
    name = f"conformance_{uuid.uuid4().hex}"
    yield functools.partial(storage, uri, name)
    with pymongo.MongoClient(uri) as client:
        client.drop_database(name)


@with_the_first_python
class TestMongoStandalone(StorageConformance):
    """On one mongod: no change streams, no retryable writes."""

    hears_news = False

    @pytest.fixture
    def storage_factory(self, mongo_uri):
        """Return what opens the test's database."""
        play_one_of(3 if BRIEF else 1)
        yield from fresh_database(mongo_uri)


class TestMongoOneNode(StorageConformance):
    """On a replica set of one."""

    @pytest.fixture
    def storage_factory(self, one_node):
        """Return what opens the test's database."""
        play_one_of(2 if BRIEF else 1)
        yield from fresh_database(one_node.uri)


class WithoutTake:
    """Tables that can only page and swap."""

    def __init__(self, tables) -> None:
        self._tables = tables

    def __getattr__(self, name):
        if name == "take":
            raise AttributeError(name)
        return getattr(self._tables, name)


def plain_mongo(uri, name):
    """Open MongoDB without its faster verbs: the stores as the core has them."""
    return TableStorage(WithoutTake(MongoTables(uri, name)))


@with_the_first_python
class TestMongoPlain(StorageConformance):
    """On a replica set of one, by the verbs of the port alone."""

    @pytest.fixture
    def storage_factory(self, one_node):
        """Return what opens the test's database."""
        play_one_of(9 if BRIEF else 3)
        yield from fresh_database(one_node.uri, plain_mongo)


@with_the_first_python
class TestMongoThreeNodes(StorageConformance):
    """On a replica set of three: each yes is known by two."""

    @pytest.fixture
    def storage_factory(self, three_nodes):
        """Return what opens the test's database."""
        play_one_of(9 if BRIEF else 3)
        yield from fresh_database(three_nodes.uri)
