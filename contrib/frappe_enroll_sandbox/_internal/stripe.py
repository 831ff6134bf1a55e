# SPDX-License-Identifier: MIT
"""`StripeSandbox`: a stand-in for Stripe's API, payment page and webhooks."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from html import escape

import attrs
from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from frappe_enroll_sdk.clock import Clock, OffsetClock

from . import stripe_objects as objects
from . import stripe_params as takes
from .faults import Fault, FaultPlan, FaultyServer
from .forms import decode_form
from .stripe_model import StripeAccount, public
from .stripe_money import Json, StripeRefusal, invalid
from .stripe_webhooks import Webhooks


#: Default duration of a hang, in seconds.
_KEPT_STATUS = 500
#: How long a key is kept (Stripe, "Idempotent requests": at least a day).
_KEY_LIFE_S = 24 * 60 * 60
_KINDS = (
    *("status", "foreign", "hang", "latency", "reset"),
    *("commit_then_timeout", "commit_then_500"),
)


@attrs.frozen
class SeenRequest:
    """One received API request."""

    method: str
    path: str
    body: bytes
    idempotency_key: str | None
    headers: dict[str, str]


@attrs.define
class _Answer:
    """The stored request body and answer of an idempotency key."""

    body: bytes
    at_s: int
    status: int | None = None
    data: Json | None = None


class StripeSandbox(FaultyServer):
    """
    A simulated Stripe account for the real ``stripe`` package.

    A context manager. Faults: ``status`` (with `status`), ``foreign`` (the same, in a
    gateway's words), ``hang``, ``latency``, ``reset``, ``commit_then_timeout``,
    ``commit_then_500``. As at Stripe, a 500 is stored under the request's idempotency
    key for a day; a proxy's 502 is not.

    Attributes:
        secret_key: The accepted API key.
        account: The account's data and the customer's actions (pay, refund, …).
        webhooks: The endpoints and their deliveries.
        faults: The planned faults.
        requests: Every API request so far.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        port: int = 0,
        secret_key: str = "sk_test_sandbox",
    ) -> None:
        super().__init__(self._answer, port)
        self.clock = clock or OffsetClock()
        self.secret_key = secret_key
        self.account = StripeAccount(self.clock, lambda name: f"{self.url}/pay/{name}")
        self.webhooks = Webhooks(self.clock)
        self.account.on_event = self.webhooks.send
        self.faults = FaultPlan(*_KINDS)
        self.requests: list[SeenRequest] = []
        self._answers: dict[str, _Answer] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close for good: release hanging requests and deliver nothing more."""
        self.webhooks.stop()
        super().close()

    # HTTP.

    def _answer(self, request: Request) -> Response:
        if request.path.startswith("/pay/"):
            return self._page(request)
        with self._lock:
            self.requests.append(_seen(request))
        fault = self.faults.take(request.method, request.path)
        if fault is not None and fault.kind == "latency":
            self.faults.hang(fault.seconds)
        elif fault is not None and not fault.kind.startswith("commit"):
            if fault.kind == "status" and fault.status == _KEPT_STATUS:
                self._keep(request)
            return self._fail(fault)
        status, data, headers = self._api(request, fault)
        if fault is not None and fault.kind == "commit_then_timeout":
            self.drop(fault)
        headers["Request-Id"] = f"req_sandbox{len(self.requests):06d}"
        return Response(
            json.dumps(data), status, headers, content_type="application/json"
        )

    def _fail(self, fault: Fault) -> Response:
        if fault.kind in {"hang", "reset"}:
            self.drop(fault)
        body = {"message": "no route"} if fault.kind == "foreign" else _FAILED
        return Response(
            json.dumps(body),
            fault.status,
            fault.headers,
            content_type="application/json",
        )

    def _keep(self, request: Request) -> None:
        """Store the failure under the request's idempotency key for a day."""
        key = request.headers.get("Idempotency-Key")
        if request.method == "POST" and key is not None:
            kept = _Answer(request.get_data(), self.account.now_s(), 500, _FAILED)
            with self._lock:
                self._forget_keys()
                self._answers.setdefault(key, kept)

    def _forget_keys(self) -> None:
        old = self.account.now_s() - _KEY_LIFE_S
        for key in [key for key, one in self._answers.items() if one.at_s < old]:
            del self._answers[key]

    def _api(
        self, request: Request, fault: Fault | None
    ) -> tuple[int, Json, dict[str, str]]:
        if not self._is_authorised(request):
            error = StripeRefusal(401, "invalid_request_error", "Invalid API Key.")
            return 401, _error_body(error), {}
        key = request.headers.get("Idempotency-Key")
        if request.method != "POST" or key is None:
            return (*self._run(request, fault), {})
        return self._run_once(request, key, fault)

    def _is_authorised(self, request: Request) -> bool:
        scheme, _, word = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            # The key as the user name, without a password (Stripe, "Authentication").
            basic = base64.b64encode(f"{self.secret_key}:".encode()).decode()
            return word == basic
        return scheme == "Bearer" and word == self.secret_key

    def _run_once(
        self, request: Request, key: str, fault: Fault | None
    ) -> tuple[int, Json, dict[str, str]]:
        """Apply Stripe's rules for idempotent requests."""
        body = request.get_data()
        with self._lock:
            self._forget_keys()
            before = self._answers.get(key)
            now_s = self.account.now_s()
            mine = before or self._answers.setdefault(key, _Answer(body, now_s))
        if before is not None:
            return _replay(before, body)
        status, data = self._run(request, fault)
        with self._lock:
            if 400 <= status < 500:
                # A refusal before execution is not stored: the key may be used again.
                self._answers.pop(key, None)
            mine.status, mine.data = status, data
        return status, data, {}

    def _run(self, request: Request, fault: Fault | None) -> tuple[int, Json]:
        try:
            data = self._route(request)
        except StripeRefusal as error:
            return error.status, _error_body(error)
        if fault is not None and fault.kind == "commit_then_500":
            return 500, _FAILED
        return 200, data

    def _route(self, request: Request) -> Json:
        for method, pattern, handler, names in _ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                params = decode_form(request.get_data().decode() or "")
                query = decode_form(request.query_string.decode())
                if names is not None:
                    takes.check(params if method == "POST" else query, names)
                return handler(self, *found.groups(), params=params, query=query)
        raise StripeRefusal(404, "invalid_request_error", "Unrecognized request URL.")

    def _create(self, *, params: Json, query: Json) -> Json:
        return self.account.create_session(params)

    def _retrieve(self, session_id: str, *, params: Json, query: Json) -> Json:
        session = public(self.account.session(session_id))
        if "payment_intent" in (query.get("expand") or []):
            payment = session["payment_intent"]
            session["payment_intent"] = self.account.payments.get(payment, payment)
        return session

    def _expire(self, session_id: str, *, params: Json, query: Json) -> Json:
        return self.account.expire_session(session_id)

    def _sessions(self, *, params: Json, query: Json) -> Json:
        self.account.lapse()
        wanted, since = self._payment_wanted(query), _since(query)
        rows = [
            public(session)
            for session in reversed(self.account.sessions.values())
            if wanted in (None, session["payment_intent"])
            and session["created"] >= since
        ]
        return _list(_SESSIONS, rows, query)

    def _payment_wanted(self, query: Json) -> str | None:
        """Return the payment to filter by; refuse an unknown one, as Stripe does."""
        wanted = query.get("payment_intent")
        if wanted is not None and wanted not in self.account.payments:
            message = f"No such payment_intent: '{wanted}'"
            invalid(message, "payment_intent", "resource_missing")
        return wanted

    def _refund(self, *, params: Json, query: Json) -> Json:
        amount = params.get("amount")
        whole = int(amount) if amount is not None else None
        return self.account.refund(str(params.get("payment_intent")), whole)

    def _refunds(self, *, params: Json, query: Json) -> Json:
        wanted = self._payment_wanted(query)
        rows = [
            refund
            for refund in reversed(self.account.refunds.values())
            if wanted in (None, refund["payment_intent"])
        ]
        return _list("/v1/refunds", rows, query)

    def _charges(self, *, params: Json, query: Json) -> Json:
        wanted = self._payment_wanted(query)
        rows = [
            charge
            for charge in reversed(self.account.charges().values())
            if wanted in (None, charge["payment_intent"])
        ]
        return _list("/v1/charges", rows, query)

    def _intents(self, *, params: Json, query: Json) -> Json:
        rows = list(reversed(self.account.payments.values()))
        return _list("/v1/payment_intents", rows, query)

    def _one(self, kind: str, name: str, *, params: Json, query: Json) -> Json:
        """Return an object of any other kind, by its name."""
        account = self.account
        kinds = {
            "charges": account.charges(),
            "refunds": account.refunds,
            "disputes": account.disputes,
            "payment_intents": account.payments,
        }
        found = kinds.get(kind, account.others).get(name)
        if found is None:
            raise StripeRefusal(
                404,
                "invalid_request_error",
                f"No such {kind.removesuffix('s')}: '{name}'",
                "resource_missing",
                "id",
            )
        return found

    def _disputes(self, *, params: Json, query: Json) -> Json:
        wanted = self._payment_wanted(query)
        rows = [
            dispute
            for dispute in reversed(self.account.disputes.values())
            if wanted in (None, dispute["payment_intent"])
        ]
        return _list("/v1/disputes", rows, query)

    def _event(self, event_id: str, *, params: Json, query: Json) -> Json:
        event = self.account.events.get(event_id)
        if event is None:
            raise StripeRefusal(
                404, "invalid_request_error", "No such event", "resource_missing", "id"
            )
        return event

    def _endpoints(self, *, params: Json, query: Json) -> Json:
        rows = [
            objects.endpoint(
                number,
                url,
                status=self.webhooks.status,
                livemode=self.webhooks.livemode,
                enabled_events=self.webhooks.enabled_events,
                api_version=self.account.api_version,
                created=self.account.now_s(),
            )
            for number, url in enumerate(self.webhooks.endpoints, 1)
        ]
        return _list("/v1/webhook_endpoints", rows, query)

    def _events(self, *, params: Json, query: Json) -> Json:
        self.account.lapse()
        rows = self.account.since(datetime.fromtimestamp(_since(query), UTC))
        return _list("/v1/events", rows, query)

    # The hosted payment page.

    def _page(self, request: Request) -> Response:
        session_id = request.path.removeprefix("/pay/")
        try:
            session = self.account.session(session_id)
            if request.method == "POST":
                return self._press(session, request.form.get("press", ""))
        except StripeRefusal as error:
            return Response(escape(error.message), error.status)
        return Response(_page_html(session), content_type="text/html; charset=utf-8")

    def _press(self, session: Json, button: str) -> Response:
        if button == "cancel":
            return redirect(session["cancel_url"] or session["success_url"], 303)
        if button == "decline":
            self.account.decline(session["id"])
            return redirect(f"/pay/{session['id']}", 303)
        self.account.pay(session["id"], delayed=button == "delayed")
        back = session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])
        return redirect(back, 303)


