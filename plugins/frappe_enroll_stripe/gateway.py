# SPDX-License-Identifier: MIT
"""`StripePayments`: the payment gateway on one `stripe.StripeClient` instance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from frappe_enroll_sdk.errors import (
    BackendRefusedError,
    BackendRejectedError,
    ConflictError,
    EnrollError,
    MissingExtraError,
    PayloadError,
    PaymentsUnavailableError,
    SettingsError,
    ThrottledError,
)
from frappe_enroll_sdk.models import (
    CheckoutSession,
    ExpireOutcome,
    Page,
    PaymentEvent,
    Refund,
    SessionOrder,
)
from frappe_enroll_sdk.money import Money

from . import webhook
from .quiet import keep_quiet
from .records import APP_KEY, APP_VALUE, ID_KEY, event_of, refund_of, session_of


try:
    import stripe
except ImportError as error:  # the text is the command that mends it
    raise MissingExtraError("stripe", "stripe") from error


if TYPE_CHECKING:
    from stripe.params import EventListParams, RefundCreateParams
    from stripe.params.checkout import SessionCreateParams

    from frappe_enroll_sdk.clock import Clock
    from frappe_enroll_sdk.settings import Settings

#: The API version that requests and this code's reading are pinned to.
API_VERSION = "2026-10-28.endive"
_CONNECT_S = 5.0
_REFUNDS_A_PAGE = 100


class StripePayments:
    """
    `PaymentGateway` on Stripe.

    One client per instance, never module globals. Thread-safe; a forked child opens
    its own connections (the client's sessions are per thread). Retries are left to the
    core, which replays the stored request under the same idempotency key.
    """

    def __init__(
        self,
        secret_key: str,
        webhook_secrets: tuple[str, ...] = (),
        *,
        api_base: str = "https://api.stripe.com",
        timeout_s: float = 20.0,
    ) -> None:
        if not secret_key.startswith(("sk_", "rk_")):
            raise SettingsError(
                "STRIPE_SECRET_KEY: must begin with sk_ or rk_ (is it set?)"
            )
        keep_quiet()
        self._secrets = webhook_secrets
        self._client = stripe.StripeClient(
            secret_key,
            stripe_version=API_VERSION,
            base_addresses={"api": api_base},
            max_network_retries=0,
            http_client=stripe.RequestsClient(
                timeout=(min(_CONNECT_S, timeout_s), timeout_s)
            ),
        )
        self._livemode = "_live_" in secret_key[:8]

    @classmethod
    def from_settings(cls, settings: Settings, _clock: Clock) -> Self:
        """Build it from the ``STRIPE_…`` settings."""
        return cls(
            settings.stripe_secret_key.value,
            tuple(secret.value for secret in settings.stripe_webhook_secret),
            api_base=settings.stripe_api_base,
            timeout_s=settings.stripe_timeout_s,
        )

    @property
    def livemode(self) -> bool:
        """See `PaymentGateway.livemode`."""
        return self._livemode

    def ping(self) -> None:
        """See `PaymentGateway.ping`: one session is listed, the right that we need."""
        with _our_errors():
            self._client.v1.checkout.sessions.list({"limit": 1})

    def prepare_session(self, order: SessionOrder) -> Mapping[str, Any]:
        """See `PaymentGateway.prepare_session`."""
        mark = {ID_KEY: order.enrollment_id, APP_KEY: APP_VALUE}
        metadata = {
            **order.metadata,
            **mark,
            "frappe_enroll_course": order.course_id[:500],
        }
        params: SessionCreateParams = {
            "mode": "payment",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": order.amount.currency,
                        "unit_amount": order.amount.amount_minor,
                        "product_data": {"name": order.course_title or order.course_id},
                    },
                }
            ],
            "customer_email": order.email,
            "client_reference_id": order.enrollment_id,
            "success_url": order.success_url,
            "cancel_url": order.cancel_url,
            "expires_at": int(order.expires_at.timestamp()),
            "metadata": metadata,
            "payment_intent_data": {"metadata": mark},
        }
        return {
            "params": {**order.parameters, **params},
            "idempotency_key": order.enrollment_id,
        }

    def create_session(self, request: Mapping[str, Any]) -> CheckoutSession:
        """See `PaymentGateway.create_session`."""
        with _our_errors():
            session = self._client.v1.checkout.sessions.create(
                request["params"], {"idempotency_key": request["idempotency_key"]}
            )
            return session_of(session.to_dict())

    def retrieve_session(self, session_id: str) -> CheckoutSession:
        """See `PaymentGateway.retrieve_session`."""
        with _our_errors():
            session = self._client.v1.checkout.sessions.retrieve(
                session_id, {"expand": ["payment_intent"]}
            )
            return session_of(session.to_dict())

    def find_session(self, payment_id: str) -> CheckoutSession | None:
        """See `PaymentGateway.find_session`."""
        try:
            with _our_errors():
                found = self._client.v1.checkout.sessions.list(
                    {"payment_intent": payment_id, "limit": 1}
                )
                sessions = [session_of(session.to_dict()) for session in found.data]
        except BackendRejectedError as error:
            # Stripe answers a filter by an unknown id with an error, not with nothing.
            if getattr(error.__cause__, "code", None) == "resource_missing":
                return None
            raise
        return sessions[0] if sessions else None

    def expire_session(self, session_id: str) -> ExpireOutcome:
        """See `PaymentGateway.expire_session`."""
        try:
            with _our_errors():
                self._client.v1.checkout.sessions.expire(session_id)
        except BackendRejectedError:
            # Stripe refuses with one error whether it is paid, complete or expired:
            # only a look tells these apart.
            status = self.retrieve_session(session_id).status
            return ExpireOutcome.EXPIRED if status == "expired" else _NOT_OPEN
        return ExpireOutcome.EXPIRED

    def list_refunds(self, payment_id: str) -> tuple[Refund, ...]:
        """See `PaymentGateway.list_refunds`."""
        with _our_errors():
            first = self._client.v1.refunds.list(
                {"payment_intent": payment_id, "limit": _REFUNDS_A_PAGE}
            )
            return tuple(refund_of(r.to_dict()) for r in first.auto_paging_iter())

    def refund(
        self, payment_id: str, *, amount: Money | None, idempotency_key: str
    ) -> Refund:
        """See `PaymentGateway.refund`."""
        params: RefundCreateParams = {"payment_intent": payment_id}
        if amount is not None:
            params["amount"] = amount.amount_minor
        with _our_errors():
            refund = self._client.v1.refunds.create(
                params, {"idempotency_key": idempotency_key}
            )
            return refund_of(refund.to_dict())

    def list_events(
        self, *, since: datetime, limit: int = 100, cursor: str | None = None
    ) -> Page[PaymentEvent]:
        """See `PaymentGateway.list_events`."""
        params: EventListParams = {
            "created": {"gte": int(since.timestamp())},
            "limit": min(limit, 100),
        }
        if cursor is not None:
            params["starting_after"] = cursor
        with _our_errors():
            found = self._client.v1.events.list(params)
            ids = [event.id for event in found.data]
            events = tuple(event_of(event.to_dict()) for event in found.data)
        return Page(items=events, next_cursor=ids[-1] if found.has_more else None)

    def parse_event(
        self, body: bytes, headers: Mapping[str, str], *, now: datetime
    ) -> PaymentEvent:
        """See `PaymentGateway.parse_event`."""
        return webhook.parse_event(body, headers, self._secrets, now)


_NOT_OPEN = ExpireOutcome.NOT_OPEN


@contextmanager
def _our_errors() -> Iterator[None]:
    """Turn stripe-python's errors into ours; texts name Stripe's cause, no request."""
    try:
        yield
    except PayloadError as error:
        raise PaymentsUnavailableError(
            f"Stripe answered something else: {error}", unclear=True
        ) from error
    except EnrollError:
        raise
    except stripe.StripeError as error:
        raise _error_of(error) from error
    except Exception as error:  # e.g. a body that is not JSON
        raise PaymentsUnavailableError(
            f"Stripe's answer can't be read ({type(error).__name__})", unclear=True
        ) from error


def _error_of(error: stripe.StripeError) -> EnrollError:
    status, words = error.http_status, error.user_message or type(error).__name__
    if isinstance(error, stripe.APIConnectionError):
        # Only a refused connection is sure to have carried nothing.
        unclear = not _never_connected(error)
        return PaymentsUnavailableError("Stripe can't be reached", unclear=unclear)
    if status in {401, 403}:
        return BackendRefusedError(
            f"STRIPE_SECRET_KEY: Stripe refuses it ({status})",
            field="STRIPE_SECRET_KEY",
        )
    if status == 409 or error.code == "idempotency_key_in_use":  # noqa: PLR2004
        return ConflictError("Stripe is still working on the same request")
    if status == 429:  # noqa: PLR2004
        retry_after = _retry_after(error)
        return ThrottledError("Stripe asks to slow down", retry_after_s=retry_after)
    if status is not None and 400 <= status < 500:  # noqa: PLR2004
        return BackendRejectedError(f"Stripe refused: {words}", field=_param(error))
    return PaymentsUnavailableError(f"Stripe failed ({status})", unclear=True)


def _never_connected(error: BaseException) -> bool:
    """Tell whether the connection was refused before anything was sent."""
    seen: BaseException | None = error
    while seen is not None:
        name = type(seen).__name__
        if name in {"NewConnectionError", "ConnectTimeout", "ConnectTimeoutError"}:
            return True
        if isinstance(seen, ConnectionRefusedError):
            return True
        reason = getattr(seen, "reason", None)
        inner = seen.args[0] if seen.args else None
        following = reason if isinstance(reason, BaseException) else inner
        seen = following if isinstance(following, BaseException) else seen.__cause__
    return False


def _retry_after(error: stripe.StripeError) -> float | None:
    value = (error.headers or {}).get("Retry-After", "")
    return float(value) if str(value).isdecimal() else None


def _param(error: stripe.StripeError) -> str | None:
    param = getattr(error, "param", None)
    return param if isinstance(param, str) else None
