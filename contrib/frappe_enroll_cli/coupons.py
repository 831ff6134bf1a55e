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
)
from .opened import opened_sdk
from .stopping import Stop, ended, say


MOMENT = click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"])
PREFIX = click.option("--prefix", help="Only codes that begin so.")
COURSE = click.option("--course", "course_id", help="Only this course's.")


def _terms(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a coupon's terms."""
    options = (
        click.option(
            "--percent", required=True, help="Percent off, above 0, at most 100."
        ),
        click.option("--course", "course_id", help="The course it is good for."),
        click.option("--any-course", is_flag=True, help="Good for every course."),
        click.option("--email", help="The one learner it is good for."),
        click.option("--max-redemptions", type=int, default=1, show_default=True),
        click.option(
            "--per-learner", type=int, help="Seats that one learner may have."
        ),
        click.option("--starts-at", type=MOMENT, help="First moment, with its zone."),
        click.option(
            "--expires-at", type=MOMENT, help="First moment that is too late."
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
@click.option("--code", help="What is typed; made up if not given.")
@DOOR
@WHY
def create_coupon(percent: str, **terms: Any) -> None:
    """Create a coupon and print it."""
    with opened_sdk() as sdk:
        print_records([sdk.coupons.create(percent, **terms)])


@coupons.command("create-many")
@click.argument("count", type=int)
@_terms
@click.option("--prefix", default="GRANT", show_default=True, help="First part.")
@click.option(
    "--pattern",
    default="####-####-####",
    show_default=True,
    help="The rest; each # is a random letter or digit.",
)
@ACTOR
@REASON
def create_many(count: int, percent: str, **terms: Any) -> None:
    """Create many coupons with random codes; print a code a line, once it is stored."""
    stop = Stop()
    with stop.on_signals(), opened_sdk() as sdk, _progress(count, "coupons") as tell:
        done = 0
        made = sdk.coupons.create_each(
            count, percent, on_progress=stop.after(tell), **terms
        )
        with (
            closing(made),
            stop.instead(stop.note),
            ended(lambda: done, f"of {count} coupons were made"),
        ):
            for coupon in made:
                done += 1
                click.echo(coupon.code)


@contextmanager
def _progress(length: int, label: str) -> Iterator[Callable[[int], None]]:
    """Show progress on stderr; yield what is told how much is done."""
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
@click.option("--all-or-nothing", is_flag=True, help="Write nothing if a row is bad.")
@ACTOR
@REASON
def import_coupons(
    file: IO[bytes], actor: str, reason: str, *, all_or_nothing: bool
) -> None:
    """Create the coupons of a CSV file (`-` reads stdin); each bad row on stderr."""
    if all_or_nothing and not file.seekable():
        raise click.UsageError("--all-or-nothing reads twice: give it a file")
    stop, report = Stop(), Imported()
    with (
        stop.on_signals(),
        opened_sdk() as sdk,
        _read(file) as text,
        stop.instead(stop.note),
        ended(lambda: report.created, "coupons were made; import the file again"),
    ):
        sdk.coupons.import_csv(
            text,
            all_or_nothing=all_or_nothing,
            on_problem=_tell,
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
    # A byte that is no UTF-8 is its own cell's trouble, not the file's.
    text = io.TextIOWrapper(file, "utf-8", errors="surrogateescape", newline="")
    try:
        yield text
    finally:
        text.detach()


def _tell(problem: Problem) -> None:
    say(f"line {problem.line}: {problem.field}: {problem.text}", err=True)


@coupons.command("export")
@click.option("--output", type=click.File("w", encoding="utf-8"), default="-")
@PREFIX
@COURSE
def export_coupons(output: IO[str], **wanted: Any) -> None:
    """Write coupons with their counts as CSV: what `import` reads."""
    with opened_sdk() as sdk:
        count = sdk.coupons.export_csv(output, **wanted)
    click.echo(f"{count} coupons", err=True)


@coupons.command("usage")
@PREFIX
@COURSE
def usage(**wanted: Any) -> None:
    """Count coupons, their seats, and what became of them."""
    with opened_sdk() as sdk:
        print_records([sdk.coupons.usage(**wanted)])


@coupons.command("list")
@COURSE
@click.option("--email", help="Only this learner's.")
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
    """Disable a coupon; seats that are taken stay."""
    with opened_sdk() as sdk:
        sdk.coupons.disable(code, actor=actor, reason=reason)
