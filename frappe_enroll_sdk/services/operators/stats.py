# SPDX-License-Identifier: MIT
"""The queue's health: capped numbers, and what they mean."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import attrs

from ...models import EnrollmentStats, JobStats, WorkerSeen
from ..jobs.breaker import BACKENDS


if TYPE_CHECKING:
    from ...settings import Settings
    from ..context import Context
    from ..jobs.heartbeat import Heartbeats
    from .quarantine import Quarantine

_MAX_WORKERS = 20


class Health(StrEnum):
    """The state of the queue."""

    HEALTHY = "healthy"
    WARNING = "warning"
    CRITICAL = "critical"


@attrs.frozen(kw_only=True)
class Stats:
    """
    Capped numbers about the queue.

    Attributes:
        health: Depends on the number of due jobs and events (`FRAPPE_ENROLL_HEALTH_…`);
            also critical if work is due and no worker was seen.
        jobs: Counts of jobs.
        events: Counts of payment events.
        enrollments: Counts of enrollments.
        quarantined: Payments that wait for an operator, among the newest held.
        gates: Whether each backend's gate is open.
        oldest_owed_s: Age in seconds of the oldest enrollment not yet in the LMS.
        done_last_hour: Jobs and events done within the last hour.
        workers: The last signs of life, newest first.
        absent_s: Seconds for which work has been due and no worker seen, if too long.
        lost: By plugin, failed calls of its observers and metrics, in this process and
            in the workers seen; they are not repeated.
        at: When this was counted.
    """

    health: Health
    jobs: JobStats
    events: JobStats
    enrollments: EnrollmentStats
    quarantined: int
    gates: dict[str, bool]
    oldest_owed_s: float | None
    done_last_hour: int
    workers: tuple[WorkerSeen, ...]
    absent_s: float | None
    lost: dict[str, int]
    at: datetime


def health_of(due: int, settings: Settings, *, absent: bool = False) -> Health:
    """Return the health for a number of due jobs and events."""
    if absent or due >= settings.health_critical:
        return Health.CRITICAL
    return Health.WARNING if due >= settings.health_warning else Health.HEALTHY


def take_stats(
    context: Context, heartbeats: Heartbeats, quarantine: Quarantine
) -> Stats:
    """Count; never scan."""
    store, now = context.storage, context.now()
    jobs, events = store.jobs.stats(now), store.events.stats(now)
    enrollments = store.enrollments.stats(now)
    owed_at, absent_s = enrollments.oldest_owed_at, heartbeats.absent_s()
    due = jobs.due_now + events.due_now
    workers = store.workers.list(limit=_MAX_WORKERS)
    return Stats(
        health=health_of(due, context.settings, absent=absent_s is not None),
        jobs=jobs,
        events=events,
        enrollments=enrollments,
        quarantined=quarantine.count(),
        gates={name: store.gates.is_open(name) for name in BACKENDS},
        oldest_owed_s=(now - owed_at).total_seconds() if owed_at else None,
        done_last_hour=jobs.done_last_hour + events.done_last_hour,
        workers=workers,
        absent_s=absent_s,
        lost=heartbeats.lost(workers),
        at=now,
    )
