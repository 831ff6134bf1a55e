# SPDX-License-Identifier: MIT
"""`frappe-enroll enrollments`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from frappe_enroll_sdk.errors import EnrollmentNotFoundError
from frappe_enroll_sdk.models import Status

from .common import ACTOR, LIMIT, REASON, print_items, print_records, tell_lost
from .opened import opened_sdk
from .verdict import verdict_of


if TYPE_CHECKING:
    from frappe_enroll_sdk.services.operators.search import Timeline


Command = Callable[..., Any]


@click.group()
def enrollments() -> None:
    """List, show, revoke, reassign, export and erase enrollments."""


@enrollments.command("list")
@click.option("--email", help="Filter by learner.")
@click.option("--course", "course_id", help="Filter by course.")
@click.option(
    "--status", type=click.Choice([str(s) for s in Status]), help="Filter by status."
)
@LIMIT
def list_enrollments(**filters: Any) -> None:
    """List enrollments as JSON lines."""
    with opened_sdk() as sdk:
        print_items(sdk.enrollments.list(**filters))


@enrollments.command("show")
@click.argument("name")
def show_enrollment(name: str) -> None:
    """Show history, verdict and next command by id, e-mail, cs_…, pi_… or evt_…."""
    with opened_sdk() as sdk:
        found = sdk.admin.search(name)
        if not found.items and not found.unreadable:
            raise EnrollmentNotFoundError(field="enrollment_id")
        for row in found.items:
            _print_timeline(sdk.admin.timeline(row.id))
        for words in found.unreadable:
            tell_lost(words)


def _print_timeline(timeline: Timeline) -> None:
    row = timeline.enrollment
    click.echo(f"{row.id}  {row.course_id}  {row.status}  LMS: {row.lms_status}")
    for one in timeline.moments:
        words = " ".join(part for part in (one.title, one.text) if part)
        click.echo(f"{one.at.isoformat()}  {one.kind:7}  {one.subject:20}  {words}")
    verdict, command = verdict_of(row, timeline.heir)
    click.echo(f"verdict: {verdict}")
    if command:
        click.echo(f"next: frappe-enroll {command}")


@enrollments.command("reassign")
@click.argument("enrollment_id")
@click.option("--email", required=True, help="The new learner's address.")
@ACTOR
@REASON
def reassign(enrollment_id: str, email: str, actor: str, reason: str) -> None:
    """Move an enrollment to another learner; print the new enrollment."""
    with opened_sdk() as sdk:
        row = sdk.enrollments.reassign(enrollment_id, email, actor, reason)
        click.echo(row.id)


@enrollments.command("export")
@click.option("--email", required=True, help="The learner's address.")
def export_learner(email: str) -> None:
    """Print everything that is stored about a learner as JSON."""
    with opened_sdk() as sdk:
        click.echo(json.dumps(sdk.privacy.export(email)))


@enrollments.command("erase")
@click.option("--email", required=True, help="The learner's address.")
@ACTOR
@REASON
def erase_learner(email: str, actor: str, reason: str) -> None:
    """Erase a learner's personal data for good; print the counts."""
    with opened_sdk() as sdk:
        print_records([sdk.privacy.erase(email, actor=actor, reason=reason)])


def _add_action(group: click.Group, verb: str, about: str) -> None:
    """Add the command of an operator's action."""

    @group.command(verb, help=about)
    @click.argument("enrollment_id")
    @ACTOR
    @REASON
    def act(enrollment_id: str, actor: str, reason: str) -> None:
        with opened_sdk() as sdk:
            row = getattr(sdk.enrollments, verb)(enrollment_id, actor, reason)
            click.echo(str(row.status))


_add_action(enrollments, "revoke", "Revoke the right to the course.")
_add_action(enrollments, "reinstate", "Restore the right to the course.")
