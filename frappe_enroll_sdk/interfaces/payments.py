# SPDX-License-Identifier: MIT
"""The payment provider."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from ..models import (
    CheckoutSession,
    Dispute,
    ExpireOutcome,
    Page,
    PaymentEvent,
    PaymentTraits,
    Refund,
    SessionOrder,
)
from ..money import Money


@runtime_checkable
class PaymentGateway(Protocol):
    """
    A payment provider with hosted checkout sessions.

    Errors: `BackendRejectedError` (this call is refused for good), its child
    `BackendGoneError` (the call's object is unknown in this account and mode),
    `BackendRefusedError` (credentials), `ConflictError` (the idempotency key is in use
    at this moment), `ThrottledError`, `PaymentsUnavailableError` (with `unclear` when
    the call may have taken effect).
    """

    @property
    def livemode(self) -> bool:
        """Whether the credentials move real money."""
        ...

    @property
    def account(self) -> str:
        """
        An identifier of the credentials' account; "" = unknown. No I/O.

        The same for every key of the account, and not secret.
        """
        ...

    @property
    def traits(self) -> PaymentTraits:
        """Provider-specific values: id prefixes, minimums, how long events are kept."""
        ...

    def ping(self) -> None:
        """Make a cheap authorised read; raise an error if it fails."""
        ...

    def prepare_session(self, order: SessionOrder) -> Mapping[str, Any]:
        """
        Return the complete create request as plain JSON data; no I/O.

        It is stored before it is sent, and sent again unchanged after a crash, so it
        contains everything: parameters, `expires_at`, idempotency key.
        """
        ...

    def create_session(self, request: Mapping[str, Any]) -> CheckoutSession:
        """
        Send a prepared request; the same request gives the same session.

        Every call sends the same bytes and the same idempotency key. The session
        carries the order's enrollment id and try number.
        """
        ...

    def retrieve_session(self, session_id: str) -> CheckoutSession:
        """Return the session; `BackendGoneError` when there is none."""
        ...

    def find_session(self, payment_id: str) -> CheckoutSession | None:
        """
        Return the session that made this payment, or None.

        Also accepts the id of an object that belongs to a payment
        (`PaymentEvent.object_id` of a refund, a dispute or a charge), for events that
        name nothing else.
        """
        ...

    def expire_session(self, session_id: str) -> ExpireOutcome:
        """
        Expire an open session: expired (now or earlier), or not open (paid).

        `BackendGoneError` when there is none.
        """
        ...

    def list_refunds(self, payment_id: str) -> tuple[Refund, ...]:
        """
        Return all refunds of a payment, in any status, over all pages.

        An unreadable one is included, with whatever could be read.

        `BackendGoneError` when there is no such payment.
        """
        ...

    def list_disputes(self, payment_id: str) -> tuple[Dispute, ...]:
        """
        Return all disputes of a payment, including inquiries, over all pages.

        An unreadable one is included, with whatever could be read.

        `BackendGoneError` when there is no such payment.
        """
        ...

    def list_sessions(
        self, *, since: datetime, limit: int = 100, cursor: str | None = None
    ) -> Page[CheckoutSession]:
        """
        Return the account's sessions created since then, newest first.

        `Page.unreadable` names those of ours that can't be read; sessions of other
        products are left out.
        """
        ...

    def refund(
        self, payment_id: str, *, amount: Money | None, idempotency_key: str
    ) -> Refund:
        """Refund `amount`, or all that is left."""
        ...

    def list_events(
        self, *, since: datetime, limit: int = 100, cursor: str | None = None
    ) -> Page[PaymentEvent]:
        """
        Return the provider's events since then, newest first.

        `Page.unreadable` names those that can't be read.
        """
        ...

    def retrieve_event(self, event_id: str) -> PaymentEvent:
        """
        Return an event that the provider still keeps (`PaymentTraits.events_kept`).

        Raises `BackendGoneError` when there is none (any more).
        """
        ...

    def parse_event(
        self, body: bytes, headers: Mapping[str, str], *, now: datetime
    ) -> PaymentEvent:
        """
        Verify a webhook's signature over the raw bytes, and parse it.

        Raises:
            SignatureError: Missing, wrong, or more than 300 s away in either direction.
            PayloadError: Signed, but not an event.
        """
        ...
