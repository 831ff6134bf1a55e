# SPDX-License-Identifier: MIT
"""The public storage suite on PostgreSQL: a proof, no backend of ours."""

from __future__ import annotations

import functools
import importlib.util

import pytest
from support.postgres import PostgreSQL, find_binaries
from support.size import BRIEF, LEAST, SERVER_DIFFERS, play_one_of

from frappe_enroll_sdk.stores.storage import TableStorage
from frappe_enroll_sdk.testing.conformance.storage import StorageConformance


pytestmark = [
    pytest.mark.skipif(LEAST, reason=SERVER_DIFFERS),
    pytest.mark.skipif(find_binaries() is None, reason="there is no PostgreSQL here"),
    pytest.mark.skipif(
        importlib.util.find_spec("psycopg") is None, reason="psycopg is not installed"
    ),
]


@pytest.fixture(scope="module")
def server():
    """Return a server of our own."""
    with PostgreSQL() as server:
        yield server


def open_storage(url: str) -> TableStorage:
    """Open the database."""
    from support.postgres_tables import PostgresTables  # noqa: PLC0415  an extra

    return TableStorage(PostgresTables(url))


class TestPostgreSQL(StorageConformance):
    """Over the SQL base: races over processes, rows taken by SKIP LOCKED."""

    hears_news = False

    @pytest.fixture
    def storage_factory(self, server):
        """Return what opens the test's database."""
        play_one_of(3 if BRIEF else 1)
        with server.database() as url:
            yield functools.partial(open_storage, url)
