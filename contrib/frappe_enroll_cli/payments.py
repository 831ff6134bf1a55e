# SPDX-License-Identifier: MIT
"""Payment events, quarantine and reconciliation: data on stdout, talk on stderr."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import attrs
import click

from frappe_enroll_sdk.codec import shown
from frappe_enroll_sdk.models import Trail

from .common import ACTOR, LIMIT, REASON, STATE, print_records
from .opened import opened_sdk
from .stopping import Stop, say


if TYPE_CHECKING:
    from frappe_enroll_sdk.services.operators.differences import Finding

NOTIFY = click.option(
    "--notify/--no-notifications",
    default=True,
    show_default=True,
    help="Whether plugins hear of what is written by it.",
)
_SINCE = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


@click.group()
def events() -> None:
    """List, show, replay, pull and prune payment events."""


@events.command("list")
@STATE
@LIMIT
def list_events(state: str | None, limit: int) -> None:
    """List events as JSON lines."""
    with opened_sdk() as sdk:
        print_records(sdk.admin.events(state=state, limit=limit).items)


@events.command("show")
@click.argument("event_id")
def show_event(event_id: str) -> None:
    """Show one event."""
    with opened_sdk() as sdk:
        event = sdk.storage.events.find(event_id)
        if event is None:
            raise click.ClickException("there is no such event")
        print_records([event])


@events.command("replay")
@click.argument("event_id")
@NOTIFY
@ACTOR
@REASON
def replay_event(event_id: str, *, notify: bool, actor: str, reason: str) -> None:
    """Give a stored event its effect again; nothing doubles."""
    with opened_sdk() as sdk:
        event = sdk.admin.replay_event(
            event_id, actor=actor, reason=reason, notify=notify
        )
        print_records([event])


@events.command("pull")
@click.option("--since", type=_SINCE, required=True, help="A moment in UTC.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=10_000, help="Missed events."
)
@NOTIFY
@ACTOR
@REASON
def pull_events(
    since: datetime, limit: int, *, notify: bool, actor: str, reason: str
) -> None:
    """Feed the events that the provider has sent and we have not stored."""
    with opened_sdk() as sdk:
        pulled = sdk.admin.pull_events(
            since.replace(tzinfo=UTC),
            actor=actor,
            reason=reason,
            notify=notify,
            limit=limit,
        )
        print_records([pulled])


@events.command("prune")
@click.option("--days", type=click.IntRange(1, 3650), default=30, show_default=True)
@ACTOR
@REASON
def prune_events(days: int, actor: str, reason: str) -> None:
    """Null the payloads of old events; their ids stay."""
    with opened_sdk() as sdk:
        span = timedelta(days=days)
        click.echo(sdk.admin.prune_events(span, actor=actor, reason=reason))


@click.group()
def quarantine() -> None:
    """List, accept and dismiss payments that wait for an operator."""


@quarantine.command("list")
@LIMIT
def list_quarantine(limit: int) -> None:
    """List what waits, with its reason, as JSON lines."""
    with opened_sdk() as sdk:
        cursor, left = None, limit
        while left > 0:
            page = sdk.admin.quarantine(limit=left, cursor=cursor)
            print_records(page.items)
            cursor, left = page.next_cursor, left - len(page.items)
            if cursor is None:
                break


@quarantine.command("accept")
@click.argument("name", metavar="ID")
@click.option("--enrollment", "enrollment_id", help="Of an event: whose payment it is.")
@ACTOR
@REASON
def accept(name: str, enrollment_id: str | None, actor: str, reason: str) -> None:
    """Let the payer have the course; ID is an enrollment's or an event's."""
    with opened_sdk() as sdk:
        row = sdk.admin.accept(name, actor, reason, enrollment_id=enrollment_id)
        click.echo(str(row.status))


@quarantine.command("dismiss")
@click.argument("name", metavar="ID")
@ACTOR
@REASON
def dismiss(name: str, actor: str, reason: str) -> None:
    """Put it aside for good; no money is given back by it."""
    with opened_sdk() as sdk:
        click.echo(sdk.admin.dismiss(name, actor, reason))


@click.command()
@click.option("--repair", is_flag=True, help="Settle what can be settled.")
@click.option("--since", type=_SINCE, help="Only what was made since, in UTC.")
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
        told = {k: str(v or "-") for k, v in shown(attrs.evolve(finding)).items()}
        state = told["after"] if finding.after else f"repair: {told['repair']}"
        line = f"{told['difference']:26} {told['subject']:37} {state:24}"
        click.echo(f"{line} {told['cause']}")
    click.echo(f"{len(found)} differences")
