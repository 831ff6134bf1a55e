# SPDX-License-Identifier: MIT
"""A peer on loopback that never comes to an end, in each way that there is."""

from __future__ import annotations

import contextlib
import gzip
import io
import socket
import threading
from typing import Self


#: Seconds between two bytes: far less than any time-out, so that no wait is too long.
_DRIP_S = 0.02
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class Peer:
    """
    A listener that treats each connection in one way; a context manager.

    With a context `tls` it does so once the handshake is over.

    Attributes:
        port: Where it listens.
        accepted: How many connections came.
        left: Set once a client has hung up while the peer was still at it.
    """

    def __init__(self, way, tls=None) -> None:
        self._way, self._tls = way, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.accepted = 0
        self.left, self._stop = threading.Event(), threading.Event()
        self.used = threading.Event()

    def url(self, scheme="http") -> str:
        """Return its address."""
        return f"{scheme}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = self._listener.accept()
                self.accepted += 1
                self.used.set()
                threading.Thread(target=self._treat, args=(link,), daemon=True).start()

    def _treat(self, link) -> None:
        try:
            if self._tls is not None:
                link = self._tls.wrap_socket(link, server_side=True)
            with link:
                self._way(self, link)
        except OSError:
            self.left.set()

    def wait(self, link, seconds) -> None:
        """Pass time; tell when the client has hung up, or the test is over."""
        link.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            if not link.recv(1 << 16):
                raise ConnectionResetError
        if self._stop.is_set():
            raise ConnectionAbortedError

    def drip(self, link, piece) -> None:
        """Send a piece a byte at a time, for ever."""
        while True:
            for n in range(len(piece)):
                link.sendall(piece[n : n + 1])
                self.wait(link, _DRIP_S)

    def flood(self, link, piece) -> None:
        """Send a piece as fast as it is taken, for ever."""
        link.settimeout(30)
        while not self._stop.is_set():
            link.sendall(piece)


def _zeros() -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as file:
        file.write(bytes(64_000_000))
    return packed.getvalue()


def _then(head, *, drip=b"", flood=b"", asked=True):
    """Return a way: take the request, send the head, and never end."""

    def way(peer, link):
        if asked:
            link.recv(1 << 16)
        link.sendall(head)
        if flood:
            peer.flood(link, flood)
        peer.drip(link, drip)

    return way


def _silent(peer, link):
    while True:
        peer.wait(link, 1)


def _redirect(peer, link):
    link.recv(1 << 16)
    to = f"{peer.url()}/again".encode()
    link.sendall(
        b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\n"
        b"Location: " + to + b"\r\n\r\n"
    )


def _bomb(peer, link):
    link.recv(1 << 16)
    packed = _zeros()
    head = _OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    link.sendall(head % len(packed) + packed)
    _silent(peer, link)


#: What the answers to HTTP requests may be like.
_HEADS = {
    "silence": _silent,
    "a status line that drips": _then(b"", drip=b"HTTP/1.1 200 OK"),
    "a header that drips": _then(_OK + b"X: ", drip=b"x"),
    "headers that drip": _then(_OK, drip=b"X-More: and more\r\n"),
    "continues that drip": _then(b"", drip=b"HTTP/1.1 100 Continue\r\n\r\n"),
}
#: The same, once status and headers have come.
BODIES = {
    "a body that drips": _then(_OK + b"Content-Length: 999999\r\n\r\n", drip=b" "),
    "chunks that drip": _then(
        _OK + b"Transfer-Encoding: chunked\r\n\r\n", drip=b"1\r\n \r\n"
    ),
    "a body until the end that drips": _then(
        _OK + b"Connection: close\r\n\r\n", drip=b" "
    ),
}
HTTP = _HEADS | BODIES
#: What is too much of an answer.
TOO_MUCH = {
    "a body without end": _then(
        _OK + b"Connection: close\r\n\r\n", flood=b" " * 65_536
    ),
    "chunks without end": _then(
        _OK + b"Transfer-Encoding: chunked\r\n\r\n",
        flood=b"400\r\n%s\r\n" % (b" " * 1024),
    ),
    "a body that unpacks": _bomb,
}
REDIRECT = _redirect
#: What a TLS handshake may be like: nothing, or one record a byte at a time.
TLS = {
    "a handshake in silence": _silent,
    "a handshake that drips": _then(b"\x16\x03\x03\x3f\xff", drip=b"\x02\x00\x00\x01"),
}


def _after_starttls(peer, link):
    link.sendall(b"220 here\r\n")
    link.recv(1 << 16)
    link.sendall(b"250-here\r\n250 STARTTLS\r\n")
    link.recv(1 << 16)
    link.sendall(b"220 go on\r\n")
    _silent(peer, link)


def _after(head, *, drip=b"", flood=b""):
    def way(peer, link):
        link.sendall(b"220 here\r\n")
        link.recv(1 << 16)
        _then(head, drip=drip, flood=flood, asked=False)(peer, link)

    return way


#: What a mail server may be like, by (what it does, how the client secures itself).
SMTP = {
    "silence": (_silent, "none"),
    "a greeting that drips": (_then(b"", drip=b"2", asked=False), "none"),
    "greetings that drip": (_then(b"", drip=b"220-hi\r\n", asked=False), "none"),
    "greetings without end": (
        _then(b"", flood=b"220-hello\r\n" * 500, asked=False),
        "none",
    ),
    "an answer that drips": (_after(b"", drip=b"250-x\r\n"), "none"),
    "an answer without end": (_after(b"", flood=b"250-x\r\n" * 500), "none"),
    "silence after STARTTLS": (_after_starttls, "starttls"),
    "TLS in silence": (_silent, "tls"),
    "TLS that drips": (TLS["a handshake that drips"], "tls"),
}
