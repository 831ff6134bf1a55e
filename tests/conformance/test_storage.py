# SPDX-License-Identifier: MIT
"""The public storage suite on every store of ours."""

from __future__ import annotations

import functools

import pytest

from frappe_enroll_sdk.testing.conformance.storage import StorageConformance
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sql.storage import SQLStorage


class TestMemory(StorageConformance):
    """In memory: races over threads."""

    @pytest.fixture
    def storage_factory(self):
        """Return the one store of this process."""
        storage = MemoryStorage()
        return lambda: storage


class TestSQLite(StorageConformance):
    """On a file: races over processes too."""

    @pytest.fixture
    def storage_factory(self, tmp_path):
        """Return what opens the file."""
        return functools.partial(SQLStorage, f"sqlite:///{tmp_path / 'store.sqlite3'}")