_Handler = Callable[..., Json]
_SESSIONS = "/v1/checkout/sessions"
_OBJECTS = "charges|refunds|disputes|payment_intents|reviews|radar/early_fraud_warnings"
# Of our own class; a new session's parameters are checked by what makes it.
# ruff: noqa: SLF001
_ROUTES: list[tuple[str, str, _Handler, frozenset[str] | None]] = [
    ("POST", _SESSIONS, StripeSandbox._create, None),
    ("GET", _SESSIONS, StripeSandbox._sessions, takes.SESSIONS),
    ("GET", f"{_SESSIONS}/([^/]+)", StripeSandbox._retrieve, takes.RETRIEVE),
    ("POST", f"{_SESSIONS}/([^/]+)/expire", StripeSandbox._expire, takes.RETRIEVE),
    ("POST", "/v1/refunds", StripeSandbox._refund, takes.REFUND),
    ("GET", "/v1/refunds", StripeSandbox._refunds, takes.LIST),
    ("GET", "/v1/charges", StripeSandbox._charges, takes.LIST),
    ("GET", "/v1/payment_intents", StripeSandbox._intents, takes.LIST),
    ("GET", "/v1/disputes", StripeSandbox._disputes, takes.LIST),
    ("GET", "/v1/events", StripeSandbox._events, takes.EVENTS),
    ("GET", "/v1/events/([^/]+)", StripeSandbox._event, takes.RETRIEVE),
    ("GET", f"/v1/({_OBJECTS})/([^/]+)", StripeSandbox._one, takes.RETRIEVE),
    ("GET", "/v1/webhook_endpoints", StripeSandbox._endpoints, takes.ENDPOINTS),
]


