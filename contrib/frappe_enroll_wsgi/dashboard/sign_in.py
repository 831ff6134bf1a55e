# SPDX-License-Identifier: MIT
"""Signing in and out."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Response

from frappe_enroll_sdk.errors import NotFoundError

from ..routing import Access, Call
from ..schemas.parts import text
from .builders import change, look
from .forms import field
from .render import go, page


def form(call: Call) -> Response:
    """Show the form to sign in."""
    if not call.surface.gate.is_on:
        raise NotFoundError
    can = bool(call.sdk.settings.secret_key)
    return page(call, "sign_in.html", title="Sign in", problem="", can_sign_in=can)


def sign_in(call: Call) -> Response:
    """Exchange a token for the cookie of a session."""
    value = call.surface.gate.sign_in(field(call, "token"), call.request)
    response = go(call, "/")
    life_s = int(call.sdk.settings.sign_in_s)
    response.set_cookie(value=value, max_age=life_s, **_cookie(call))
    return response


def sign_out(call: Call) -> Response:
    """End the session, and take the cookie back."""
    call.surface.gate.sign_out(call.request)
    response = go(call, "/sign-in")
    response.delete_cookie(**_cookie(call))
    return response


def _cookie(call: Call) -> dict[str, Any]:
    """Return how the cookie is named and bound; a name of `__Host-` wants "/"."""
    secure = call.surface.gate.is_secure(call.request)
    return {
        "key": call.surface.gate.cookie_name(call.request),
        "path": "/" if secure else f"{call.mount}/admin",
        "secure": secure,
        "httponly": True,
        "samesite": "Strict",
    }


ROUTES = (
    look(
        "sign_in_form",
        "sign-in",
        form,
        "Show the form to sign in.",
        Access.PUBLIC,
        "not_found",
    ),
    change(
        "sign_in",
        "sign-in",
        sign_in,
        "Exchange a token for a cookie.",
        Access.SAME_ORIGIN,
        "not_found",
        "unauthorized",
        "cross_site",
        "rate_limited",
        fields={"token": text(200)},
    ),
    change(
        "sign_out",
        "sign-out",
        sign_out,
        "Take the cookie back.",
        Access.SAME_ORIGIN,
        "not_found",
        "cross_site",
        fields={},
    ),
)
