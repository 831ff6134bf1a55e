# SPDX-License-Identifier: MIT
"""Options and output that the groups share."""

from __future__ import annotations

import errno
import json
from typing import Any

import click

from frappe_enroll_sdk.codec import shown
from frappe_enroll_sdk.errors import ConfigurationError, EnrollError, TransientError
from frappe_enroll_sdk.models import JobState, Page


class Finite(click.FloatRange):
    """A number within bounds; NaN is within none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Return the number, or fail."""
        number = super().convert(value, param, ctx)
        if number != number:  # noqa: PLR0124  NaN's own test
            self.fail("is not a number", param, ctx)
        return number


ACTOR = click.option(
    "--actor", required=True, envvar="ENROLL_ACTOR", show_envvar=True, help="Who acts."
)
REASON = click.option("--reason", required=True, help="Why; goes into the audit trail.")
LIMIT = click.option("--limit", type=click.IntRange(1, 1000), default=50)
CURSOR = click.option("--cursor", help="Where the last list ended.")
STATE = click.option(
    "--state", type=click.Choice([str(s) for s in JobState]), help="Only this state."
)


def port_error(option: str, port: object, error: OSError) -> EnrollError:
    """Return our error for a port; one that is taken may be free soon."""
    words = f"{option} {port}: {error.strerror}"
    if error.errno == errno.EADDRINUSE:
        return TransientError(words)
    return ConfigurationError(words)


def print_records(records: Any) -> None:
    """Print records as JSON lines."""
    for record in records:
        click.echo(json.dumps(shown(record), ensure_ascii=False))


def print_page(page: Page[Any]) -> None:
    """Print a page as JSON lines, and on stderr where the next one begins."""
    print_records(page.items)
    if page.next_cursor:
        click.echo(f"--cursor {page.next_cursor}", err=True)
