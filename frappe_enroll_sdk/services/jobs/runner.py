# SPDX-License-Identifier: MIT
"""
Running claimed work: due enrollments, payment events, sync jobs, plugins' jobs.

One claim is run by one thread; its end is one fenced write. Whatever raises gets its
verdict in one place (``verdict.py``); nothing is lost, because whatever is not written
down is claimed again when its lease lapses.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import attrs

from ... import wall
from ...errors import (
    EnrollError,
    LeaseLostError,
    RejectedError,
    StorageUnavailableError,
)
from ...metrics import JOB_SECONDS, JOBS, TRIES
from ...models import Enrollment, Job, JobEnd, JobState, LMSStatus, TryError
from ...models.jobs import EVENT_KIND
from ...outcomes import Outcome, Retry
from ..alerts import owe_death, raise_alert
from ..context import worker_name
from ..settle.decision import Wish
from .breaker import PAYMENTS, Breakers, code_of
from .claim import BudgetSpentError, Claim
from .completion import Completer, through_flicker
from .verdict import (
    End,
    Ended,
    Verdict,
    by_host,
    verdict_of_error,
    verdict_of_outcome,
)


if TYPE_CHECKING:
    from ...interfaces import JobStore
    from ..context import Context
    from ..settle.settle import Settle
    from .plugin_jobs import PluginJobs

logger = logging.getLogger(__name__)

#: Outcomes of a payment event that have their own state.
_EVENT_STATES = {
    "quarantined": JobState.QUARANTINED,
    "ignored": JobState.IGNORED,
}


@attrs.frozen(kw_only=True)
class Handler:
    """
    How the SDK's own jobs of one kind are run.

    Attributes:
        run: Does the work.
        backend: Whose breaker decides whether a failure is the job's fault, or None.
        is_gated: Whether that breaker admits each job.
        owe_again: Called with a lost claim that may have had effects.
        report: Called with a job that will be retried, or is dead.
    """

    run: Callable[[Claim], Outcome]
    backend: str | None = None
    is_gated: bool = False
    owe_again: Callable[[Claim], object] | None = None
    report: Callable[[Job, LMSStatus], object] | None = None


class Runner:
    """Runs one claim at a time, on the caller's thread. Thread-safe."""

    def __init__(
        self,
        context: Context,
        settle: Settle,
        breakers: Breakers,
        handlers: Mapping[str, Handler],
        plugin_jobs: PluginJobs,
    ) -> None:
        self._context, self._settle, self._breakers = context, settle, breakers
        self._handlers = handlers
        self._plugins = Handler(run=plugin_jobs.run)
        self._completer = Completer()

    def run_due(self, row: Enrollment) -> End:
        """Settle a claimed enrollment; return its end."""
        try:
            with wall.bounded(self._context.settings.job_timeout_s):
                wall.contained("settling", self._settle.run, row.id, wish=Wish.DUE)
        except StorageUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001  put off, like every failure
            return self._put_off(row, error)
        return End.DONE

    def _put_off(self, row: Enrollment, error: Exception) -> End:
        """Put off an enrollment that can't be settled now; it is never given up."""
        down = self._breakers.is_down(PAYMENTS, error)
        policy = self._context.retry_policy
        wait_s = (
            self._context.gate_policy.closed_s
            if down
            else policy.pause_s(row.tries, chance=self._chance())
        )
        logger.warning(
            "enrollment put off",
            extra={"enrollment_id": row.id, "error_code": code_of(error)},
        )
        if row.tries == len(policy.schedule_s):
            raise_alert(self._context, "enrollment_stuck", row.id, row.version)
        due_at = self._context.now() + timedelta(seconds=wait_s)
        self._context.storage.enrollments.clear_due(
            row.id, row.version, due_at, ok=False
        )
        return End.SNOOZE if down else End.RETRY

    def run(
        self,
        store: JobStore,
        job: Job,
        *,
        budget_s: float | None = None,
        admitted: bool = False,
    ) -> Ended:
        """
        Run a claimed job or event and write its end.

        Args:
            store: Its store.
            job: The job as claimed.
            budget_s: Seconds for inline work, or None for no limit.
            admitted: Whether the LMS's breaker has already admitted it.
        """
        began = self._context.monotonic()
        claim = Claim(self._context, store, job, budget_s=budget_s)
        # Inline, a hook may need the request's own thread; the server's time-out
        # applies.
        limit_s = self._context.settings.job_timeout_s if budget_s is None else None
        with wall.bounded(limit_s):
            verdict = self._refuse(job, admitted=admitted) or self._try(claim)
            end = self._write(claim, verdict)
            if end is End.LOST:
                self._heal(claim)
        spent_s = self._context.monotonic() - began
        self._measure(job, end, verdict.code, spent_s)
        rows = () if end is End.LOST else verdict.enrollments
        return Ended(end=end, code=verdict.code, enrollments=rows)

    def _handler_of(self, job: Job) -> Handler:
        return self._handlers.get(job.kind, self._plugins)

    def _measure(self, job: Job, end: End, code: str, spent_s: float) -> None:
        metrics, outcome = self._context.metrics, str(end)
        metrics.count(JOBS, kind=job.kind, outcome=outcome)
        metrics.observe(JOB_SECONDS, spent_s, kind=job.kind)
        if end is not End.SNOOZE:
            metrics.count(TRIES, kind=job.kind)
        failed = end in {End.DEAD, End.LOST, End.RETRY}
        logger.log(
            logging.WARNING if failed else logging.INFO,
            "job ended",
            extra={
                "job": job.key,
                "kind": job.kind,
                "tries": job.tries,
                "outcome": outcome,
                "error_code" if failed else "result": code,
                "duration_s": round(spent_s, 3),
            },
        )

    def _refuse(self, job: Job, *, admitted: bool) -> Verdict | None:
        """Return why the job must not run; None = it may."""
        if self._is_exhausted(job):
            cause = "its last try never ended: the worker died or stalled"
            return Verdict(end=End.DEAD, code="tries_exhausted", cause=cause)
        handler = self._handler_of(job)
        if not handler.is_gated or handler.backend is None:
            return None
        if admitted and handler.backend != PAYMENTS:
            return None
        answer = self._breakers.admit(handler.backend, 1)
        if answer.probe and self._breakers.probe(handler.backend):
            answer = self._breakers.admit(handler.backend, 1)
        if answer.admitted:
            return None
        now, closed_s = self._context.now(), self._context.gate_policy.closed_s
        retry_at = answer.retry_at or now + timedelta(seconds=closed_s)
        wait_s = max((retry_at - now).total_seconds(), 0.1)
        return Verdict(end=End.SNOOZE, wait_s=wait_s, code="gate")

    def _is_exhausted(self, job: Job) -> bool:
        last = job.errors[-1] if job.errors else None
        if last is not None and last.try_number == job.tries - 1:
            if not job.recovered:
                # Its end was a retry, perhaps by the host's policy rather than ours.
                return False
            wait_s = self._context.plugins.decide_retry(job, last.code, last.try_number)
            if wait_s is not None:
                return wait_s < 0
        return self._context.retry_policy.is_exhausted(job.tries)

    def _try(self, claim: Claim) -> Verdict:
        try:
            handler = self._handler_of(claim.job)
            outcome = wall.contained(claim.job.kind, handler.run, claim)
        except BudgetSpentError:
            return Verdict(end=End.SNOOZE, code="budget")
        except (LeaseLostError, StorageUnavailableError) as error:
            return Verdict(end=End.LOST, code=error.code)
        except Exception as error:  # noqa: BLE001  judged below
            return self._verdict_of(claim.job, error)
        verdict = verdict_of_outcome(
            outcome,
            tries=claim.job.tries,
            policy=self._context.retry_policy,
            chance=self._chance(),
        )
        # A handler that gives a time has decided.
        if isinstance(outcome, Retry) and outcome.after_s is None:
            return self._ask_host(claim.job, verdict)
        return verdict

    def _verdict_of(self, job: Job, error: Exception) -> Verdict:
        if not isinstance(error, EnrollError):
            logger.error(
                "job failed unexpectedly", exc_info=error, extra={"job": job.key}
            )
        backend = self._handler_of(job).backend
        verdict = verdict_of_error(
            error,
            tries=job.tries,
            backend_down=backend is not None and self._breakers.is_down(backend, error),
            policy=self._context.retry_policy,
            gate_closed_s=self._context.gate_policy.closed_s,
            chance=self._chance(),
        )
        if isinstance(error, RejectedError) or verdict.end is End.SNOOZE:
            return verdict
        return self._ask_host(job, verdict)

    def _chance(self) -> float:
        return self._context.ambient.uniform(0, 1)

    def _ask_host(self, job: Job, verdict: Verdict) -> Verdict:
        wait_s = self._context.plugins.decide_retry(job, verdict.code, job.tries)
        return by_host(verdict, wait_s)

    def _write(self, claim: Claim, verdict: Verdict) -> End:
        """Write the end, if the claim still holds; return the actual end."""
        if verdict.end is End.LOST:
            return End.LOST
        if verdict.end in {End.RETRY, End.DEAD}:
            self._tell_trouble(claim.job, verdict)

        now = self._context.now()

        def write() -> bool:
            return self._end(claim, verdict, now)

        # Somebody waits for inline work; the lease lapses, and a worker continues.
        return verdict.end if _written(write, claim) else End.LOST

    def _end(self, claim: Claim, verdict: Verdict, now: datetime) -> bool:
        store, job, token = claim.store, claim.job, claim.token
        due_at = now + timedelta(seconds=verdict.wait_s)
        if verdict.end is End.DONE:
            states = _EVENT_STATES if job.kind == EVENT_KIND else {}
            end = JobEnd(
                token=token,
                seq=job.seq,
                state=states.get(verdict.code, JobState.DONE),
                outcome=verdict.cause or verdict.code,
                data=claim.data if claim.has_news else {},
            )
            return self._completer.complete(store, job, end, now) is not None
        if not claim.keep():
            return False
        snoozes = verdict.end is End.SNOOZE
        if snoozes and not verdict.cause:
            return store.reschedule(token, due_at, now, counts=False)
        error = TryError(
            at=now,
            # A try that only waits does not count.
            try_number=job.tries - snoozes,
            code=verdict.code,
            cause=verdict.cause,
            worker=worker_name(),
        )
        if snoozes:
            return store.reschedule(token, due_at, now, error=error, counts=False)
        if verdict.end is End.DEAD:
            owe_death(self._context, job, error)
            return store.bury(token, job.seq, now, error)
        return store.reschedule(token, due_at, now, error=error)

    def _heal(self, claim: Claim) -> None:
        """Have the effects of a lost claim looked at again."""
        owe_again = self._handler_of(claim.job).owe_again
        if owe_again is None or not (claim.wrote or claim.has_news):
            return

        def owe() -> bool:
            owe_again(claim)
            return True

        try:
            _written(owe, claim)
        except EnrollError as error:
            # An insert is recorded before it begins, so looks at it remain due.
            extra = {"job": claim.job.key, "error_code": error.code}
            logger.warning("healing not owed", extra=extra)

    def _tell_trouble(self, job: Job, verdict: Verdict) -> None:
        """Report the trouble on the enrollments, and to the observers."""
        dead = verdict.end is End.DEAD
        report = self._handler_of(job).report
        if report is not None and job.payload is not None:
            try:
                report(job, LMSStatus.DEAD if dead else LMSStatus.RETRYING)
            except (EnrollError, KeyError):
                # The job's own end matters more than reporting it.
                logger.exception("status not shown", extra={"job": job.key})
        hook = "on_job_dead" if dead else "on_job_retried"
        self._context.plugins.notify(hook, job=job, cause=verdict.cause)


def _written(write: Callable[[], bool], claim: Claim) -> bool:
    if claim.is_inline:
        return write()
    return through_flicker(write, claim.sleep)
