# SPDX-License-Identifier: MIT
"""Commands that run or examine the service."""

from __future__ import annotations

import json

import attrs
import click

from frappe_enroll_sdk.plugins import Plugins
from frappe_enroll_sdk.services.doctor import examine
from frappe_enroll_sdk.settings.text import describe, template

from .opened import opened_sdk, settings
from .stopping import Stop, say


@click.command()
@click.option(
    "--check",
    "only_check",
    is_flag=True,
    help="Change nothing; report what differs, and exit 1 if anything does.",
)
def setup(*, only_check: bool) -> None:
    """Create or upgrade the store's schema (idempotent)."""
    with opened_sdk() as sdk:
        if only_check:
            drift = sdk.storage.list_drift()
            for difference in drift:
                click.echo(difference)
            raise SystemExit(1 if drift else 0)
        sdk.setup()
        click.echo(f"{sdk.settings.storage_name}: the schema is up to date", err=True)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--url", help="The public URL of the mount; it is knocked at.")
def check(*, as_json: bool, url: str | None) -> None:
    """Examine the deployment: state, cause and mend; exit 69 where something is bad."""
    with opened_sdk() as sdk:
        found = examine(sdk, url)
    if as_json:
        click.echo(json.dumps([attrs.asdict(one) for one in found]))
    else:
        for one in found:
            click.secho(f"{one.name:16} {one.state}", fg="red" if one.is_bad else None)
            if one.cause:
                click.echo(f"  {one.cause}")
            if one.mend:
                click.echo(f"  mend: {one.mend}")
    if any(one.is_bad for one in found):
        raise SystemExit(69)


@click.command()
@click.option("--template", "as_template", is_flag=True, help="Print all variables.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def config(*, as_template: bool, as_json: bool) -> None:
    """Print every setting with its source, secrets masked."""
    if as_template:
        click.echo(template())
        return
    rows = describe(settings())
    if as_json:
        keys = ("variable", "value", "source", "help")
        click.echo(json.dumps([dict(zip(keys, row, strict=True)) for row in rows]))
        return
    for variable, value, source, _ in rows:
        click.echo(f"{variable}={value}  # {source}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plugins(*, as_json: bool) -> None:
    """List the installed plugins and what became of them."""
    # Without any backend: this is where one looks when a backend can't be built.
    infos = Plugins.from_settings(settings()).infos
    if as_json:
        click.echo(json.dumps([attrs.asdict(info) for info in infos]))
        return
    for info in infos:
        hooks = ", ".join(info.hooks)
        line = f"{info.name:12} {info.status:9} {info.dist} {info.version}  {hooks}"
        click.secho(f"{line} {info.error}", fg="red" if info.error else None)


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@click.option("--prefix", default="", help="Mount it under this path, e.g. /enroll.")
def serve(*, port: int, prefix: str) -> None:
    """
    Serve API and dashboard on loopback (for a quick start, not for production).

    SIGTERM and Ctrl-C let the requests that run finish.
    """
    from werkzeug.exceptions import NotFound  # noqa: PLC0415  an extra
    from werkzeug.middleware.dispatcher import DispatcherMiddleware  # noqa: PLC0415

    from frappe_enroll_wsgi import create_app  # noqa: PLC0415

    from .server import Server  # noqa: PLC0415  an extra

    prefix = f"/{prefix.strip('/')}".rstrip("/")
    stop = Stop()
    with stop.on_signals(), opened_sdk() as sdk:
        sdk.storage.check_schema()
        app = create_app(sdk)
        if prefix:
            app = DispatcherMiddleware(NotFound(), {prefix: app})
        with Server("127.0.0.1", port, app) as server, stop.instead(server.stop):
            say(f"http://127.0.0.1:{port}{prefix}/admin/", err=True)
            server.run()
