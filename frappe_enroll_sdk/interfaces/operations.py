# SPDX-License-Identifier: MIT
"""Gates, the audit trail, signs of life, news."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from ..models import (
    Admission,
    AuditEntry,
    GatePolicy,
    Page,
    WorkerSeen,
)


class GateStore(Protocol):
    """
    One document per backend: the breaker, the drain rate and the permits.

    Shared by all workers and cron passes through the store.
    """

    def admit(self, name: str, n: int, now: datetime, policy: GatePolicy) -> Admission:
        """
        Ask to start `n` jobs (n >= 1).

        Open: as many as the rate allows. Closed: none until `closed_s` have passed;
        then one caller becomes the probe (none admitted, `probe` true) and must ping
        and `report`; a probe that never reports lapses after `closed_s`.
        """
        ...

    def report(self, name: str, *, ok: bool, now: datetime, policy: GatePolicy) -> bool:
        """Open (ok) or close (fault) the gate; True when that changed it."""
        ...

    def is_open(self, name: str) -> bool:
        """Tell whether the gate is open (a gate that nobody has seen is)."""
        ...

    def hold(
        self, name: str, holder: str, k: int, now: datetime, until: datetime
    ) -> bool:
        """
        Take one of `k` permits until `until`; True if the holder has one.

        All permits of a name last equally long: none lasts beyond `until`, whatever a
        clock that ran ahead has written.
        """
        ...

    def drop(self, name: str, holder: str) -> None:
        """Give the holder's permit back."""
        ...


class AuditStore(Protocol):
    """What operators did."""

    def append(self, entry: AuditEntry) -> None:
        """Write an entry; one with a known id is left as it is."""
        ...

    def list(
        self,
        *,
        subject: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[AuditEntry]:
        """Return entries, newest first."""
        ...


class WorkerStore(Protocol):
    """Signs of life: one document per worker, one per host that runs cron passes."""

    def seen(self, worker: WorkerSeen) -> None:
        """Write the sign of life in the place of an earlier one of that name."""
        ...

    def list(self, *, limit: int = 50) -> tuple[WorkerSeen, ...]:
        """Return the signs of life, the one seen last first."""
        ...

    def drop(self, name: str) -> None:
        """Forget a worker that ended as it should."""
        ...

    def prune(self, before: datetime, limit: int) -> int:
        """Forget up to `limit` that were last seen before; count."""
        ...


class Watch(Protocol):
    """
    Waits for news; made by `Storage.watch`, used by one thread, closed by it.

    A hint only, polling stays the truth: it may answer too early or for nothing, and a
    store that can't tell (or a connection that was lost) just lets the time pass.
    """

    def wait(self, timeout_s: float, *, now: datetime) -> bool:
        """
        Wait until something may have fallen due since the last answer; True = look.

        News from before the first call, but after the watch was made, counts. `now` is
        the caller's time at the call.
        """
        ...

    def close(self) -> None:
        """Give back what the watch holds."""
        ...
