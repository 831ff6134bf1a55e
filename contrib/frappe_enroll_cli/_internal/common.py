# SPDX-License-Identifier: MIT
"""Options and output shared by the commands."""

from __future__ import annotations

import errno
import json
from typing import Any

import click

from frappe_enroll_sdk.codec import shown
from frappe_enroll_sdk.errors import ConfigurationError, EnrollError, TransientError
from frappe_enroll_sdk.models import JobState, Page


class Finite(click.FloatRange):
    """A number within bounds, never NaN."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Return the number, or fail."""
        number = super().convert(value, param, ctx)
        if number != number:  # noqa: PLR0124  true for NaN only
            self.fail("is not a number", param, ctx)
        return number


ACTOR = click.option(
    "--actor",
    required=True,
    envvar="ENROLL_ACTOR",
    show_envvar=True,
    help="Your name, for the audit trail.",
)
REASON = click.option(
    "--reason", required=True, help="The reason, for the audit trail."
)
#: The same where nobody has to say who: the audit trail then names the command line.
DOOR = click.option(
    "--actor",
    default="cli",
    envvar="ENROLL_ACTOR",
    show_default=True,
    show_envvar=True,
    help="Your name, for the audit trail.",
)
WHY = click.option(
    "--reason",
    default="none was given",
    show_default=True,
    help="The reason, for the audit trail.",
)
LIMIT = click.option("--limit", type=click.IntRange(1, 1000), default=50)
CURSOR = click.option(
    "--cursor", help="Continue after a page (its cursor is printed on stderr)."
)
STATE = click.option(
    "--state", type=click.Choice([str(s) for s in JobState]), help="Filter by state."
)


SINCE = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


def port_error(option: str, port: object, error: OSError) -> EnrollError:
    """Return our error for a port; a port in use is worth a retry."""
    words = f"{option} {port}: {error.strerror}"
    if error.errno == errno.EADDRINUSE:
        return TransientError(words)
    return ConfigurationError(words)


def print_records(records: Any) -> None:
    """Print records as JSON lines."""
    for record in records:
        click.echo(json.dumps(shown(record), ensure_ascii=False))


def tell_lost(words: str) -> None:
    """Name a stored row that can't be read, on stderr."""
    click.echo(f"unreadable: {words}", err=True)


def print_items(page: Page[Any]) -> None:
    """Print a page's records as JSON lines; what can't be read is named on stderr."""
    print_records(page.items)
    for words in page.unreadable:
        tell_lost(words)


def print_page(page: Page[Any]) -> None:
    """Print a page and, on stderr, the cursor of the next one."""
    print_items(page)
    if page.next_cursor:
        click.echo(f"--cursor {page.next_cursor}", err=True)
