# SPDX-License-Identifier: MIT
"""The forms: each is an order with its reason, and leads back to a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

from frappe_enroll_sdk.errors import NotFoundError, ValidationError

from ..handlers.orders import Orders
from . import pages
from .render import Asked, go, page


if TYPE_CHECKING:
    from ..call import Call


#: Rows that one press compares: each costs up to four calls to the backends.
_A_PAGE = 25


def _orders(call: Call) -> Orders:
    return Orders(call.sdk, call.operator, field(call, "reason"))


def field(call: Call, name: str) -> str:
    """Return a field of the form, trimmed; "" if it is not there."""
    return str(call.fields.get(name, "")).strip()


def order(call: Call) -> Response:
    """Speak a word on an enrollment, or make its sync due."""
    name, verb = call.arguments["enrollment_id"], field(call, "verb")
    if verb == "retry":
        _orders(call).retry(name)
    else:
        _orders(call).enrollment(verb, name)
    return go(call, f"/enrollments/{name}", done=verb)


def job_order(call: Call) -> Response:
    """Retry a job, or end it."""
    key, verb = call.arguments["key"], field(call, "verb")
    if verb == "retry":
        _orders(call).retry(key)
    elif verb == "bury":
        _orders(call).bury(key)
    else:
        raise NotFoundError
    return go(call, f"/jobs/{key}", done=verb)


def requeue(call: Call) -> Response:
    """Make dead jobs due, in bulk."""
    limit = number(call, "limit", 100)
    _orders(call).requeue(limit, None)
    return go(call, "/jobs", done="requeue", state="due")


def quarantine(call: Call) -> Response:
    """Accept what is quarantined, or put it aside."""
    name, orders = call.arguments["name"], _orders(call)
    if field(call, "verb") == "dismiss":
        orders.dismiss(name)
        return go(call, "/quarantine", done="dismiss")
    row = orders.accept(name, field(call, "enrollment_id") or None)
    return go(call, f"/enrollments/{row.id}", done="accept")


def replay(call: Call) -> Response:
    """Give an event its effect again."""
    event_id = call.arguments["event_id"]
    _orders(call).replay(event_id, notify=field(call, "notify") != "no")
    return go(call, f"/events/{event_id}", done="replay")


def create_coupon(call: Call) -> Response:
    """Create a coupon."""
    terms: dict[str, Any] = {"percent_off": field(call, "percent_off")}
    for name in ("course_id", "code", "email"):
        if field(call, name):
            terms[name] = field(call, name)
    terms["max_redemptions"] = number(call, "max_redemptions", 1)
    if field(call, "expires_at"):
        terms["expires_at"] = f"{field(call, 'expires_at')}T00:00:00+00:00"
    made = _orders(call).create_coupon(terms)
    # No redirect: the code would stand in its address.
    return pages.coupons(call, made.code)


def disable_coupon(call: Call) -> Response:
    """Disable a coupon."""
    _orders(call).disable_coupon(field(call, "code"))
    return go(call, "/coupons", done="disable")


def reconcile(call: Call) -> Response:
    """Compare one page, and offer the next: progress that a reload can't lose."""
    repair = field(call, "repair") == "yes"
    report = _orders(call).reconcile(
        repair=repair, limit=_A_PAGE, cursor=field(call, "cursor") or None
    )
    asked = Asked(repair="yes" if repair else "", reason=field(call, "reason"))
    return page(
        call,
        "reconcile.html",
        title="Reconcile",
        report=report,
        checked=number(call, "checked", 0) + sum(report.checked.values()),
        asked=asked,
    )


def probe(call: Call) -> Response:
    """Ask a backend now."""
    _orders(call).probe(call.arguments["backend"])
    return go(call, "/system", done="probe")


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


def number(call: Call, name: str, default: int) -> int:
    """Return a field as a whole number; `default` if it is empty."""
    text = field(call, name) or str(default)
    if not text.isdecimal() or len(text) > 8:  # noqa: PLR2004  far above any bound
        raise ValidationError(f"{name}: must be a whole number", field=name)
    return int(text)
