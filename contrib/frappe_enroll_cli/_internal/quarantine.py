# SPDX-License-Identifier: MIT
"""`frappe-enroll quarantine`: payments that wait for an operator."""

from __future__ import annotations

import click

from .common import ACTOR, LIMIT, REASON, print_items
from .opened import opened_sdk


@click.group()
def quarantine() -> None:
    """List, accept and dismiss payments that wait for an operator."""


@quarantine.command("list")
@LIMIT
def list_quarantine(limit: int) -> None:
    """List the payments that wait, with their reasons, as JSON lines."""
    with opened_sdk() as sdk:
        cursor, left = None, limit
        while left > 0:
            page = sdk.admin.quarantine(limit=left, cursor=cursor)
            print_items(page)
            cursor, left = page.next_cursor, left - len(page.items)
            if cursor is None:
                break


@quarantine.command("accept")
@click.argument("name", metavar="ID")
@click.option(
    "--enrollment",
    "enrollment_id",
    help="For an event: the enrollment that the payment belongs to.",
)
@ACTOR
@REASON
def accept(name: str, enrollment_id: str | None, actor: str, reason: str) -> None:
    """Accept a payment: the payer gets the course. ID is an enrollment or event."""
    with opened_sdk() as sdk:
        row = sdk.admin.accept(name, actor, reason, enrollment_id=enrollment_id)
        click.echo(str(row.status))


@quarantine.command("dismiss")
@click.argument("name", metavar="ID")
@ACTOR
@REASON
def dismiss(name: str, actor: str, reason: str) -> None:
    """Dismiss a payment for good; this refunds nothing."""
    with opened_sdk() as sdk:
        click.echo(sdk.admin.dismiss(name, actor, reason))
