# SPDX-License-Identifier: MIT
"""`frappe-enroll coupons`."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import IO, Any

import click

from frappe_enroll_sdk.services.coupons.files import Imported, Problem

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
from .stopping import Stop, ended, say


MOMENT = click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"])
PREFIX = click.option("--prefix", help="Filter by the beginning of the code.")
COURSE = click.option("--course", "course_id", help="Filter by course.")


def _terms(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for a coupon's terms."""
    options = (
        click.option(
            "--percent",
            required=True,
            help="Discount in percent, above 0 and at most 100.",
        ),
        click.option("--course", "course_id", help="Restrict it to this course."),
        click.option(
            "--any-course", is_flag=True, help="Make it valid for every course."
        ),
        click.option("--email", help="Restrict it to this learner."),
        click.option("--max-redemptions", type=int, default=1, show_default=True),
        click.option("--per-learner", type=int, help="Most redemptions per learner."),
        click.option(
            "--starts-at",
            type=MOMENT,
            help="Valid from this moment (with a time zone).",
        ),
        click.option(
            "--expires-at",
            type=MOMENT,
            help="Invalid from this moment on (with a time zone).",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def coupons() -> None:
    """Create, list, show, disable, import, export and count coupons."""


@coupons.command("create")
@_terms
@click.option("--code", help="The code; random by default.")
@DOOR
@WHY
def create_coupon(percent: str, **terms: Any) -> None:
    """Create a coupon and print it."""
    with opened_sdk() as sdk:
        print_records([sdk.coupons.create(percent, **terms)])


@coupons.command("create-many")
@click.argument("count", type=int)
@_terms
@click.option(
    "--prefix", default="GRANT", show_default=True, help="Beginning of each code."
)
@click.option(
    "--pattern",
    default="####-####-####",
    show_default=True,
    help="Rest of each code; # stands for a random letter or digit.",
)
@ACTOR
@REASON
def create_many(count: int, percent: str, **terms: Any) -> None:
    """Create many coupons with random codes; print each code once it is stored."""
    stop = Stop()
    with stop.on_signals(), opened_sdk() as sdk, _progress(count, "coupons") as tell:
        done = 0
        made = sdk.coupons.create_each(
            count, percent, on_progress=stop.after(tell), **terms
        )
        with (
            closing(made),
            stop.instead(stop.note),
            ended(lambda: done, f"of {count} coupons were created"),
        ):
            for coupon in made:
                done += 1
                click.echo(coupon.code)


@contextmanager
def _progress(length: int, label: str) -> Iterator[Callable[[int], None]]:
    """Show progress on stderr; yield a function that takes the count so far."""
    done = 0
    shown: Any = click.progressbar(length=length, label=label, file=sys.stderr)
    with shown as bar:

        def tell(behind: int) -> None:
            nonlocal done
            bar.update(behind - done)
            done = behind

        yield tell


@coupons.command("import")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--all-or-nothing", is_flag=True, help="Create nothing if any row is bad."
)
@ACTOR
@REASON
def import_coupons(
    file: IO[bytes], actor: str, reason: str, *, all_or_nothing: bool
) -> None:
    """Create coupons from a CSV file (`-` for stdin); report bad rows on stderr."""
    if all_or_nothing and not file.seekable():
        raise click.UsageError(
            "--all-or-nothing reads the input twice, so it needs a file"
        )
    stop, report = Stop(), Imported()
    with (
        stop.on_signals(),
        opened_sdk() as sdk,
        _read(file) as text,
        stop.instead(stop.note),
        ended(lambda: report.created, "coupons were created; import the file again"),
    ):
        sdk.coupons.import_csv(
            text,
            all_or_nothing=all_or_nothing,
            on_problem=_print_problem,
            on_progress=stop.after(),
            report=report,
            actor=actor,
            reason=reason,
        )
    print_records([report.counts])
    if report.bad:
        raise SystemExit(1)


@contextmanager
def _read(file: IO[bytes]) -> Iterator[IO[str]]:
    """Read a file as text; whoever has opened it closes it."""
    # A byte that is not UTF-8 spoils its own cell only, not the whole file.
    text = io.TextIOWrapper(file, "utf-8", errors="surrogateescape", newline="")
    try:
        yield text
    finally:
        text.detach()


def _print_problem(problem: Problem) -> None:
    say(f"line {problem.line}: {problem.field}: {problem.text}", err=True)


@coupons.command("export")
@click.option("--output", type=click.File("w", encoding="utf-8"), default="-")
@PREFIX
@COURSE
def export_coupons(output: IO[str], **wanted: Any) -> None:
    """Write coupons with their counts as CSV that `import` can read."""
    with opened_sdk() as sdk:
        count = sdk.coupons.export_csv(output, **wanted, unreadable=tell_lost)
    click.echo(f"{count} coupons", err=True)


@coupons.command("usage")
@PREFIX
@COURSE
def usage(**wanted: Any) -> None:
    """Count coupons and seats by state."""
    with opened_sdk() as sdk:
        print_records([sdk.coupons.usage(**wanted)])


@coupons.command("list")
@COURSE
@click.option("--email", help="Filter by learner.")
@PREFIX
@CURSOR
@LIMIT
def list_coupons(**wanted: Any) -> None:
    """List coupons as JSON lines, by code; the next cursor on stderr."""
    with opened_sdk() as sdk:
        print_page(sdk.coupons.list(**wanted))


@coupons.command("show")
@click.argument("code")
def show_coupon(code: str) -> None:
    """Show one coupon with its counts."""
    with opened_sdk() as sdk:
        print_records([sdk.coupons.get(code)])


@coupons.command("disable")
@click.argument("code")
@DOOR
@WHY
def disable_coupon(code: str, actor: str, reason: str) -> None:
    """Disable a coupon; taken seats stay valid."""
    with opened_sdk() as sdk:
        sdk.coupons.disable(code, actor=actor, reason=reason)
