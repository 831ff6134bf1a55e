# SPDX-License-Identifier: MIT
"""`SQLStorage`: the small stores over one database, its schema and its clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from frappe_enroll_sdk.codec import cursor_of, parts_of, require_text
from frappe_enroll_sdk.errors import MissingExtraError
from frappe_enroll_sdk.models import Admission, AuditEntry, GatePolicy, Page
from frappe_enroll_sdk.stores import gate as gates
from frappe_enroll_sdk.stores.gate import Gate


try:
    from sqlalchemy import select, text, tuple_
    from sqlalchemy.dialects.sqlite import insert
except ImportError as error:  # the text is the command that mends it
    raise MissingExtraError("sql", "SQLAlchemy") from error

from . import schema
from .business import SQLAffiliates, SQLGrants
from .coupons import SQLCoupons
from .engine import Database
from .enrollments import SQLEnrollments
from .events import SQLEvents
from .jobs import SQLJobs
from .migrate import upgrade
from .times import of_doc, to_doc, to_ms
from .watch import SQLWatch
from .workers import SQLWorkers


if TYPE_CHECKING:
    from frappe_enroll_sdk.clock import Clock
    from frappe_enroll_sdk.settings import Settings


class SQLStorage:
    """
    `Storage` on SQL (SQLite files; other databases are refused).

    Thread-safe and fork-safe. A yes is in the file, synced, when it is given.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        self.coupons = SQLCoupons(self._database)
        self.enrollments = SQLEnrollments(self._database)
        self.events = SQLEvents(self._database, schema.events)
        self.jobs = SQLJobs(self._database, schema.jobs)
        self.gates = SQLGates(self._database)
        self.audit = SQLAudit(self._database)
        self.workers = SQLWorkers(self._database)
        self.grants = SQLGrants(self._database)
        self.affiliates = SQLAffiliates(self._database)

    @classmethod
    def from_settings(cls, settings: Settings, _clock: Clock) -> Self:
        """Build it from ``DATABASE_URL`` (or the default file)."""
        return cls(settings.resolved_database_url)

    def now(self) -> datetime:
        """Return SQLite's clock."""
        with self._database.read() as connection:
            stamp = connection.execute(
                text("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')")
            ).scalar_one()
        return datetime.fromisoformat(stamp).replace(tzinfo=UTC)

    def watch(self) -> SQLWatch:
        """Return a watch; its thread closes it."""
        return SQLWatch(self._database)

    def setup(self) -> None:
        """Create or upgrade the tables; idempotent, and safe beside other processes."""
        with self._database.set_up() as connection:
            upgrade(connection)

    def check_schema(self) -> None:
        """Raise `SchemaError` when it is missing, older or newer than this code's."""
        with self._database.read():
            pass

    def list_drift(self) -> tuple[str, ...]:
        """Return the tables and indexes that `setup` makes and that are not there."""
        known = text("SELECT name FROM sqlite_master WHERE type IN ('table', 'index')")
        with self._database.read() as connection:
            there = set(connection.execute(known).scalars())
        wanted = schema.metadata.sorted_tables
        names = [f"table {table.name}" for table in wanted]
        names += [f"index {index.name}" for table in wanted for index in table.indexes]
        missing = [name for name in names if name.split()[1] not in there]
        return tuple(f"{name} is missing" for name in missing)

    def ping(self) -> None:
        """Prove that the file is ours and can be written."""
        with self._database.write() as connection:
            connection.execute(
                schema.schema_version.update().values(version=schema.SCHEMA_VERSION)
            )

    def close(self) -> None:
        """Close the connections; the next use opens them again."""
        self._database.close()


class SQLGates:
    """`GateStore` on SQL: read, apply ``gate.py``, write, in one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def _change(self, name: str, change: Callable[[Gate], tuple[Gate, Any]]) -> Any:
        require_text(name=name)
        table = schema.gates
        with self._database.write() as connection:
            doc = connection.execute(
                select(table.c.doc).where(table.c.name == name)
            ).scalar()
            before = of_doc(Gate, doc) if doc else Gate(name=name)
            after, answer = change(before)
            if after != before:
                written = insert(table).values(name=name, doc=to_doc(after))
                connection.execute(
                    written.on_conflict_do_update(
                        index_elements=["name"], set_={"doc": written.excluded.doc}
                    )
                )
            return answer

    def admit(self, name: str, n: int, now: datetime, policy: GatePolicy) -> Admission:
        """See `GateStore.admit`."""
        answer: Admission = self._change(
            name, lambda gate: gates.admit(gate, n, now, policy)
        )
        return answer

    def report(self, name: str, *, ok: bool, now: datetime, policy: GatePolicy) -> bool:
        """See `GateStore.report`."""
        return bool(
            self._change(
                name, lambda gate: gates.report(gate, ok=ok, now=now, policy=policy)
            )
        )

    def is_open(self, name: str) -> bool:
        """See `GateStore.is_open`."""
        require_text(name=name)
        query = select(schema.gates.c.doc).where(schema.gates.c.name == name)
        with self._database.read() as connection:
            doc = connection.execute(query).scalar()
        return not doc or of_doc(Gate, doc).retry_at is None

    def hold(
        self, name: str, holder: str, k: int, now: datetime, until: datetime
    ) -> bool:
        """See `GateStore.hold`."""
        return bool(
            self._change(name, lambda gate: gates.hold(gate, holder, k, now, until))
        )

    def drop(self, name: str, holder: str) -> None:
        """See `GateStore.drop`."""
        self._change(name, lambda gate: (gates.drop(gate, holder), None))


class SQLAudit:
    """`AuditStore` on SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, entry: AuditEntry) -> None:
        """See `AuditStore.append`."""
        require_text(id=entry.id, subject=entry.subject)
        row = {
            "id": entry.id,
            "at": to_ms(entry.at),
            "subject": entry.subject,
            "doc": to_doc(entry),
        }
        with self._database.write() as connection:
            connection.execute(
                insert(schema.audit).values(row).on_conflict_do_nothing()
            )

    def list(
        self, *, subject: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[AuditEntry]:
        """See `AuditStore.list`."""
        require_text(subject=subject)
        table = schema.audit
        query = select(table).order_by(table.c.at.desc(), table.c.id.desc())
        if subject is not None:
            query = query.where(table.c.subject == subject)
        after = parts_of(cursor, (int, str))
        if after is not None:
            query = query.where(tuple_(table.c.at, table.c.id) < tuple_(*after))
        with self._database.read() as connection:
            rows = connection.execute(query.limit(limit + 1)).all()
        items = tuple(of_doc(AuditEntry, row.doc) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(items=items)
        last = rows[limit - 1]
        return Page(items=items, next_cursor=cursor_of(last.at, last.id))
