# SPDX-License-Identifier: MIT
"""
Inline work: the same claims and handlers, at once, within a small budget.

Only an optimisation: whatever does not fit is done by the next worker or cron pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import EnrollError, StorageUnavailableError
from ...models import Enrollment, Job, Status
from ..context import worker_name
from ..settle.effects import sync_key


if TYPE_CHECKING:
    from ..context import Context
    from .runner import Runner


class Inline:
    """Runs one event or one sync on the caller's thread. Thread-safe."""

    def __init__(self, context: Context, runner: Runner) -> None:
        self._context, self._runner = context, runner

    def sync(self, row: Enrollment, *, spent_s: float = 0.0) -> Enrollment:
        """Run the sync of the row's learner and course, and return the row after."""
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
                self._runner.run(store.jobs, job, budget_s=budget_s)
            return store.enrollments.find(row.id) or row
        except StorageUnavailableError:
            # The row is confirmed and its sync owed: nothing is lost.
            return row

    def event(self, event: Job) -> str:
        """Run a stored event, and the sync that it owes; return its outcome."""
        began = self._context.monotonic()
        settings = self._context.settings
        if settings.inline_s <= 0:
            return "queued"
        events = self._context.storage.events
        job = events.claim_key(
            event.key, worker_name(), self._context.now(), settings.lease_s
        )
        if job is None:
            return "queued"
        action, code = self._runner.run(events, job, budget_s=settings.inline_s)
        if action != "done":
            return "queued"
        if code == "processed":
            self._sync_of(job, self._context.monotonic() - began)
        return code

    def _sync_of(self, event: Job, spent_s: float) -> None:
        told = (event.payload or {}).get("event") or {}
        session_id = told.get("session_id")
        if session_id is None:
            return
        try:
            row = self._context.storage.enrollments.find_by_session(session_id)
            if row is not None:
                self.sync(row, spent_s=spent_s)
        except EnrollError:
            # The event is done; what it owes is in the store.
            return
