# SPDX-License-Identifier: MIT
"""A loopback server that finishes running requests before it stops."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Self

from werkzeug.serving import WSGIRequestHandler, make_server

from frappe_enroll_sdk.clock import SYSTEM

from .common import port_error


if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

#: Seconds that running requests have left after `stop`.
_FINISH_S = 30.0
#: Seconds between two checks.
_SLICE_S = 0.1


class Server:
    """Serves an application in threads. A context manager."""

    def __init__(self, host: str, port: int, app: WSGIApplication) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._asked = False
        try:
            # Werkzeug would exit the process if the port is in use.
            self._socket = socket.create_server((host, port), backlog=128)
        except OSError as error:
            raise port_error("--port", port, error) from error
        self._server = make_server(
            host,
            port,
            app,
            threaded=True,
            request_handler=self._counting(),
            fd=self._socket.fileno(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()
        self._socket.close()

    def stop(self) -> None:
        """Accept no more connections; takes no lock, so signal handlers may call it."""
        self._asked = True

    def run(self) -> None:
        """Serve until `stop`, then until running requests have finished."""
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        while not self._asked and thread.is_alive():
            SYSTEM.sleep(_SLICE_S)
        self._server.shutdown()
        for _ in range(int(_FINISH_S / _SLICE_S)):
            with self._lock:
                if self._running == 0:
                    return
            SYSTEM.sleep(_SLICE_S)

    def _counting(self) -> type[WSGIRequestHandler]:
        """Return a handler that counts running requests, however they end."""
        server = self

        class Handler(WSGIRequestHandler):
            def run_wsgi(self) -> None:
                with server._lock:
                    server._running += 1
                try:
                    super().run_wsgi()
                finally:
                    with server._lock:
                        server._running -= 1

        return Handler
