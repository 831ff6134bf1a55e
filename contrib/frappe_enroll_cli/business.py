# SPDX-License-Identifier: MIT
"""`frappe-enroll grants` and `frappe-enroll affiliates`."""

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
@click.option("--answer", "answers", multiple=True, help="A form field: name=text.")
def apply_for_grant(answers: tuple[str, ...], **fields: Any) -> None:
    """Apply for a grant in a learner's place."""
    pairs = [answer.partition("=") for answer in answers]
    form = {name: text for name, _, text in pairs}
    with opened_sdk() as sdk:
        print_records([sdk.grants.apply(answers=form, **fields)])


@grants.command("list")
@click.option("--status", type=click.Choice(["pending", "approved", "rejected"]))
@click.option("--email", help="Only this learner's.")
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
@click.option("--percent", default="100", help="Percent off.")
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
    """Approve one or more grants; several are each decided by itself."""
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
            raise click.UsageError("--expires-at goes with one grant")
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


@click.group()
def affiliates() -> None:
    """Register affiliates, show their balances, pay out."""


@affiliates.command("register")
@click.argument("email")
@click.option("--name", "full_name", help="The affiliate's name.")
@click.option("--code", help="What stands in the link; made up if not given.")
@click.option("--percent", help="Commission; the setting's if not given.")
def register(email: str, **fields: Any) -> None:
    """Register an affiliate; a known one is printed as it is."""
    with opened_sdk() as sdk:
        print_records([sdk.affiliates.register(email, **fields)])


@affiliates.command("list")
@CURSOR
@LIMIT
def list_affiliates(**wanted: Any) -> None:
    """List affiliates as JSON lines, by code; the next cursor on stderr."""
    with opened_sdk() as sdk:
        print_page(sdk.affiliates.list(**wanted))


@affiliates.command("show")
@click.argument("affiliate")
def show_affiliate(affiliate: str) -> None:
    """Print an affiliate, the balance in each currency, and what each course earned."""
    with opened_sdk() as sdk:
        found = sdk.affiliates.get(affiliate)
        courses = sdk.affiliates.by_course(affiliate).courses
        print_records([found, *sdk.affiliates.stats(affiliate), *courses])


@affiliates.command("statement")
@click.argument("affiliate")
def statement(affiliate: str) -> None:
    """Write the whole ledger as CSV to stdout."""
    # A file of data is UTF-8 whatever the terminal is.
    with opened_sdk() as sdk, click.open_file("-", "w", encoding="utf-8") as out:
        sdk.affiliates.statement(affiliate, out)


@affiliates.command("suspend")
@click.argument("affiliate")
@click.option("--resume", is_flag=True, help="Let it earn again.")
@ACTOR
@REASON
def suspend(affiliate: str, actor: str, reason: str, *, resume: bool) -> None:
    """Let an affiliate earn nothing any more."""
    with opened_sdk() as sdk:
        done = sdk.affiliates.suspend(affiliate, actor, reason, suspended=not resume)
        print_records([done])


@affiliates.command("pay-out")
@click.argument("affiliate")
@click.option("--currency", required=True, help="Which balance.")
@click.option("--amount-minor", type=int, help="Minor units; all if not given.")
@click.option("--payout-id", help="Your id: the same one pays once.")
@ACTOR
@REASON
def pay_out(
    affiliate: str, currency: str, actor: str, reason: str, **more: Any
) -> None:
    """Write down that a balance was paid out (the money is yours to send)."""
    with opened_sdk() as sdk:
        print_records(
            [sdk.affiliates.pay_out(affiliate, currency, actor, reason, **more)]
        )
