# SPDX-License-Identifier: MIT
"""Signs of life, and news of what fell due."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import attrs
import pytest

from ...interfaces import Storage
from ...models import WorkerSeen
from .records import NOW, after
from .storage_queue import add, claim


#: Seconds that an announcement may take; far less than a test waits for it.
_PATIENCE_S = 30.0


def worker(name: str = "host:1", seen: float = 0, kind: str = "worker") -> WorkerSeen:
    """Return a sign of life."""
    return WorkerSeen(
        name=name,
        kind=kind,
        started_at=NOW,
        seen_at=after(seen),
        detail={"concurrency": 8, "version": "1.0"},
    )


class WorkerChecks:
    """Workers: who was seen last, and when."""

    def test_worker_is_seen_in_the_place_of_its_last_sign(self, storage: Storage):
        """One document per name; the one that was seen last comes first."""
        storage.workers.seen(worker("a", 1))
        storage.workers.seen(worker("b", 2, "cron"))
        storage.workers.seen(worker("a", 3))
        assert storage.workers.list() == (worker("a", 3), worker("b", 2, "cron"))
        assert storage.workers.list(limit=1) == (worker("a", 3),)

    def test_worker_that_ended_is_dropped(self, storage: Storage):
        """One that stopped as it should is not missed."""
        storage.workers.seen(worker("a"))
        storage.workers.drop("a")
        storage.workers.drop("a")
        assert storage.workers.list() == ()

    def test_old_signs_are_pruned(self, storage: Storage):
        """What has not been seen for long goes, a bounded number at a time."""
        for number in range(4):
            storage.workers.seen(worker(f"w-{number}", number))
        assert storage.workers.prune(after(3), 2) == 2
        assert storage.workers.prune(after(3), 2) == 1
        assert storage.workers.list() == (worker("w-3", 3),)

    def test_sign_of_life_keeps_every_field(self, storage: Storage):
        """What a worker tells about itself comes back."""
        told = attrs.evolve(worker(), detail={"done": 3, "names": ["a", "ü"]})
        storage.workers.seen(told)
        assert storage.workers.list() == (told,)


class NewsChecks:
    """Watches: a hint that something became due."""

    #: Set to False for a store that can't announce: its watches only wait.
    hears_news = True

    @pytest.fixture
    def heard(self) -> None:
        """Skip if the store can't announce."""
        if not self.hears_news:
            pytest.skip("this store can't announce: due work is found by polling")

    def test_silence_lets_the_time_pass(self, storage: Storage):
        """Without an announcement: False, but not before the time is over."""
        watch = storage.watch()
        began = time.monotonic()
        assert watch.wait(0.15, now=NOW) is False
        assert time.monotonic() - began >= 0.1
        watch.close()
        watch.close()

    @pytest.mark.usefixtures("heard")
    def test_job_that_came_before_the_wait_is_news(self, storage: Storage):
        """Nothing is missed between a look and the wait after it."""
        watch = storage.watch()
        assert storage.jobs.claim("w", NOW, 60, 10) == ()
        add(storage.jobs)
        assert watch.wait(_PATIENCE_S, now=NOW) is True
        watch.close()

    @pytest.mark.usefixtures("heard")
    @pytest.mark.parametrize("what", ["job", "event", "retry", "release"])
    def test_what_falls_due_wakes_the_waiting(self, storage: Storage, what: str):
        """A job, an event, a retry and a claim that is given back are news."""
        if what == "retry":
            add(storage.jobs, due=500)
        if what == "release":
            add(storage.jobs)
        token = claim(storage.jobs).token if what == "release" else None
        acts: dict[str, Callable[[], object]] = {
            "job": lambda: add(storage.jobs),
            "event": lambda: storage.events.record("evt_1", {}, now=NOW),
            "retry": lambda: storage.jobs.retry("job-1", NOW),
            "release": lambda: storage.jobs.release(token or "", NOW),
        }
        assert self._wakes(storage, acts[what])

    @pytest.mark.usefixtures("heard")
    def test_other_instance_wakes_the_waiting(self, storage: Storage, storage_factory):
        """Writes of another process are announced, too."""
        other = storage_factory()
        assert self._wakes(storage, lambda: add(other.jobs))
        other.close()

    @staticmethod
    def _wakes(storage: Storage, act: Callable[[], object]) -> bool:
        watch = storage.watch()
        timer = threading.Timer(0.1, act)
        timer.start()
        began = time.monotonic()
        woken = watch.wait(_PATIENCE_S, now=NOW)
        timer.join()
        watch.close()
        return woken and time.monotonic() - began < _PATIENCE_S
