# SPDX-License-Identifier: MIT
"""What learners ask for, by the host's front end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from frappe_enroll_sdk import urls
from frappe_enroll_sdk.errors import (
    AlreadyEnrolledError,
    NotFoundError,
    TokenError,
    ValidationError,
)
from frappe_enroll_sdk.links import course_link
from frappe_enroll_sdk.models import Checkout, Status
from frappe_enroll_sdk.services import validate
from frappe_enroll_sdk.states import ENTITLED

from ..answers import answer, checkout_json, enrollment_json, money_json
from ..routes import Access, Area, Route


if TYPE_CHECKING:
    from ..call import Call

_TOKEN = "Enrollment-Token"  # noqa: S105  a header's name


def checkout(call: Call) -> Response:
    """``POST /checkout``: 201 for a new enrollment, 200 where one goes on."""
    for name in ("success_url", "cancel_url"):
        _check_redirect(call, name)
    made = call.sdk.checkout(**call.fields, idempotency_key=call.key)
    if made.resumed and made.status in ENTITLED:
        _require_holder(call, made)
    return answer(checkout_json(made), 200 if made.resumed else 201)


def _require_holder(call: Call, made: Checkout) -> None:
    """
    Tell what an entitled enrollment is like to its learner only.

    Whoever merely knows the address hears what the LMS's own enrolments are answered
    with: no amount, no kind, no id.
    """
    token = call.request.headers.get(_TOKEN, "")
    try:
        call.sdk.enrollments.get_with_token(made.enrollment_id, token)
    except TokenError as error:
        raise AlreadyEnrolledError(field="email") from error


def preview(call: Call) -> Response:
    """``POST /coupons/preview``: what the learner would pay; nothing is reserved."""
    found = call.sdk.coupons.preview(**call.fields)
    return answer(
        {
            "kind": str(found.kind),
            "price": money_json(found.price),
            "discount": money_json(found.discount),
            "amount": money_json(found.amount),
        }
    )


def enrollment(call: Call) -> Response:
    """``GET /enrollments/<id>``: to the holder of its token."""
    row = call.sdk.enrollments.get_with_token(
        call.arguments["enrollment_id"], call.request.headers.get(_TOKEN, "")
    )
    return answer(enrollment_json(row))


def cancel(call: Call) -> Response:
    """``POST /enrollments/<id>/cancel``: the learner gives up."""
    row = call.sdk.cancel(
        call.arguments["enrollment_id"], call.request.headers.get(_TOKEN, "")
    )
    return answer(enrollment_json(row))


def account(call: Call) -> Response:
    """``POST /accounts/check``: whether the LMS knows an address; off by default."""
    if not call.sdk.settings.account_check:
        raise NotFoundError
    return answer({"exists": call.sdk.has_account(call.fields["email"])})


def come_back(call: Call) -> Response:
    """``GET /return``: where the payment page sends the learner."""
    session_id = call.query.get("session_id")
    if not session_id:
        return _page("Payment cancelled", "Nothing was charged.")
    row = call.sdk.confirm_return(session_id)
    page = course_link(call.sdk.settings.frappe_lms_url, row.course_id)
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
        Status.ON_HOLD: ("Payment received", "We are looking at it."),
    }
    ended = ("Payment not completed", "You can begin again.")
    return _page(*texts.get(row.status, ended), _REFRESH_S.get(row.status))


def _check_redirect(call: Call, field: str) -> None:
    """Let an HTTP caller send learners to the hosts of the setting only."""
    url = validate.url(call.fields.get(field), field)
    hosts = call.sdk.settings.redirect_hosts
    if url is not None and not urls.parse(url).is_on(hosts):
        raise ValidationError(f"{field}: the host is not allowed", field=field)


#: Seconds until the page looks again, where the course may be there by then.
_REFRESH_S = {Status.CONFIRMED: 10, Status.AWAITING_PAYMENT: 60}


def _page(title: str, text: str, refresh_s: int | None = None) -> Response:
    again = f'<meta http-equiv="refresh" content="{refresh_s}">' if refresh_s else ""
    html = (
        f'<!doctype html><html lang="en"><meta charset="utf-8">{again}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><main><h1>{title}</h1><p>{text}</p></main></html>"
    )
    return Response(html, content_type="text/html; charset=utf-8")


_CODE_TROUBLE = (
    "coupon_unavailable",
    "coupon_expired",
    "coupon_exhausted",
    "course_not_found",
    "course_not_for_sale",
    "amount_too_small",
    "amount_not_chargeable",
    "vetoed",
    "plugin_failed",
    "lms_unavailable",
    "throttled",
)

ROUTES = (
    Route(
        name="checkout",
        methods=("POST",),
        path="/checkout",
        handler=checkout,
        access=Access.PUBLIC,
        area=Area.LEARNER,
        about="Begin an enrollment, or go on with it.",
        limit="checkout",
        body="CheckoutRequest",
        answers={201: "Checkout", 200: "Checkout"},
        codes=(
            *_CODE_TROUBLE,
            "coupon_reserved",
            "self_referral",
            "already_enrolled",
            "on_hold",
            "payment_refused",
            "conflict",
            "plugin_unavailable",
            "payments_unavailable",
        ),
        idempotent=True,
    ),
    Route(
        name="preview",
        methods=("POST",),
        path="/coupons/preview",
        handler=preview,
        access=Access.PUBLIC,
        area=Area.LEARNER,
        about="Tell what a code takes off; nothing is reserved.",
        limit="preview",
        body="PreviewRequest",
        answers={200: "Preview"},
        codes=_CODE_TROUBLE,
        idempotent=True,
    ),
    Route(
        name="enrollment",
        methods=("GET",),
        path="/enrollments/<enrollment_id>",
        handler=enrollment,
        access=Access.LEARNER,
        area=Area.LEARNER,
        about="Show an enrollment to the holder of its token.",
        answers={200: "Enrollment"},
        codes=("token",),
    ),
    Route(
        name="cancel",
        methods=("POST",),
        path="/enrollments/<enrollment_id>/cancel",
        handler=cancel,
        access=Access.LEARNER,
        area=Area.LEARNER,
        about="Give an unpaid enrollment up.",
        limit="cancel",
        answers={200: "Enrollment"},
        codes=("token", "conflict", "payments_unavailable"),
    ),
    Route(
        name="account",
        methods=("POST",),
        path="/accounts/check",
        handler=account,
        access=Access.PUBLIC,
        area=Area.LEARNER,
        about="Tell whether the LMS knows an address; off unless a setting allows it.",
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
