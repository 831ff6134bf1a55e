# SPDX-License-Identifier: MIT
"""Checkout, the return page and the account check."""

from __future__ import annotations

from typing import Any

from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from frappe_enroll_sdk import urls
from frappe_enroll_sdk.errors import NotFoundError, ValidationError
from frappe_enroll_sdk.models import Checkout, Status
from frappe_enroll_sdk.services import validate

from ..answers import answer, money_json
from ..routing import Access, Area, Call, Route
from . import again
from .builders import TOKEN_HEADER
from .coupons import CODE_TROUBLE


def checkout(call: Call) -> Response:
    """``POST /checkout``: 201 for a new enrollment, 200 where one's own goes on."""
    for name in ("success_url", "cancel_url"):
        _check_redirect(call, name)
    token = call.request.headers.get(TOKEN_HEADER) or None
    code = call.fields.get("coupon_code")
    if code is not None:
        for client in call.surface.proxies.clients(call.request.environ):
            call.surface.limits.hit_code(client, code)
    made = call.sdk.checkout(
        **call.fields,
        idempotency_key=call.key,
        token=token,
        authenticated=_is_vouched_for(call),
    )
    return answer(checkout_json(made), 200 if made.resumed else 201)


def _is_vouched_for(call: Call) -> bool:
    """
    Tell whether the host knows that the caller has the address that the body names.

    A browser sends the host's cookie along by itself; another site's page can't send
    JSON with it, unless CORS allows that site.
    """
    address = call.sdk.plugins.authenticate_learner(call.request.environ)
    return address is not None and address == call.fields["email"].strip().lower()


def _check_redirect(call: Call, field: str) -> None:
    """Refuse redirects to hosts that the setting does not name."""
    url = validate.url(call.fields.get(field), field)
    hosts = call.sdk.settings.redirect_hosts
    if url is not None and not urls.parse(url).is_on(hosts):
        raise ValidationError(f"{field}: the host is not allowed", field=field)


def account(call: Call) -> Response:
    """``POST /accounts/check``: whether the LMS knows an address (off by default)."""
    if not call.sdk.settings.account_check:
        raise NotFoundError
    return answer({"exists": call.sdk.has_account(call.fields["email"])})


def come_back(call: Call) -> Response:
    """``GET /return``: where the payment page sends the learner."""
    session_id = call.query.get("session_id")
    if not session_id:
        return _page(
            "Payment cancelled", "Nothing was charged. You can start again at any time."
        )
    row = call.sdk.confirm_return(session_id)
    page = call.sdk.catalogue.url_of(row.course_id)
    if row.status is Status.ENROLLED and page:
        return redirect(page, 303)
    texts = {
        Status.ENROLLED: ("You are enrolled", "Your course is ready."),
        Status.CONFIRMED: (
            "Payment received",
            "Your course will be ready shortly. This page takes you there.",
        ),
        Status.AWAITING_PAYMENT: (
            "Payment pending",
            (
                "We are waiting for the payment. Some take days: you can close this "
                "page, and the course will be yours as soon as it arrives."
            ),
        ),
        Status.ON_HOLD: (
            "Payment received",
            "We are checking it before we enroll you. You need not do anything.",
        ),
    }
    ended = ("Payment not completed", "You were not enrolled. You can start again.")
    return _page(*texts.get(row.status, ended), _REFRESH_S.get(row.status))


#: Seconds until the page looks again, where the course may be there by then.
_REFRESH_S = {Status.CONFIRMED: 10, Status.AWAITING_PAYMENT: 60}


def _page(title: str, text: str, refresh_s: int | None = None) -> Response:
    head = end = seconds = ""
    if refresh_s:
        reload = f'<meta http-equiv="refresh" content="{refresh_s}">'
        head, end = f"<noscript>{reload}</noscript>", again.SCRIPT
        seconds = f' data-seconds="{refresh_s}"'
    html = (
        f'<!doctype html><html lang="en"><meta charset="utf-8">{head}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title}</title><main aria-live="polite"{seconds}>'
        f"<h1>{title}</h1><p>{text}</p></main>{end}</html>"
    )
    response = Response(html, content_type="text/html; charset=utf-8")
    if refresh_s:
        response.headers["Content-Security-Policy"] = again.POLICY
    return response


def checkout_json(made: Checkout) -> dict[str, Any]:
    """Return a checkout as its learner sees it."""
    return {
        "enrollment_id": made.enrollment_id,
        "token": made.token,
        "status": str(made.status),
        "payment_url": made.payment_url,
        "next_url": made.next_url,
        "expires_at": made.expires_at.isoformat() if made.expires_at else None,
        "price": money_json(made.price),
        "discount": money_json(made.discount),
        "amount": money_json(made.amount),
    }


ROUTES = (
    Route(
        name="checkout",
        methods=("POST",),
        path="/checkout",
        handler=checkout,
        access=Access.PUBLIC,
        area=Area.LEARNER,
        about="Start an enrollment, or resume it.",
        limit="checkout",
        body="CheckoutRequest",
        answers={201: "Checkout", 200: "Checkout"},
        codes=(
            *CODE_TROUBLE,
            "coupon_reserved",
            "self_referral",
            "already_enrolled",
            "on_hold",
            "token",
            "payment_refused",
            "conflict",
            "plugin_unavailable",
            "payments_unavailable",
        ),
        idempotent=True,
    ),
    Route(
        name="account",
        methods=("POST",),
        path="/accounts/check",
        handler=account,
        access=Access.PUBLIC,
        area=Area.LEARNER,
        about="Return whether the LMS knows an address (off by default).",
        limit="account",
        body="AccountRequest",
        answers={200: "Account"},
        codes=("lms_unavailable", "throttled"),
    ),
    Route(
        name="return",
        methods=("GET",),
        path="/return",
        handler=come_back,
        access=Access.PUBLIC,
        area=Area.LEARNER,
        about="Receive a learner from the payment page.",
        limit="return",
        query={
            "session_id": {"type": "string", "maxLength": 255, "pattern": "^[!-~]*$"}
        },
        answers={200: "text/html", 303: ""},
        codes=("enrollment_not_found", "conflict", "payments_unavailable"),
    ),
)
