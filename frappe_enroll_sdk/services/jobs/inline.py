# SPDX-License-Identifier: MIT
"""
Inline work: the same claims and handlers, at once, within a small budget.

Only an optimisation: whatever does not fit is done by the next worker or cron pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ...errors import EnrollError, StorageUnavailableError
from ...models import Enrollment, Job, Status
from ..context import worker_name
from ..settle.effects import sync_key
from .verdict import End, Ended


if TYPE_CHECKING:
    from ..context import Context
    from .runner import Runner

#: Left to a worker or cron pass.
_LATER = Ended(end=End.SNOOZE, code="queued")


class Inline:
    """Runs one event or one sync on the caller's thread. Thread-safe."""

    def __init__(self, context: Context, runner: Runner) -> None:
        self._context, self._runner = context, runner

    def sync(self, row: Enrollment, *, spent_s: float = 0.0) -> Enrollment:
        """Run the sync of the row's learner and course; return the row afterwards."""
        budget_s = self._context.settings.inline_s - spent_s
        if budget_s <= 0 or row.status is not Status.CONFIRMED:
            return row
        store = self._context.storage
        try:
            job = store.jobs.claim_key(
                sync_key(row.email, row.course_id),
                worker_name(),
                self._context.now(),
                self._context.settings.lease_s,
            )
            if job is not None:
                ended = self._runner.run(store.jobs, job, budget_s=budget_s)
                for settled in ended.enrollments:
                    if settled.id == row.id:
                        return settled
            return store.enrollments.find(row.id) or row
        except StorageUnavailableError:
            # The row is confirmed and its sync enqueued: nothing is lost.
            return row

    def event(self, event: Job) -> Ended:
        """
        Run a stored event, and the sync that it enqueues.

        Returns:
            How it ended, with the enrollments after the sync; the code is "queued" if a
                worker has to continue.
        """
        began = self._context.monotonic()
        settings = self._context.settings
        if settings.inline_s <= 0:
            return _LATER
        events = self._context.storage.events
        job = events.claim_key(
            event.key, worker_name(), self._context.now(), settings.lease_s
        )
        if job is None:
            return _LATER
        ended = self._runner.run(events, job, budget_s=settings.inline_s)
        if ended.end is not End.DONE:
            return _LATER
        rows = tuple(
            self._synced(row, self._context.monotonic() - began)
            for row in ended.enrollments
        )
        return attrs.evolve(ended, enrollments=rows)

    def _synced(self, row: Enrollment, spent_s: float) -> Enrollment:
        try:
            return self.sync(row, spent_s=spent_s)
        except EnrollError:
            # The event is done; the rest of its work is in the store.
            return row
