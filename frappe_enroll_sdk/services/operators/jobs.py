# SPDX-License-Identifier: MIT
"""What an operator does about jobs: retry one, requeue many, bury what is hopeless."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ...errors import NotFoundError, ValidationError
from ...models import AuditEntry, Job, JobState, TryError
from .. import validate
from ..settle.effects import SYNC_KIND, sync_key, sync_payload
from .orders import order


if TYPE_CHECKING:
    from ...interfaces import JobStore
    from ..context import Context

_MOST = 100_000
#: The slowest that anybody waits for.
_LEAST_PER_S = 0.001
_PAGE = 200


class JobOrders:
    """The verbs; every one that changes something is written to the audit trail."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def job(self, name: str) -> Job:
        """
        Return a job by its key, an event's id, or an enrollment's id (its sync).

        Raises:
            NotFoundError: There is none by this name.
        """
        key = self._key_of(name)
        for store in self._stores():
            job = store.find(key)
            if job is not None:
                return job
        raise NotFoundError("there is no such job", field="id")

    def _looks_again(self, name: str, now: datetime) -> bool:
        row = self._context.storage.enrollments.find(name)
        if row is None or row.lms_left is None:
            return False
        key, payload = sync_key(row.email, row.course_id), sync_payload(row)
        self._context.storage.jobs.enqueue(key, SYNC_KIND, payload, now, now=now)
        return True

    def retry(self, name: str, *, actor: str = "", reason: str = "") -> None:
        """
        Make one job due now: by its key, an event's id, or an enrollment's id.

        By the id of an enrollment whose row the LMS has kept (`lms_left`), the LMS is
        looked at again: an operator has decided there meanwhile.

        Raises:
            NotFoundError: There is nothing to retry by this name.
        """
        key, now = self._key_of(name), self._context.now()
        retried = any(store.retry(key, now) for store in self._stores())
        if not (retried or self._looks_again(name, now)):
            raise NotFoundError("there is nothing to retry", field="id")
        self._audit("retry_job", key, actor, reason)

    def bury(self, name: str, *, actor: str, reason: str) -> None:
        """
        End a job that waits as dead, with the operator's reason as its cause.

        Raises:
            NotFoundError: No job by this name waits (a running one ends by itself).
            ValidationError: There is no reason.
        """
        actor, reason = validate.words(actor, reason)
        key, now = self._key_of(name), self._context.now()
        error = TryError(
            at=now, try_number=0, code="operator", cause=reason, worker=actor
        )
        if not any(store.bury_due(key, now, error) for store in self._stores()):
            raise NotFoundError("no job by this name waits", field="id")
        self._audit("bury_job", key, actor, reason)

    def requeue(
        self,
        limit: int = 100,
        *,
        kind: str | None = None,
        code: str | None = None,
        per_s: float | None = None,
        actor: str = "",
        reason: str = "",
        tell: Callable[[int], None] = lambda _: None,
    ) -> int:
        """
        Make dead jobs and events due again with all their tries; return how many.

        Args:
            limit: How many at the most.
            kind: Only jobs of this kind (``payment_event`` for events).
            code: Only those that died of this code.
            per_s: How many fall due per second, so that the backends are not flooded;
                None = all at once (the LMS's gate bounds the rate of syncs anyway).
            actor: Who does it, for the audit trail.
            reason: Why, for the audit trail.
            tell: Called with the number after each.

        Raises:
            ValidationError: The limit or the rate is out of bounds.
        """
        validate.whole(limit, "limit", most=_MOST)
        rate = None if per_s is None else validate.seconds(per_s, "per_s")
        if rate is not None and not _LEAST_PER_S <= rate <= _MOST:
            raise ValidationError(
                f"per_s: must be from {_LEAST_PER_S} to {_MOST}", field="per_s"
            )
        began, done = self._context.now(), 0
        subject = kind or code or "all"
        with order(self._context, actor, "requeue_jobs", subject, reason) as told:
            told["count"] = 0
            for store, job in self._dead(kind, code):
                if done >= limit:
                    break
                now = self._context.now()
                wait = timedelta(seconds=done / per_s if per_s else 0)
                if store.retry(job.key, now, due_at=max(began + wait, now)):
                    done += 1
                    told["count"] = done
                    tell(done)
        return done

    def count_dead(self, *, kind: str | None = None, code: str | None = None) -> int:
        """Count the dead jobs and events that `requeue` would take."""
        return sum(1 for _ in self._dead(kind, code))

    def _dead(
        self, kind: str | None, code: str | None
    ) -> Iterator[tuple[JobStore, Job]]:
        """Yield what is dead as it is listed: what is requeued meanwhile leaves it."""
        for store in self._stores():
            cursor = None
            while True:
                page = store.list(
                    state=JobState.DEAD, kind=kind, limit=_PAGE, cursor=cursor
                )
                for job in page.items:
                    if code in (None, job.outcome):
                        yield store, job
                cursor = page.next_cursor
                if cursor is None:
                    break

    def _stores(self) -> tuple[JobStore, JobStore]:
        return self._context.storage.jobs, self._context.storage.events

    def _key_of(self, name: str) -> str:
        row = self._context.storage.enrollments.find(name)
        return sync_key(row.email, row.course_id) if row else name

    def _audit(
        self, action: str, subject: str, actor: str, reason: str, count: int = 1
    ) -> None:
        if not actor:
            return
        self._context.storage.audit.append(
            AuditEntry(
                id=f"aud_{self._context.ambient.token_hex(12)}",
                at=self._context.now(),
                actor=actor,
                action=action,
                subject=subject,
                reason=reason,
                detail={"count": count},
            )
        )
