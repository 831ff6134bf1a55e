# SPDX-License-Identifier: MIT
"""`frappe-enroll reconcile`."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs
import click

from frappe_enroll_sdk.codec import dump
from frappe_enroll_sdk.models import Trail

from .common import SINCE, print_records
from .opened import opened_sdk
from .stopping import Stop, say


if TYPE_CHECKING:
    from frappe_enroll_sdk.services.operators.differences import Finding


@click.command()
@click.option("--repair", is_flag=True, help="Settle what can be settled.")
@click.option("--since", type=SINCE, help="Only what was made since, in UTC.")
@click.option(
    "--page", type=click.IntRange(1, 1000), default=200, help="Rows of one page."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
@click.option("--actor", envvar="ENROLL_ACTOR", show_envvar=True, help="Who repairs.")
@click.option("--reason", help="Why; with --repair, into the audit trail.")
def reconcile(
    *,
    repair: bool,
    since: datetime | None,
    page: int,
    as_json: bool,
    actor: str | None,
    reason: str | None,
) -> None:
    """Compare provider, enrollments and LMS; a dry run unless told to repair."""
    if repair and not (actor and reason):
        raise click.UsageError("--repair takes --actor and --reason")
    found: list[Finding] = []
    checked: Counter[str] = Counter()
    start = since.replace(tzinfo=UTC) if since else None
    stop = Stop()
    with stop.on_signals(), opened_sdk() as sdk:
        word = (str(actor), "reconcile", "all", str(reason)) if repair else ("",) * 4
        with sdk.admin.order(*word) as told, stop.instead(stop.note):
            cursor: str | None = None
            trail = Trail()
            while not stop.asked:
                report = sdk.admin.reconcile(
                    repair=repair, since=start, limit=page, cursor=cursor
                )
                found += report.findings
                checked.update(report.checked)
                told["findings"] = len(found)
                looked = ", ".join(f"{count} {name}" for name, count in checked.items())
                say(f"looked at {looked}; {len(found)} differ", err=True)
                cursor = trail.follow(report.next_cursor)
                if cursor is None:
                    break
            else:
                told["stopped"] = True
                say("stopped: what follows was not looked at", err=True)
    if as_json:
        print_records(found)
        click.echo(json.dumps({"checked": dict(checked), "differ": len(found)}))
    else:
        _print_table(found)
    if stop.asked or any(finding.after is None for finding in found):
        raise SystemExit(1)


def _print_table(found: list[Finding]) -> None:
    """Print a line for each finding: what, which, what becomes of it, and why."""
    for finding in found:
        told = {k: str(v or "-") for k, v in dump(attrs.evolve(finding)).items()}
        state = told["after"] if finding.after else f"repair: {told['repair']}"
        line = f"{told['difference']:26} {told['subject']:37} {state:24}"
        click.echo(f"{line} {told['cause']}")
    click.echo(f"{len(found)} differences")
