# SPDX-License-Identifier: MIT
"""CORS for the learners' routes and the configured origins; off without any."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response


if TYPE_CHECKING:
    from .routing import Resource

_ALLOWED = "Content-Type, Idempotency-Key, Enrollment-Token"
_EXPOSED = "Idempotent-Replayed, RateLimit, RateLimit-Policy, Retry-After"
#: Seconds for which a browser caches a preflight.
_MAX_AGE_S = "600"


def preflight(
    origins: Collection[str], request: Request, resource: Resource
) -> Response | None:
    """Answer a preflight from an allowed origin; None for any other request."""
    wanted = request.headers.get("Access-Control-Request-Method")
    if request.headers.get("Origin") not in origins or wanted not in resource.routes:
        return None
    response = Response(status=204)
    del response.headers["Content-Type"]
    response.headers["Access-Control-Allow-Methods"] = resource.allow
    response.headers["Access-Control-Allow-Headers"] = _ALLOWED
    response.headers["Access-Control-Max-Age"] = _MAX_AGE_S
    return response


def allow(origins: Collection[str], request: Request, response: Response) -> None:
    """Let pages of allowed origins read the answer, never with credentials."""
    if not origins:
        return
    response.headers.add("Vary", "Origin")
    origin = request.headers.get("Origin")
    if origin in origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
