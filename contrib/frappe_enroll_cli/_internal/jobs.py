# SPDX-License-Identifier: MIT
"""`frappe-enroll jobs`."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import click

from .common import (
    ACTOR,
    DOOR,
    LIMIT,
    REASON,
    STATE,
    WHY,
    Finite,
    print_page,
    print_records,
)
from .opened import opened_sdk
from .stopping import Stop, ended


_KIND = click.option("--kind", help="Filter by kind of job, e.g. sync.")


@click.group()
def jobs() -> None:
    """List, show, retry, requeue, bury and prune jobs."""


@jobs.command("list")
@STATE
@_KIND
@LIMIT
@click.option(
    "--cursor", help="Continue after a page (its cursor is printed on stderr)."
)
def list_jobs(
    state: str | None, kind: str | None, limit: int, cursor: str | None
) -> None:
    """List jobs as JSON lines."""
    with opened_sdk() as sdk:
        page = sdk.admin.jobs(state=state, kind=kind, limit=limit, cursor=cursor)
    print_page(page)


@jobs.command("show")
@click.argument("name")
def show_job(name: str) -> None:
    """Show one job with its errors, by key, event id or enrollment id."""
    with opened_sdk() as sdk:
        print_records([sdk.admin.job(name)])


@jobs.command("retry")
@click.argument("name")
@DOOR
@WHY
def retry_job(name: str, actor: str, reason: str) -> None:
    """Make one job due now, by key, event id or enrollment id."""
    with opened_sdk() as sdk:
        sdk.admin.retry(name, actor=actor, reason=reason)
        click.echo("due now", err=True)


@jobs.command("requeue")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100)
@_KIND
@click.option("--code", help="Filter by the error code that the job died of.")
@click.option(
    "--per-second",
    type=Finite(0.001, 1000),
    help="Jobs that become due per second; all at once by default.",
)
@DOOR
@WHY
def requeue_jobs(
    limit: int,
    kind: str | None,
    code: str | None,
    per_second: float | None,
    actor: str,
    reason: str,
) -> None:
    """Make dead jobs and events due again with all attempts; print the count."""
    stop, done = Stop(), 0
    with stop.on_signals(), opened_sdk() as sdk:
        total = min(limit, sdk.admin.count_dead(kind=kind, code=code))
        bar: Any
        with (
            click.progressbar(length=total, label="requeue", file=sys.stderr) as bar,
            stop.instead(stop.note),
            ended(lambda: done, "were requeued"),
        ):

            def tell(count: int) -> None:
                nonlocal done
                done = count
                bar.update(1)

            count = sdk.admin.requeue(
                limit,
                kind=kind,
                code=code,
                per_s=per_second,
                actor=actor,
                reason=reason,
                tell=stop.after(tell),
            )
        click.echo(count)


@jobs.command("bury")
@click.argument("name")
@ACTOR
@REASON
def bury_job(name: str, actor: str, reason: str) -> None:
    """Give up a waiting job: it becomes dead, with the reason as its cause."""
    with opened_sdk() as sdk:
        sdk.admin.bury(name, actor=actor, reason=reason)
        click.echo("dead", err=True)


@jobs.command("prune")
@click.option("--days", type=click.IntRange(1, 3650), default=7, show_default=True)
@DOOR
@WHY
def prune_jobs(days: int, actor: str, reason: str) -> None:
    """Delete jobs that finished so many days ago; print the count."""
    with opened_sdk() as sdk:
        span = timedelta(days=days)
        click.echo(sdk.admin.prune_jobs(span, actor=actor, reason=reason))
