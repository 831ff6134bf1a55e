# SPDX-License-Identifier: MIT
"""Histories: one by its seed, or as many as fit into a time."""

from __future__ import annotations

import gc
import logging
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from types import SimpleNamespace

import attrs
from simulation import actors, judge
from simulation.hub import EPOCH
from simulation.net import KINDS
from simulation.world import World

from frappe_enroll_sdk import clock
from frappe_enroll_sdk.services import context


#: Seconds from the end of all faults until the judge comes: an insert that nobody can
#: account for is looked for during a day.
REST_S = 26 * 3600.0
#: Passes at rest, at the most.
_MAX_PASSES = 150
#: Seconds until whoever waited for a payment, or for a code, waits no more.
SOON_S = 4 * 3600.0


@attrs.frozen
class History:
    """
    What one seed gave.

    Attributes:
        seed: The seed.
        on: What was switched on.
        violations: What was not as promised.
        faults: What went wrong, by kind.
        acts: What actors did.
        calls: Calls to backends.
        trace: What happened, if it was asked for.
    """

    seed: int
    on: tuple[str, ...]
    violations: tuple[judge.Violation, ...]
    faults: Counter[str]
    acts: Counter[str]
    calls: int
    trace: tuple[str, ...]


def play(seed: int, *, told: bool = False) -> History:
    """Play one history."""
    dice = random.Random(-seed - 1)
    scenes = [name for name in actors.SCENES if dice.random() < 0.4]
    kinds = tuple(kind for kind in KINDS if dice.random() < 0.5)
    world = World(seed, frozenset(scenes))
    world.net.trace = [] if told else None
    world.net.kinds = kinds
    world.net.budget = dice.choice((0, 1, 1, 2, 2, 3, 5)) if kinds else 0
    actors.play(world)
    world.hub.run()
    violations = []
    try:
        for looks_at in rest(world):
            violations = violations or list(looks_at(world))
    except Exception as error:  # noqa: BLE001  told like any violation
        violations.append(("unexpected", f"at rest: {error!r}"))
    world.end()
    return History(
        seed=seed,
        on=(*scenes, *kinds),
        violations=tuple(violations),
        faults=world.net.faults,
        acts=world.acts,
        calls=world.net.calls,
        trace=tuple(world.net.trace or ()),
    )


def rest(world: World) -> Iterator[judge.Judge]:
    """
    Let everything come to rest: faults have stopped, news comes through.

    Yields who may judge now: soon, when time alone has done all, and when an operator
    has reconciled.
    """
    world.active, world.net.budget = False, 0
    world.net.store_down = world.lms.is_down = world.payments.is_down = False
    actors.settle_delayed(world)
    ends_s = world.hub.now_s + REST_S
    _work(world, world.hub.now_s + SOON_S)
    yield judge.soon
    _work(world, ends_s)
    world.hub.now_s = max(world.hub.now_s, ends_s)
    world.lms.deadlines.catch_up()
    world.payments.deadlines.catch_up()
    sdk = world.calm()
    # What was lost comes by the operator's hand.
    if world.lost:
        sdk.admin.pull_events(EPOCH)
    _work(world, world.hub.now_s + REST_S)
    if sdk.admin.requeue(1000):
        _work(world, world.hub.now_s + REST_S)
    _work(world, world.hub.now_s + _back_s(world))
    yield judge.at_rest
    # What was written a moment ago may still be on its way: reconcile passes it over.
    world.hub.now_s += 600
    actors.reconcile(sdk)
    _work(world, world.hub.now_s + REST_S)
    _work(world, world.hub.now_s + _back_s(world))
    yield judge.reconciled


def _back_s(world: World) -> float:
    """Return how long second payments may wait: of a pair, one a day goes back."""
    held = [row for row in judge.all_of(world.storage.enrollments) if row.held_for]
    return REST_S * len(held)


def _work(world: World, ends_s: float) -> None:
    """Let passes run, each when something falls due, until nothing does."""
    for _ in range(_MAX_PASSES):
        _deliver(world)
        due_s = world.next_due_s()
        if due_s is not None and due_s <= 0:
            world.calm().run_jobs(limit=1000)
            due_s = world.next_due_s()
        if due_s is None and not world.unanswered:
            for session in list(world.payments.sessions):
                world.payments._look(session)
            if not world.unanswered:
                return
        at = world.hub.now_s + max(due_s or 0.0, 0.0) + 0.5
        if at > ends_s:
            return
        world.hub.now_s = at


