# SPDX-License-Identifier: MIT
"""`StripePayments`: the payment gateway on one `stripe.StripeClient` instance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from frappe_enroll_sdk import urls
from frappe_enroll_sdk.checks import Check
from frappe_enroll_sdk.deadline import within
from frappe_enroll_sdk.errors import (
    BackendGoneError,
    BackendRejectedError,
    MissingExtraError,
    PayloadError,
    PaymentsUnavailableError,
    SettingsError,
)
from frappe_enroll_sdk.models import (
    CheckoutSession,
    Dispute,
    ExpireOutcome,
    Page,
    PaymentEvent,
    PaymentTraits,
    Refund,
    SessionOrder,
)
from frappe_enroll_sdk.money import Money

from . import webhook
from .params import create_params
from .records import (
    dispute_of,
    event_of,
    events_of,
    refund_of,
    session_of,
    sessions_of,
)
from .traits import TRAITS


try:
    import stripe
except ImportError as error:  # the text is the command that fixes it
    raise MissingExtraError("stripe", "stripe") from error

from .accounts import account_of
from .diagnose import diagnose
from .failures import a_call
from .origins import payment_of, plain
from .transport import Transport


if TYPE_CHECKING:
    from stripe.params import (
        DisputeListParams,
        EventListParams,
        RefundCreateParams,
        RefundListParams,
    )
    from stripe.params.checkout import SessionCreateParams, SessionListParams

    from frappe_enroll_sdk.clock import Clock
    from frappe_enroll_sdk.settings import Settings


__all__ = ("StripePayments",)


#: The API version to which requests and this code are pinned.
API_VERSION = "2026-10-28.endive"
STRIPE = "https://api.stripe.com"
_A_PAGE = 100
#: Most pages of one payment's refunds or disputes; normally there are few.
_MOST_PAGES = 100


class StripePayments:
    """
    `PaymentGateway` on Stripe.

    One client per instance, never module globals. Thread-safe; a forked child opens its
    own connections (the client's sessions are per thread). The core does the retries:
    it replays the stored request with the same idempotency key.
    """

    def __init__(
        self,
        secret_key: str,
        webhook_secrets: tuple[str, ...] = (),
        *,
        api_base: str = STRIPE,
        timeout_s: float = 20.0,
        deployment: str = "",
    ) -> None:
        if not secret_key.startswith(("sk_", "rk_")):
            raise SettingsError(
                "STRIPE_SECRET_KEY: must begin with sk_ or rk_ (is it set?)"
            )
        self._livemode = "_live_" in secret_key[:8]
        self._secrets = webhook_secrets
        self._deployment = deployment
        self._client = stripe.StripeClient(
            secret_key,
            stripe_version=API_VERSION,
            base_addresses={"api": api_base},
            max_network_retries=0,
            http_client=Transport(timeout_s),
        )
        self._timeout_s = timeout_s
        self._account = account_of(secret_key)

    @classmethod
    def from_settings(cls, settings: Settings, _clock: Clock) -> Self:
        """
        Build it from the ``STRIPE_…`` settings.

        Raises:
            SettingsError: The key is not valid, or it is live and would be sent
                elsewhere.
        """
        made = cls(
            settings.stripe_secret_key.value,
            tuple(secret.value for secret in settings.stripe_webhook_secret),
            api_base=settings.stripe_api_base,
            timeout_s=settings.stripe_timeout_s,
            deployment=settings.deployment,
        )
        if made.livemode and urls.parse(settings.stripe_api_base).origin != STRIPE:
            raise SettingsError(f"STRIPE_API_BASE: a live key goes to {STRIPE} only")
        return made

    @property
    def livemode(self) -> bool:
        """See `PaymentGateway.livemode`."""
        return self._livemode

    @property
    def account(self) -> str:
        """See `PaymentGateway.account`."""
        return self._account

    @property
    def traits(self) -> PaymentTraits:
        """See `PaymentGateway.traits`."""
        return TRAITS

    def ping(self) -> None:
        """See `PaymentGateway.ping`: lists one session, a permission that we need."""
        with self._call():
            self._client.v1.checkout.sessions.list({"limit": 1})

    def prepare_session(self, order: SessionOrder) -> Mapping[str, Any]:
        """See `PaymentGateway.prepare_session`."""
        return {
            "params": create_params(order, self._deployment),
            "idempotency_key": order.idempotency_key,
        }

    def create_session(self, request: Mapping[str, Any]) -> CheckoutSession:
        """See `PaymentGateway.create_session`."""
        with self._call():
            params: SessionCreateParams = request["params"]
            session = self._client.v1.checkout.sessions.create(
                params, {"idempotency_key": request["idempotency_key"]}
            )
            return self._session(session)

    def retrieve_session(self, session_id: str) -> CheckoutSession:
        """See `PaymentGateway.retrieve_session`."""
        with self._call():
            session = self._client.v1.checkout.sessions.retrieve(
                session_id, {"expand": ["payment_intent"]}
            )
            return self._session(session)

    def find_session(self, payment_id: str) -> CheckoutSession | None:
        """See `PaymentGateway.find_session`."""
        try:
            with self._call():
                payment = payment_of(self._client, payment_id)
                if payment is None:
                    return None
                found = self._client.v1.checkout.sessions.list(
                    {"payment_intent": payment, "limit": 1}
                )
                rows = [plain(row) for row in found.data]
                sessions, unreadable = sessions_of(rows, self._deployment)
                if unreadable:
                    raise PayloadError(unreadable[0])
        except BackendGoneError:
            # Stripe answers a filter by an unknown id with an error, not an empty list.
            return None
        return sessions[0] if sessions else None

    def expire_session(self, session_id: str) -> ExpireOutcome:
        """See `PaymentGateway.expire_session`."""
        with within(self._timeout_s):
            try:
                with self._call():
                    self._client.v1.checkout.sessions.expire(session_id)
            except BackendGoneError:
                raise
            except BackendRejectedError:
                # Stripe gives the same error whether it is paid, complete or expired:
                # only retrieving it tells which.
                status = self.retrieve_session(session_id).status
                return ExpireOutcome.EXPIRED if status == "expired" else _NOT_OPEN
        return ExpireOutcome.EXPIRED

    def list_refunds(self, payment_id: str) -> tuple[Refund, ...]:
        """See `PaymentGateway.list_refunds`."""

        def page(after: str | None) -> Any:
            params: RefundListParams = {"payment_intent": payment_id, "limit": _A_PAGE}
            if after is not None:
                params["starting_after"] = after
            return self._client.v1.refunds.list(params)

        with self._call():
            return tuple(refund_of(row) for row in _all(page))

    def list_disputes(self, payment_id: str) -> tuple[Dispute, ...]:
        """See `PaymentGateway.list_disputes`."""

        def page(after: str | None) -> Any:
            params: DisputeListParams = {"payment_intent": payment_id, "limit": _A_PAGE}
            if after is not None:
                params["starting_after"] = after
            return self._client.v1.disputes.list(params)

        with self._call():
            return tuple(dispute_of(row) for row in _all(page))

    def list_sessions(
        self, *, since: datetime, limit: int = 100, cursor: str | None = None
    ) -> Page[CheckoutSession]:
        """See `PaymentGateway.list_sessions`."""
        params: SessionListParams = {
            "created": {"gte": int(since.timestamp())},
            "limit": min(limit, _A_PAGE),
        }
        if cursor is not None:
            params["starting_after"] = cursor
        with self._call():
            found = self._client.v1.checkout.sessions.list(params)
            rows = [plain(row) for row in found.data]
            sessions, unreadable = sessions_of(rows, self._deployment)
            last = _last(found, rows, cursor)
        return Page(items=sessions, next_cursor=last, unreadable=unreadable)

    def refund(
        self, payment_id: str, *, amount: Money | None, idempotency_key: str
    ) -> Refund:
        """See `PaymentGateway.refund`."""
        params: RefundCreateParams = {"payment_intent": payment_id}
        if amount is not None:
            params["amount"] = amount.amount_minor
        with self._call():
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
            "limit": min(limit, _A_PAGE),
        }
        if cursor is not None:
            params["starting_after"] = cursor
        with self._call():
            found = self._client.v1.events.list(params)
            rows = [plain(row) for row in found.data]
            last = _last(found, rows, cursor)
            events, unreadable = events_of(rows, self._deployment)
        return Page(items=events, next_cursor=last, unreadable=unreadable)

    def parse_event(
        self, body: bytes, headers: Mapping[str, str], *, now: datetime
    ) -> PaymentEvent:
        """See `PaymentGateway.parse_event`."""
        return webhook.parse_event(
            body, headers, self._secrets, now, deployment=self._deployment
        )

    def retrieve_event(self, event_id: str) -> PaymentEvent:
        """See `PaymentGateway.retrieve_event`."""
        with self._call():
            return self._event(self._client.v1.events.retrieve(event_id))

    def diagnose(self, *, now: datetime, public_url: str) -> tuple[Check, ...]:
        """See `Diagnosable.diagnose`: endpoint, events, versions, clock, mode."""
        return tuple(
            diagnose(
                self._client,
                livemode=self._livemode,
                api_version=API_VERSION,
                now=now,
                public_url=public_url,
                timeout_s=self._timeout_s,
            )
        )

    def _call(self) -> AbstractContextManager[None]:
        return a_call(self._timeout_s)

    def _session(self, session: stripe.checkout.Session) -> CheckoutSession:
        return session_of(session.to_dict(), self._deployment)

    def _event(self, event: stripe.Event) -> PaymentEvent:
        return event_of(event.to_dict(), self._deployment)


def _all(fetch: Callable[[str | None], Any]) -> list[dict[str, Any]]:
    """
    Return all pages of a list, as part of one would give a wrong sum.

    Raises:
        PaymentsUnavailableError: A row appears twice, or the list does not end.
    """
    rows: list[dict[str, Any]] = []
    after = None
    for _ in range(_MOST_PAGES):
        page = fetch(after)
        new = [plain(row) for row in page.data]
        names = [str(row.get("id")) for row in (*rows, *new)]
        if len(set(names)) < len(names):
            raise PaymentsUnavailableError("Stripe lists a row twice")
        rows += new
        after = _last(page, new, after)
        if after is None:
            return rows
    raise PaymentsUnavailableError(
        f"Stripe's list never ends: more than {_MOST_PAGES} pages for one payment"
    )


def _last(page: Any, rows: list[dict[str, Any]], after: str | None) -> str | None:
    """
    Return the row after which the next page begins, or None at the end.

    Raises:
        PaymentsUnavailableError: Stripe says there is more, but gives no way to get it.
    """
    ids = [str(row.get("id") or "") for row in rows]
    if (after or "") in ids or (page.has_more and not any(ids[-1:])):
        raise PaymentsUnavailableError("Stripe repeats a page: its list never ends")
    return ids[-1] if page.has_more else None


_NOT_OPEN = ExpireOutcome.NOT_OPEN
