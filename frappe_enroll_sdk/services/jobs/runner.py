# SPDX-License-Identifier: MIT
"""
Running claimed work: due enrollments, payment events, sync jobs, plugins' jobs.

One claim is run by one thread; its end is one fenced write. Whatever raises is judged
in one place (``judge.py``); nothing is lost, because whatever is not written down is
claimed again when its lease lapses.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ... import wall
from ...codec import load
from ...errors import (
    BlindKeyError,
    EnrollError,
    LeaseLostError,
    RejectedError,
    StorageUnavailableError,
)
from ...metrics import JOB_SECONDS, JOBS, TRIES
from ...models import (
    Enrollment,
    Job,
    JobEnd,
    JobState,
    LMSStatus,
    PaymentEvent,
    TryError,
)
from ...outcomes import Done, Outcome, Retry
from ...stores.queue import EVENT_KIND, REQUEST_KIND
from ..alerts import owe_death, raise_alert
from ..context import worker_name
from ..settle.beside import REFUND_KIND
from ..settle.decision import Wish
from ..settle.settle import PAIR_KIND
from .claim import BudgetSpentError, Claim
from .completion import Ender, through_flicker
from .plugin_jobs import PluginJobs
from .verdict import Verdict, by_host, exhausted, judge_error, judge_outcome, needs_ping


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...interfaces import JobStore
    from ..context import Context
    from ..lms.sync import SyncHandler
    from ..payments.apply import EventHandler
    from ..settle.settle import Settle

logger = logging.getLogger(__name__)

LMS_GATE, _PAYMENTS = "lms", "payments"
SYNC_KIND = "sync"
#: Kinds of job that ask the payment provider, beside its events.
_AT_PROVIDER = frozenset({PAIR_KIND, REFUND_KIND})
_BACKENDS = {
    SYNC_KIND: LMS_GATE,
    EVENT_KIND: _PAYMENTS,
    **dict.fromkeys(_AT_PROVIDER, _PAYMENTS),
}


class Runner:
    """Runs one claim at a time, on the caller's thread. Thread-safe."""

    def __init__(
        self,
        context: Context,
        settle: Settle,
        sync: SyncHandler,
        events: EventHandler,
        own: Mapping[str, Callable[[Job], Outcome]],
    ) -> None:
        self._context = context
        self._settle, self._sync, self._events = settle, sync, events
        self._own = own
        self._plugin_jobs = PluginJobs(context)
        self._ender = Ender()

    def run_due(self, row: Enrollment) -> str:
        """Settle a claimed enrollment; return what became of it."""
        try:
            with wall.bounded(self._context.settings.job_timeout_s):
                wall.contained("settling", self._settle, row.id, wish=Wish.DUE)
        except StorageUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001  put off, like every failure
            return self._put_off(row, error)
        return "done"

    def _put_off(self, row: Enrollment, error: Exception) -> str:
        """An enrollment that can't be settled now is never given up."""
        down = self._is_down(_PAYMENTS, error)
        schedule = self._context.retry_policy.schedule_s
        wait_s = schedule[min(max(row.tries, 1), len(schedule)) - 1]
        if down:
            wait_s = self._context.gate_policy.closed_s
        logger.warning(
            "enrollment put off",
            extra={"enrollment_id": row.id, "error_code": _code(error)},
        )
        if row.tries == len(schedule):
            raise_alert(self._context, "enrollment_stuck", row.id, row.version)
        due_at = self._context.now() + timedelta(seconds=wait_s)
        self._context.storage.enrollments.clear_due(
            row.id, row.version, due_at, ok=False
        )
        return "snooze" if down else "retry"

    def run(
        self,
        store: JobStore,
        job: Job,
        *,
        budget_s: float | None = None,
        admitted: bool = False,
    ) -> tuple[str, str]:
        """
        Run a claimed job or event and write its end.

        Args:
            store: Where it lives.
            job: The job as claimed.
            budget_s: Seconds of inline work, or None for no bound.
            admitted: Whether the gate of its backend was asked already.

        Returns:
            The action ("done", "retry", "snooze", "dead" or "lost") and its code.
        """
        began = self._context.monotonic()
        claim = Claim(self._context, store, job, budget_s=budget_s)
        # Inline, a hook may need the request's own thread: the server has the time-out.
        limit_s = self._context.settings.job_timeout_s if budget_s is None else None
        with wall.bounded(limit_s):
            verdict = self._refuse(job, admitted=admitted) or self._try(claim)
            action = self._write(claim, verdict)
            if action == "lost":
                self._heal(claim)
        spent_s = self._context.monotonic() - began
        self._measure(job, action, verdict.code, spent_s)
        return action, verdict.code

    def _measure(self, job: Job, action: str, code: str, spent_s: float) -> None:
        metrics = self._context.metrics
        metrics.count(JOBS, kind=job.kind, outcome=action)
        metrics.observe(JOB_SECONDS, spent_s, kind=job.kind)
        if action != "snooze":
            metrics.count(TRIES, kind=job.kind)
        failed = action in {"dead", "lost", "retry"}
        logger.log(
            logging.WARNING if failed else logging.INFO,
            "job ended",
            extra={
                "job": job.key,
                "kind": job.kind,
                "tries": job.tries,
                "outcome": action,
                "error_code" if failed else "result": code,
                "duration_s": round(spent_s, 3),
            },
        )

    def _refuse(self, job: Job, *, admitted: bool) -> Verdict | None:
        """Return what keeps the job from running; None = go on."""
        if self._is_exhausted(job):
            cause = "its last try never ended: the worker died or stalled"
            return Verdict(action="dead", code="tries_exhausted", cause=cause)
        if job.kind in _AT_PROVIDER:
            return self._refuse_closed(_PAYMENTS)
        if admitted or job.kind != SYNC_KIND:
            return None
        now, policy = self._context.now(), self._context.gate_policy
        answer = self._context.storage.gates.admit(LMS_GATE, 1, now, policy)
        if answer.probe and self.probe(LMS_GATE):
            answer = self._context.storage.gates.admit(LMS_GATE, 1, now, policy)
        if answer.admitted:
            return None
        retry_at = answer.retry_at or now + timedelta(seconds=policy.closed_s)
        wait_s = max((retry_at - now).total_seconds(), 0.1)
        return Verdict(action="snooze", wait_s=wait_s, code="gate")

    def _refuse_closed(self, backend: str) -> Verdict | None:
        """Return what keeps a job from asking a backend whose gate is closed."""
        now, policy = self._context.now(), self._context.gate_policy
        answer = self._context.storage.gates.admit(backend, 0, now, policy)
        if answer.retry_at is None or (answer.probe and self.probe(backend)):
            return None
        wait_s = max((answer.retry_at - now).total_seconds(), 0.1)
        return Verdict(action="snooze", wait_s=wait_s, code="gate")

    def _is_exhausted(self, job: Job) -> bool:
        last = job.errors[-1] if job.errors else None
        if last is not None and last.try_number == job.tries - 1:
            if not job.recovered:
                # Its end said retry, and maybe by a host's policy, not by ours.
                return False
            wait_s = self._context.plugins.decide_retry(job, last.code, last.try_number)
            if wait_s is not None:
                return wait_s < 0
        return exhausted(job.tries, self._context.retry_policy)

    def probe(self, backend: str) -> bool:
        """Ping a backend and report to its gate; True = it works."""
        gateway = self._context.lms if backend == LMS_GATE else self._context.payments
        try:
            wall.contained(f"{backend}'s ping", gateway.ping)
        except Exception as error:  # noqa: BLE001  whatever it is: not well
            self._report(backend, ok=False, code=_code(error))
            return False
        self._report(backend, ok=True, code="")
        return True

    def _report(self, backend: str, *, ok: bool, code: str) -> None:
        now, policy = self._context.now(), self._context.gate_policy
        changed = self._context.storage.gates.report(
            backend, ok=ok, now=now, policy=policy
        )
        if changed and not ok:
            logger.error("gate closed", extra={"backend": backend, "error_code": code})
            raise_alert(self._context, "backend_down", backend)

    def _try(self, claim: Claim) -> Verdict:
        try:
            outcome = wall.contained(claim.job.kind, self._handle, claim)
        except BudgetSpentError:
            return Verdict(action="snooze", code="budget")
        except (LeaseLostError, StorageUnavailableError) as error:
            return Verdict(action="lost", code=error.code)
        except Exception as error:  # noqa: BLE001  judged below
            return self._judge(claim.job, error)
        policy = self._context.retry_policy
        verdict = judge_outcome(
            outcome, tries=claim.job.tries, policy=policy, chance=self._chance()
        )
        # A handler that names its time has decided.
        if isinstance(outcome, Retry) and outcome.after_s is None:
            return self._ask_host(claim.job, verdict)
        return verdict

    def _handle(self, claim: Claim) -> Outcome:
        job = claim.job
        if job.kind == SYNC_KIND:
            return self._sync(claim)
        if job.kind == EVENT_KIND:
            payload = job.payload or {}
            return self._events(load(PaymentEvent, payload.get("event")), payload)
        if job.kind == REQUEST_KIND:
            # The process that answered it has died: the caller's next try goes on.
            return Done("lapsed")
        if job.kind in self._own:
            return self._own[job.kind](job)
        return self._plugin_jobs(job)

    def _judge(self, job: Job, error: Exception) -> Verdict:
        if not isinstance(error, EnrollError):
            logger.error(
                "job failed unexpectedly", exc_info=error, extra={"job": job.key}
            )
        backend = _BACKENDS.get(job.kind)
        down = backend is not None and self._is_down(backend, error)
        verdict = judge_error(
            error,
            tries=job.tries,
            backend_down=down,
            policy=self._context.retry_policy,
            gate_closed_s=self._context.gate_policy.closed_s,
            chance=self._chance(),
        )
        if isinstance(error, RejectedError) or verdict.action == "snooze":
            return verdict
        return self._ask_host(job, verdict)

    def _chance(self) -> float:
        return self._context.ambient.uniform(0, 1)

    def _ask_host(self, job: Job, verdict: Verdict) -> Verdict:
        wait_s = self._context.plugins.decide_retry(job, verdict.code, job.tries)
        return by_host(verdict, wait_s)

    def _is_down(self, backend: str, error: Exception) -> bool:
        if isinstance(error, BlindKeyError):
            self._report(backend, ok=False, code=error.code)
            return True
        if not needs_ping(error):
            return False
        # Where somebody else has found it down, one ping less is better. Only a ping
        # opens a gate: whoever comes once its time is over sends one.
        now, policy = self._context.now(), self._context.gate_policy
        answer = self._context.storage.gates.admit(backend, 0, now, policy)
        if answer.retry_at is not None and not answer.probe:
            return True
        return not self.probe(backend)

    def _write(self, claim: Claim, verdict: Verdict) -> str:
        """Write the end, if the claim still stands; return what became of it."""
        if verdict.action == "lost":
            return "lost"
        if verdict.action in {"retry", "dead"}:
            self._tell_trouble(claim.job, verdict)

        now = self._context.now()

        def write() -> bool:
            return self._end(claim, verdict, now)

        # Inline work has somebody waiting; the lease lapses, and a worker goes on.
        return verdict.action if _written(write, claim) else "lost"

    def _end(self, claim: Claim, verdict: Verdict, now: datetime) -> bool:
        store, job, token = claim.store, claim.job, claim.token
        due_at = now + timedelta(seconds=verdict.wait_s)
        if verdict.action == "done":
            states = _END_STATES if job.kind == EVENT_KIND else {}
            state = states.get(verdict.code, JobState.DONE)
            word = verdict.cause or verdict.code
            end = JobEnd(
                token=token,
                seq=job.seq,
                state=state,
                outcome=word,
                data=claim.data if claim.has_news else {},
            )
            return self._ender.complete(store, job, end, now) is not None
        if not claim.keep():
            return False
        if verdict.action == "snooze":
            return store.reschedule(token, due_at, now, counts=False)
        error = TryError(
            at=now,
            try_number=job.tries,
            code=verdict.code,
            cause=verdict.cause,
            worker=worker_name(),
        )
        if verdict.action == "dead":
            owe_death(self._context, job, error)
            return store.bury(token, job.seq, now, error)
        return store.reschedule(token, due_at, now, error=error)

    def _heal(self, claim: Claim) -> None:
        """The claim is somebody else's: whatever we did in the LMS is looked at."""
        if claim.job.kind != SYNC_KIND or not (claim.wrote or claim.has_news):
            return

        def owe() -> bool:
            self._sync.owe_again(claim)
            return True

        try:
            _written(owe, claim)
        except EnrollError as error:
            # An insert was written down before it began: looks at it stay owed.
            extra = {"job": claim.job.key, "error_code": error.code}
            logger.warning("healing not ordered", extra=extra)

    def _tell_trouble(self, job: Job, verdict: Verdict) -> None:
        """Show the trouble on the enrollments, and to the observers."""
        dead = verdict.action == "dead"
        if job.kind == SYNC_KIND and job.payload is not None:
            try:
                status = LMSStatus.DEAD if dead else LMSStatus.RETRYING
                self._sync.report(job.payload, status)
            except (EnrollError, KeyError):
                # The job's own end matters more than its reflection.
                logger.exception("status not shown", extra={"job": job.key})
        hook = "on_job_dead" if dead else "on_job_retried"
        self._context.plugins.notify(hook, job=job, cause=verdict.cause)


#: Ends of a payment event that are states of their own.
_END_STATES = {
    "quarantined": JobState.QUARANTINED,
    "ignored": JobState.IGNORED,
}


def _code(error: Exception) -> str:
    return error.code if isinstance(error, EnrollError) else type(error).__name__


def _written(write: Callable[[], bool], claim: Claim) -> bool:
    if claim.is_inline:
        return write()
    return through_flicker(write, claim.sleep)
