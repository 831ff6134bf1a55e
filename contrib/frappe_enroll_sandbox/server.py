# SPDX-License-Identifier: MIT
"""A WSGI app on a loopback port that can go down and come back on the same port."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any, Self

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response


logging.getLogger("werkzeug").setLevel(logging.ERROR)


class QuietHandler(WSGIRequestHandler):
    """No line per request; a reset by the app closes the socket at once."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  inherited
        """Say nothing."""

    def connection_dropped(
        self, error: BaseException, environ: dict[str, Any] | None = None
    ) -> None:
        """Say nothing: clients hang up in tests."""


class DropConnection(ConnectionError):
    """Raised by an app to close the connection without an answer."""


class LoopbackServer:
    """Serves `handle` on 127.0.0.1 in a daemon thread; a context manager."""

    def __init__(self, handle: Callable[[Request], Response], port: int = 0) -> None:
        self._handle = handle
        self._port = port
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Self:
        """Listen; the port stays the same over `stop` and `start`."""
        server = make_server(
            "127.0.0.1",
            self._port,
            self._app,
            threaded=True,
            request_handler=QuietHandler,
        )
        server.daemon_threads = True  # type: ignore[attr-defined]  # of ThreadingMixIn
        server.block_on_close = False  # type: ignore[attr-defined]  # the same
        self._server, self._port = server, server.server_port
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the listening socket: connections are refused from now on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _app(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        try:
            response = self._handle(request)
        except DropConnection:
            connection = environ.get("werkzeug.socket")
            if isinstance(connection, socket.socket):
                connection.shutdown(socket.SHUT_RDWR)
            raise
        # One request per connection: "down" must reach kept-alive clients too.
        response.headers["Connection"] = "close"
        return response(environ, start_response)
