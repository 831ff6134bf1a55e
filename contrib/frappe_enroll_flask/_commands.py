# SPDX-License-Identifier: MIT
"""``flask enroll …``: the whole command line (with the worker) on the app's SDK."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import with_appcontext

from frappe_enroll_cli._internal.opened import lend
from frappe_enroll_cli.main import LazyGroup


@click.group("enroll", cls=LazyGroup)
@click.pass_context
@with_appcontext
def enroll_group(context: click.Context) -> None:
    """Turn a grant coupon or a payment into a Frappe LMS enrollment."""
    lend(context, current_app.extensions["frappe_enroll"])
