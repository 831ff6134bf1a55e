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
    `BackendGoneError` (what the call is about is not known to this account and mode),
    `BackendRefusedError` (credentials), `ConflictError` (the idempotency key is in use
    this moment), `ThrottledError`, `PaymentsUnavailableError` (with `unclear` when the
    call may have taken effect).
    """

    @property
    def livemode(self) -> bool:
        """Whether the credentials move real money."""
        ...

    @property
    def account(self) -> str:
        """
        A mark of the account that the credentials belong to; "" = unknown. No I/O.

        The same for every key of the account and nothing secret.
        """
        ...

    @property
    def traits(self) -> PaymentTraits:
        """What is the provider's own: prefixes, minimums, how long it keeps events."""
        ...

    def ping(self) -> None:
        """Make a cheap authorised read; raise what is wrong."""
        ...

    def prepare_session(self, order: SessionOrder) -> Mapping[str, Any]:
        """
        Return the complete create request as plain JSON data; no I/O.

        It is stored before it is sent and sent again as it stands after a crash, so it
        holds everything: parameters, `expires_at`, idempotency key.
        """
        ...

    def create_session(self, request: Mapping[str, Any]) -> CheckoutSession:
        """
        Send a prepared request; the same request gives the same session.

        The same bytes and the same idempotency key go out each time. The session tells
        the order's enrollment and try.
        """
        ...

    def retrieve_session(self, session_id: str) -> CheckoutSession:
        """Return the session; `BackendGoneError` when there is none."""
        ...

    def find_session(self, payment_id: str) -> CheckoutSession | None:
        """Return the session that made this payment, or None."""
        ...

    def expire_session(self, session_id: str) -> ExpireOutcome:
        """
        Expire an open session: expired (now or from before), or not open (paid).

        `BackendGoneError` when there is none.
        """
        ...

    def list_refunds(self, payment_id: str) -> tuple[Refund, ...]:
        """
        Return all refunds of a payment, in any status, over all pages.

        `BackendGoneError` when there is no such payment.
        """
        ...

    def list_disputes(self, payment_id: str) -> tuple[Dispute, ...]:
        """
        Return all disputes of a payment, inquiries too, over all pages.

        `BackendGoneError` when there is no such payment.
        """
        ...

    def list_sessions(
        self, *, since: datetime, limit: int = 100, cursor: str | None = None
    ) -> Page[CheckoutSession]:
        """Return the account's sessions made since a moment, newest first."""
        ...

    def refund(
        self, payment_id: str, *, amount: Money | None, idempotency_key: str
    ) -> Refund:
        """Give money back: all that is left, or `amount`."""
        ...

    def list_events(
        self, *, since: datetime, limit: int = 100, cursor: str | None = None
    ) -> Page[PaymentEvent]:
        """Return the provider's events since a moment, newest first."""
        ...

    def retrieve_event(self, event_id: str) -> PaymentEvent:
        """
        Return an event as the provider keeps it (`PaymentTraits.events_kept`).

        `BackendGoneError` when there is none (any more).
        """
        ...

    def parse_event(
        self, body: bytes, headers: Mapping[str, str], *, now: datetime
    ) -> PaymentEvent:
        """
        Verify a webhook on its raw bytes and read it.

        Raises:
            SignatureError: Missing, wrong, or more than 300 s away in either direction.
            PayloadError: Signed, but not an event.
        """
        ...
