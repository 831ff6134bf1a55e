# SPDX-License-Identifier: MIT
"""Limits on the size of request bodies, with or without a Content-Length."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import LengthRequired, RequestEntityTooLarge

from .routing import Access


if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from .routing import Route

#: Most bytes of a body on public routes; the setting limits the others.
MAX_PUBLIC_BODY = 65_536
_PUBLIC = frozenset({Access.PUBLIC, Access.LEARNER, Access.SAME_ORIGIN})


def bound(request: Request, route: Route, limit: int) -> None:
    """
    Make sure that a body is read as a whole or refused.

    Raises:
        RequestEntityTooLarge: It is larger than the route allows.
        LengthRequired: It is chunked, and the server does not decode chunks.
    """
    most = min(limit, MAX_PUBLIC_BODY) if route.access in _PUBLIC else limit
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
    if "stream" in vars(request):  # the host has started to read
        if len(request.get_data()) > most:
            raise RequestEntityTooLarge
        return
    # Werkzeug would silently cut it at the limit.
    data = _read(environ["wsgi.input"], most + 1)
    if len(data) > most:
        raise RequestEntityTooLarge
    environ["wsgi.input"] = io.BytesIO(data)


def _read(stream: Any, most: int) -> bytes:
    """Return up to `most` bytes; a stream may return less per call."""
    parts, left = [], most
    while left and (part := stream.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
