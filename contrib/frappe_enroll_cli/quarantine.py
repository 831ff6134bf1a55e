# SPDX-License-Identifier: MIT
"""`frappe-enroll quarantine`: payments that wait for an operator."""

from __future__ import annotations

import click

from .common import ACTOR, LIMIT, REASON, print_records
from .opened import opened_sdk


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
