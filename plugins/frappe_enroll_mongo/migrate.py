# SPDX-License-Identifier: MIT
"""
`setup`, the schema's version, and the way from the schema before this one.

Version 3 kept a document for each record, as this package alone knew it. Its documents
move to the declared tables in batches: each is written into the new collection, and
then deleted from the old one, so that an upgrade that died goes on where it was.
Enrollments are moved by the rule of the slot (``stores/slot.py``).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs
from bson.codec_options import CodecOptions
from bson.int64 import Int64
from pymongo.errors import BulkWriteError

from frappe_enroll_sdk.clock import SYSTEM
from frappe_enroll_sdk.errors import SchemaError, ValidationError
from frappe_enroll_sdk.interfaces.tables import KEY, OP, REV, CellKind, Row
from frappe_enroll_sdk.mailbox import mailbox_of
from frappe_enroll_sdk.models import (
    ENTITLED,
    Affiliate,
    AuditEntry,
    Coupon,
    Enrollment,
    Grant,
    Job,
    LedgerRow,
    Status,
    WorkerSeen,
)
from frappe_enroll_sdk.stores import enrollments, grants, slot
from frappe_enroll_sdk.stores.records import Codec, ms_of, text_of
from frappe_enroll_sdk.stores.schema import require_not_newer

from . import layout
from .failures import only_duplicates, our_errors


if TYPE_CHECKING:
    from pymongo.collection import Collection as Documents

    from frappe_enroll_sdk.interfaces.tables import Table

    from .link import Document, Link

logger = logging.getLogger(__name__)

META, SCHEMA_ID = "meta", "schema"
#: The last version with documents, and the version during the move, which neither that
#: code nor this one accepts.
_DOCUMENTS, _MOVING = 3, 4
#: Seconds after which no process with the old code still works: it checks the version
#: every 15, and an operation that it has begun takes at most 10.
_GRACE_S = 25.0
#: How long the lock is held, by the server's clock: longer than a batch takes.
_LOCK_MS = 60_000
_BATCH = 500


def version_of(link: Link) -> int | None:
    """Return the schema's version, or None if there is none."""
    with link.session() as session:
        found = link.collection(META).find_one({"_id": SCHEMA_ID}, session=session)
    return found["version"] if found else None


def setup(link: Link, tables: Collection[Table], version: int) -> None:
    """
    Create or upgrade everything; idempotent, safe to run from many hosts.

    Raises:
        SchemaError: The schema is newer than this code.
    """
    found = version_of(link)
    require_not_newer(found, version)
    with our_errors():
        if found is not None and found <= _MOVING:
            with _upgrade_lock(link) as renew:
                # Another host may have been faster.
                if version_of(link) in {_DOCUMENTS, _MOVING}:
                    _move(link, tables, renew)
                elif found < _DOCUMENTS:
                    raise SchemaError(
                        f"the schema is version {found}: run `frappe-enroll setup` of "
                        f"a frappe-enroll-sdk that makes it {_DOCUMENTS} first"
                    )
        layout.create(link.database(), tables)
        done = {"$max": {"version": version}, "$unset": {"moved": ""}}
        link.collection(META).update_one({"_id": SCHEMA_ID}, done, upsert=True)


# From the documents of version 3.


@contextmanager
def _upgrade_lock(link: Link) -> Iterator[Callable[[], None]]:
    """Wait until no other host upgrades; yield a function that keeps the lock."""
    meta, me = link.collection(META), SYSTEM.token_hex(8)
    mine = {"$eq": ["$holder", me]}
    free = {"$lt": [{"$ifNull": ["$until", datetime(1970, 1, 1, tzinfo=UTC)]}, "$$NOW"]}
    where = {"_id": SCHEMA_ID, "$expr": {"$or": [mine, free]}}
    change = [{"$set": {"holder": me, "until": {"$add": ["$$NOW", _LOCK_MS]}}}]

    def is_taken() -> bool:
        return meta.update_one(where, change).matched_count == 1

    def renew() -> None:
        if not is_taken():
            raise SchemaError("another host is continuing the upgrade: run setup again")

    while not is_taken():
        SYSTEM.sleep(0.5)
    try:
        yield renew
    finally:
        ours = {"_id": SCHEMA_ID, "holder": me}
        meta.update_one(ours, {"$unset": {"holder": "", "until": ""}})


