# SPDX-License-Identifier: MIT
"""Options and output that the groups share."""

from __future__ import annotations

import json
from typing import Any

import click

from frappe_enroll_sdk.codec import dump
from frappe_enroll_sdk.models import JobState


ACTOR = click.option(
    "--actor", required=True, envvar="ENROLL_ACTOR", show_envvar=True, help="Who acts."
)
REASON = click.option("--reason", required=True, help="Why; goes into the audit trail.")
LIMIT = click.option("--limit", type=click.IntRange(1, 1000), default=50)
STATE = click.option(
    "--state", type=click.Choice([str(s) for s in JobState]), help="Only this state."
)


def print_records(records: Any) -> None:
    """Print records as JSON lines."""
    for record in records:
        click.echo(json.dumps(dump(record), ensure_ascii=False))
