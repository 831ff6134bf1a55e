# SPDX-License-Identifier: MIT
"""
From an older schema to this one, page by page.

Schemas up to 5 were this package's own. Their tables are put aside under names that
tell the version (``jobs_of_5``), and their rows are moved into new ones, each page in a
transaction of its own; enrollments by the rule of the slot (``stores/slot.py``). Until
the last one is there the file says what it comes from: older code finds a schema that
is newer than its own, this code one that is older, and `setup` goes on where it
stopped. A row that can't be read stays where it was put.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, text

from frappe_enroll_sdk.codec import dump, load, moment_of
from frappe_enroll_sdk.errors import ValidationError
from frappe_enroll_sdk.interfaces.tables import Cell, Row, Table
from frappe_enroll_sdk.models import (
    Affiliate,
    AuditEntry,
    Coupon,
    Enrollment,
    Grant,
    Job,
    LedgerRow,
    WorkerSeen,
)
from frappe_enroll_sdk.pair import from_earlier
from frappe_enroll_sdk.stores import layout, records, seats, slot
from frappe_enroll_sdk.stores.schema import require_not_newer
from frappe_enroll_sdk.stores.storage import TableStorage

from .file import version_of
from .tables import ASIDE, SQLiteTables
from .writer import raw


if TYPE_CHECKING:
    from .layout import Layout

logger = logging.getLogger(__name__)

T = TypeVar("T")
#: Opens a write transaction, whatever the schema.
Begin = Callable[[], AbstractContextManager[Connection]]
#: A row of an old table, by column.
Old = dict[str, Any]
#: Moves a row; False (or an error about its content) = it can't be read.
Move = Callable[["_Into", Old], bool]

#: Most rows in one transaction.
_PAGE = 500
#: The version since which a job's knowledge only grows.
_KNOWING = 5
_MAKE_VERSION = """
CREATE TABLE schema_version (id INTEGER NOT NULL CHECK (id = 1),
version INTEGER NOT NULL, coming_from INTEGER, PRIMARY KEY (id)) STRICT"""


def upgrade(begin: Begin, layouts: Collection[Layout], version: int) -> None:
    """
    Upgrade the file to this version; any number of hosts may do so together.

    Raises:
        SchemaError: It is newer than this code.
    """
    with begin() as connection:
        found = version_of(raw(connection))
        require_not_newer(found, version)
        if found is None:
            _run(connection, _MAKE_VERSION)
            _run(
                connection, "INSERT INTO schema_version VALUES (1, :v, NULL)", v=version
            )
        elif found < version and not asides(connection):
            _put_aside(connection, found, version)
        for one in layouts:
            one.table.create(connection, checkfirst=True)
            for index in one.table.indexes:
                index.create(connection, checkfirst=True)
    if found is not None and found < version:
        for name in _MOVES:
            left: int | None = 0
            while left is not None:
                with begin() as connection:
                    left = _move_page(connection, name, found, left)
        with begin() as connection:
            _run(connection, "UPDATE schema_version SET coming_from = NULL")


def asides(connection: Connection) -> list[str]:
    """Return the set-aside tables of former schemas that still hold rows."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    return [n for n in _run(connection, query).scalars() if ASIDE.fullmatch(n)]


def _run(connection: Connection, statement: str, **values: Any) -> Any:
    return connection.execute(text(statement), values)


def _put_aside(connection: Connection, found: int, version: int) -> None:
    objects = "SELECT type, name, tbl_name FROM sqlite_master WHERE sql IS NOT NULL"
    for kind, name, table in _run(connection, objects).all():
        if table in _MOVES and kind == "index":
            _run(connection, f"DROP INDEX {name}")
        elif name in _MOVES:
            _run(connection, f"ALTER TABLE {name} RENAME TO {name}_of_{found}")
    # For rows that contend for a slot, which look up their pair; dropped with its
    # table.
    pairs = f"CREATE INDEX moving_pairs ON enrollments_of_{found} (email, course_id)"
    _run(connection, pairs)
    _run(connection, "ALTER TABLE schema_version ADD COLUMN coming_from INTEGER")
    now = "UPDATE schema_version SET version = :v, coming_from = :found"
    _run(connection, now, v=version, found=found)


