# SPDX-License-Identifier: MIT
"""How much of a body is taken, whether its length is told beforehand or not."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import LengthRequired, RequestEntityTooLarge

from .routing import Access


if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from .routing import Route

#: Bytes of a body that anybody may send; other routes take what the setting says.
MOST_OF_ANYBODY = 65_536
_ANYBODY = frozenset({Access.PUBLIC, Access.LEARNER, Access.SAME_ORIGIN})


def bound(request: Request, route: Route, limit: int) -> None:
    """
    See to it that a body is had whole, or not at all.

    Raises:
        RequestEntityTooLarge: It is larger than the route takes.
        LengthRequired: It comes in chunks, by a server that does not put them together.
    """
    most = min(limit, MOST_OF_ANYBODY) if route.access in _ANYBODY else limit
    request.max_content_length = most
    length, environ = request.content_length, request.environ
    if length is not None:
        if length > most:
            raise RequestEntityTooLarge
        return
    if not environ.get("wsgi.input_terminated"):
        if environ.get("HTTP_TRANSFER_ENCODING"):
            raise LengthRequired
        return
    if "stream" in vars(request):  # a host has begun to read
        if len(request.get_data()) > most:
            raise RequestEntityTooLarge
        return
    # Werkzeug would cut it at the limit without a word.
    data = _read(environ["wsgi.input"], most + 1)
    if len(data) > most:
        raise RequestEntityTooLarge
    environ["wsgi.input"] = io.BytesIO(data)


def _read(stream: Any, most: int) -> bytes:
    """Return up to `most` bytes; a server's stream may give less at a time."""
    parts, left = [], most
    while left and (part := stream.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
