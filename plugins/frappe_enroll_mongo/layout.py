# SPDX-License-Identifier: MIT
"""
Declared tables as collections: their validators, their indexes, and what has drifted.

A row is one document: its key is the ``_id``, a column that is null is an absent field.
So an index over nullable columns is a partial one, over documents that have them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from pymongo import IndexModel
from pymongo.errors import CollectionInvalid, OperationFailure

from frappe_enroll_sdk.errors import SchemaError
from frappe_enroll_sdk.interfaces.tables import KEY, OP, REV, CellKind, Index, Table


if TYPE_CHECKING:
    from pymongo.collection import Collection as Documents
    from pymongo.database import Database

    from .link import Document

_NAMESPACE_EXISTS, _INDEX_NOT_FOUND = 48, 27
#: Every write is validated, and refused if invalid.
_RULES: Mapping[str, Any] = {"validationLevel": "strict", "validationAction": "error"}
#: What ``listIndexes`` adds to the options that we set.
_ADDED = frozenset({"v", "key", "name", "ns", "background"})
_TYPES: Mapping[CellKind, Mapping[str, Any]] = {
    CellKind.NAME: {"bsonType": "string"},
    CellKind.TEXT: {"bsonType": "string"},
    CellKind.INT: {"bsonType": ["int", "long"]},
    CellKind.FLOAT: {"bsonType": ["double", "int", "long"]},
    CellKind.LINES: {"bsonType": "array", "items": {"bsonType": "string"}},
}
#: Least value of each kind: a column with this value or a greater one is not null.
LEAST: Mapping[CellKind, str | float] = {
    CellKind.NAME: "",
    CellKind.INT: float("-inf"),
    CellKind.FLOAT: float("-inf"),
}


def field_of(name: str) -> str:
    """Return the field for a column, or for the key."""
    return "_id" if name == KEY else name


def is_nullable(table: Table, name: str) -> bool:
    """Tell whether a document may lack a column's field."""
    return name != KEY and not table.column(name).required


def validator_of(table: Table) -> Document:
    """Return the validator of a table's collection."""
    own = {"_id": _TYPES[CellKind.NAME], OP: _TYPES[CellKind.NAME]}
    rev = {REV: {**_TYPES[CellKind.INT], "minimum": 1}}
    cells = {column.name: _TYPES[column.kind] for column in table.columns}
    required = [column.name for column in table.columns if column.required]
    schema = {
        "bsonType": "object",
        "required": sorted([*own, REV, *required]),
        "properties": {**own, **rev, **cells},
    }
    return {"$jsonSchema": schema}


def _keys_of(index: Index) -> list[tuple[str, int]]:
    """Return an index's fields, followed by the key, which completes the order."""
    fields = [field_of(name) for name in index.fields]
    if not index.unique and fields[-1] != "_id":
        fields.append("_id")
    return [(field, 1) for field in fields]


def _options_of(table: Table, index: Index) -> dict[str, Any]:
    options: dict[str, Any] = {"unique": True} if index.unique else {}
    nullable = [name for name in index.fields if is_nullable(table, name)]
    if nullable:
        there = {name: {"$exists": True} for name in nullable}
        options["partialFilterExpression"] = there
    return options


def create(database: Database[Document], tables: Collection[Table]) -> None:
    """Create what is missing, and update the rules of what exists; idempotent."""
    for table in tables:
        _create_collection(database, table)
        if table.indexes:
            _create_indexes(database[table.name], table)


def _create_collection(database: Database[Document], table: Table) -> None:
    rules = {"validator": validator_of(table), **_RULES}
    try:
        database.create_collection(table.name, **rules)
    except (CollectionInvalid, OperationFailure) as error:
        # It exists, or another host has created it since the driver looked.
        if getattr(error, "code", _NAMESPACE_EXISTS) != _NAMESPACE_EXISTS:
            raise
        database.command("collMod", table.name, **rules)


def _create_indexes(collection: Documents[Document], table: Table) -> None:
    there = collection.index_information()
    for index in table.indexes:
        known = there.get(index.name)
        if known is not None and _differs(known, table, index):
            _drop(collection, index)
    collection.create_indexes(
        [
            IndexModel(_keys_of(index), name=index.name, **_options_of(table, index))
            for index in table.indexes
        ]
    )


def _drop(collection: Documents[Document], index: Index) -> None:
    """Drop an index that this version defines differently under the same name."""
    if index.unique:
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


def drift(database: Database[Document], tables: Collection[Table]) -> tuple[str, ...]:
    """Return how the schema differs from `create`'s, in words; empty = not at all."""
    rules = {one["name"]: one.get("options", {}) for one in database.list_collections()}
    found: list[str] = []
    for table in tables:
        if table.name not in rules:
            found.append(f"collection {table.name} is missing")
            continue
        given = {key: rules[table.name].get(key) for key in (*_RULES, "validator")}
        if given != {**_RULES, "validator": validator_of(table)}:
            found.append(f"the validator of {table.name} differs")
        there = database[table.name].index_information()
        for index in table.indexes:
            known, name = there.get(index.name), f"index {index.name} of {table.name}"
            if known is None:
                found.append(f"{name} is missing")
            elif _differs(known, table, index):
                found.append(f"{name} differs")
    return tuple(found)


def _differs(known: Mapping[str, Any], table: Table, index: Index) -> bool:
    options = {key: value for key, value in known.items() if key not in _ADDED}
    return [*known["key"]] != _keys_of(index) or options != _options_of(table, index)
