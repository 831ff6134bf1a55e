# SPDX-License-Identifier: MIT
"""
Housekeeping in bounded slices: by itself in every worker and cron pass, or by command.

Each task is done once per interval by whoever comes first: a turn in the store, taken
for the interval, keeps all others from it. All turns are one row: where none is to be
had, which is the rule, a pass costs one read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from ... import wall
from ...errors import EnrollError
from ...models.jobs import REQUEST_KIND
from ...stores.bounds import is_ahead
from ...stores.queue import REQUEST_LIFE


if TYPE_CHECKING:
    from ..context import Context

logger = logging.getLogger(__name__)

#: A task: (most rows, whether there is time) to how many it has dealt with.
Task = Callable[[int, Callable[[], bool]], int]

#: Rows of one slice: deleting them keeps the store's writer for a few milliseconds.
_SLICE = 500
#: Slices of one turn.
_MAX_SLICES = 20
#: Seconds between two turns of what work waits for, and of what only tidies up (which
#: goes on at once where there is more than one turn of it).
EVERY_S, TIDY_EVERY_S = 60.0, 600.0
#: The gate that the turns are taken at.
_GATE = "maintenance"
_DAY = timedelta(days=1)


class Maintenance:
    """The tasks by name. Thread-safe."""

    def __init__(self, context: Context) -> None:
        self._context = context
        #: Where the last look at a queue's claimable jobs ended, by queue.
        self._seen: dict[str, str | None] = {}
        self.tasks: dict[str, Task] = {
            "jobs": self._jobs,
            "events": self._events,
            "requests": self._requests,
            "workers": self._workers,
            "moments": self._moments,
        }
        #: Seconds between two turns, by task; tasks whose turns are taken at once.
        self._every_s = [dict.fromkeys(self.tasks, TIDY_EVERY_S) | {"moments": EVERY_S}]

    def add(self, name: str, task: Task, every_s: float) -> None:
        """Add a task that is done every so many seconds."""
        self.tasks[name] = task
        self._every_s.append({name: every_s})

    def run_owed(self, has_time: Callable[[], bool] = lambda: True) -> dict[str, int]:
        """Do what is owed, as long as there is time; return what each task counted."""
        done, gates = dict[str, int](), self._context.storage.gates
        # Whoever dies costs the rest of its turns one interval: those of the rare
        # tasks are not taken before their time.
        for group in self._every_s:
            if not has_time():
                break
            now = self._context.now()
            ends = {name: now + timedelta(seconds=s) for name, s in group.items()}
            turns = gates.take_turns(_GATE, ends, now)
            for name in [name for name in group if name in turns]:
                is_left = True
                if has_time():
                    done[name], is_left = self._run(name, has_time)
                if is_left:
                    gates.drop(_GATE, name)
        return done

    def run(self, name: str) -> int:
        """Do one task now, in slices; return what it counted."""
        return self._run(name, lambda: True)[0]

    def _run(self, name: str, has_time: Callable[[], bool]) -> tuple[int, bool]:
        """Do one task; return what it counted, and whether there is more to do."""
        total, is_left = 0, True
        for _ in range(_MAX_SLICES):
            if not has_time():
                break
            try:
                count = wall.contained(name, self.tasks[name], _SLICE, has_time)
            except EnrollError as error:
                # Housekeeping never keeps the work from going on.
                extra = {"task": name, "error_code": error.code}
                logger.warning("maintenance failed", extra=extra)
                is_left = False
                break
            total += count
            if count < _SLICE:
                is_left = False
                break
        if total:
            logger.info("maintenance", extra={"task": name, "count": total})
        return total, is_left

    def _jobs(self, limit: int, _: Callable[[], bool]) -> int:
        keep = timedelta(days=self._context.settings.keep_jobs_days)
        return self._context.storage.jobs.prune(self._context.now() - keep, limit)

    def _events(self, limit: int, _: Callable[[], bool]) -> int:
        keep = timedelta(days=self._context.settings.keep_events_days)
        return self._context.storage.events.prune(self._context.now() - keep, limit)

    def _requests(self, limit: int, _: Callable[[], bool]) -> int:
        """Forget what Idempotency-Keys of requests were answered with."""
        before = self._context.now() - REQUEST_LIFE
        return self._context.storage.events.forget(REQUEST_KIND, before, limit)

    def _workers(self, limit: int, _: Callable[[], bool]) -> int:
        store, now = self._context.storage.workers, self._context.now()
        ahead = [sign for sign in store.list() if is_ahead(sign.seen_at, now)]
        for sign in ahead:
            # Whoever lives leaves the next one soon.
            store.drop(sign.name)
        return store.prune(now - _DAY, limit) + len(ahead)

    def _moments(self, limit: int, _: Callable[[], bool]) -> int:
        """Let what a clock that ran ahead has written wait no longer than it may."""
        context = self._context
        now, store = context.now(), context.storage
        latest = now + longest_look(context)
        count = store.enrollments.bound_due(latest, limit)
        for name, queue in (("jobs", store.jobs), ("events", store.events)):
            more, self._seen[name] = queue.bound_ahead(now, limit, self._seen.get(name))
            count += more
        return count


def longest_look(context: Context) -> timedelta:
    """Return how far ahead the next look at an enrollment may be owed."""
    settings, policy = context.settings, context.settle_policy
    return timedelta(
        seconds=max(
            settings.session_ttl_s + policy.session_margin_s,
            policy.processing_look_s,
            policy.grace_s,
            settings.lease_s,
            *context.retry_policy.schedule_s,
        )
    )
