# SPDX-License-Identifier: MIT
"""`MongoStorage`: the small stores over one database, its schema and its clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from frappe_enroll_sdk.clock import SYSTEM
from frappe_enroll_sdk.codec import cursor_of, parts_of, require_text
from frappe_enroll_sdk.errors import (
    ConflictError,
    MissingExtraError,
    SettingsError,
)
from frappe_enroll_sdk.interfaces import Watch
from frappe_enroll_sdk.models import Admission, AuditEntry, GatePolicy, Page
from frappe_enroll_sdk.stores import gate as gates
from frappe_enroll_sdk.stores.gate import Gate


try:
    import pymongo
    from pymongo.errors import DuplicateKeyError
except ImportError as error:  # the text is the command that mends it
    raise MissingExtraError("mongo", "pymongo") from error

from . import migrate
from .business import MongoAffiliates, MongoGrants
from .coupons import MongoCoupons
from .documents import of_document, to_document
from .enrollments import MongoEnrollments
from .events import MongoEvents
from .jobs import MongoJobs
from .link import Link, Run
from .pages import after_of, milliseconds
from .schema import AUDIT, EVENTS, GATES, JOBS
from .watch import MongoWatch, Stream
from .workers import MongoWorkers


if TYPE_CHECKING:
    from pymongo.client_session import ClientSession

    from frappe_enroll_sdk.clock import Clock
    from frappe_enroll_sdk.settings import Settings

#: How often a gate's verb may lose its race; each loss is another's success.
_MOST_RACES = 200


class MongoStorage:
    """
    `Storage` on MongoDB 6.0 or later: a standalone server or a replica set.

    Thread-safe and fork-safe. A yes is acknowledged by a majority and journaled when it
    is given. Moments have millisecond precision.

    Args:
        uri: MongoDB connection string; pool, TLS and app name come from it.
        database: Name of the database.
        client_factory: Makes the client (one with listeners, or a stand-in without
            sessions in unit tests).
    """

    def __init__(
        self,
        uri: str,
        database: str,
        *,
        client_factory: Callable[..., Any] = pymongo.MongoClient,
    ) -> None:
        self._link = Link(uri, database, client_factory=client_factory)
        self._link.guard(self.check_schema)
        self.coupons = MongoCoupons(self._link)
        self.enrollments = MongoEnrollments(self._link)
        self.events = MongoEvents(self._link, EVENTS)
        self.jobs = MongoJobs(self._link, JOBS)
        self.gates = MongoGates(self._link)
        self.audit = MongoAudit(self._link)
        self.workers = MongoWorkers(self._link)
        self.grants = MongoGrants(self._link)
        self.affiliates = MongoAffiliates(self._link)
        self._stream = Stream(self._link)

    @classmethod
    def from_settings(cls, settings: Settings, _clock: Clock) -> Self:
        """
        Build it from ``MONGODB_URI`` and ``MONGODB_DATABASE``.

        Raises:
            SettingsError: There is no URI.
        """
        if not settings.mongodb_uri:
            raise SettingsError("MONGODB_URI: is needed for the storage backend mongo")
        return cls(settings.mongodb_uri.value, settings.mongodb_database)

    def watch(self) -> Watch:
        """Return a watch: this process's news, and a change stream's where there is."""
        return MongoWatch(self._link.news, self._stream)

    def now(self) -> datetime:
        """Return the primary's clock."""
        return self._link.server_time()

    def setup(self) -> None:
        """Create or upgrade collections and indexes; idempotent."""
        migrate.create(self._link)

    def check_schema(self) -> None:
        """Raise `SchemaError` when it is missing, older or newer than this code's."""
        migrate.check(self._link)

    def list_drift(self) -> tuple[str, ...]:
        """Return what differs from what `setup` makes, in words."""
        return migrate.drift(self._link)

    def ping(self) -> None:
        """Prove that the database is ours and can be written."""
        migrate.touch(self._link)

    def close(self) -> None:
        """Close the client; the next use makes another."""
        self._link.close()


class MongoGates:
    """`GateStore` on MongoDB: read, apply ``gate.py``, write where nobody else has."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def _change(self, name: str, change: Callable[[Gate], tuple[Gate, Any]]) -> Any:
        require_text(name=name)
        # What is answered if the write that makes this revision is ours.
        op, answers = SYSTEM.token_hex(8), dict[int, Any]()

        def act(run: Run) -> Any:
            for _race in range(_MOST_RACES):
                answered, answer = self._change_once(
                    name, change, op, answers, run.session
                )
                if answered:
                    return answer
            raise ConflictError(f"gate {name} keeps changing")

        return self._link.write(act)

    def _change_once(
        self,
        name: str,
        change: Callable[[Gate], tuple[Gate, Any]],
        op: str,
        answers: dict[int, Any],
        session: ClientSession | None,
    ) -> tuple[bool, Any]:
        """Return whether the race was won, and the answer."""
        table = self._link.collection(GATES)
        found = table.find_one({"_id": name}, session=session)
        if found and found.get("op") == op:
            # Its acknowledgement was lost.
            return True, answers[found["rev"]]
        before = _gate_of(found) if found else Gate(name=name)
        after, answer = change(before)
        if after == before:
            return True, answer
        rev = found["rev"] if found else 0
        answers[rev + 1] = answer
        document = {"_id": name, **to_document(after), "rev": rev + 1, "op": op}
        document["permits"] = [
            {"holder": holder, "until": until}
            for holder, until in after.permits.items()
        ]
        if not found:
            try:
                table.insert_one(document, session=session)
            except DuplicateKeyError:
                return False, None
            return True, answer
        where = {"_id": name, "rev": rev}
        done = table.replace_one(where, document, session=session)
        return done.matched_count == 1, answer

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
        table = self._link.collection(GATES)
        found = self._link.read(
            lambda run: table.find_one({"_id": name}, session=run.session)
        )
        return found is None or found.get("retry_at") is None

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


def _gate_of(found: dict[str, Any]) -> Gate:
    permits = {one["holder"]: one["until"] for one in found["permits"]}
    return of_document(Gate, {**found, "permits": permits})


class MongoAudit:
    """`AuditStore` on MongoDB."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def append(self, entry: AuditEntry) -> None:
        """See `AuditStore.append`."""
        require_text(id=entry.id, subject=entry.subject)
        document = to_document(entry)
        document = {"_id": document.pop("id"), **document}
        table = self._link.collection(AUDIT)

        def act(run: Run) -> None:
            try:
                table.insert_one(document, session=run.session)
            except DuplicateKeyError:
                # Known: a write makes sure that it is as durable as a new one.
                known = {"_id": document["_id"]}
                table.update_one(known, {"$inc": {"seen": 1}}, session=run.session)

        self._link.write(act)

    def list(
        self, *, subject: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[AuditEntry]:
        """See `AuditStore.list`."""
        require_text(subject=subject)
        where: dict[str, Any] = {} if subject is None else {"subject": subject}
        where |= after_of(parts_of(cursor, (int, str)), "at", newest=True)
        order, table = [("at", -1), ("_id", -1)], self._link.collection(AUDIT)
        found = self._link.read(
            lambda run: [
                *table.find(where, sort=order, limit=limit + 1, session=run.session)
            ]
        )
        items = tuple(
            of_document(AuditEntry, {**one, "id": one["_id"]}) for one in found[:limit]
        )
        if len(found) <= limit:
            return Page(items=items)
        last = items[-1]
        return Page(items=items, next_cursor=cursor_of(milliseconds(last.at), last.id))
