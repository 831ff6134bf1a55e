# SPDX-License-Identifier: MIT
"""What servers hide of a request: whom to trust is said in our settings alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_WAITRESS = "waitress.client_disconnected"


def header(environ: WSGIEnvironment, name: str) -> str:
    """Return a header by its name in the environment; "" where it did not come."""
    told = environ.get(name)
    return _of_waitress(environ, name) if told is None else str(told)


def _of_waitress(environ: WSGIEnvironment, name: str) -> str:
    """
    Return a header that waitress took away.

    It takes away what comes from peers that its own option `trusted_proxy` does not
    name; what it read is still with the connection.
    """
    channel: Any = getattr(environ.get(_WAITRESS), "__self__", None)
    asked = getattr(channel, "requests", None) or ()
    # One that its option names has its say in REMOTE_ADDR already.
    if not asked or environ.get("REMOTE_ADDR") != channel.addr[0]:
        return ""
    return str(asked[0].headers.get(name.removeprefix("HTTP_"), ""))
