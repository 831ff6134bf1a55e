# SPDX-License-Identifier: MIT
"""`setup` and what it watches over: collections, validators, indexes, the version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pymongo import IndexModel
from pymongo.errors import CollectionInvalid, OperationFailure

from frappe_enroll_sdk.errors import SchemaError
from frappe_enroll_sdk.pair import from_earlier
from frappe_enroll_sdk.stores.schema import require_not_newer, require_schema

from .documents import to_document
from .failures import our_errors
from .jobdocs import NO_DATA, to_job
from .schema import INDEXES, JOBS, META, SCHEMA_VERSION, Index, validator_of


if TYPE_CHECKING:
    from pymongo.collection import Collection
    from pymongo.database import Database

    from .documents import Document
    from .link import Link

_SCHEMA_ID = "schema"
#: The version since which what a job knows only grows.
_KNOWING = 3
_NAMESPACE_EXISTS, _INDEX_NOT_FOUND = 48, 27
#: Each write is checked, and refused.
_RULES: Mapping[str, Any] = {"validationLevel": "strict", "validationAction": "error"}
#: What ``listIndexes`` adds to the options that we gave.
_ADDED = frozenset({"v", "key", "name", "ns", "background"})


def create(link: Link) -> None:
    """
    Create or upgrade everything; idempotent, safe to run from many hosts.

    Raises:
        SchemaError: The schema is newer than this code.
    """
    version = _version(link)
    require_not_newer(version, SCHEMA_VERSION)
    with our_errors():
        database = link.database()
        for name, indexes in INDEXES.items():
            _create_collection(database, name)
            if indexes:
                _create_indexes(link.collection(name, checked=False), indexes)
        if version is not None and version < _KNOWING:
            _keep_what_is_known(link.collection(JOBS, checked=False))
        meta = link.collection(META, checked=False)
        meta.update_one(
            {"_id": _SCHEMA_ID}, {"$max": {"version": SCHEMA_VERSION}}, upsert=True
        )


def _keep_what_is_known(jobs: Collection[Document]) -> None:
    """
    Before version 3 a sync job's data was a record of one try, not sets.

    Each document by itself, and where it still is what was read: a `setup` that died
    in between begins anew.
    """
    known = [{"data": {"$ne": NO_DATA}}, {"payload": {"$regex": '"suspects"'}}]
    for found in jobs.find({"kind": "sync", "$or": known}):
        job = to_job(found)
        if job is None:
            # A damaged row is kept as it is for whoever repairs it.
            continue
        new = to_document(from_earlier(job))
        words = {name: new[name] for name in ("data", "payload") if name in new}
        jobs.update_one(
            {"_id": found["_id"], "rev": found["rev"]},
            {"$set": words, "$inc": {"rev": 1}},
        )


def _create_collection(database: Database[Document], name: str) -> None:
    rules = {"validator": validator_of(name), **_RULES}
    try:
        database.create_collection(name, **rules)
    except CollectionInvalid:
        database.command("collMod", name, **rules)
    except OperationFailure as error:
        # Another host has created it between our look and our call.
        if error.code != _NAMESPACE_EXISTS:
            raise
        database.command("collMod", name, **rules)


def _create_indexes(
    collection: Collection[Document], indexes: tuple[Index, ...]
) -> None:
    there = collection.index_information()
    for index in indexes:
        known = there.get(index.name)
        if known is not None and _differs(known, index):
            _drop(collection, index)
    collection.create_indexes([_model(index) for index in indexes])


def _drop(collection: Collection[Document], index: Index) -> None:
    """Make way for an index of the same name that this version defines otherwise."""
    if index.options.get("unique"):
        raise SchemaError(
            f"index {index.name} of {collection.name} is unique and differs: stop all "
            "hosts, drop it, and run `frappe-enroll setup` again"
        )
    try:
        collection.drop_index(index.name)
    except OperationFailure as error:
        # Another host was faster.
        if error.code != _INDEX_NOT_FOUND:
            raise


def _model(index: Index) -> IndexModel:
    return IndexModel(list(index.keys), name=index.name, **index.options)


def _version(link: Link) -> int | None:
    meta = link.collection(META, checked=False)
    found = link.read(
        lambda run: meta.find_one({"_id": _SCHEMA_ID}, session=run.session)
    )
    return found["version"] if found else None


def check(link: Link) -> None:
    """Raise `SchemaError` when it is missing, older or newer than this code's."""
    require_schema(_version(link), SCHEMA_VERSION)


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
            found["name"]: found.get("options", {})
            for found in database.list_collections()
        }
        found: list[str] = []
        for name, indexes in INDEXES.items():
            if name not in rules:
                found.append(f"collection {name} is missing")
                continue
            given = {key: rules[name].get(key) for key in (*_RULES, "validator")}
            if given != {**_RULES, "validator": validator_of(name)}:
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
        if _differs(known, index):
            problems.append(f"{name} differs")
    return problems


def _differs(known: Mapping[str, Any], index: Index) -> bool:
    options = {key: value for key, value in known.items() if key not in _ADDED}
    return [*known["key"]] != [*index.keys] or options != dict(index.options)