def _move(link: Link, tables: Collection[Table], renew: Callable[[], None]) -> None:
    """Move all documents of version 3, or those left by an interrupted upgrade."""
    database, meta = link.database(), link.collection(META)
    meta.update_one({"_id": SCHEMA_ID}, {"$set": {"version": _MOVING}})
    SYSTEM.sleep(_GRACE_S)
    moved = (meta.find_one({"_id": SCHEMA_ID}) or {}).get("moved", ())
    for table in tables:
        names = database.list_collection_names()
        if table.name in moved:
            continue
        if table.name in names and _old_name(table) not in names:
            database[table.name].rename(_old_name(table))
        layout.create(database, [table])
        _move_rows(link, table, renew)
        meta.update_one({"_id": SCHEMA_ID}, {"$addToSet": {"moved": table.name}})
    for table in tables:
        database.drop_collection(_old_name(table))


def _old_name(table: Table) -> str:
    return f"{table.name}_v{_DOCUMENTS}"


def _move_rows(link: Link, table: Table, renew: Callable[[], None]) -> None:
    aware: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC)
    old = link.database().get_collection(_old_name(table), codec_options=aware)
    new = link.collection(table.name)
    while batch := [*old.find(sort=[("_id", 1)], limit=_BATCH)]:
        renew()
        rows = _rows_of(link, table, old, batch)
        try:
            # (A damaged row is kept unchanged, to be repaired.)
            new.insert_many(
                [*rows.values()], ordered=False, bypass_document_validation=True
            )
        except BulkWriteError as error:
            if not only_duplicates(error):
                raise
        wanted = {"_id": {"$in": [row["_id"] for row in rows.values()]}}
        there = {found["_id"] for found in new.find(wanted, {"_id": 1})}
        done = [key for key, row in rows.items() if row["_id"] in there]
        old.delete_many({"_id": {"$in": done}})
        if left := rows.keys() - {*done}:
            raise SchemaError(
                f"{min(left)} of {old.name} can't be moved: another row of "
                f"{table.name} has its place; end one of them, and run setup again"
            )


#: Tables with cells that only the core's codec can derive from the whole record.
_CODECS: Mapping[str, Codec[Any]] = {
    codec.table.name: codec for codec in (enrollments.CODEC, grants.CODEC)
}
#: Statuses whose rows may need the slot.
_CONTEND = [status.value for status in (*ENTITLED, Status.PENDING)]


def _rows_of(
    link: Link, table: Table, old: Documents[Document], batch: list[Document]
) -> dict[str, Document]:
    """Return a batch of version 3's documents as rows, by their old id."""
    rows = {one["_id"]: row_of(table, one) for one in batch}
    codec = _CODECS.get(table.name)
    if codec is None:
        return rows
    records = {key: _record_of(codec, row) for key, row in rows.items()}
    if codec is enrollments.CODEC:
        records |= _taken_over(link, table, old, records)
    for key, record in records.items():
        try:
            cells = {} if record is None else codec.cells_of(record)
        except ValidationError:
            cells = {}
        if cells:
            there = {name: cell for name, cell in cells.items() if cell is not None}
            rows[key] = {name: rows[key][name] for name in ("_id", REV, OP)} | there
        else:
            where = {"table": table.name, "key": key}
            logger.error("a damaged row is kept unchanged", extra=where)
    return rows


def _record_of(codec: Codec[Any], row: Document) -> Any:
    """Return a row's record; None = it is damaged."""
    cells = {name: cell for name, cell in row.items() if name not in {"_id", REV, OP}}
    try:
        return codec.record_of(Row(row["_id"], row[REV], row[OP], cells))
    except ValidationError:
        return None


