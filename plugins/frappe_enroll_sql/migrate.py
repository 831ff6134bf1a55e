# SPDX-License-Identifier: MIT
"""From an older schema to this one: in one transaction, wholly or not at all."""

from __future__ import annotations

from sqlalchemy import Connection, Table, inspect, select, text
from sqlalchemy.dialects.sqlite import insert

from frappe_enroll_sdk.pair import from_earlier
from frappe_enroll_sdk.stores.schema import require_not_newer

from . import schema
from .file import version_of
from .job_rows import NO_DATA, decode, documents_of
from .writer import raw


#: The version that gave an enrollment's code its column.
_CODES = 3
#: The version since which what a job knows only grows.
_KNOWING = 5


def upgrade(connection: Connection) -> None:
    """
    Bring the tables to `SCHEMA_VERSION`.

    Raises:
        SchemaError: The schema is newer than this code.
    """
    found = version_of(raw(connection))
    require_not_newer(found, schema.SCHEMA_VERSION)
    if found == 1:
        for table in (schema.jobs, schema.events):
            _spread_doc(connection, table)
    if found is not None and found < _CODES:
        _add_codes(connection)
    schema.metadata.create_all(connection)
    if found is not None and found < _KNOWING:
        _keep_what_is_known(connection)
    if found is None or found < schema.SCHEMA_VERSION:
        row = insert(schema.schema_version).values(id=1, version=schema.SCHEMA_VERSION)
        connection.execute(
            row.on_conflict_do_update(
                index_elements=["id"], set_={"version": schema.SCHEMA_VERSION}
            )
        )


def _add_codes(connection: Connection) -> None:
    """Before version 3 an enrollment's code was in its document only."""
    table = schema.enrollments
    code = "CASE WHEN json_valid(doc) THEN json_extract(doc, '$.coupon_code') END"
    connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN coupon_code TEXT"))
    connection.execute(text(f"UPDATE {table.name} SET coupon_code = {code}"))  # noqa: S608  own names
    for index in table.indexes:
        index.create(connection, checkfirst=True)


def _keep_what_is_known(connection: Connection) -> None:
    """Before version 5 a sync job's data was a record of one try, not sets."""
    table = schema.jobs
    known = (table.c.data != NO_DATA) | table.c.payload.contains('"suspects"')
    query = select(table).where(table.c.kind == "sync", known)
    for row in connection.execute(query).all():
        job = decode(row)
        if job is None:
            # A damaged row is kept as it is for whoever repairs it.
            continue
        write = table.update().where(table.c.key == row.key)
        connection.execute(write.values(documents_of(from_earlier(job))))


def _spread_doc(connection: Connection, table: Table) -> None:
    """Version 1 kept a job's fields in `doc`: give each the column that it has now."""
    old = f"{table.name}_v1"
    names = [index["name"] for index in inspect(connection).get_indexes(table.name)]
    connection.execute(text(f"ALTER TABLE {table.name} RENAME TO {old}"))
    for name in names:
        connection.execute(text(f"DROP INDEX {name}"))
    table.create(connection)
    columns = ", ".join(column.name for column in table.columns)
    values = ", ".join(_VALUES.get(c.name, c.name) for c in table.columns)
    connection.execute(
        text(f"INSERT INTO {table.name} ({columns}) SELECT {values} FROM {old}")  # noqa: S608  own names
    )
    connection.execute(text(f"DROP TABLE {old}"))


def _from_doc(field: str, default: str) -> str:
    # A damaged document stays damaged, in `payload`, for whoever repairs it.
    found = f"coalesce(json_extract(doc, '$.{field}'), {default})"
    return f"CASE WHEN json_valid(doc) THEN {found} ELSE {default} END"


_VALUES = {
    "seq": _from_doc("seq", "1"),
    "tries": _from_doc("tries", "0"),
    "owner": _from_doc("owner", "NULL"),
    "outcome": _from_doc("outcome", "NULL"),
    "deliveries": _from_doc("deliveries", "0"),
    "recovered": _from_doc("recovered", "0"),
    "data": _from_doc("data", "'{}'"),
    "errors": _from_doc("errors", "'[]'"),
    "payload": (
        "CASE WHEN json_valid(doc) THEN json_extract(doc, '$.payload') ELSE doc END"
    ),
}
