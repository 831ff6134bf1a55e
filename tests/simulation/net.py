# SPDX-License-Identifier: MIT
"""
The calls between processes and backends, and what goes wrong with them.

Every call is a moment at which others take their turns, before it and after it, and at
which a process may be killed or suspended. What happens to which call is thrown with
the history's dice, within its budget of faults.

Each process has stores of its own over the one database, and every trip to that is such
a moment, too: others take their turns inside a verb, and a write's acknowledgement may
be lost there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from simulation.hub import Hub, Process

from frappe_enroll_sdk.errors import (
    LMSUnavailableError,
    PaymentsUnavailableError,
    StorageUnavailableError,
    ThrottledError,
    UnclearWriteError,
)
from frappe_enroll_sdk.testing.faults import Crash, Slow
from frappe_enroll_sdk.testing.memory import MemoryStorage, MemoryTables


_STORES = frozenset(
    {"coupons", "enrollments", "events", "jobs", "gates", "audit", "workers"}
    | {"grants", "affiliates"}
)
#: What makes no promise: a hint, the end of a connection, work without I/O.
_QUIET = frozenset(
    {"now", "close", "prepare_session", "parse_event", "signed", "setup", "watch"}
)
#: How likely something happens to a call; a call that writes abroad is the worst.
_LIKELY = {
    "lms.insert_enrollment": 0.30,
    "lms.delete_enrollment": 0.25,
    "lms.find_enrollments": 0.05,
    "lms.create_user": 0.10,
    "payments.create_session": 0.20,
    "payments.expire_session": 0.15,
    "payments.retrieve_session": 0.05,
    "payments.refund": 0.4,
    "jobs.complete_many": 0.06,
    "jobs.heartbeat": 0.08,
    "enrollments.transition": 0.03,
    "coupons.reserve": 0.20,
    "coupons.redeem": 0.06,
    "coupons.release": 0.06,
    "coupons.bind": 0.06,
}
_ELSE = 0.01
#: What most likely happens to a call, of what is switched on: a checkout that slept
#: before its reserve goes on for a row that has ended meanwhile.
_AIMED = {"coupons.reserve": "suspend"}
#: How likely the acknowledgement of one write to the database is lost.
_UNCLEAR = 0.01
#: How likely others take their turns between two trips of a verb.
_BETWEEN = 0.3
#: Verbs of the fakes that can act after their caller has given up.
_LATE = frozenset(
    {"insert_enrollment", "delete_enrollment", "create_session", "expire_session"}
)
#: Seconds after which nothing acts any more: what comes after a day is reconcile's.
_DAY_S = 80_000.0
#: Seconds of a suspension, and of an effect's delay: about a minute, past the lease,
#: past `verify_after_s`, past a session's end.
_LONG = (20.0, 100.0, 400.0, 1500.0, 9000.0)

#: Kinds of fault, and the backends whose calls they meet.
KINDS = {
    "kill": ("store", "payments", "lms"),
    "suspend": ("store", "payments", "lms"),
    "unmade": ("store", "payments", "lms"),
    "lost": ("store", "payments", "lms"),
    "unclear": (),
    "late": ("payments", "lms"),
    "broken": ("payments",),
    "throttled": ("payments", "lms"),
}


class Proxy:
    """
    A backend as one process sees it.

    Args:
        line: The process's line.
        backend: "store", "payments" or "lms".
        target: Which of the line's targets: the backend, or a small store of it.
    """

    def __init__(self, line: Line, backend: str, target: str) -> None:
        self._line, self._backend, self._of = line, backend, target

    def __getattr__(self, name: str) -> Any:
        line, of = self._line, self._of
        value = getattr(line.targets[of], name)
        if of == "store" and name in _STORES:
            found: Any = Proxy(line, "store", name)
        elif not callable(value) or name in _QUIET:
            return value
        else:
            found = self._verb(name)
        self.__dict__[name] = found
        return found

    def _verb(self, name: str) -> Callable[..., Any]:
        line, backend, of = self._line, self._backend, self._of
        full = f"{of}.{name}"

        def call(*args: Any, **named: Any) -> Any:
            verb = getattr(line.targets[of], name)
            return line.net.call(line.process, backend, full, verb, args, named)

        return call


class Tables(MemoryTables):
    """The database as one process sees it."""

    def __init__(self, line: Line, net: Net) -> None:
        super().__init__(net.hub, shared=net.tables, step=line.step)
        self._line = line

    def insert(self, *args: Any) -> Sequence[bool]:
        """Insert; the answer may be lost."""
        answer = super().insert(*args)
        self._line.acknowledge()
        return answer

    def swap(self, *args: Any) -> Sequence[bool]:
        """Swap; the answer may be lost."""
        answer = super().swap(*args)
        self._line.acknowledge()
        return answer

    def delete(self, *args: Any) -> int:
        """Delete; the answer may be lost."""
        answer = super().delete(*args)
        self._line.acknowledge()
        return answer


class Line:
    """
    All that one process is connected with: backends, a clock, dice.

    It outlives its process: the next one is given the same, wired anew.
    """

    def __init__(self) -> None:
        self.targets: dict[str, Any] = {}
        self.process = Process("nobody")
        self.net: Any = None
        self.hub: Any = None
        #: By how much its clock is off.
        self.skew_s = 0.0
        self.storage = Proxy(self, "store", "store")
        self.payments = Proxy(self, "payments", "payments")
        self.lms = Proxy(self, "lms", "lms")

    def connect(self, net: Net | Calm, process: Process) -> None:
        """Connect a process that knows nothing."""
        self.net, self.hub, self.targets = net, net.hub, net.targets
        if isinstance(net, Net):
            own = MemoryStorage(self, tables=Tables(self, net))
            self.targets = net.targets | stores_of(own)
        self.serve(process)

    def serve(self, process: Process) -> None:
        """Go on for another one, with what is known."""
        self.process = process

    def step(self, _verb: str) -> None:
        """Let others take their turns inside a verb."""
        hub, process = self.hub, self.process
        if hub.dice.random() < _BETWEEN:
            hub.pause(process, 0.01 * hub.dice.random())
            if process.dead:
                raise Crash(process.name)

    def acknowledge(self) -> None:
        """Lose the answer to a write, or not."""
        if self.net.budget:
            self.net.acknowledge(self.process)

    # What `Ambient` takes.

    def now(self) -> datetime:
        """Return the process's time."""
        return self.hub.now_of(self.skew_s)

    def monotonic(self) -> float:
        """Return the process's monotonic time."""
        return self.hub.now_s - self.process.lost_s

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.hub.pause(self.process, seconds)

    def random_bytes(self, n: int) -> bytes:
        """Throw the history's dice."""
        return self.hub.dice.randbytes(n)


