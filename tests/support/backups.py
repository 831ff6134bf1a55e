# SPDX-License-Identifier: MIT
"""A backup of a store's whole content, and putting it back under running processes."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from frappe_enroll_sdk.errors import StorageUnavailableError


class SQLBackup:
    """A copy of a SQLite file, as ``sqlite3 … .backup`` makes it."""

    def __init__(self, url) -> None:
        self._path = Path(url.removeprefix("sqlite:///"))
        self._copy = self._path.with_name("backup.sqlite3")
        source, copy = sqlite3.connect(self._path), sqlite3.connect(self._copy)
        source.backup(copy)
        copy.close()
        source.close()

    def restore(self, storage) -> None:
        """Put it in the file's place; who has it open says no once, and goes on."""
        for ending in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                self._path.with_name(self._path.name + ending).unlink()
        self._copy.rename(self._path)
        with contextlib.suppress(StorageUnavailableError):
            storage.ping()


class MongoBackup:
    """A copy of a database's documents, as ``mongodump`` makes it."""

    def __init__(self, uri, name) -> None:
        from pymongo import MongoClient  # noqa: PLC0415  an extra

        self._open, self._name = lambda: MongoClient(uri), name
        with self._open() as client:
            database = client[name]
            self._kept = {
                collection: [*database[collection].find()]
                for collection in database.list_collection_names()
            }

    def restore(self, _storage) -> None:
        """Put the documents back, and nothing else."""
        with self._open() as client:
            for collection in client[self._name].list_collection_names():
                table = client[self._name][collection]
                table.delete_many({})
                if documents := self._kept.get(collection):
                    table.insert_many(documents)


def back_up(environ):
    """Back up the store that the environment names."""
    if "DATABASE_URL" in environ:
        return SQLBackup(environ["DATABASE_URL"])
    return MongoBackup(environ["MONGODB_URI"], environ["MONGODB_DATABASE"])
