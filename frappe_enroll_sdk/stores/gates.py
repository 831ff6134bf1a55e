# SPDX-License-Identifier: MIT
"""
The gates before the backends: one row each, which everybody writes.

Threads of one process take turns at a gate, and each begins with the row as the one
before has left it: a bare compare-and-set would lose most of its races to its own kind.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

from ..codec import require_text
from ..errors import ConflictError, DamagedRowError
from ..interfaces.tables import Row
from ..models import Admission, GatePolicy
from . import gate as rules
from .gate import Gate
from .layout import GATES
from .records import Codec
from .rows import MAX_RACES, Port, Records


R = TypeVar("R")

logger = logging.getLogger(__name__)


_CODEC = Codec(
    Gate, GATES, lambda gate: gate.name, computed={"name": lambda row: row.key}
)


class Gates:
    """`GateStore` over tables."""

    def __init__(self, port: Port) -> None:
        self._port, self._records = port, Records(port, _CODEC)
        #: Each gate as this process has written it last.
        self._seen: dict[str, Row] = {}

    def _change(
        self,
        name: str,
        rule: Callable[[Gate], tuple[Gate, R]],
        *,
        guesses: bool = False,
    ) -> R:
        require_text(name=name)
        rows, codec = self._records.rows, self._records.codec
        with self._port.turn(name):
            row = self._seen.get(name) if guesses else None
            for _ in range(MAX_RACES):
                guessed = row is not None
                row = row or rows.one(name)
                gate, damaged = self._read(name, row)
                after, answer = rule(gate)
                changes = after is not gate and after != gate
                if not changes and not guessed:
                    return answer
                if row is None:
                    if self._records.insert([after])[0]:
                        return answer
                elif changes:
                    row = rows.swap(row, codec.changes_of(gate, after, damaged=damaged))
                    if row is not None:
                        self._seen[name] = row
                        return answer
                # (A guess is no news: that nothing changes is told by a read.)
                row = None
        raise ConflictError(f"a gate keeps changing: {name}")

    def _read(self, name: str, row: Row | None) -> tuple[Gate, bool]:
        """
        Return a gate, and whether its row is damaged: then it begins anew.

        It remembers for minutes only: nobody has to mend it for work to go on.
        """
        if row is None:
            return Gate(name=name), False
        try:
            return self._records.read(row), False
        except DamagedRowError:
            logger.exception("a gate begins anew", extra={"gate": name})
            return Gate(name=name), True

    def admit(self, name: str, n: int, now: datetime, policy: GatePolicy) -> Admission:
        """See `GateStore.admit`."""
        return self._change(
            name,
            lambda gate: rules.admit(gate, n, now, policy),
            # Without a rate there is nothing to write.
            guesses=policy.rate_per_s is not None,
        )

    def report(self, name: str, *, ok: bool, now: datetime, policy: GatePolicy) -> bool:
        """See `GateStore.report`."""
        return self._change(
            name, lambda gate: rules.report(gate, ok=ok, now=now, policy=policy)
        )

    def is_open(self, name: str) -> bool:
        """See `GateStore.is_open`."""
        require_text(name=name)
        gate, _ = self._read(name, self._records.rows.one(name))
        return gate.retry_at is None

    def hold(
        self, name: str, holder: str, k: int, now: datetime, until: datetime
    ) -> bool:
        """See `GateStore.hold`."""
        return self._change(name, lambda gate: rules.hold(gate, holder, k, now, until))

    def take_turns(
        self, name: str, ends: Mapping[str, datetime], now: datetime
    ) -> frozenset[str]:
        """See `GateStore.take_turns`."""
        return self._change(name, lambda gate: rules.take_turns(gate, ends, now))

    def drop(self, name: str, holder: str) -> None:
        """See `GateStore.drop`."""
        self._change(name, lambda gate: (rules.drop(gate, holder), None))