def _move_page(connection: Connection, name: str, found: int, left: int) -> int | None:
    """Move one page; return how many rows could not be moved, None at the end."""
    table = f"{name}_of_{found}"
    if table not in asides(connection):
        return None
    into, (keys, move) = _Into(connection, found), _MOVES[name]
    order = ", ".join(keys)
    page = f"SELECT * FROM {table} ORDER BY {order} LIMIT {_PAGE} OFFSET :left"  # noqa: S608  own names
    rows = [dict(row) for row in _run(connection, page, left=left).mappings()]
    if not rows:
        if not left:
            _run(connection, f"DROP TABLE {table}")
        return None
    here = " AND ".join(f"{key} = :{key}" for key in keys)
    for row in rows:
        place = {key: row[key] for key in keys}
        try:
            moved = move(into, row)
        except (ValueError, LookupError, TypeError, ValidationError):
            moved = False
        if moved:
            _run(connection, f"DELETE FROM {table} WHERE {here}", **place)  # noqa: S608  own names
        else:
            logger.error("row can't be read: it stays in %s", table, extra=place)
            left += 1
    return left


class _Into(SQLiteTables):
    """The new tables, within the transaction that moves a page."""

    def __init__(self, connection: Connection, found: int) -> None:
        self._layouts = {}
        self._connection, self.found = connection, found
        self.stores = TableStorage(self)

    def _read(self, ask: Callable[[Connection], T], *, snapshot: bool = False) -> T:  # noqa: ARG002  it is one
        return ask(self._connection)

    def _write(self, write: Callable[[Connection], T]) -> T:
        return write(self._connection)

    def check_schema(self, version: int) -> None:
        """Check nothing: an upgrade is in progress."""

    def put(self, table: Table, key: str, cells: dict[str, Cell]) -> bool:
        """Write a row unchanged."""
        return self.insert(table, [Row(key, 1, "", cells)])[0]

    def run(self, statement: str, **values: Any) -> Any:
        """Run a statement."""
        return _run(self._connection, statement, **values)


def _of_doc(kind: type[T], put: Callable[[TableStorage, T], bool]) -> Move:
    """Return the function that moves rows with their record in `doc`."""
    return lambda into, row: put(into.stores, load(kind, json.loads(row["doc"])))


def _move_enrollment(into: _Into, row: Old) -> bool:
    store, record = into.stores.enrollments, load(Enrollment, json.loads(row["doc"]))
    if slot.contends(record):
        email, course_id = record.email, record.course_id
        where = "WHERE email = :email AND course_id = :course"
        query = f"SELECT doc FROM enrollments_of_{into.found} {where}"  # noqa: S608  ours
        docs = into.run(query, email=email, course=course_id).scalars()
        standing = store.find_holder(email, course_id)
        record = slot.take_over(record, _readable(docs), standing, into.now())
    return store.open(record).opened


def _readable(docs: Iterable[str]) -> Iterator[Enrollment]:
    for doc in docs:
        # (An unreadable one stays aside, and is logged when its turn comes.)
        with suppress(ValueError, ValidationError):
            yield load(Enrollment, json.loads(doc))


def _move_seat(into: _Into, row: Old) -> bool:
    code, state, until = row["code"], row["state"], row["until"]
    first, end = seats.key_of(code, 0), seats.key_of(code, 99_999_999)
    last = "SELECT max(key) FROM coupon_seats WHERE key BETWEEN :first AND :last"
    known = into.run(last, first=first, last=end).scalar()
    cells = {
        **{name: row[name] for name in ("code", "holder", "state", "reserved_at")},
        "until": until,
        "lapses_at": until if state == "held" else None,
        "open_at": None if state == "redeemed" else row["reserved_at"],
        "redeemed": 1 if state == "redeemed" else None,
    }
    number = 0 if known is None else seats.number_of(known) + 1
    return into.put(layout.SEATS, seats.key_of(code, number), cells)