def stores_of(storage: Any) -> dict[str, Any]:
    """Return a storage and its small stores, by name."""
    return {"store": storage} | {name: getattr(storage, name) for name in _STORES}


class Net:
    """
    The calls of one history.

    Attributes:
        targets: The backends, and the small stores, by name.
        kinds: Kinds of fault that are switched on.
        budget: Faults that may still happen.
        faults: Those that did, by kind.
        store_down: Whether the store can't be reached.
        told: Alerts as the plugin's jobs were told: (code, subject).
        trace: Lines of what happened, if somebody wants them.
    """

    def __init__(self, hub: Hub, storage: Any, payments: Any, lms: Any) -> None:
        self.hub = hub
        self.targets = {**stores_of(storage), "payments": payments, "lms": lms}
        self.tables: MemoryTables = storage.tables
        self.kinds: tuple[str, ...] = ()
        self.budget = 0
        self.calls = 0
        self.told: set[tuple[str, str]] = set()
        self.faults: Counter[str] = Counter()
        self.store_down = False
        self.trace: list[str] | None = None

    def tell(self, who: str, what: str) -> None:
        """Note something."""
        if self.trace is not None:
            self.trace.append(f"{self.hub.now_s:12.3f}  {who:<14} {what}")

    def call(
        self,
        process: Process,
        backend: str,
        full: str,
        verb: Callable[..., Any],
        args: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        """Make a call, or what becomes of it."""
        if process.dead:
            raise Crash(full)
        self.calls += 1
        hub, dice = self.hub, self.hub.dice
        hub.pause(process, 0.02 * dice.random())
        if process.dead:
            raise Crash(full)
        if self.store_down and backend == "store":
            raise StorageUnavailableError("the store is down")
        if process.doom:
            process.doom -= 1
            if not process.doom:
                return self._kill(process, full, verb, args, named)
        if self.budget and dice.random() < _LIKELY.get(full, _ELSE):
            return self._strike(process, backend, full, verb, args, named)
        if self.trace is None:
            answer = verb(*args, **named)
        else:
            answer = self.told_call(process, full, verb, args, named)
        hub.pause(process, 0.02 * dice.random())
        return answer

    def acknowledge(self, process: Process) -> None:
        """Lose the answer to a write, or not."""
        dice = self.hub.dice
        if "unclear" in self.kinds and dice.random() < _UNCLEAR:
            self.budget -= 1
            self.faults["unclear"] += 1
            self.tell(process.name, "the answer to a write is lost")
            self.hub.pause(process, 10.0 * dice.random())
            raise UnclearWriteError

    def told_call(
        self,
        process: Process,
        full: str,
        verb: Callable[..., Any],
        args: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        """Make a call, and note it with its answer."""
        try:
            answer = verb(*args, **named)
        except Exception as error:
            self.tell(process.name, f"{full} ! {type(error).__name__}: {error}")
            raise
        self.tell(process.name, f"{full} → {_brief(answer)}")
        return answer

    def _strike(
        self,
        process: Process,
        backend: str,
        full: str,
        verb: Callable[..., Any],
        args: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        name = full.rpartition(".")[2]
        fitting = [
            kind
            for kind in self.kinds
            if backend in KINDS[kind]
            and (kind != "late" or name in _LATE)
            and (kind != "broken" or name == "create_session")
        ]
        if not fitting:
            return verb(*args, **named)
        self.budget -= 1
        dice = self.hub.dice
        if _AIMED.get(full) in fitting:
            fitting += [_AIMED[full]] * 2
        kind, before = dice.choice(fitting), dice.random() < 0.5
        if kind == "suspend" and backend == "store":
            # Asleep after one call is asleep before the next.
            before = True
        self.faults[kind] += 1
        self.tell(process.name, f"{full} × {kind} {'before' if before else 'after'}")
        if kind in {"kill", "suspend"}:
            if before:
                self._hit(process, kind, full)
            answer = self._late_caller(process, kind, backend, verb, args, named)
            if not before:
                self._hit(process, kind, full)
            return answer
        if kind == "lost":
            verb(*args, **named)
        if kind == "late":
            self.targets[backend].faults.slow(
                name, Slow(1e6, min(self.long() * dice.choice((1, 1, 8)), _DAY_S))
            )
        if kind in {"lost", "unmade"}:
            self.hub.pause(process, 15.0 * dice.random())
            raise _error_of(backend, unclear=True)
        if kind == "broken":
            self.targets[backend].fail_creates(made=before)
        if kind == "throttled":
            raise ThrottledError("slow down", retry_after_s=60 * dice.random())
        try:
            return verb(*args, **named)
        finally:
            self.hub.pause(process, 12.0)

    def _kill(
        self,
        process: Process,
        full: str,
        verb: Callable[..., Any],
        args: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        """Kill one whose time has come: its last call is made, or not."""
        self.faults["kill"] += 1
        if self.hub.dice.random() < 0.5:
            verb(*args, **named)
        self.tell(process.name, f"{full} × killed at last")
        process.dead = True
        raise Crash(full)

    def _hit(self, process: Process, kind: str, full: str) -> None:
        if kind == "kill":
            process.dead = True
            raise Crash(full)
        if "kill" in self.kinds and self.hub.dice.random() < 0.4:
            # What breaks needs several things in a row.
            process.doom = self.hub.dice.choice((1, 2, 2, 3, 4))
        seconds = self.long()
        process.asleep_until = self.hub.now_s + seconds
        if self.hub.dice.random() < 0.5:
            # A virtual machine that was paused has not counted.
            process.lost_s += seconds
        self.hub.pause(process, 0.0)

    def _late_caller(
        self,
        process: Process,
        kind: str,
        backend: str,
        verb: Callable[..., Any],
        args: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        """Make the call of one who slept: it may be too late for the answer."""
        answer = verb(*args, **named)
        if kind == "suspend" and backend != "store" and self.hub.dice.random() < 0.5:
            raise _error_of(backend, unclear=True)
        return answer

    def long(self) -> float:
        """Return a long time."""
        return self.hub.dice.choice(_LONG) * (0.5 + self.hub.dice.random())


class Calm:
    """Calls that nothing happens to: the stage is set, and comes to rest, by them."""

    def __init__(self, net: Net) -> None:
        self.hub, self.targets, self.told = net.hub, net.targets, net.told
        self._net = net

    def call(
        self,
        process: Process,
        _backend: str,
        full: str,
        verb: Callable[..., Any],
        args: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        """Make a call."""
        if self._net.trace is None:
            return verb(*args, **named)
        return self._net.told_call(process, full, verb, args, named)


def _error_of(backend: str, *, unclear: bool) -> Exception:
    errors: dict[str, Any] = {
        "store": StorageUnavailableError,
        "payments": PaymentsUnavailableError,
        "lms": LMSUnavailableError,
    }
    error: Exception = errors[backend]("no answer", unclear=unclear)
    return error


def _brief(answer: Any) -> str:
    if isinstance(answer, frozenset):
        answer = tuple(sorted(answer))
    if isinstance(answer, tuple):
        return f"({', '.join(_brief(one) for one in answer)})"
    for names in (("id", "status", "version"), ("key", "state", "seq"), ("name",)):
        if all(hasattr(answer, name) for name in names):
            return " ".join(str(getattr(answer, name)) for name in names)
    return str(answer)[:90]
