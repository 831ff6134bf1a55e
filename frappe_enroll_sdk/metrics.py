# SPDX-License-Identifier: MIT
"""
What is measured, and the protocol of whatever keeps the measurements.

The names are a contract. Numbers of the queue (depth, age, gates, dead jobs) are not
pushed: they are read from `EnrollSDK.admin.stats()` when somebody asks.
"""

from __future__ import annotations

from typing import Protocol

import attrs


@attrs.frozen
class Measure:
    """
    One measurement.

    Attributes:
        name: Its name, without the adapter's prefix.
        kind: "counter" or "histogram" (of seconds).
        labels: Names of its labels.
        about: What it counts.
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
    """Whatever keeps measurements. Called from many threads; must not raise."""

    def count(self, measure: Measure, **labels: str) -> None:
        """Count one."""
        ...

    def observe(self, measure: Measure, seconds: float, **labels: str) -> None:
        """Add a duration to a histogram."""
        ...


class NoMetrics:
    """Keeps nothing."""

    def count(self, measure: Measure, **labels: str) -> None:
        """Do nothing."""

    def observe(self, measure: Measure, seconds: float, **labels: str) -> None:
        """Do nothing."""