def _move_coupon(into: _Into, row: Old) -> bool:
    code, coupon = row["code"], load(Coupon, json.loads(row["doc"]))
    if row["disabled"] and not coupon.disabled:
        coupon = load(Coupon, {**dump(coupon), "disabled": True})
    # Its seats have been moved already, numbered from 0.
    issued = "(SELECT count(*) FROM coupon_seats WHERE code = :code)"
    known = f"UPDATE coupons SET issued = {issued} WHERE key = :code"  # noqa: S608  ours
    return into.stores.coupons.create(coupon) and bool(into.run(known, code=code))


def _move_gate(into: _Into, row: Old) -> bool:
    gate = json.loads(row["doc"])
    cells: dict[str, Cell] = {"tokens": gate.get("tokens")}
    for name in ("retry_at", "filled_at"):
        at = gate.get(name)
        cells[name] = None if at is None else records.ms_of(moment_of(at))
    cells["permits"] = records.text_of(gate.get("permits", {}))
    return into.put(layout.GATES, row["name"], cells)


#: What version 1 stored of a job in `doc`, with the values of missing fields.
_IN_DOC: Old = {
    "seq": 1,
    "tries": 0,
    "owner": None,
    "outcome": None,
    "deliveries": 0,
    "recovered": False,
    "data": {},
    "errors": [],
    "payload": None,
}


def _move_job(table: Table, into: _Into, row: Old) -> bool:
    """Move a job cell by cell: a damaged one stays damaged, to be repaired."""
    doc, pruned = row.pop("doc", None), row.pop("pruned")
    if doc is not None:
        try:
            known = json.loads(doc)
        except ValueError:
            known, row["payload"] = {}, doc
        row = {**{name: known.get(name, _IN_DOC[name]) for name in _IN_DOC}, **row}
        row["recovered"] = int(row["recovered"])
        for name in ("data", "errors", "payload"):
            if row[name] is not None and row[name] is not doc:
                row[name] = records.text_of(row[name])
    if into.found < _KNOWING and table is layout.JOBS and row["kind"] == "sync":
        row |= _known(row)
    ended = row["state"] in _ENDS[table.name] and not pruned
    return into.put(
        table, row.pop("key"), row | {"prune_at": row["updated_at"] if ended else None}
    )


def _known(row: Old) -> Old:
    """Convert a sync job's data, which before version 5 described one try."""
    at = records.moment_of(row["due_at"])
    try:
        documents = {name: json.loads(row[name]) for name in ("payload", "data")}
        job = Job(
            key="", kind="sync", due_at=at, created_at=at, updated_at=at, **documents
        )
        job = from_earlier(job)
    except (ValueError, TypeError, LookupError, AttributeError):
        return {}
    return {"payload": records.text_of(job.payload), "data": records.text_of(job.data)}


_ENDS = {"jobs": {"done", "cancelled"}, "events": {"done", "ignored"}}
#: Key columns of each old table, and the function that moves a row; tables that refer
#: to others come before those.
_MOVES: dict[str, tuple[tuple[str, ...], Move]] = {
    "coupon_seats": (("code", "holder"), _move_seat),
    "coupons": (("code",), _move_coupon),
    "ledger": (
        ("affiliate", "n"),
        _of_doc(LedgerRow, lambda to, row: to.affiliates.append(row) is row),
    ),
    "affiliates": (
        ("code",),
        _of_doc(Affiliate, lambda to, row: to.affiliates.register(row) is row),
    ),
    "enrollments": (
        ("id",),
        _move_enrollment,
    ),
    "grants": (("id",), _of_doc(Grant, lambda to, row: to.grants.open(row) is row)),
    "audit": (
        ("id",),
        _of_doc(AuditEntry, lambda to, row: not to.audit.append(row)),  # type: ignore[func-returns-value]  # None
    ),
    "workers": (
        ("name",),
        _of_doc(WorkerSeen, lambda to, row: not to.workers.seen(row)),  # type: ignore[func-returns-value]  # None
    ),
    "jobs": (("key",), partial(_move_job, layout.JOBS)),
    "events": (("key",), partial(_move_job, layout.EVENTS)),
    "gates": (("name",), _move_gate),
}
