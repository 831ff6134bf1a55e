# SPDX-License-Identifier: MIT
"""Security headers of every answer; a page may have set its own policy."""

from __future__ import annotations

from werkzeug.wrappers import Response


_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Cache-Control": "no-store",
}


def finish(response: Response, hsts_s: int = 0) -> Response:
    """Add the missing headers; with `hsts_s` browsers insist on HTTPS for that long."""
    if hsts_s:
        response.headers.setdefault("Strict-Transport-Security", f"max-age={hsts_s}")
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response
