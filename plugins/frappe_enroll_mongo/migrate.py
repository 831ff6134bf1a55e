# SPDX-License-Identifier: MIT
"""`setup` and what it watches over: collections, validators, indexes, the version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pymongo import IndexModel
from pymongo.errors import CollectionInvalid, OperationFailure

from frappe_enroll_sdk.errors import SchemaError

from .failures import our_errors
from .schema import INDEXES, META, SCHEMA_VERSION, Index, validator_of


if TYPE_CHECKING:
    from pymongo.collection import Collection
    from pymongo.database import Database

    from .documents import Document
    from .link import Link

_SCHEMA_ID = "schema"
_NAMESPACE_EXISTS = 48
#: What ``listIndexes`` adds to the options that we gave.
_ADDED = frozenset({"v", "key", "name", "ns", "background"})


def create(link: Link) -> None:
    """Create or upgrade everything; idempotent, safe to run from many hosts."""
    with our_errors():
        database = link.database()
        for name, indexes in INDEXES.items():
            _create_collection(database, name)
            if indexes:
                models = [_model(index) for index in indexes]
                link.collection(name, checked=False).create_indexes(models)
        meta = link.collection(META, checked=False)
        meta.update_one(
            {"_id": _SCHEMA_ID}, {"$max": {"version": SCHEMA_VERSION}}, upsert=True
        )


def _create_collection(database: Database[Document], name: str) -> None:
    rules: dict[str, Any] = {
        "validator": validator_of(name),
        "validationLevel": "strict",
    }
    try:
        database.create_collection(name, **rules)
    except CollectionInvalid:
        database.command("collMod", name, **rules)
    except OperationFailure as error:
        # Another host has created it between our look and our call.
        if error.code != _NAMESPACE_EXISTS:
            raise
        database.command("collMod", name, **rules)


def _model(index: Index) -> IndexModel:
    return IndexModel(list(index.keys), name=index.name, **index.options)


def check(link: Link) -> None:
    """Raise `SchemaError` when `setup` has to run first."""
    meta = link.collection(META, checked=False)
    found = link.read(
        lambda run: meta.find_one({"_id": _SCHEMA_ID}, session=run.session)
    )
    version = found["version"] if found else None
    if version is None:
        raise SchemaError(
            "the database has no collections yet: run `frappe-enroll setup`"
        )
    if version != SCHEMA_VERSION:
        raise SchemaError(
            f"the schema is version {version}, this code needs {SCHEMA_VERSION}: "
            "run `frappe-enroll setup`"
        )


def touch(link: Link) -> None:
    """Prove that the database can be written, durably."""
    check(link)
    meta = link.collection(META, checked=False)
    link.write(
        lambda run: meta.update_one(
            {"_id": _SCHEMA_ID}, {"$inc": {"pings": 1}}, session=run.session
        )
    )


def drift(link: Link) -> tuple[str, ...]:
    """Return what differs from what `setup` makes, in words; empty = nothing."""
    with our_errors():
        database = link.database()
        rules = {
            found["name"]: found.get("options", {}).get("validator")
            for found in database.list_collections()
        }
        found: list[str] = []
        for name, indexes in INDEXES.items():
            if name not in rules:
                found.append(f"collection {name} is missing")
                continue
            if rules[name] != validator_of(name):
                found.append(f"the validator of {name} differs")
            found += _index_drift(link.collection(name, checked=False), indexes)
        return tuple(found)


def _index_drift(
    collection: Collection[Document], indexes: tuple[Index, ...]
) -> list[str]:
    there: Mapping[str, Any] = collection.index_information()
    problems = []
    for index in indexes:
        known = there.get(index.name)
        name = f"index {index.name} of {collection.name}"
        if known is None:
            problems.append(f"{name} is missing")
            continue
        options = {key: value for key, value in known.items() if key not in _ADDED}
        if [*known["key"]] != [*index.keys] or options != dict(index.options):
            problems.append(f"{name} differs")
    return problems
