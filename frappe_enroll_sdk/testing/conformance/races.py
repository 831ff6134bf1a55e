# SPDX-License-Identifier: MIT
"""
Callers that race: threads of this process, and processes of their own.

Each side opens the store by the suite's factory, waits for the others, and acts.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

from ...interfaces import Storage
from .racers import Racers


Factory = Callable[[], Storage]
#: What a racer does: (storage, its number) to an answer.
Act = Callable[[Storage, int], Any]

_START_S, _END_S = 60, 120


def crosses_processes(factory: Factory) -> bool:
    """Tell whether another process can open the same store."""
    try:
        pickle.dumps(factory)
    except Exception:  # noqa: BLE001  whatever can't be pickled stays in its process
        return False
    return True


def race_threads(factory: Factory, act: Act, count: int) -> list[Any]:
    """Let `count` threads act at once; return their answers or raise an error."""
    storage = factory()
    try:
        return _checked(_run_threads(storage, act, range(count)))
    finally:
        storage.close()


def _run_threads(storage: Storage, act: Act, numbers: range) -> list[Any]:
    """Let a thread act for each number; return their answers, errors among them."""
    barrier = threading.Barrier(len(numbers))
    answers: list[Any] = [None] * len(numbers)

    def run(place: int) -> None:
        barrier.wait(_START_S)
        try:
            answers[place] = act(storage, numbers[place])
        except Exception as error:  # noqa: BLE001  raised in the caller's thread
            answers[place] = error

    places = range(len(numbers))
    threads = [threading.Thread(target=run, args=(place,)) for place in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_END_S)
    return answers


@cache
def _racers(processes: int) -> Racers:
    """Return this process's racing processes: they are started once."""
    return Racers(processes)


def race_processes(
    factory: Factory, act: Act, count: int, *, processes: int = 3
) -> list[Any]:
    """Let `count` racers act at once, spread over processes; `act` is importable."""
    try:
        answers = _racers(processes).race(factory, _Share(act), count)
        return _checked(answers)
    except BaseException:
        # They may still be busy with this race: the next one gets others.
        _racers(processes).close()
        _racers.cache_clear()
        raise


class _Share:
    """An act, done by one thread for each number of a share."""

    def __init__(self, act: Act) -> None:
        self._act = act

    def __call__(self, storage: Storage, numbers: range) -> list[Any]:
        return _run_threads(storage, self._act, numbers)


def _checked(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers


def reserve_one(storage: Storage, number: int) -> str:
    """Reserve a seat for a holder of one's own."""
    from .records import NOW, after  # noqa: PLC0415  children import what they need

    holder = f"enr_{number:04d}"
    return str(storage.coupons.reserve("GRANT-1", holder, NOW, after(900)).outcome)


def redeem_or_release(storage: Storage, number: int) -> str:
    """Reserve; then redeem (even numbers) or give back (odd ones)."""
    outcome = reserve_one(storage, number)
    holder = f"enr_{number:04d}"
    if outcome != "reserved":
        return outcome
    if number % 2:
        return str(storage.coupons.release("GRANT-1", holder))
    storage.coupons.bind("GRANT-1", holder)
    return "redeemed" if storage.coupons.redeem("GRANT-1", holder) else "lost"


def create_same(storage: Storage, number: int) -> tuple[bool, ...]:
    """Create one batch of the same ten codes, as every other racer does."""
    from .records import coupon  # noqa: PLC0415

    terms = {"max_redemptions": number + 1}
    batch = [coupon(f"GRANT-{n}", **terms) for n in range(10)]
    return storage.coupons.create_many(batch)


def open_one_slot(storage: Storage, number: int) -> bool:
    """Open a row for a slot that all racers want."""
    from .records import enrollment  # noqa: PLC0415

    row = enrollment(number, email="all@example.com")
    return storage.enrollments.open(row).opened


def write_version_one(storage: Storage, number: int) -> bool:
    """Write the row where it still has version 1."""
    from ...models import Status  # noqa: PLC0415
    from .records import enrollment, entry  # noqa: PLC0415

    row_id, change = enrollment().id, entry(2, Status.PENDING, op_id=f"op-{number}")
    done = storage.enrollments.transition(row_id, 1, Status.PENDING, change, None, {})
    return done is not None


def claim_jobs(storage: Storage, number: int) -> list[str]:
    """Claim what is due, a few at a time, until nothing is left."""
    from .records import NOW  # noqa: PLC0415

    keys: list[str] = []
    while got := storage.jobs.claim(f"w{number}", NOW, 60, 3):
        keys += [job.key for job in got]
    return keys


def complete_all(storage: Storage, _number: int) -> list[bool]:
    """End all running jobs in one batch, as every other racer does."""
    from ...models import JobEnd, JobState  # noqa: PLC0415
    from .records import after  # noqa: PLC0415

    jobs = storage.jobs.list(state=JobState.RUNNING, limit=100).items
    ends = [JobEnd(token=job.token or "", seq=job.seq) for job in jobs]
    answers = storage.jobs.complete_many(ends, after(1))
    return [answer is JobState.DONE for answer in answers]


def enqueue_same(storage: Storage, number: int) -> int:
    """Enqueue one batch of the same ten keys, as every other racer does."""
    from ...models import NewJob  # noqa: PLC0415
    from .records import NOW  # noqa: PLC0415

    new_jobs = [
        NewJob(key=f"job-{n}", kind="sync", payload={"by": number}, due_at=NOW)
        for n in range(10)
    ]
    return storage.jobs.enqueue_many(new_jobs, now=NOW)


def claim_rows(storage: Storage, _number: int) -> list[str]:
    """Claim due enrollments, a few at a time, until nothing is left."""
    from .records import after  # noqa: PLC0415

    ids: list[str] = []
    while got := storage.enrollments.claim_due(after(1000), 60, 3):
        ids += [row.id for row in got]
    return ids


def record_one_event(storage: Storage, _number: int) -> bool:
    """Deliver one event."""
    from .records import NOW  # noqa: PLC0415

    return storage.events.record("evt_1", {"type": "t"}, now=NOW).new


def hold_permit(storage: Storage, number: int) -> bool:
    """Ask for one of two permits."""
    from .records import NOW, after  # noqa: PLC0415

    return storage.gates.hold("lms.users", f"job-{number}", 2, NOW, after(60))


def become_probe(storage: Storage, _number: int) -> bool:
    """Ask a closed gate whose time has come."""
    from ...models import GatePolicy  # noqa: PLC0415
    from .records import after  # noqa: PLC0415

    return storage.gates.admit("lms", 1, after(100), GatePolicy()).probe
