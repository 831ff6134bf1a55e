# SPDX-License-Identifier: MIT
"""The dashboard's sign-in page."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Response

from frappe_enroll_sdk.errors import NotFoundError

from ..routing import Access, Call
from ..schemas.parts import text
from .builders import form_route, page_route
from .forms import field
from .render import go, page


def form(call: Call) -> Response:
    """Show the sign-in form."""
    if not call.surface.access.is_on:
        raise NotFoundError
    can = bool(call.sdk.settings.secret_key)
    return page(call, "sign_in.html", title="Sign in", problem="", can_sign_in=can)


def sign_in(call: Call) -> Response:
    """Exchange a token for a session cookie."""
    value = call.surface.access.sign_in(field(call, "token"), call.request)
    response = go(call, "/")
    life_s = int(call.sdk.settings.sign_in_s)
    response.set_cookie(value=value, max_age=life_s, **_cookie(call))
    return response


def sign_out(call: Call) -> Response:
    """Close the session and delete the cookie."""
    call.surface.access.sign_out(call.request)
    response = go(call, "/sign-in")
    response.delete_cookie(**_cookie(call))
    return response


def _cookie(call: Call) -> dict[str, Any]:
    """Return the cookie's attributes; a ``__Host-`` name needs the path "/"."""
    secure = call.surface.access.is_secure(call.request)
    return {
        "key": call.surface.access.cookie_name(call.request),
        "path": "/" if secure else f"{call.mount}/admin",
        "secure": secure,
        "httponly": True,
        "samesite": "Strict",
    }


ROUTES = (
    page_route(
        "sign_in_form",
        "sign-in",
        form,
        "Show the sign-in form.",
        Access.PUBLIC,
        "not_found",
    ),
    form_route(
        "sign_in",
        "sign-in",
        sign_in,
        "Exchange a token for a session cookie.",
        Access.SAME_ORIGIN,
        "not_found",
        "unauthorized",
        "cross_site",
        "rate_limited",
        fields={"token": text(200)},
    ),
    form_route(
        "sign_out",
        "sign-out",
        sign_out,
        "Close the session and delete the cookie.",
        Access.SAME_ORIGIN,
        "not_found",
        "cross_site",
        fields={},
    ),
)
