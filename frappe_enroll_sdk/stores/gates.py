# SPDX-License-Identifier: MIT
"""
The gates before the backends: one row each, which everybody writes.

Threads of one process take turns at a gate, and each begins with the row as the one
before has left it: a bare compare-and-set would lose most of its races to its own kind.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from ..codec import require_text
from ..interfaces.tables import Row
from ..models import Admission, GatePolicy
from . import gate as rules
from .gate import Gate
from .layout import GATES
from .records import Changes, Codec
from .rows import Port, Records


R = TypeVar("R")


_CODEC = Codec(
    Gate, GATES, lambda gate: gate.name, computed={"name": lambda row: row.key}
)


class Gates:
    """`GateStore` over tables."""

    def __init__(self, port: Port) -> None:
        self._port, self._records = port, Records(port, _CODEC)
        #: Each gate as this process has written it last.
        self._seen: dict[str, Row] = {}

    def _change(self, name: str, rule: Callable[[Gate], tuple[Gate, R]]) -> R:
        require_text(name=name)
        answers: list[R] = []

        def change(row: Row) -> Changes:
            before = self._records.read(row)
            after, answer = rule(before)
            answers.append(answer)
            return self._records.codec.changes_of(before, after)

        with self._port.turn(name):
            while True:
                row = self._records.rows.change(
                    name, change, guess=self._seen.get(name)
                )
                if row is not None:
                    self._seen[name] = row
                    return answers[-1]
                gate, answer = rule(Gate(name=name))
                if gate == Gate(name=name) or self._records.insert([gate])[0]:
                    return answer

    def admit(self, name: str, n: int, now: datetime, policy: GatePolicy) -> Admission:
        """See `GateStore.admit`."""
        return self._change(name, lambda gate: rules.admit(gate, n, now, policy))

    def report(self, name: str, *, ok: bool, now: datetime, policy: GatePolicy) -> bool:
        """See `GateStore.report`."""
        return self._change(
            name, lambda gate: rules.report(gate, ok=ok, now=now, policy=policy)
        )

    def is_open(self, name: str) -> bool:
        """See `GateStore.is_open`."""
        require_text(name=name)
        gate = self._records.find(name)
        return gate is None or gate.retry_at is None

    def hold(
        self, name: str, holder: str, k: int, now: datetime, until: datetime
    ) -> bool:
        """See `GateStore.hold`."""
        return self._change(name, lambda gate: rules.hold(gate, holder, k, now, until))

    def drop(self, name: str, holder: str) -> None:
        """See `GateStore.drop`."""
        self._change(name, lambda gate: (rules.drop(gate, holder), None))
