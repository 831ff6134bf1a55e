# SPDX-License-Identifier: MIT
"""The data and rules of a Stripe account, without HTTP."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from datetime import datetime

from frappe_enroll_sdk.clock import Clock

from .stripe_money import Json, Money, StripeRefusal, invalid


_MINIMUM = {"usd": 50, "eur": 50, "gbp": 30, "jpy": 50}
#: Amounts must be multiples of this (Stripe, "Supported currencies").
_STEP = dict.fromkeys(("bhd", "jod", "kwd", "omr", "tnd"), 10) | {
    "isk": 100,
    "ugx": 100,
}
_MIN_LIFE_S, _MAX_LIFE_S = 30 * 60, 24 * 60 * 60


class StripeAccount(Money):
    """
    Sessions, payments, refunds and events of one account. Thread-safe.

    Attributes:
        on_event: Called with each new event.
        api_version: API version of the events.
    """

    api_version = "2026-10-28.endive"

    def __init__(self, clock: Clock, page_url: Callable[[str], str]) -> None:
        self.clock = clock
        self.page_url = page_url
        self.lock = threading.RLock()
        self.sessions: dict[str, Json] = {}
        self.payments: dict[str, Json] = {}
        self.refunds: dict[str, Json] = {}
        self.disputes: dict[str, Json] = {}
        self.events: dict[str, Json] = {}
        self.on_event: Callable[[Json], None] = lambda _event: None
        self._numbers = itertools.count(1)

    def now_s(self) -> int:
        """Return the time in whole seconds, as Stripe does."""
        return int(self.clock.now().timestamp())

    def _id(self, prefix: str) -> str:
        return f"{prefix}_sandbox{next(self._numbers):08d}"

    # Sessions.

    def create_session(self, params: Json) -> Json:
        """Create a checkout session from decoded parameters."""
        if params.get("mode") != "payment":
            invalid("Only mode=payment is known here.", "mode")
        total, currency, name = _total(params)
        expires_at = self._expires_at(params)
        metadata = _metadata(params)
        tax, inclusive = _taxes(params, total)
        if not params.get("success_url"):
            invalid("Missing required param: success_url.", "success_url")
        with self.lock:
            name_id = self._id("cs_test")
            session = {
                "id": name_id,
                "object": "checkout.session",
                "mode": "payment",
                "status": "open",
                "payment_status": "unpaid",
                "amount_subtotal": total,
                "amount_total": total + tax,
                "currency": currency,
                "automatic_tax": {"enabled": _is_taxed(params)},
                "client_reference_id": params.get("client_reference_id"),
                "customer_email": params.get("customer_email"),
                "customer_details": None,
                "created": self.now_s(),
                "expires_at": expires_at,
                "livemode": False,
                "metadata": metadata,
                "payment_intent": None,
                "success_url": params["success_url"],
                "cancel_url": params.get("cancel_url"),
                "total_details": {
                    "amount_discount": 0,
                    "amount_shipping": 0,
                    "amount_tax": tax or inclusive,
                },
                "url": self.page_url(name_id),
            }
            intent = (params.get("payment_intent_data") or {}).get("metadata") or {}
            hidden = {"_name": name, "_payment_metadata": intent}
            self.sessions[name_id] = session | hidden
            return public(self.sessions[name_id])

    def _expires_at(self, params: Json) -> int:
        raw = params.get("expires_at")
        if raw is None:
            return self.now_s() + _MAX_LIFE_S
        if not str(raw).isdecimal():
            invalid("Invalid integer: expires_at", "expires_at")
        life = int(raw) - self.now_s()
        if life < _MIN_LIFE_S or life > _MAX_LIFE_S:
            invalid(
                "The `expires_at` timestamp must be at least 30 minutes and less than "
                "24 hours from Checkout Session creation.",
                "expires_at",
            )
        return int(raw)

    def lapse(self) -> None:
        """Expire every open session that is due."""
        with self.lock:
            for session in list(self.sessions.values()):
                due = session["expires_at"] <= self.now_s()
                if session["status"] == "open" and due:
                    self._expire(session)

    def _expire(self, session: Json) -> None:
        session.update(status="expired", url=None)
        self.emit("checkout.session.expired", public(session))

    def session(self, session_id: str) -> Json:
        """Return a session with its private fields, or refuse with 404."""
        self.lapse()
        with self.lock:
            if session_id not in self.sessions:
                message = f"No such checkout.session: '{session_id}'"
                raise StripeRefusal(
                    404, "invalid_request_error", message, "resource_missing", "session"
                )
            return self.sessions[session_id]

    def expire_session(self, session_id: str) -> Json:
        """Expire an open session; refuse any other with the same error."""
        with self.lock:
            session = self.session(session_id)
            if session["status"] != "open":
                invalid(
                    'Only Checkout Sessions with a status in ["open"] can be expired. '
                    f"This Checkout Session has a status of {session['status']}."
                )
            self._expire(session)
            return public(session)

    # The customer.

    def pay(self, session_id: str, *, delayed: bool = False) -> Json:
        """Complete an open session; with a delayed method it stays unpaid for now."""
        with self.lock:
            session = self._open(session_id)
            payment = {
                "id": self._id("pi"),
                "object": "payment_intent",
                "amount": session["amount_total"],
                "currency": session["currency"],
                "status": "processing" if delayed else "succeeded",
                "latest_charge": self._id("ch"),
                "livemode": False,
                "metadata": session["_payment_metadata"],
            }
            self.payments[payment["id"]] = payment
            session.update(
                status="complete",
                payment_status="unpaid" if delayed else "paid",
                payment_intent=payment["id"],
                customer_details={"email": session["customer_email"]},
                url=None,
            )
            return self.emit("checkout.session.completed", public(session))

    def _open(self, session_id: str) -> Json:
        session = self.session(session_id)
        if session["status"] != "open":
            invalid(f"The session is {session['status']}.")
        return session

    def settle_delayed(self, session_id: str, *, ok: bool) -> Json:
        """Make a delayed payment succeed or fail."""
        with self.lock:
            session = self.session(session_id)
            payment = self.payments[session["payment_intent"]]
            payment["status"] = "succeeded" if ok else "requires_payment_method"
            if ok:
                session["payment_status"] = "paid"
            word = "succeeded" if ok else "failed"
            return self.emit(f"checkout.session.async_payment_{word}", public(session))

    def decline(self, session_id: str) -> Json:
        """Fail one attempt to pay; the session stays open."""
        with self.lock:
            session = self._open(session_id)
            failed = {
                "id": self._id("pi"),
                "object": "payment_intent",
                "amount": session["amount_total"],
                "status": "requires_payment_method",
                "last_payment_error": {"code": "card_declined"},
                "metadata": session["_payment_metadata"],
            }
            return self.emit("payment_intent.payment_failed", failed)

    # Events.

    def emit(self, kind: str, inner: Json) -> Json:
        """Create the event of a change and pass it on."""
        event: Json = {
            "id": self._id("evt"),
            "object": "event",
            "api_version": self.api_version,
            "created": self.now_s(),
            "type": kind,
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "data": {"object": inner},
        }
        with self.lock:
            self.events[event["id"]] = event
        self.on_event(event)
        return event

    def since(self, moment: datetime) -> list[Json]:
        """Return the events since a moment, newest first."""
        stamp = int(moment.timestamp())
        with self.lock:
            return [e for e in reversed(self.events.values()) if e["created"] >= stamp]


def public(session: Json) -> Json:
    """Return a session without our private fields."""
    return {key: value for key, value in session.items() if not key.startswith("_")}


def _total(params: Json) -> tuple[int, str, str]:
    items = params.get("line_items")
    if not isinstance(items, list) or not items:
        invalid("You must provide line_items.", "line_items")
    total, currency, name = 0, "", ""
    for number, item in enumerate(items):
        price = item.get("price_data") or {}
        amount = str(price.get("unit_amount", ""))
        currency = str(price.get("currency", "")).lower()
        if not amount.isdecimal() or len(currency) != 3:
            invalid("Invalid price_data.", f"line_items[{number}][price_data]")
        if int(amount) % _STEP.get(currency, 1):
            invalid(f"Invalid amount for {currency}.", f"line_items[{number}]")
        total += int(amount) * int(item.get("quantity", 1))
        name = str((price.get("product_data") or {}).get("name", ""))
    if total < _MINIMUM.get(currency, 1):
        invalid(
            "The Checkout Session's total amount due must add up to at least the "
            "minimum charge.",
            code="amount_too_small",
        )
    return total, currency, name


def _metadata(params: Json) -> Json:
    metadata = params.get("metadata") or {}
    if len(metadata) > 50:
        invalid("Metadata can hold up to 50 keys.", "metadata")
    for key, value in metadata.items():
        if len(key) > 40 or len(str(value)) > 500 or "[" in key or "]" in key:
            invalid("Metadata keys have up to 40, values up to 500 characters.", key)
    return {key: str(value) for key, value in metadata.items()}


def _is_taxed(params: Json) -> bool:
    return (params.get("automatic_tax") or {}).get("enabled") == "true"


def _taxes(params: Json, total: int) -> tuple[int, int]:
    """Return the taxes on top of and within the total: 20 % if enabled."""
    if not _is_taxed(params):
        return 0, 0
    price = params["line_items"][0].get("price_data") or {}
    if price.get("tax_behavior") == "exclusive":
        return total * 20 // 100, 0
    return 0, total - total * 100 // 120
