# SPDX-License-Identifier: MIT
"""What an operator does about jobs: retry one, requeue many, bury what is hopeless."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ...errors import NotFoundError, ValidationError
from ...models import Actor, Job, JobState, TryError, walk
from ...models.jobs import SYNC_KIND
from .. import audit, validate
from ..settle.effects import sync_key, sync_payload


if TYPE_CHECKING:
    from ...interfaces import JobStore
    from ..context import Context

_MAX_JOBS = 100_000
#: The slowest useful rate.
_MIN_PER_S = 0.001
_PAGE = 200


class Jobs:
    """Operators' actions on the jobs and events of one SDK. Thread-safe."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def get(self, name: str) -> Job:
        """See `Admin.job`."""
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

    def retry(self, name: str, *, by: Actor | None) -> None:
        """See `Admin.retry`."""
        key, now = self._key_of(name), self._context.now()
        retried = any(store.retry(key, now) for store in self._stores())
        if not (retried or self._looks_again(name, now)):
            raise NotFoundError("there is nothing to retry", field="id")
        audit.write(self._context, by, "retry_job", key)

    def bury(self, name: str, *, by: Actor) -> None:
        """See `Admin.bury`."""
        key, now = self._key_of(name), self._context.now()
        error = TryError(
            at=now, try_number=0, code="operator", cause=by.reason, worker=by.name
        )
        if not any(store.bury_due(key, now, error) for store in self._stores()):
            raise NotFoundError("no job with this name is waiting", field="id")
        audit.write(self._context, by, "bury_job", key)

    def requeue(
        self,
        limit: int,
        *,
        kind: str | None,
        code: str | None,
        per_s: float | None,
        by: Actor | None,
        tell: Callable[[int], None],
    ) -> int:
        """See `Admin.requeue`."""
        validate.whole(limit, "limit", most=_MAX_JOBS)
        rate = None if per_s is None else validate.seconds(per_s, "per_s")
        if rate is not None and not _MIN_PER_S <= rate <= _MAX_JOBS:
            raise ValidationError(
                f"per_s: must be from {_MIN_PER_S} to {_MAX_JOBS}", field="per_s"
            )
        began, done = self._context.now(), 0
        subject = kind or code or "all"
        with audit.acting(self._context, by, "requeue_jobs", subject) as result:
            result["count"] = 0
            for store, job in self._dead(kind, code):
                if done >= limit:
                    break
                now = self._context.now()
                wait = timedelta(seconds=done / per_s if per_s else 0)
                if store.retry(job.key, now, due_at=max(began + wait, now)):
                    done += 1
                    result["count"] = done
                    tell(done)
        return done

    def count_dead(self, *, kind: str | None, code: str | None) -> int:
        """See `Admin.count_dead`."""
        return sum(1 for _ in self._dead(kind, code))

    def _dead(
        self, kind: str | None, code: str | None
    ) -> Iterator[tuple[JobStore, Job]]:
        """Yield dead jobs as listed; those requeued meanwhile leave the list."""
        for store in self._stores():
            find = store.list
            for job in walk(
                lambda cursor, find=find: find(  # type: ignore[misc]  # bound now
                    state=JobState.DEAD, kind=kind, limit=_PAGE, cursor=cursor
                )
            ):
                if code in (None, job.outcome):
                    yield store, job

    def _stores(self) -> tuple[JobStore, JobStore]:
        return self._context.storage.jobs, self._context.storage.events

    def _key_of(self, name: str) -> str:
        row = self._context.storage.enrollments.find(name)
        return sync_key(row.email, row.course_id) if row else name
