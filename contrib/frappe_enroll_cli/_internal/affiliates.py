# SPDX-License-Identifier: MIT
"""`frappe-enroll affiliates`."""

from __future__ import annotations

from typing import Any

import click

from .common import (
    ACTOR,
    CURSOR,
    DOOR,
    LIMIT,
    REASON,
    WHY,
    print_page,
    print_records,
    tell_lost,
)
from .opened import opened_sdk


@click.group()
def affiliates() -> None:
    """Register affiliates, show their balances, record payouts."""


@affiliates.command("register")
@click.argument("email")
@click.option("--name", "full_name", help="The affiliate's name.")
@click.option("--code", help="Code in the link; random by default.")
@click.option("--percent", help="Commission; the setting's by default.")
@DOOR
@WHY
def register(email: str, **fields: Any) -> None:
    """Register an affiliate, or print the existing one unchanged."""
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
    """Print an affiliate, its balances by currency and its earnings by course."""
    with opened_sdk() as sdk:
        found = sdk.affiliates.get(affiliate)
        courses = sdk.affiliates.by_course(affiliate).courses
        print_records([found, *sdk.affiliates.stats(affiliate), *courses])


@affiliates.command("statement")
@click.argument("affiliate")
def statement(affiliate: str) -> None:
    """Write the whole ledger as CSV to stdout."""
    # A data file is UTF-8, whatever the terminal uses.
    with opened_sdk() as sdk, click.open_file("-", "w", encoding="utf-8") as out:
        sdk.affiliates.statement(affiliate, out, tell_lost)


@affiliates.command("suspend")
@click.argument("affiliate")
@click.option("--resume", is_flag=True, help="Let it earn again.")
@ACTOR
@REASON
def suspend(affiliate: str, actor: str, reason: str, *, resume: bool) -> None:
    """Suspend an affiliate: it earns nothing from now on."""
    with opened_sdk() as sdk:
        done = sdk.affiliates.suspend(affiliate, actor, reason, suspended=not resume)
        print_records([done])


@affiliates.command("pay-out")
@click.argument("affiliate")
@click.option("--currency", required=True, help="Currency of the balance.")
@click.option(
    "--amount-minor",
    type=int,
    help="Amount in minor units; the whole balance by default.",
)
@click.option("--payout-id", help="Your own id; repeating it pays only once.")
@ACTOR
@REASON
def pay_out(
    affiliate: str, currency: str, actor: str, reason: str, **more: Any
) -> None:
    """Record that a balance was paid out (you send the money yourself)."""
    with opened_sdk() as sdk:
        print_records(
            [sdk.affiliates.pay_out(affiliate, currency, actor, reason, **more)]
        )