def _deliver(world: World) -> None:
    sdk, waiting = world.calm(), world.unanswered
    world.unanswered = []
    for event in waiting:
        sdk.handle_webhook(*world.payments.signed(event))


def _refuse(*_: object) -> None:
    message = "a history asked the host for time or dice"
    raise AssertionError(message)


class Strict:
    """Nothing of the host's time and dice, or of its names, gets into a history."""

    _INSTEAD = (
        (clock.SYSTEM, dict.fromkeys(("_bytes", "_sleep", "monotonic"), _refuse)),
        (
            clock,
            {
                "time": SimpleNamespace(monotonic=_refuse, sleep=_refuse),
                "secrets": SimpleNamespace(token_bytes=_refuse),
            },
        ),
        (
            context,
            {
                "os": SimpleNamespace(getpid=lambda: 1),
                "socket": SimpleNamespace(gethostname=lambda: "host"),
                "threading": SimpleNamespace(get_ident=lambda: 1),
            },
        ),
    )

    def __enter__(self) -> None:
        """Refuse them."""
        # A history's objects die with it; looking for those that do not takes a fifth.
        self._collects = gc.get_threshold()
        gc.set_threshold(200_000, 20, 100)
        logging.disable(logging.CRITICAL)
        self._known = []
        for target, instead in self._INSTEAD:
            self._known.append({name: vars(target)[name] for name in instead})
            vars(target).update(instead)

    def __exit__(self, *_: object) -> None:
        """Let the host have them again."""
        for (target, _instead), known in zip(self._INSTEAD, self._known, strict=True):
            vars(target).update(known)
        logging.disable(logging.NOTSET)
        gc.set_threshold(*self._collects)


@attrs.define
class Run:
    """
    What many seeds gave.

    Attributes:
        histories: How many were played.
        cpu_s: Seconds of the processor's that they took.
        calls: Calls to backends.
        faults: What went wrong, by kind.
        on: What was switched on, by how many histories.
        acts: What actors did.
        found: Those with violations.
    """

    histories: int = 0
    cpu_s: float = 0.0
    calls: int = 0
    faults: Counter[str] = attrs.field(factory=Counter)
    on: Counter[str] = attrs.field(factory=Counter)
    acts: Counter[str] = attrs.field(factory=Counter)
    found: list[History] = attrs.field(factory=list)

    @property
    def per_minute(self) -> float:
        """Histories per minute of one core."""
        return self.histories / max(self.cpu_s, 1e-9) * 60

    def add(self, history: History) -> None:
        """Count one."""
        self.histories += 1
        self.calls += history.calls
        self.faults += history.faults
        self.acts += history.acts
        self.on.update(history.on)
        if history.violations:
            self.found.append(history)

    def text(self) -> str:
        """Return it for people."""
        size = (
            f"{self.histories} histories, {self.calls} calls, {self.cpu_s:.1f} s of CPU"
        )
        lines = [
            f"{size}: {self.per_minute:.0f} a minute of one core",
            "faults: " + _counts(self.faults),
            "switched on: " + _counts(self.on),
            "acts: " + _counts(self.acts),
            f"violations: {len(self.found)}",
        ]
        for history in self.found[:20]:
            kinds = sorted({kind for kind, _ in history.violations})
            lines.append(f"  --seed {history.seed}: {', '.join(kinds)}")
        return "\n".join(lines)


def run(seeds: Iterable[int], *, seconds: float = 1e9, most_found: int = 1_000) -> Run:
    """Play histories until the time is over, or there is enough to look at."""
    total = Run()
    began, cpu = time.monotonic(), time.process_time()
    gc.collect()
    gc.freeze()
    with Strict():
        for seed in seeds:
            total.add(play(seed))
            total.cpu_s = time.process_time() - cpu
            late = time.monotonic() - began > seconds
            if late or len(total.found) >= most_found:
                break
    return total


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
