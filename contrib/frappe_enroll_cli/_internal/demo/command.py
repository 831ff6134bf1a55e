# SPDX-License-Identifier: MIT
"""The ``demo`` command."""

from __future__ import annotations

import json
import logging
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from .scenarios import SCENARIOS, Facts, Scenario
from .stage import Stage


@click.command()
@click.option(
    "--once", is_flag=True, help="Run the scenarios and exit; 0 if all passed."
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def demo(*, once: bool, as_json: bool) -> None:
    """Run the whole flow on loopback and check the outcome in all three systems."""
    talk = Console(stderr=True, highlight=False)
    with (
        _quiet_logs(),
        tempfile.TemporaryDirectory() as folder,
        Stage(Path(folder)) as stage,
    ):
        results = [
            _play(stage, talk, number, name, scenario)
            for number, (name, scenario) in enumerate(SCENARIOS, 1)
        ]
        ok = all(result["ok"] for result in results)
        if as_json:
            click.echo(json.dumps({"ok": ok, "scenarios": results}))
        else:
            Console().print(_table(results))
        if not once:
            _stay(stage, err=as_json)
    if not ok:
        raise SystemExit(1)


@contextmanager
def _quiet_logs() -> Iterator[None]:
    """Silence the log of the planned faults, which would bury the output."""
    levels = {
        logger: logger.level
        for logger in map(
            logging.getLogger,
            ("frappe_enroll_sdk", "frappe_enroll_wsgi", "frappe_enroll_alerts"),
        )
    }
    for logger in levels:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def _play(
    stage: Stage, talk: Console, number: int, name: str, scenario: Scenario
) -> Facts:
    talk.print(f"[bold]{number}. {name}[/bold]")
    try:
        expected, observed = scenario(
            stage, lambda words: talk.print(f"   {words}", style="dim", markup=False)
        )
    except Exception as error:  # noqa: BLE001  an exception is a failed check
        expected, observed = {"error": None}, {"error": repr(error)}
    ok = expected == observed
    talk.print("   [green]holds[/green]" if ok else "   [red]failed[/red]")
    if not ok:
        talk.print(f"   expected {expected}\n   observed {observed}", markup=False)
    return {"name": name, "ok": ok, "expected": expected, "observed": observed}


def _table(results: list[Facts]) -> Table:
    table = Table(title="frappe-enroll demo")
    table.add_column("scenario")
    table.add_column("checked in the store, at the provider and in the LMS")
    table.add_column("holds")
    for result in results:
        seen = ", ".join(f"{k} {v}" for k, v in result["observed"].items())
        table.add_row(result["name"], seen, "yes" if result["ok"] else "NO")
    return table


def _stay(stage: Stage, *, err: bool) -> None:
    """Print the URLs to open (not among the JSON) and wait for Ctrl-C."""
    answer = stage.checkout("visitor@example.com").body
    click.echo(f"API              {stage.web.url}/readyz", err=err)
    click.echo(f"A payment page   {answer['payment_url']}", err=err)
    click.echo(f"LMS sandbox      {stage.lms.url}/api/method/ping", err=err)
    click.echo("Press Ctrl-C to stop.", err=True)
    try:
        _wait()
    except KeyboardInterrupt:
        click.echo("", err=True)


def _wait() -> None:
    threading.Event().wait()
