# SPDX-License-Identifier: MIT
"""`frappe-enroll grants`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from .common import ACTOR, CURSOR, LIMIT, REASON, print_page, print_records
from .opened import opened_sdk


@click.group()
def grants() -> None:
    """Apply for, list, approve and reject grants."""


@grants.command("apply")
@click.option("--course", "course_id", required=True, help="The course.")
@click.option("--email", required=True, help="The learner.")
@click.option("--name", "full_name", help="The learner's name.")
@click.option(
    "--answer", "answers", multiple=True, help="An answer to the form, as name=text."
)
def apply_for_grant(answers: tuple[str, ...], **fields: Any) -> None:
    """Apply for a grant on a learner's behalf."""
    pairs = [answer.partition("=") for answer in answers]
    form = {name: text for name, _, text in pairs}
    with opened_sdk() as sdk:
        print_records([sdk.grants.apply(answers=form, **fields)])


@grants.command("list")
@click.option("--status", type=click.Choice(["pending", "approved", "rejected"]))
@click.option("--email", help="Filter by learner.")
@CURSOR
@LIMIT
def list_grants(**wanted: Any) -> None:
    """List grants as JSON lines, newest first; the next cursor on stderr."""
    with opened_sdk() as sdk:
        print_page(sdk.grants.list(**wanted))


@grants.command("show")
@click.argument("grant_id")
def show_grant(grant_id: str) -> None:
    """Print a grant."""
    with opened_sdk() as sdk:
        print_records([sdk.grants.get(grant_id)])


@grants.command("approve")
@click.argument("grant_ids", nargs=-1, required=True)
@click.option("--percent", default="100", help="Discount in percent.")
@click.option("--expires-at", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]))
@ACTOR
@REASON
def approve_grants(
    grant_ids: tuple[str, ...],
    percent: str,
    expires_at: datetime | None,
    actor: str,
    reason: str,
) -> None:
    """Approve one or more grants, each on its own."""
    with opened_sdk() as sdk:
        if len(grant_ids) == 1:
            done = sdk.grants.approve(
                grant_ids[0],
                percent,
                actor=actor,
                reason=reason,
                expires_at=expires_at,
            )
            print_records([done])
            return
        if expires_at is not None:
            raise click.UsageError("--expires-at works with one grant only")
        answers = sdk.grants.approve_many(
            grant_ids, percent, actor=actor, reason=reason
        )
    print_records({"grant_id": name, "outcome": o} for name, o in answers.items())
    if any(outcome.startswith("error") for outcome in answers.values()):
        raise SystemExit(1)


@grants.command("reject")
@click.argument("grant_id")
@ACTOR
@REASON
def reject_grant(grant_id: str, actor: str, reason: str) -> None:
    """Reject a grant."""
    with opened_sdk() as sdk:
        print_records([sdk.grants.reject(grant_id, actor=actor, reason=reason)])
