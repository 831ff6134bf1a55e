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
@click.option("--once", is_flag=True, help="Play, check, and exit 0 if all held.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def demo(*, once: bool, as_json: bool) -> None:
    """Play the whole path on loopback and check the outcome on all three sides."""
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
    """Hush the faults of the play: they are expected, and would drown the story."""
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
    except Exception as error:  # noqa: BLE001  a broken scenario is a failed check
        expected, observed = {"error": None}, {"error": repr(error)}
    ok = expected == observed
    talk.print("   [green]holds[/green]" if ok else "   [red]does not hold[/red]")
    if not ok:
        talk.print(f"   expected {expected}\n   observed {observed}", markup=False)
    return {"name": name, "ok": ok, "expected": expected, "observed": observed}


def _table(results: list[Facts]) -> Table:
    table = Table(title="frappe-enroll demo")
    table.add_column("scenario")
    table.add_column("checked on store, provider and LMS")
    table.add_column("holds")
    for result in results:
        seen = ", ".join(f"{k} {v}" for k, v in result["observed"].items())
        table.add_row(result["name"], seen, "yes" if result["ok"] else "NO")
    return table


def _stay(stage: Stage, *, err: bool) -> None:
    """Print where to click, beside the JSON and not in it, and wait for the end."""
    answer = stage.checkout("visitor@example.com").body
    click.echo(f"API              {stage.web.url}/readyz", err=err)
    click.echo(f"A payment page   {answer['payment_url']}", err=err)
    click.echo(f"LMS sandbox      {stage.lms.url}/api/method/ping", err=err)
    click.echo("Press Ctrl-C to end.", err=True)
    try:
        _wait()
    except KeyboardInterrupt:
        click.echo("", err=True)


def _wait() -> None:
    threading.Event().wait()
