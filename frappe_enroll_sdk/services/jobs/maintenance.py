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

#: A task: (most rows, whether there is time) -> number of rows handled.
Task = Callable[[int, Callable[[], bool]], int]

#: Rows in one slice: deleting them occupies the store's writer for a few milliseconds.
_SLICE = 500
#: Most slices in one turn.
_MAX_SLICES = 20
#: Seconds between turns: of tasks that work depends on, and of cleanup tasks (which
#: continue at once if one turn was not enough).
EVERY_S, TIDY_EVERY_S = 60.0, 600.0
#: Name of the gate for the turns.
_GATE = "maintenance"
_DAY = timedelta(days=1)


class Maintenance:
    """The tasks by name. Thread-safe."""

    def __init__(self, context: Context) -> None:
        self._context = context
        #: By queue: the cursor where the last look at its claimable jobs ended.
        self._seen: dict[str, str | None] = {}
        self.tasks: dict[str, Task] = {
            "jobs": self._jobs,
            "events": self._events,
            "requests": self._requests,
            "workers": self._workers,
            "moments": self._moments,
        }
        #: Groups of tasks whose turns are taken together: seconds between turns by
        #: task.
        self._every_s = [dict.fromkeys(self.tasks, TIDY_EVERY_S) | {"moments": EVERY_S}]

    def add(self, name: str, task: Task, every_s: float) -> None:
        """Add a task to be done every so many seconds."""
        self.tasks[name] = task
        self._every_s.append({name: every_s})

    def run_owed(self, has_time: Callable[[], bool] = lambda: True) -> dict[str, int]:
        """Do the tasks that are due, while there is time; return each one's count."""
        done, gates = dict[str, int](), self._context.storage.gates
        # A process that dies delays its other turns by one interval, so turns of the
        # rare tasks are not taken early.
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
        """Do one task now, in slices; return its count."""
        return self._run(name, lambda: True)[0]

    def _run(self, name: str, has_time: Callable[[], bool]) -> tuple[int, bool]:
        """Do one task; return its count, and whether there is more to do."""
        total, is_left = 0, True
        for _ in range(_MAX_SLICES):
            if not has_time():
                break
            try:
                count = wall.contained(name, self.tasks[name], _SLICE, has_time)
            except EnrollError as error:
                # Housekeeping errors never stop the work.
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
        """Delete old records of HTTP requests with an Idempotency-Key."""
        before = self._context.now() - REQUEST_LIFE
        return self._context.storage.events.forget(REQUEST_KIND, before, limit)

    def _workers(self, limit: int, _: Callable[[], bool]) -> int:
        store, now = self._context.storage.workers, self._context.now()
        ahead = [sign for sign in store.list() if is_ahead(sign.seen_at, now)]
        for sign in ahead:
            # A living worker soon leaves the next one.
            store.drop(sign.name)
        return store.prune(now - _DAY, limit) + len(ahead)

    def _moments(self, limit: int, _: Callable[[], bool]) -> int:
        """Bound the waits written by a clock that ran ahead."""
        context = self._context
        now, store = context.now(), context.storage
        latest = now + longest_look(context)
        count = store.enrollments.bound_due(latest, limit)
        for name, queue in (("jobs", store.jobs), ("events", store.events)):
            more, self._seen[name] = queue.bound_ahead(now, limit, self._seen.get(name))
            count += more
        return count


def longest_look(context: Context) -> timedelta:
    """Return the longest time until an enrollment may next be due."""
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
