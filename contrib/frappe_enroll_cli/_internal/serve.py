# SPDX-License-Identifier: MIT
"""`frappe-enroll serve`."""

from __future__ import annotations

import click

from .opened import opened_sdk
from .stopping import Stop, say


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@click.option("--prefix", default="", help="Path to mount it under, e.g. /enroll.")
def serve(*, port: int, prefix: str) -> None:
    """
    Serve API and dashboard on loopback (to try it out, not for production).

    SIGTERM and Ctrl-C let running requests finish.
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
