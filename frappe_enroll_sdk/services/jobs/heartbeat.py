# SPDX-License-Identifier: MIT
"""
Signs of life in the store, and the alarm when there are none and work is due.

Whoever comes by looks: a pass that begins, a process that takes webhooks, `stats`,
`check`. So the alarm does not depend on the workers whose absence it tells.
"""

from __future__ import annotations

import functools
import logging
import socket
import threading
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import attrs

from ...errors import EnrollError
from ...models import WorkerSeen
from ...stores.bounds import is_ahead
from ..alerts import raise_alert


if TYPE_CHECKING:
    from ...models import JobReport
    from ..context import Context

logger = logging.getLogger(__name__)

#: Seconds between a worker's signs of life.
SEEN_EVERY_S = 30.0
#: Seconds between one process's checks.
_LOOK_EVERY_S = 60.0


@functools.cache
def package_version() -> str:
    """Return the version of the installed distribution."""
    # A quarter of the package's import time, needed only for signs of life.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("frappe-enroll-sdk")
    except PackageNotFoundError:
        return "unknown"


class Heartbeats:
    """The signs of life of one SDK's workers and cron passes. Thread-safe."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._looked: float | None = None
        self._names: set[str] = set()

    def worker(self, name: str, started_at: datetime, detail: dict[str, Any]) -> None:
        """Leave a worker's sign of life."""
        self._leave(name, "worker", started_at, detail)

    def cron(self, started_at: datetime, report: JobReport) -> None:
        """Leave the sign of life of this host's cron passes."""
        name = f"cron:{socket.gethostname()}"
        self._leave(name, "cron", started_at, attrs.asdict(report))

    def _leave(
        self, name: str, kind: str, started_at: datetime, detail: dict[str, Any]
    ) -> None:
        sign = WorkerSeen(
            name=name,
            kind=kind,
            started_at=started_at,
            seen_at=self._context.now(),
            detail=detail
            | {
                "version": package_version(),
                "lost": dict(self._context.plugins.observer_errors),
            },
        )
        self._names.add(name)
        try:
            self._context.storage.workers.seen(sign)
        except EnrollError as error:
            # A sign of life is not essential: the next one follows soon.
            logger.warning("sign of life failed", extra={"error_code": error.code})

    def lost(self, signs: Iterable[WorkerSeen]) -> dict[str, int]:
        """Return observers' lost calls, of this process and those with these signs."""
        lost = Counter(self._context.plugins.observer_errors)
        for sign in signs:
            if sign.name not in self._names:
                lost.update(sign.detail.get("lost") or {})
        return dict(lost)

    def ended(self, name: str) -> None:
        """Forget a worker that has shut down cleanly."""
        try:
            self._context.storage.workers.drop(name)
        except EnrollError as error:
            logger.warning("sign of life failed", extra={"error_code": error.code})

    def absent_s(self) -> float | None:
        """
        Return for how long work has been due with no worker seen, or None.

        Also None if that is less than `workers_absent_s`.
        """
        store, now = self._context.storage, self._context.now()
        stats = [
            queue.stats(now, cap=1, counted=False)
            for queue in (store.jobs, store.events)
        ]
        due = [one.oldest_due_at for one in stats if one.oldest_due_at is not None]
        if not due:
            return None
        # A sign from a clock that ran ahead would hide an absence until that time.
        signs = [s for s in store.workers.list() if not is_ahead(s.seen_at, now)]
        since = max([min(due), *(sign.seen_at for sign in signs[:1])])
        absent_s = (now - since).total_seconds()
        return absent_s if absent_s >= self._context.settings.workers_absent_s else None

    def look(self) -> None:
        """Alert if work is due and no worker was seen; at most once a minute."""
        with self._lock:
            mark = self._context.monotonic()
            if self._looked is not None and mark - self._looked < _LOOK_EVERY_S:
                return
            self._looked = mark
        try:
            absent_s = self.absent_s()
        except EnrollError:
            # The store is down: the caller will report that.
            return
        if absent_s is not None:
            self._alert(absent_s)

    def _alert(self, absent_s: float) -> None:
        """Alert once per absence, whichever process sees it first."""
        now = self._context.now()
        until = now + timedelta(seconds=self._context.settings.workers_absent_s)
        gate, holder = "alert.workers_absent", self._context.ambient.token_hex(8)
        if self._context.storage.gates.hold(gate, holder, 1, now, until):
            logger.error("no worker was seen", extra={"absent_s": round(absent_s)})
            raise_alert(self._context, "workers_absent", "workers")
