# SPDX-License-Identifier: MIT
"""Recover headers that servers hide: only our settings decide whom to trust."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_WAITRESS = "waitress.client_disconnected"


def header(environ: WSGIEnvironment, name: str) -> str:
    """Return a header by its name in the environment; "" if it is missing."""
    found = environ.get(name)
    return _of_waitress(environ, name) if found is None else str(found)


def _of_waitress(environ: WSGIEnvironment, name: str) -> str:
    """
    Return a header that waitress removed.

    Waitress removes it if its own option `trusted_proxy` does not name the peer, but
    keeps it with the connection.
    """
    channel: Any = getattr(environ.get(_WAITRESS), "__self__", None)
    requests = getattr(channel, "requests", None) or ()
    # Waitress has already applied a trusted peer's header to REMOTE_ADDR.
    if not requests or environ.get("REMOTE_ADDR") != channel.addr[0]:
        return ""
    return str(requests[0].headers.get(name.removeprefix("HTTP_"), ""))
