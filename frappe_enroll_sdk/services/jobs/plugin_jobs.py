# SPDX-License-Identifier: MIT
"""Running the jobs of plugins: what a handler is called with, and what it answered."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ... import wall
from ...answers import outcome_answer
from ...errors import PluginFailedError, ValidationError
from ...models import Job
from ...outcomes import Dead, FactContext, JobContext, Outcome
from ..alerts import ALERT, DEATH, alert_context, death_context, raise_alert


if TYPE_CHECKING:
    from ...models import Affiliate, Grant, LedgerRow
    from ...outcomes import AnyContext
    from ...plugins import Handler
    from ..catalogue import Catalogue
    from ..context import Context
    from .claim import Claim

logger = logging.getLogger(__name__)


class PluginJobs:
    """Runs plugins' handlers. Thread-safe."""

    def __init__(self, context: Context, catalogue: Catalogue) -> None:
        self._context, self._catalogue = context, catalogue

    def run(self, claim: Claim) -> Outcome:
        """
        Run the handler of a claimed job.

        Raises:
            ValidationError: The handler did not return an outcome.
        """
        job = claim.job
        handler = self._context.plugins.handler(job.kind)
        if handler is None:
            return Dead(f"no plugin handles jobs of kind {job.kind!r}")
        context = self._context_of(job)
        if context is None:
            return Dead("the subject of the job is gone")
        if isinstance(context, Outcome):
            return context
        answer = self._call(job, handler, context)
        try:
            return outcome_answer(job.kind, answer)
        except PluginFailedError as error:
            raise ValidationError(str(error), field="outcome") from error

    def _call(self, job: Job, handler: Handler, context: AnyContext) -> object:
        name = f"the handler of {job.kind!r}"
        try:
            return wall.call(name, handler, context)
        except PluginFailedError as error:
            if error.code == "plugin_hangs":
                logger.error("handler hangs", extra={"job": job.key})  # noqa: TRY400  no traceback: it has not ended
                raise_alert(self._context, "job_hangs", job.key, job.token)
            raise

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
            if row is None:
                return None
            url = self._catalogue.url_of(row.course_id)
            return JobContext(job=job, enrollment=row, fact=fact, course_url=url)
        if subject is None:
            return None
        name = subject.course_id
        return FactContext(
            job=job,
            subject=subject,
            fact=fact,
            affiliate=affiliate,
            course_url=self._catalogue.url_of(name) if name else "",
        )
