# SPDX-License-Identifier: MIT
"""
What is measured, and the protocol of whatever keeps the measurements.

The names are a contract. Numbers of the queue (depth, age, gates, dead jobs) are not
pushed: they are read from `EnrollSDK.admin.stats()` when somebody asks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

import attrs

from . import wall


__all__ = (
    "ALERTS",
    "ENROLLMENTS",
    "EVENTS",
    "JOBS",
    "JOB_SECONDS",
    "LMS_SECONDS",
    "MEASURES",
    "TRIES",
    "Measure",
    "Metrics",
    "NoMetrics",
)


logger = logging.getLogger(__name__)


@attrs.frozen
class Measure:
    """
    A metric.

    Attributes:
        name: Its name, without the adapter's prefix.
        kind: "counter" or "histogram" (of seconds).
        labels: Names of its labels.
        about: What it measures.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    about: str


JOBS = Measure(
    "jobs_total",
    "counter",
    ("kind", "outcome"),
    "Ends of tries by kind of job: done, retry, snooze, dead, lost",
)
TRIES = Measure("tries_total", "counter", ("kind",), "Tries that count against a job")
JOB_SECONDS = Measure(
    "job_seconds", "histogram", ("kind",), "Seconds from the claim's begin to its end"
)
LMS_SECONDS = Measure(
    "lms_call_seconds",
    "histogram",
    ("verb", "outcome"),
    "Seconds of one call to the LMS, by verb and ok or the error's code",
)
EVENTS = Measure("events_total", "counter", ("outcome",), "Webhooks by their outcome")
ENROLLMENTS = Measure(
    "enrollment_facts_total",
    "counter",
    ("fact",),
    "Facts: coupon_reserved, coupon_redeemed, coupon_released, payment_confirmed, "
    "payment_failed, payment_refunded, enrolled, enrollment_revoked",
)
ALERTS = Measure("alerts_total", "counter", ("code",), "Alerts by their code")

MEASURES = (JOBS, TRIES, JOB_SECONDS, LMS_SECONDS, EVENTS, ENROLLMENTS, ALERTS)


class Metrics(Protocol):
    """Records measurements. Called from many threads; must not raise."""

    def count(self, measure: Measure, **labels: str) -> None:
        """Increment a counter."""
        ...

    def observe(self, measure: Measure, seconds: float, **labels: str) -> None:
        """Add a duration to a histogram."""
        ...


class SafeMetrics:
    """Isolated metrics: an error in them is logged and affects nothing else."""

    def __init__(self, metrics: Metrics, failed: Callable[[str], None]) -> None:
        self._metrics, self._failed = metrics, failed

    def count(self, measure: Measure, **labels: str) -> None:
        """See `Metrics.count`."""
        self._call(self._metrics.count, measure, **labels)

    def observe(self, measure: Measure, seconds: float, **labels: str) -> None:
        """See `Metrics.observe`."""
        self._call(self._metrics.observe, measure, seconds, **labels)

    def _call(self, function: Callable[..., None], *args: Any, **labels: str) -> None:
        try:
            wall.ran("metrics", wall.call("metrics", function, *args, **labels))
        except Exception:
            self._failed("metrics")
            logger.exception("metrics failed")


class NoMetrics:
    """Discards all measurements."""

    def count(self, measure: Measure, **labels: str) -> None:
        """Do nothing."""

    def observe(self, measure: Measure, seconds: float, **labels: str) -> None:
        """Do nothing."""
