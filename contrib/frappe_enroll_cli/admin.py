# SPDX-License-Identifier: MIT
"""Operators' commands: data on stdout, talk on stderr."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click

from frappe_enroll_sdk.models import Status

from .common import ACTOR, LIMIT, REASON, STATE, print_records
from .opened import opened_sdk


Command = Callable[..., Any]


@click.group()
def events() -> None:
    """List, show, replay and prune payment events."""


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
def replay_event(event_id: str) -> None:
    """Give a stored event its effect again; nothing doubles."""
    with opened_sdk() as sdk:
        print_records([sdk.admin.replay_event(event_id)])


@events.command("prune")
@click.option("--days", type=click.IntRange(1, 3650), default=30, show_default=True)
def prune_events(days: int) -> None:
    """Null the payloads of old events; their ids stay."""
    with opened_sdk() as sdk:
        click.echo(sdk.admin.prune(events_older_than=timedelta(days=days))[0])


@click.group()
def coupons() -> None:
    """Create, list, show and disable coupons."""


@coupons.command("create")
@click.option("--percent", required=True, help="Percent off, above 0, at most 100.")
@click.option("--course", "course_id", help="The course it is good for.")
@click.option("--any-course", is_flag=True, help="Good for every course.")
@click.option("--email", help="The one learner it is good for.")
@click.option("--code", help="What is typed; made up if not given.")
@click.option("--max-redemptions", type=int, default=1, show_default=True)
def create_coupon(percent: str, **terms: Any) -> None:
    """Create a coupon and print it."""
    with opened_sdk() as sdk:
        print_records([sdk.coupons.create(percent, **terms)])


@coupons.command("list")
@LIMIT
def list_coupons(limit: int) -> None:
    """List coupons as JSON lines."""
    with opened_sdk() as sdk:
        print_records(sdk.coupons.list(limit=limit).items)


@coupons.command("show")
@click.argument("code")
def show_coupon(code: str) -> None:
    """Show one coupon with its counts."""
    with opened_sdk() as sdk:
        print_records([sdk.coupons.get(code)])


@coupons.command("disable")
@click.argument("code")
def disable_coupon(code: str) -> None:
    """Disable a coupon; seats that are taken stay."""
    with opened_sdk() as sdk:
        sdk.coupons.disable(code)


@click.group()
def enrollments() -> None:
    """List, show, revoke and reinstate enrollments."""


@enrollments.command("list")
@click.option("--email", help="Only this learner's.")
@click.option("--course", "course_id", help="Only this course's.")
@click.option(
    "--status", type=click.Choice([str(s) for s in Status]), help="Only this status."
)
@LIMIT
def list_enrollments(**filters: Any) -> None:
    """List enrollments as JSON lines."""
    with opened_sdk() as sdk:
        print_records(sdk.enrollments.list(**filters).items)


@enrollments.command("show")
@click.argument("enrollment_id")
def show_enrollment(enrollment_id: str) -> None:
    """Show the timeline of one enrollment."""
    with opened_sdk() as sdk:
        row = sdk.enrollments.get(enrollment_id)
    click.echo(f"{row.id}  {row.course_id}  {row.status}  LMS: {row.lms_status}")
    for entry in row.history:
        click.echo(f"{entry.at.isoformat()}  {entry.status:17}  {entry.fact}")


def _order(group: click.Group, verb: str, about: str) -> None:
    """Add a command that speaks an operator's word."""

    @group.command(verb, help=about)
    @click.argument("enrollment_id")
    @ACTOR
    @REASON
    def order(enrollment_id: str, actor: str, reason: str) -> None:
        with opened_sdk() as sdk:
            row = getattr(sdk.enrollments, verb)(enrollment_id, actor, reason)
            click.echo(str(row.status))


@click.group()
def quarantine() -> None:
    """List, accept and dismiss payments that are held."""


@quarantine.command("list")
@LIMIT
def list_quarantine(limit: int) -> None:
    """List what is on hold, as JSON lines."""
    with opened_sdk() as sdk:
        print_records(sdk.admin.quarantine(limit=limit).items)


_order(enrollments, "revoke", "Take the right to the course away.")
_order(enrollments, "reinstate", "Give the right to the course back.")
_order(quarantine, "accept", "Enroll one that is on hold.")
_order(quarantine, "dismiss", "End one that is on hold.")