_FAILED: Json = {"error": {"type": "api_error", "message": "A planned failure."}}


def _replay(known: _Answer, body: bytes) -> tuple[int, Json, dict[str, str]]:
    if known.body != body:
        error = StripeRefusal(
            400,
            "idempotency_error",
            "Keys for idempotent requests can only be used with the same parameters "
            "they were first used with.",
        )
        return 400, _error_body(error), {}
    if known.status is None or known.data is None:
        error = StripeRefusal(
            409,
            "idempotency_error",
            "There is currently another in-progress request using this key.",
            "idempotency_key_in_use",
        )
        return 409, _error_body(error), {}
    return known.status, known.data, {"Idempotent-Replayed": "true"}


def _error_body(error: StripeRefusal) -> Json:
    body = {"type": error.type, "message": error.message}
    if error.code:
        body["code"] = error.code
    if error.param:
        body["param"] = error.param
    return {"error": body}


def _list(url: str, rows: list[Json], query: Json) -> Json:
    limit = int(query.get("limit", 10))
    if not 1 <= limit <= 100:
        invalid("limit must be between 1 and 100.", "limit")
    after = query.get("starting_after")
    if after is not None:
        names = [row["id"] for row in rows]
        if after not in names:
            what = url.rpartition("/")[2].removesuffix("s")
            invalid(f"No such {what}: '{after}'", "starting_after", "resource_missing")
        rows = rows[names.index(after) + 1 :]
    return {
        "object": "list",
        "url": url,
        "has_more": len(rows) > limit,
        "data": rows[:limit],
    }


def _since(query: Json) -> int:
    return int((query.get("created") or {}).get("gte", 0))


def _seen(request: Request) -> SeenRequest:
    return SeenRequest(
        method=request.method,
        path=request.path,
        body=request.get_data(),
        idempotency_key=request.headers.get("Idempotency-Key"),
        headers=dict(request.headers),
    )


def _page_html(session: Json) -> str:
    amount = f"{session['amount_total']} {session['currency'].upper()} (minor units)"
    if session["status"] != "open":
        buttons = f"<p>This session is {escape(session['status'])}.</p>"
    else:
        labels = [
            ("pay", "Pay"),
            ("delayed", "Pay by a delayed method"),
            ("decline", "Decline the card"),
            ("cancel", "Cancel"),
        ]
        buttons = "".join(
            f'<button name="press" value="{value}">{label}</button> '
            for value, label in labels
        )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        "<title>Sandbox payment</title>"
        f"<h1>{escape(session['_name'])}</h1><p>{escape(amount)}</p>"
        f'<form method="post">{buttons}</form></html>'
    )