def _taken_over(
    link: Link,
    table: Table,
    old: Documents[Document],
    records: Mapping[str, Enrollment | None],
) -> dict[str, Enrollment]:
    """Return the records that contend for a slot, changed so that they can coexist."""
    those = {key: one for key, one in records.items() if one and slot.contends(one)}
    if not those:
        return {}
    whose = {"email": {"$in": [*{one.email for one in those.values()}]}}
    pairs: dict[tuple[str, str], list[Enrollment]] = {}
    for document in old.find(whose | {"status": {"$in": _CONTEND}}):
        one = _record_of(enrollments.CODEC, row_of(table, document))
        if one is not None:
            pairs.setdefault((one.email, one.course_id), []).append(one)
    held = link.collection(table.name).find(whose | {"held": 1})
    found = [_record_of(enrollments.CODEC, row) for row in held]
    standing = {(one.email, one.course_id): one for one in found if one is not None}
    now = link.server_time()

    def moved(one: Enrollment) -> Enrollment:
        pair = one.email, one.course_id
        return slot.take_over(one, pairs.get(pair, ()), standing.get(pair), now)

    return {key: moved(one) for key, one in those.items()}


#: Records whose defaults apply to fields that older documents lack.
_KINDS: Mapping[str, type] = {
    "coupons": Coupon,
    "enrollments": Enrollment,
    "jobs": Job,
    "events": Job,
    "audit": AuditEntry,
    "workers": WorkerSeen,
    "grants": Grant,
    "affiliates": Affiliate,
    "ledger": LedgerRow,
}


def row_of(table: Table, document: Document) -> Document:
    """Convert a document of version 3 to a row's."""
    values = _defaults(table) | document | _derived(table, document)
    for name, value in document.items():
        if isinstance(value, Mapping) and "amount_minor" in value:
            values[f"{name}_minor"] = value["amount_minor"]
            values[f"{name}_currency"] = value.get("currency")
    cells = {
        column.name: cell
        for column in table.columns
        if (cell := _cell(column.kind, values.get(column.name))) is not None
    }
    return {"_id": values[KEY], REV: 1, OP: "moved", **cells}


def _defaults(table: Table) -> Document:
    kind = _KINDS.get(table.name)
    found = {one.name: one.default for one in attrs.fields(kind)} if kind else {}
    return {
        name: default.factory() if hasattr(default, "factory") else default
        for name, default in found.items()
        if default is not attrs.NOTHING
    }


def _derived(table: Table, document: Document) -> Document:
    """Return the fields whose name or form has changed."""
    key, state = document["_id"], document.get("state")
    made: Document = {KEY: key}
    if table.name == "coupons":
        made["complete"] = document.get("full", False)
    if table.name == "coupon_seats":
        made["redeemed"] = True if state == "redeemed" else None
        made["open_at"] = 0 if state == "free" else document.get("open_at")
    if table.name == "enrollments":
        # Enough to write a damaged one; for all others, the core derives it.
        made["mailbox"] = mailbox_of(str(document.get("email")))
        if document.get("for_sync"):
            made["sync_at"] = document["created_at"]
    if table.name == "gates":
        permits = document.get("permits", ())
        made["permits"] = {one["holder"]: one["until"] for one in permits}
    if table.name == "ledger":
        made[KEY] = f"{document['affiliate']}#{document['n']:010d}"
    return made


def _line(entry: Any) -> Any:
    """Return a history entry, whose detail was stored as text in it."""
    detail = entry.get("detail") if isinstance(entry, Mapping) else None
    return entry if detail is None else {**entry, "detail": json.loads(detail)}


def _cell(kind: CellKind, value: Any) -> Any:
    if isinstance(value, datetime):
        return ms_of(value)
    if isinstance(value, bool | Int64):
        return int(value)
    try:
        if kind is CellKind.LINES:
            return [text_of(_line(one)) for one in value or ()]
        if isinstance(value, Mapping | list | tuple):
            return text_of(value)
    except (ValidationError, ValueError, TypeError):
        logger.exception("a damaged value is kept unchanged")
    return value
