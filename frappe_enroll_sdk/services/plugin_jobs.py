# SPDX-License-Identifier: MIT
"""Running the jobs of plugins: what a handler is called with, and what it answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ValidationError
from ..models import Job
from ..outcomes import Dead, FactContext, JobContext, Outcome
from .notices import ALERT, DEATH, alert_context, death_context


if TYPE_CHECKING:
    from ..business import Affiliate, Grant, LedgerRow
    from ..outcomes import AnyContext
    from .context import Context


class PluginJobs:
    """Runs plugins' handlers. Thread-safe."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def __call__(self, job: Job) -> Outcome:
        """
        Run a job's handler.

        Raises:
            ValidationError: The handler answered with something else than an outcome.
        """
        handler = self._context.plugins.handler(job.kind)
        if handler is None:
            return Dead(f"no plugin handles jobs of kind {job.kind!r}")
        context = self._context_of(job)
        if context is None:
            return Dead("what the job is about is gone")
        if isinstance(context, Outcome):
            return context
        outcome = handler(context)
        if not isinstance(outcome, Outcome):
            raise ValidationError(
                f"the handler of {job.kind!r} must answer Done, Retry, Snooze or Dead",
                field="outcome",
            )
        return outcome

    def _context_of(self, job: Job) -> AnyContext | Outcome | None:
        payload, store = job.payload or {}, self._context.storage
        fact = str(payload.get("fact"))
        if fact == ALERT:
            return alert_context(job)
        if fact == DEATH:
            return death_context(self._context, job)
        subject: Grant | LedgerRow | None = None
        affiliate: Affiliate | None = None
        if "grant_id" in payload:
            subject = store.grants.find(str(payload["grant_id"]))
        elif "payout_id" in payload:
            names = str(payload["affiliate"]), str(payload["payout_id"])
            subject = next(iter(store.affiliates.rows_of(*names)), None)
            affiliate = store.affiliates.find(names[0])
        else:
            row = store.enrollments.find(str(payload.get("enrollment_id")))
            return JobContext(job=job, enrollment=row, fact=fact) if row else None
        if subject is None:
            return None
        return FactContext(job=job, subject=subject, fact=fact, affiliate=affiliate)
