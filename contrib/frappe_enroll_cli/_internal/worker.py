# SPDX-License-Identifier: MIT
"""``frappe-enroll worker``: long-running, or one pass for cron."""

from __future__ import annotations

import json
from typing import Any

import attrs
import click

from frappe_enroll_sdk.settings.sources import is_service_link

from .common import Finite, port_error
from .opened import opened_sdk
from .stopping import Stop, say


#: Bounds of one pass: with cron every minute, at most four passes overlap.
_ONCE_LIMIT, _ONCE_S = 10_000, 240


class _Port(click.IntRange):
    """A port; Kubernetes sets the same variable for a Service named worker-metrics."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Return the port, or None for a Service's value."""
        if isinstance(value, str) and is_service_link("WORKER_METRICS_PORT", value):
            return None
        return super().convert(value, param, ctx)


@click.command()
@click.option("--once", is_flag=True, help="Run due jobs and exit (for cron).")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=8,
    envvar="WORKER_CONCURRENCY",
    show_envvar=True,
    help="Jobs to run at once.",
)
@click.option(
    "--poll",
    "poll_s",
    type=Finite(0.05, 60),
    default=1.0,
    envvar="WORKER_POLL",
    show_envvar=True,
    help="Seconds between polls if the store sends no notifications.",
)
@click.option(
    "--shutdown-timeout",
    "shutdown_timeout_s",
    type=Finite(0, 3600),
    default=30.0,
    envvar="WORKER_SHUTDOWN_TIMEOUT",
    show_envvar=True,
    help="Seconds that running jobs have left after the first signal.",
)
@click.option(
    "--metrics-port",
    type=_Port(0, 65535),
    envvar="WORKER_METRICS_PORT",
    show_envvar=True,
    help="Serve Prometheus metrics on this loopback port (extra: metrics).",
)
def worker(
    *,
    once: bool,
    concurrency: int,
    poll_s: float,
    shutdown_timeout_s: float,
    metrics_port: int | None,
) -> None:
    """Run due jobs; on SIGTERM finish the running ones and exit 0."""
    metrics = None if metrics_port is None else _metrics()
    stop = Stop()
    with stop.on_signals(), opened_sdk(metrics=metrics) as sdk:
        if metrics is not None:
            metrics.watch(sdk)
            port = _serve(metrics, metrics_port)
            say(f"metrics on http://127.0.0.1:{port}/metrics", err=True)
        sdk.storage.check_schema()
        if once:
            with stop.instead(stop.note):
                report = sdk.run_jobs(_ONCE_LIMIT, _ONCE_S, stopping=lambda: stop.asked)
            say(json.dumps(attrs.asdict(report)))
            return
        worker = sdk.worker(
            concurrency, poll_s=poll_s, shutdown_timeout_s=shutdown_timeout_s
        )
        with stop.instead(worker.stop):
            worker.run(
                on_stop=lambda: say("stopping: finishing the running jobs", err=True)
            )


def _serve(metrics: Any, port: int | None) -> int:
    """Serve metrics on a port; a port in use is worth a retry."""
    try:
        return int(metrics.serve(port))
    except OSError as error:
        raise port_error("--metrics-port", port, error) from error


def _metrics() -> Any:
    from frappe_enroll_metrics import PrometheusMetrics  # noqa: PLC0415  an extra

    return PrometheusMetrics()
