# SPDX-License-Identifier: MIT
"""`MemoryStorage`: every store in this process's memory, for tests. Thread-safe."""

from __future__ import annotations

from datetime import datetime
from threading import RLock

from ...clock import Ambient, Clock, SystemClock
from ...codec import require_text
from ...interfaces import Watch
from ...models import Admission, AuditEntry, GatePolicy, Page, WorkerSeen
from ...stores import gate as gates
from ...stores.gate import Gate
from ...stores.news import News, NewsWatch
from .business import MemoryAffiliates, MemoryGrants
from .coupons import MemoryCoupons
from .enrollments import MemoryEnrollments
from .jobs import MemoryEvents, MemoryJobs
from .pages import page_of


class MemoryGates:
    """`GateStore` in memory."""

    def __init__(self, lock: RLock) -> None:
        self._lock = lock
        self._rows: dict[str, Gate] = {}

    def _get(self, name: str) -> Gate:
        return self._rows.get(name, Gate(name=name))

    def admit(self, name: str, n: int, now: datetime, policy: GatePolicy) -> Admission:
        """See `GateStore.admit`."""
        with self._lock:
            self._rows[name], answer = gates.admit(self._get(name), n, now, policy)
            return answer

    def report(self, name: str, *, ok: bool, now: datetime, policy: GatePolicy) -> bool:
        """See `GateStore.report`."""
        with self._lock:
            gate = self._get(name)
            self._rows[name], changed = gates.report(
                gate, ok=ok, now=now, policy=policy
            )
            return changed

    def is_open(self, name: str) -> bool:
        """See `GateStore.is_open`."""
        with self._lock:
            return self._get(name).retry_at is None

    def hold(
        self, name: str, holder: str, k: int, now: datetime, until: datetime
    ) -> bool:
        """See `GateStore.hold`."""
        with self._lock:
            self._rows[name], ok = gates.hold(self._get(name), holder, k, now, until)
            return ok

    def drop(self, name: str, holder: str) -> None:
        """See `GateStore.drop`."""
        with self._lock:
            self._rows[name] = gates.drop(self._get(name), holder)


class MemoryAudit:
    """`AuditStore` in memory."""

    def __init__(self, lock: RLock) -> None:
        self._lock = lock
        self._rows: dict[str, AuditEntry] = {}

    def append(self, entry: AuditEntry) -> None:
        """See `AuditStore.append`."""
        with self._lock:
            self._rows.setdefault(entry.id, entry)

    def list(
        self, *, subject: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[AuditEntry]:
        """See `AuditStore.list`."""
        with self._lock:
            rows = [r for r in self._rows.values() if subject in (None, r.subject)]
        return page_of(rows, lambda r: (r.at, r.id), limit, cursor, newest=True)


class MemoryWorkers:
    """`WorkerStore` in memory."""

    def __init__(self, lock: RLock) -> None:
        self._lock = lock
        self._rows: dict[str, WorkerSeen] = {}

    def seen(self, worker: WorkerSeen) -> None:
        """See `WorkerStore.seen`."""
        require_text(name=worker.name)
        with self._lock:
            self._rows[worker.name] = worker

    def list(self, *, limit: int = 50) -> tuple[WorkerSeen, ...]:
        """See `WorkerStore.list`."""
        with self._lock:
            rows = sorted(self._rows.values(), key=lambda w: (w.seen_at, w.name))
        return tuple(reversed(rows))[:limit]

    def drop(self, name: str) -> None:
        """See `WorkerStore.drop`."""
        require_text(name=name)
        with self._lock:
            self._rows.pop(name, None)

    def prune(self, before: datetime, limit: int) -> int:
        """See `WorkerStore.prune`."""
        with self._lock:
            old = [name for name, w in self._rows.items() if w.seen_at < before]
            for name in old[:limit]:
                del self._rows[name]
            return len(old[:limit])


class MemoryStorage:
    """
    `Storage` in memory: the semantics of the interface, no durability.

    Two SDKs in one process may share one.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        lock, news, ambient = RLock(), News(), Ambient(self._clock)
        self._news = news
        self.coupons = MemoryCoupons(lock)
        self.enrollments = MemoryEnrollments(lock)
        self.events = MemoryEvents(lock, news, ambient)
        self.jobs = MemoryJobs(lock, news, ambient)
        self.gates = MemoryGates(lock)
        self.audit = MemoryAudit(lock)
        self.workers = MemoryWorkers(lock)
        self.grants = MemoryGrants(lock)
        self.affiliates = MemoryAffiliates(lock)

    def watch(self) -> Watch:
        """Return a watch over what is written in this process."""
        return NewsWatch(self._news)

    def now(self) -> datetime:
        """Return the given clock's time."""
        return self._clock.now()

    def setup(self) -> None:
        """Do nothing: there is no schema."""

    def check_schema(self) -> None:
        """Do nothing: there is no schema."""

    def list_drift(self) -> tuple[str, ...]:
        """Return nothing: there is no schema."""
        return ()

    def ping(self) -> None:
        """Do nothing: memory is there."""

    def close(self) -> None:
        """Do nothing: what is in memory stays."""
