# SPDX-License-Identifier: MIT
"""The store of the backends' gates."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from ..models import (
    Admission,
    GatePolicy,
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
