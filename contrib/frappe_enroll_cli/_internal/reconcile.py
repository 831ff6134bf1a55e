# SPDX-License-Identifier: MIT
"""`frappe-enroll reconcile`."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs
import click

from frappe_enroll_sdk.codec import shown

from .common import SINCE, print_records
from .opened import opened_sdk
from .stopping import Stop, say


if TYPE_CHECKING:
    from frappe_enroll_sdk.services.operators.differences import Finding


@click.command()
@click.option("--repair", is_flag=True, help="Repair what can be repaired.")
@click.option(
    "--since", type=SINCE, help="Compare only what was created since, in UTC."
)
@click.option(
    "--page", type=click.IntRange(1, 1000), default=200, help="Rows per page."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
@click.option(
    "--actor",
    envvar="ENROLL_ACTOR",
    show_envvar=True,
    help="Your name, for the audit trail (required with --repair).",
)
@click.option(
    "--reason", help="The reason, for the audit trail (required with --repair)."
)
def reconcile(
    *,
    repair: bool,
    since: datetime | None,
    page: int,
    as_json: bool,
    actor: str | None,
    reason: str | None,
) -> None:
    """Compare provider, enrollments and LMS; change nothing without --repair."""
    if repair and not (actor and reason):
        raise click.UsageError("--repair needs --actor and --reason")
    found: list[Finding] = []
    checked: Counter[str] = Counter()
    start = since.replace(tzinfo=UTC) if since else None
    stop = Stop()
    with stop.on_signals(), opened_sdk() as sdk:
        reports = sdk.admin.reconcile_all(
            repair=repair,
            since=start,
            limit=page,
            actor=actor or "",
            reason=reason or "",
        )
        with closing(reports), stop.instead(stop.note):
            for report in reports:
                found += report.findings
                checked.update(report.checked)
                looked = ", ".join(f"{count} {name}" for name, count in checked.items())
                say(f"compared {looked}; {len(found)} differ", err=True)
                if stop.asked:
                    say("stopped; the rest was not compared", err=True)
                    break
    if as_json:
        print_records(found)
        click.echo(json.dumps({"checked": dict(checked), "differ": len(found)}))
    else:
        _print_table(found)
    if stop.asked or any(finding.after is None for finding in found):
        raise SystemExit(1)


def _print_table(found: list[Finding]) -> None:
    """Print one line per finding: difference, subject, outcome and cause."""
    for finding in found:
        cells = {k: str(v or "-") for k, v in shown(attrs.evolve(finding)).items()}
        state = cells["after"] if finding.after else f"repair: {cells['repair']}"
        line = f"{cells['difference']:26} {cells['subject']:37} {state:24}"
        click.echo(f"{line} {cells['cause']}")
    click.echo(f"{len(found)} differences")
