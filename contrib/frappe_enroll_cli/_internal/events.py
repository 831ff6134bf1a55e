# SPDX-License-Identifier: MIT
"""`frappe-enroll events`: payment events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from .common import ACTOR, LIMIT, REASON, SINCE, STATE, print_items, print_records
from .opened import opened_sdk


NOTIFY = click.option(
    "--notify/--no-notifications",
    default=True,
    show_default=True,
    help="Whether plugins are notified of the changes.",
)


@click.group()
def events() -> None:
    """List, show, replay, pull and prune payment events."""


@events.command("list")
@STATE
@LIMIT
def list_events(state: str | None, limit: int) -> None:
    """List events as JSON lines."""
    with opened_sdk() as sdk:
        print_items(sdk.admin.events(state=state, limit=limit))


@events.command("show")
@click.argument("event_id")
def show_event(event_id: str) -> None:
    """Show one event."""
    with opened_sdk() as sdk:
        event = sdk.storage.events.find(event_id)
        if event is None:
            raise click.ClickException("event not found")
        print_records([event])


@events.command("replay")
@click.argument("event_id")
@NOTIFY
@ACTOR
@REASON
def replay_event(event_id: str, *, notify: bool, actor: str, reason: str) -> None:
    """Replay a stored event (safe to repeat)."""
    with opened_sdk() as sdk:
        event = sdk.admin.replay_event(
            event_id, actor=actor, reason=reason, notify=notify
        )
        print_records([event])


@events.command("pull")
@click.option(
    "--since", type=SINCE, required=True, help="Events since this moment, in UTC."
)
@click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    default=10_000,
    help="Most missed events to fetch.",
)
@NOTIFY
@ACTOR
@REASON
def pull_events(
    since: datetime, limit: int, *, notify: bool, actor: str, reason: str
) -> None:
    """Fetch the events that we missed from the provider."""
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
    """Clear the payloads of old events; their ids stay."""
    with opened_sdk() as sdk:
        span = timedelta(days=days)
        click.echo(sdk.admin.prune_events(span, actor=actor, reason=reason))
