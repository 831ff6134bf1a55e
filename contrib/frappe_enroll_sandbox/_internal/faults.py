# SPDX-License-Identifier: MIT
"""Faults on demand: which requests they hit, how often and how."""

from __future__ import annotations

import random
import re
import threading
from typing import Any, NoReturn

import attrs

from .server import DropConnection, LoopbackServer


#: How long a call hangs that is never answered, unless the fault says so.
HANG_S = 60.0


@attrs.define(kw_only=True)
class Fault:
    """
    One planned fault.

    Attributes:
        pattern: Regular expression searched in "METHOD /path".
        kind: Kind of fault; each server documents its kinds.
        times: How often; None = until `heal`.
        seconds: Duration of hangs and latency.
        status: HTTP status of plain failures.
        headers: Additional headers of the answer.
        chance: Fraction of the matching requests that it hits, at random.
        seen: How often it has happened.
    """

    pattern: str
    kind: str
    times: int | None = 1
    seconds: float = 0.0
    status: int = 500
    headers: dict[str, str] = attrs.field(factory=dict)
    chance: float = 1.0
    seen: int = 0


class FaultPlan:
    """The planned faults of one server. Thread-safe."""

    def __init__(self, *kinds: str) -> None:
        self._kinds = kinds
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._dice = random.Random()  # noqa: S311  not used for secrets
        #: Set to release every hanging request.
        self.released = threading.Event()

    def add(self, fault: Fault) -> Fault:
        """Plan a fault of a known kind."""
        if fault.kind not in self._kinds:
            raise ValueError(f"{fault.kind}: this server's faults are {self._kinds}")
        with self._lock:
            self.released.clear()
            self._faults.append(fault)
        return fault

    def take(self, method: str, path: str) -> Fault | None:
        """Return the first fault that matches this request, and count it."""
        with self._lock:
            for fault in self._faults:
                fits = re.search(fault.pattern, f"{method} {path}")
                if fits and self._dice.random() < fault.chance:
                    fault.seen += 1
                    if fault.times is not None and fault.seen >= fault.times:
                        self._faults.remove(fault)
                    return fault
        return None

    def clear(self) -> None:
        """Remove all faults and release hanging requests."""
        with self._lock:
            self._faults.clear()
            self.released.set()

    def hang(self, seconds: float) -> None:
        """Wait for `seconds`, or until the faults are cleared."""
        self.released.wait(seconds)


class FaultyServer(LoopbackServer):
    """
    A server that produces faults on demand.

    Attributes:
        faults: The planned faults.
    """

    faults: FaultPlan

    def fail_next(self, pattern: str, kind: str, **more: Any) -> Fault:
        """Plan a fault for matching requests, e.g. ``"POST .*/sessions$"``."""
        return self.faults.add(Fault(pattern=pattern, kind=kind, **more))

    def drop(self, fault: Fault) -> NoReturn:
        """Close the connection without an answer: at once (a reset), or in the end."""
        if fault.kind != "reset":
            self.faults.hang(fault.seconds or HANG_S)
        raise DropConnection

    def heal(self) -> None:
        """Forget all faults."""
        self.faults.clear()

    def close(self) -> None:
        """Close for good and release hanging requests."""
        self.heal()
        super().close()
