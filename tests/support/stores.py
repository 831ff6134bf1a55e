# SPDX-License-Identifier: MIT
"""Stores that processes share: what they are called in the environment."""

from __future__ import annotations

import contextlib
import secrets

import pytest

from frappe_enroll_sql.storage import SQLStorage

from .mongod import WHEEL, ReplicaSet, find_binary
from .size import LEAST, SERVER_DIFFERS


#: The stores that ship and that several processes can open.
STORES = ("sql", "mongo")


@contextlib.contextmanager
def shared_store(name, folder):
    """Yield (the environment that names an empty store, what opens it)."""
    if name == "sql":
        url = f"sqlite:///{folder}/store.sqlite3"
        yield {"DATABASE_URL": url}, lambda: SQLStorage(url)
        return
    if LEAST:
        pytest.skip(SERVER_DIFFERS)
    if find_binary() is None:
        pytest.skip(f"there is no {WHEEL} here")
    from frappe_enroll_mongo.storage import MongoStorage  # noqa: PLC0415  an extra

    database = f"test_{secrets.token_hex(4)}"
    with ReplicaSet(1) as servers:
        yield (
            {"MONGODB_URI": servers.uri, "MONGODB_DATABASE": database},
            lambda: MongoStorage(servers.uri, database),
        )
