# SPDX-License-Identifier: MIT
"""Tokens for the admin surface: printed once, stored as hashes."""

from __future__ import annotations

import json

import click

from frappe_enroll_sdk.ids import hash_token, new_token
from frappe_enroll_sdk.settings.http import TOKEN_LINE


@click.group("admin-token")
def admin_token() -> None:
    """Create tokens for the admin surface."""


@admin_token.command("create")
@click.option(
    "--name", required=True, help="Name of the operator, for the audit trail."
)
@click.option(
    "--role",
    type=click.Choice(["viewer", "operator"]),
    default="operator",
    show_default=True,
    help="Read only, or also change things.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def create(*, name: str, role: str, as_json: bool) -> None:
    """Create a token; print it and its line for FRAPPE_ENROLL_ADMIN_TOKENS."""
    token = f"fea_{new_token()}"
    line = f"{role}:{name}:{hash_token(token)}"
    if not TOKEN_LINE.fullmatch(line):
        message = "1 to 64 letters, digits or . _ - @"
        raise click.BadParameter(message, param_hint="--name")
    if as_json:
        click.echo(json.dumps({"token": token, "line": line}))
        return
    click.echo("Keep this token; it is not shown again:", err=True)
    click.echo(token)
    click.echo(
        "Add this line to FRAPPE_ENROLL_ADMIN_TOKENS (comma-separated):", err=True
    )
    click.echo(line)
