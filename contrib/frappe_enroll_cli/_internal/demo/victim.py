# SPDX-License-Identifier: MIT
"""A process of the demo that serves the app until it is killed."""

from __future__ import annotations

import sys
import threading
from typing import Any

from werkzeug.wrappers import Request, Response

from frappe_enroll_sandbox import LoopbackServer
from frappe_enroll_sdk import EnrollSDK
from frappe_enroll_sdk.clock import OffsetClock
from frappe_enroll_wsgi import create_app

from .stage import demo_settings


def main(stripe_url: str, lms_url: str, database: str, offset_s: str) -> None:
    """Serve on a free port, print it, and wait to be killed."""
    app: Any = None

    def serve(request: Request) -> Response:
        return Response.from_app(app, request.environ)

    server = LoopbackServer(serve).start()
    settings = demo_settings(stripe_url, lms_url, database, server.url)
    app = create_app(EnrollSDK(settings, clock=OffsetClock(float(offset_s))))
    sys.stdout.write(f"{server.url}\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
