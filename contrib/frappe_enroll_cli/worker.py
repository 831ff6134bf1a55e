# SPDX-License-Identifier: MIT
"""``frappe-enroll worker``: long-running, or one pass for cron."""

from __future__ import annotations

import json

import attrs
import click

from .opened import opened_sdk


#: Bounds of one pass: it ends before cron starts the next one but three.
_ONCE_LIMIT, _ONCE_S = 10_000, 240


@click.command()
@click.option("--once", is_flag=True, help="Work through what is due and exit (cron).")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=8,
    envvar="WORKER_CONCURRENCY",
    show_envvar=True,
    help="Jobs at once.",
)
@click.option(
    "--poll",
    "poll_s",
    type=click.FloatRange(0.05, 60),
    default=1.0,
    envvar="WORKER_POLL",
    show_envvar=True,
    help="Seconds between two looks where the store tells no news.",
)
@click.option(
    "--shutdown-timeout",
    "shutdown_timeout_s",
    type=click.FloatRange(0, 3600),
    default=30.0,
    envvar="WORKER_SHUTDOWN_TIMEOUT",
    show_envvar=True,
    help="Seconds that what runs has left after the first signal.",
)
def worker(
    *, once: bool, concurrency: int, poll_s: float, shutdown_timeout_s: float
) -> None:
    """Work through what is due; SIGTERM finishes what runs and exits 0."""
    with opened_sdk() as sdk:
        sdk.storage.check_schema()
        if once:
            report = sdk.run_jobs(limit=_ONCE_LIMIT, time_budget_s=_ONCE_S)
            click.echo(json.dumps(attrs.asdict(report)))
            return
        sdk.worker(
            concurrency, poll_s=poll_s, shutdown_timeout_s=shutdown_timeout_s
        ).run(
            handle_signals=True,
            on_stop=lambda: click.echo("stopping: finishing what runs", err=True),
        )
