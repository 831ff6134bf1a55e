# SPDX-License-Identifier: MIT
"""Commands to set up and check the service."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import click

from frappe_enroll_sdk.plugins import Plugins
from frappe_enroll_sdk.settings.text import describe, template

from .common import print_records
from .opened import opened_sdk, settings


if TYPE_CHECKING:
    from frappe_enroll_sdk.services.operators.stats import Stats


_COLOURS = {"healthy": "green", "warning": "yellow", "critical": "red"}


@click.command()
@click.option(
    "--check",
    "only_check",
    is_flag=True,
    help="Change nothing; report differences and exit 1 if there are any.",
)
def setup(*, only_check: bool) -> None:
    """Create or upgrade the store's schema (idempotent)."""
    with opened_sdk() as sdk:
        if only_check:
            drift = sdk.storage.list_drift()
            for difference in drift:
                click.echo(difference)
            raise SystemExit(1 if drift else 0)
        sdk.setup()
        click.echo(f"{sdk.settings.storage_name}: the schema is up to date", err=True)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--url", help="Public URL of the mount, to be requested as a test.")
def check(*, as_json: bool, url: str | None) -> None:
    """Check the deployment: state, cause and remedy; exit 69 if anything is bad."""
    with opened_sdk() as sdk:
        found = sdk.examine(url)
    if as_json:
        click.echo(json.dumps([attrs.asdict(one) for one in found]))
    else:
        for one in found:
            click.secho(f"{one.name:16} {one.state}", fg="red" if one.is_bad else None)
            if one.cause:
                click.echo(f"  {one.cause}")
            if one.mend:
                click.echo(f"  fix: {one.mend}")
    if any(one.is_bad for one in found):
        raise SystemExit(69)


@click.command()
@click.option(
    "--template",
    "as_template",
    is_flag=True,
    help="Print a template with all variables.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def config(*, as_template: bool, as_json: bool) -> None:
    """Print every setting and its source, with secrets masked."""
    if as_template:
        click.echo(template())
        return
    rows = describe(settings())
    if as_json:
        keys = ("variable", "value", "source", "help")
        click.echo(json.dumps([dict(zip(keys, row, strict=True)) for row in rows]))
        return
    for variable, value, source, _ in rows:
        click.echo(f"{variable}={value}  # {source}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plugins(*, as_json: bool) -> None:
    """List the installed plugins and their status."""
    # Builds no backend, so it also helps when a backend cannot be built.
    infos = Plugins.from_settings(settings()).infos
    if as_json:
        click.echo(json.dumps([attrs.asdict(info) for info in infos]))
        return
    for info in infos:
        hooks = ", ".join(info.hooks)
        line = f"{info.name:12} {info.status:9} {info.dist} {info.version}  {hooks}"
        click.secho(f"{line} {info.error}", fg="red" if info.error else None)


@click.command()
@click.option("--text", "as_text", is_flag=True, help="Print text for people.")
def stats(*, as_text: bool) -> None:
    """Print the queue's statistics and health."""
    with opened_sdk() as sdk:
        found = sdk.admin.stats()
    if as_text:
        _print_text(found)
    else:
        print_records([found])


def _print_text(found: Stats) -> None:
    health = str(found.health)
    click.secho(f"health         {health}", fg=_COLOURS[health])
    for name, queue in (("jobs", found.jobs), ("events", found.events)):
        counts = ", ".join(f"{n} {state}" for state, n in queue.counts.items() if n)
        click.echo(f"{name:14} {queue.due_now} due now; {counts or 'none'}")
    owed = "nothing" if found.oldest_owed_s is None else f"{found.oldest_owed_s:.0f} s"
    click.echo(f"oldest owed    {owed}")
    click.echo(f"done, last h   {found.done_last_hour}")
    for name, is_open in found.gates.items():
        click.echo(f"gate {name:9} {'open' if is_open else 'closed'}")
    for worker in found.workers:
        ago_s = (found.at - worker.seen_at).total_seconds()
        click.echo(f"{worker.kind:14} {worker.name}, seen {ago_s:.0f} s ago")
    if found.absent_s is not None:
        words = f"work is due, and no worker has been seen for {found.absent_s:.0f} s"
        click.secho(words, fg="red", err=True)


@click.command()
@click.option("--task", "tasks", multiple=True, help="Run only this task (repeatable).")
def maintain(tasks: tuple[str, ...]) -> None:
    """Run the housekeeping now, even if it is not due; print the counts."""
    with opened_sdk() as sdk:
        done: dict[str, Any] = sdk.admin.maintain(*tasks)
    click.echo(json.dumps(done))
