# SPDX-License-Identifier: MIT
"""A WSGI server on a loopback port that can stop and start again on the same port."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Self

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response


logging.getLogger("werkzeug").setLevel(logging.ERROR)

_LETS_GO_S = 1.0


class QuietHandler(WSGIRequestHandler):
    """Logs no requests; a reset by the app closes the socket at once."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  inherited
        """Log nothing."""

    def connection_dropped(
        self, error: BaseException, environ: dict[str, Any] | None = None
    ) -> None:
        """Ignore errors: clients hang up in tests."""


class DropConnection(ConnectionError):
    """Raised by an app to close the connection without an answer."""


class LoopbackServer:
    """Serves `handle` on 127.0.0.1 in a daemon thread. A context manager."""

    def __init__(self, handle: Callable[[Request], Response], port: int = 0) -> None:
        self._handle = handle
        self._port = port
        self._server: BaseWSGIServer | None = None
        self._held: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Self:
        """Listen; `stop` and `start` keep the port."""
        held, self._held = self._held or _bound(self._port), None
        held.listen(128)
        with held:  # the server takes a copy
            server = make_server(
                "127.0.0.1",
                self._port,
                self._app,
                threaded=True,
                request_handler=QuietHandler,
                fd=held.fileno(),
            )
        server.daemon_threads = True  # type: ignore[attr-defined]  # of ThreadingMixIn
        server.block_on_close = False  # type: ignore[attr-defined]  # the same
        self._server, self._port = server, server.port
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """
        Refuse connections until `start`.

        The port stays reserved, so that no other program can answer on it.
        """
        self._refuse()
        self._held = _bound(self._port)

    def close(self) -> None:
        """Close for good and release the port; may be repeated."""
        self._refuse()
        if self._held is not None:
            self._held.close()
            self._held = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refuse(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _app(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        try:
            response = self._handle(request)
        except DropConnection:
            connection = environ.get("werkzeug.socket")
            if isinstance(connection, socket.socket):
                connection.shutdown(socket.SHUT_RDWR)
            raise
        # One request per connection, so that `stop` affects kept-alive clients, too.
        response.headers["Connection"] = "close"
        return response(environ, start_response)


def _bound(port: int) -> socket.socket:
    """
    Return a bound socket that does not listen yet.

    Raises:
        OSError: Another process had the port for `_LETS_GO_S` (Linux releases a port
            some milliseconds after its socket was closed).
    """
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ends = time.monotonic() + _LETS_GO_S
    while True:
        try:
            bound.bind(("127.0.0.1", port))
        except OSError:
            if time.monotonic() < ends:
                time.sleep(0.001)
                continue
            bound.close()
            raise
        return bound
