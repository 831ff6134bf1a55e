# SPDX-License-Identifier: MIT
"""One handler per route; every mount uses these."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from werkzeug.exceptions import NotFound, Unauthorized, UnsupportedMediaType
from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from frappe_enroll_sdk import EnrollSDK
from frappe_enroll_sdk.errors import ValidationError
from frappe_enroll_sdk.models import Checkout, Enrollment, Status
from frappe_enroll_sdk.money import Money


Handler = Callable[..., Response]

_CHECKOUT_FIELDS = {
    "course_id",
    "email",
    "full_name",
    "coupon_code",
    "affiliate",
    "success_url",
    "cancel_url",
}
_PREVIEW_FIELDS = {"code", "course_id", "email"}
#: Seconds for which a readiness answer is reused.
_READY_S = 5.0
#: Seconds of one cron pass at the most (serverless hosts cut off at ten and more).
_CRON_S = 8.0


def checkout(sdk: EnrollSDK, request: Request) -> Response:
    """``POST /checkout``: 201 for a new enrollment, 200 where one goes on."""
    fields = _json(request, _CHECKOUT_FIELDS)
    for name in ("success_url", "cancel_url"):
        _check_redirect(sdk, name, fields.get(name))
    answer = sdk.checkout(
        **{"course_id": None, "email": None, **fields},
        idempotency_key=request.headers.get("Idempotency-Key"),
    )
    return _answer(_checkout_json(answer), 200 if answer.resumed else 201)


def preview(sdk: EnrollSDK, request: Request) -> Response:
    """``POST /coupons/preview``: what the learner would pay; nothing is reserved."""
    fields: dict[str, Any] = dict.fromkeys(_PREVIEW_FIELDS)
    fields |= _json(request, _PREVIEW_FIELDS)
    found = sdk.coupons.preview(**fields)
    return _answer(
        {
            "kind": str(found.kind),
            "price": _money(found.price),
            "discount": _money(found.discount),
            "amount": _money(found.amount),
        }
    )


def enrollment(sdk: EnrollSDK, request: Request, enrollment_id: str) -> Response:
    """``GET /enrollments/<id>``: to the holder of its token."""
    row = sdk.enrollments.get_with_token(enrollment_id, _token(request))
    return _answer(_enrollment_json(row))


def cancel(sdk: EnrollSDK, request: Request, enrollment_id: str) -> Response:
    """``POST /enrollments/<id>/cancel``: the learner gives up."""
    return _answer(_enrollment_json(sdk.cancel(enrollment_id, _token(request))))


def webhook(sdk: EnrollSDK, request: Request, provider: str) -> Response:
    """``POST /webhooks/<provider>``: 2xx = stored durably, and will take effect."""
    body = request.get_data()
    result = sdk.handle_webhook(body, dict(request.headers.items()), provider)
    return _answer({"outcome": result.outcome, "event_id": result.event_id})


def cron(sdk: EnrollSDK, request: Request) -> Response:
    """``GET|POST /cron/run``: one bounded pass over what is due."""
    secret = sdk.settings.cron_secret.value
    if not secret:
        raise NotFound
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {secret}".encode()):
        raise Unauthorized
    report = sdk.run_jobs(limit=200, time_budget_s=_CRON_S)
    response = _answer(
        {
            "claimed": report.claimed,
            "succeeded": report.succeeded,
            "retried": report.retried,
            "dead": report.dead,
            "deferred": report.deferred,
            "due_left": report.due_left,
        }
    )
    response.headers["Cache-Control"] = "no-store"
    return response


def come_back(sdk: EnrollSDK, request: Request) -> Response:
    """``GET /return``: where the payment page sends the learner."""
    session_id = request.args.get("session_id")
    if not session_id:
        return _page("Payment cancelled", "Nothing was charged.")
    row = sdk.confirm_return(session_id)
    if row.status is Status.ENROLLED and sdk.settings.frappe_lms_url:
        base = sdk.settings.frappe_lms_url.rstrip("/")
        return redirect(f"{base}/lms/courses/{row.course_id}", 303)
    texts = {
        Status.ENROLLED: ("You are enrolled", "Your course is ready."),
        Status.CONFIRMED: ("Payment received", "Your course will be ready shortly."),
        Status.AWAITING_PAYMENT: ("Payment pending", "We are waiting for the payment."),
        Status.ON_HOLD: ("Payment received", "We are looking at it."),
    }
    ended = ("Payment not completed", "You can begin again.")
    return _page(*texts.get(row.status, ended))


def healthz(_sdk: EnrollSDK, _request: Request) -> Response:
    """``GET /healthz``: the process is up; no I/O."""
    return _answer({"status": "ok"})


class Readiness:
    """``GET /readyz``: 503 only when the store is down; the answer is cached."""

    def __init__(self) -> None:
        self._at = float("-inf")
        self._health: dict[str, str] = {}

    def __call__(self, sdk: EnrollSDK, _request: Request) -> Response:
        """Answer from a recent ping, or ping."""
        if time.monotonic() - self._at > _READY_S:
            self._health, self._at = sdk.ping(), time.monotonic()
        checks = {
            name: "ok" if state == "ok" else "down" if name == "storage" else "degraded"
            for name, state in self._health.items()
        }
        ready = checks.get("storage") == "ok"
        body = {"status": "ok" if ready else "unavailable", "checks": checks}
        return _answer(body, 200 if ready else 503)


def _json(request: Request, known: set[str]) -> dict[str, Any]:
    if request.mimetype != "application/json":
        raise UnsupportedMediaType
    try:
        fields = json.loads(request.get_data().decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ValidationError("body: is not JSON", field="body") from error
    if not isinstance(fields, dict):
        raise ValidationError("body: must be a JSON object", field="body")
    unknown = sorted(set(fields) - known)
    if unknown:
        name = unknown[0][:64]
        raise ValidationError(f"{name}: is not known", field=name)
    return fields


def _check_redirect(sdk: EnrollSDK, field: str, url: Any) -> None:
    """Let an HTTP caller send learners to the hosts of the setting only."""
    if url is None:
        return
    allowed = sdk.settings.redirect_hosts
    try:
        host = urlsplit(url).netloc if isinstance(url, str) else ""
    except ValueError:
        host = ""
    if not host or host not in allowed:
        raise ValidationError(f"{field}: the host is not allowed", field=field)


def _token(request: Request) -> str:
    return request.headers.get("Enrollment-Token", "")


def _money(amount: Money) -> dict[str, Any]:
    return {"amount_minor": amount.amount_minor, "currency": amount.currency}


def _checkout_json(answer: Checkout) -> dict[str, Any]:
    return {
        "enrollment_id": answer.enrollment_id,
        "token": answer.token,
        "status": str(answer.status),
        "payment_url": answer.payment_url,
        "next_url": answer.next_url,
        "expires_at": answer.expires_at.isoformat() if answer.expires_at else None,
        "price": _money(answer.price),
        "discount": _money(answer.discount),
        "amount": _money(answer.amount),
    }


def _enrollment_json(row: Enrollment) -> dict[str, Any]:
    return {
        "id": row.id,
        "course_id": row.course_id,
        "kind": str(row.kind),
        "status": str(row.status),
        "lms_status": str(row.lms_status),
        "price": _money(row.price),
        "discount": _money(row.discount),
        "amount": _money(row.amount),
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }


def _answer(body: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")


def _page(title: str, text: str) -> Response:
    html = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>{title}</title><h1>{title}</h1><p>{text}</p></html>"
    )
    return Response(html, content_type="text/html; charset=utf-8")
