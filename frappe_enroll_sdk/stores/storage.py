# SPDX-License-Identifier: MIT
"""`TableStorage`: every store of the SDK, over the tables of one database."""

from __future__ import annotations

from datetime import datetime

from ..clock import SYSTEM, Ambient
from ..interfaces.news import Watch
from ..interfaces.tables import Tables
from .affiliates import Affiliates
from .audit import Audit
from .coupons import Coupons
from .enrollments import Enrollments
from .events import Events
from .gates import Gates
from .grants import Grants
from .jobs import Jobs
from .layout import LAYOUT_VERSION, QUEUES, TABLES
from .rows import Port
from .workers import Workers


__all__ = ("TableStorage",)


class TableStorage:
    """
    `Storage` over a backend's tables.

    Args:
        tables: The backend.
        coupons: A class derived from `Coupons`, where the backend has faster verbs.
        ambient: Where tokens, stamps and monotonic time come from.
        takes_turns: Whether threads wait for each other at rows that all of them write
            (False: where one thread at a time is awake anyway).
    """

    def __init__(
        self,
        tables: Tables,
        *,
        coupons: type[Coupons] = Coupons,
        ambient: Ambient = SYSTEM,
        takes_turns: bool = True,
    ) -> None:
        self.tables = tables
        self._port = Port(tables, LAYOUT_VERSION, ambient, takes_turns=takes_turns)
        self.coupons = coupons(self._port)
        self.enrollments = Enrollments(self._port)
        self.events = Events(self._port)
        self.jobs = Jobs(self._port)
        self.gates = Gates(self._port)
        self.audit = Audit(self._port)
        self.workers = Workers(self._port)
        self.grants = Grants(self._port)
        self.affiliates = Affiliates(self._port)

    def watch(self) -> Watch:
        """See `Storage.watch`."""
        return self.tables.watch(QUEUES)

    def now(self) -> datetime:
        """See `Storage.now`."""
        return self.tables.now()

    def setup(self) -> None:
        """See `Storage.setup`."""
        self.tables.setup(TABLES, LAYOUT_VERSION)
        self._port.look_again()

    def check_schema(self) -> None:
        """See `Storage.check_schema`."""
        self.tables.check_schema(LAYOUT_VERSION)

    def list_drift(self) -> tuple[str, ...]:
        """See `Storage.list_drift`."""
        return self.tables.list_drift(TABLES)

    def ping(self) -> None:
        """See `Storage.ping`."""
        self.check_schema()
        self.tables.ping()

    def close(self) -> None:
        """See `Storage.close`."""
        self.tables.close()
        self._port.look_again()
