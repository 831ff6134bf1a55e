# SPDX-License-Identifier: MIT
"""All stores of one backend."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, runtime_checkable

from .affiliates import AffiliateStore
from .audit import AuditStore
from .coupons import CouponStore
from .enrollments import EnrollmentStore
from .gates import GateStore
from .grants import GrantStore
from .jobs import EventStore, JobStore
from .news import Watch
from .workers import WorkerStore


@runtime_checkable
class Storage(Protocol):
    """
    The stores of one database.

    Clients and pools are created lazily, once per process, so that forking is safe.
    """

    @property
    def coupons(self) -> CouponStore:
        """Coupons and seats."""
        ...

    @property
    def enrollments(self) -> EnrollmentStore:
        """Enrollments."""
        ...

    @property
    def events(self) -> EventStore:
        """Payment events."""
        ...

    @property
    def jobs(self) -> JobStore:
        """Jobs."""
        ...

    @property
    def gates(self) -> GateStore:
        """Gates."""
        ...

    @property
    def audit(self) -> AuditStore:
        """The audit trail of operators' actions."""
        ...

    @property
    def grants(self) -> GrantStore:
        """Applications for grants."""
        ...

    @property
    def affiliates(self) -> AffiliateStore:
        """Affiliates and their ledgers."""
        ...

    @property
    def workers(self) -> WorkerStore:
        """Signs of life of workers and cron passes."""
        ...

    def watch(self) -> Watch:
        """Return a watch over events and jobs (a new enrollment is not due at once)."""
        ...

    def now(self) -> datetime:
        """Return the store's own time (never cached)."""
        ...

    def setup(self) -> None:
        """
        Create or upgrade the schema; idempotent, safe to run from many hosts.

        Raises:
            SchemaError: It is newer than this code (see ``schema.py``).
        """
        ...

    def check_schema(self) -> None:
        """
        Raise `SchemaError` when the schema is missing, older or newer than this code.

        The verbs check it themselves from time to time: another host may upgrade it at
        any moment.
        """
        ...

    def list_drift(self) -> tuple[str, ...]:
        """Return how the schema differs from `setup`'s, in words; () = not at all."""
        ...

    def ping(self) -> None:
        """Raise `StorageUnavailableError` when the store can't be written."""
        ...

    def close(self) -> None:
        """Close all connections; the next use opens them again."""
        ...
