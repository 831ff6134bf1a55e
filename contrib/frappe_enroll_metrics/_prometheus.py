# SPDX-License-Identifier: MIT
"""
The SDK's metrics for Prometheus, with the prometheus-client package.

Counters and histograms belong to this process; the queue's numbers are read from the
store at each scrape, so all processes report the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from frappe_enroll_sdk.errors import EnrollError, MissingExtraError
from frappe_enroll_sdk.hookspecs import hookimpl
from frappe_enroll_sdk.metrics import ALERTS, ENROLLMENTS, MEASURES, Measure


try:
    from prometheus_client import (
        CollectorRegistry,
        Counter,
        Histogram,
        generate_latest,
        start_http_server,
    )
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.exposition import CONTENT_TYPE_LATEST
except ImportError as error:  # the message is the command that fixes it
    raise MissingExtraError("metrics", "prometheus-client") from error


if TYPE_CHECKING:
    from frappe_enroll_sdk import EnrollSDK
    from frappe_enroll_sdk.services.operators.stats import Stats

PREFIX = "frappe_enroll"
#: Seconds: an LMS call takes 25 ms, a user 800 ms, a time-out 15 s.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60)
_HEALTH = {"healthy": 0, "warning": 1, "critical": 2}


class PrometheusMetrics:
    """
    `Metrics`, and observers that count facts and alerts. Thread-safe.

    Pass it to one SDK as `metrics`; `watch` adds the queue's numbers.

    Attributes:
        registry: The registry of all metrics.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._made: dict[str, Any] = {m.name: self._make(m) for m in MEASURES}

    def _make(self, measure: Measure) -> Counter | Histogram:
        name, labels = f"{PREFIX}_{measure.name}", measure.labels
        if measure.kind == "counter":
            return Counter(name, measure.about, labels, registry=self.registry)
        return Histogram(
            name, measure.about, labels, registry=self.registry, buckets=_BUCKETS
        )

    def count(self, measure: Measure, **labels: str) -> None:
        """See `Metrics.count`."""
        self._made[measure.name].labels(**labels).inc()

    def observe(self, measure: Measure, seconds: float, **labels: str) -> None:
        """See `Metrics.observe`."""
        self._made[measure.name].labels(**labels).observe(seconds)

    def watch(self, sdk: EnrollSDK) -> None:
        """Report the numbers of this SDK's queue at each scrape."""
        self.registry.register(QueueNumbers(sdk))

    def render(self) -> tuple[str, bytes]:
        """Return the content type and body of a scrape."""
        return CONTENT_TYPE_LATEST, generate_latest(self.registry)

    def serve(self, port: int) -> int:
        """Serve scrapes on loopback in a thread; return the port."""
        server, _ = start_http_server(port, addr="127.0.0.1", registry=self.registry)
        return int(server.server_port)

    @hookimpl
    def on_coupon_reserved(self) -> None:
        """Count one."""
        self.count(ENROLLMENTS, fact="coupon_reserved")

    @hookimpl
    def on_coupon_redeemed(self) -> None:
        """Count one."""
        self.count(ENROLLMENTS, fact="coupon_redeemed")

    @hookimpl
    def on_coupon_released(self) -> None:
        """Count one."""
        self.count(ENROLLMENTS, fact="coupon_released")

    @hookimpl
    def on_payment_confirmed(self) -> None:
        """Count one."""
        self.count(ENROLLMENTS, fact="payment_confirmed")

    @hookimpl
    def on_payment_failed(self) -> None:
        """Count one."""
        self.count(ENROLLMENTS, fact="payment_failed")

    @hookimpl
    def on_payment_refunded(self) -> None:
        """Count one."""
        self.count(ENROLLMENTS, fact="payment_refunded")

    @hookimpl
    def on_enrolled(self) -> None:
        """Count one."""
        self.count(ENROLLMENTS, fact="enrolled")

    @hookimpl
    def on_enrollment_revoked(self) -> None:
        """Count one."""
        self.count(ENROLLMENTS, fact="enrollment_revoked")

    @hookimpl
    def on_alert(self, code: str) -> None:
        """Count one."""
        self.count(ALERTS, code=code)


class QueueNumbers:
    """A collector that reads the store at each scrape."""

    def __init__(self, sdk: EnrollSDK) -> None:
        self._sdk = sdk

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return nothing: registering must not read the store."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read the store; while it is down, report only that."""
        up = GaugeMetricFamily(f"{PREFIX}_store_up", "Whether the store answered")
        try:
            stats = self._sdk.admin.stats()
        except EnrollError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from _families(stats)


def _families(stats: Stats) -> Iterator[GaugeMetricFamily]:
    depth = _gauge("queue_depth", "Rows by queue and state, capped", "queue", "state")
    due = _gauge("queue_due", "Rows that can be claimed now, capped", "queue")
    age = _gauge("queue_oldest_due_seconds", "Age of the oldest due row", "queue")
    for name, queue in (("jobs", stats.jobs), ("events", stats.events)):
        for state, count in queue.counts.items():
            depth.add_metric([name, str(state)], count)
        due.add_metric([name], queue.due_now)
        oldest = queue.oldest_due_at
        age.add_metric([name], (stats.at - oldest).total_seconds() if oldest else 0)
    rows = _gauge("enrollments", "Enrollments by status, capped", "status")
    for status, count in stats.enrollments.counts.items():
        rows.add_metric([str(status)], count)
    gates = _gauge("gate_open", "Whether a backend's gate is open", "backend")
    for name, is_open in stats.gates.items():
        gates.add_metric([name], int(is_open))
    yield from (depth, due, age, rows, gates)
    owed = "Age of the oldest enrollment that is missing in the LMS"
    yield _single("oldest_owed_seconds", owed, stats.oldest_owed_s or 0)
    yield _single("health", "0 healthy, 1 warning, 2 critical", _HEALTH[stats.health])
    seen = max((w.seen_at for w in stats.workers), default=None)
    if seen is not None:
        ago_s = (stats.at - seen).total_seconds()
        yield _single(
            "worker_seen_seconds", "Seconds since a worker or cron pass was seen", ago_s
        )


def _gauge(name: str, about: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", about, labels=labels)


def _single(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", about, value=value)
