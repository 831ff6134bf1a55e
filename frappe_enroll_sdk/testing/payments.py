# SPDX-License-Identifier: MIT
"""`FakePayments`: a payment provider in memory that keeps Stripe's rules."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from threading import RLock
from typing import Any

from ..clock import Clock, SystemClock
from ..codec import dump, load
from ..errors import (
    BackendRejectedError,
    PayloadError,
    PaymentsUnavailableError,
    SignatureError,
    ValidationError,
)
from ..models import (
    CheckoutSession,
    Dispute,
    ExpireOutcome,
    Fact,
    Page,
    PaymentEvent,
    PaymentStatus,
    Refund,
    SessionOrder,
    SessionStatus,
)
from ..money import Money
from .faults import FailNext
from .payments_customers import FakeCustomers


HEADER = "Fake-Signature"
_TOLERANCE_S = 300
_LEAST_LIFE = timedelta(minutes=30)


class FakePayments(FakeCustomers):
    """
    `PaymentGateway` in memory, and the customer's side of it. Thread-safe.

    Attributes:
        livemode: As the interface says; False.
        faults: Plan failures of verbs here.
        url: Where its payment pages would be.
    """

    livemode = False
    url = "http://127.0.0.1:9/pay"

    def __init__(
        self, clock: Clock | None = None, *, secrets: tuple[str, ...] = ("whsec_fake",)
    ) -> None:
        self.clock = clock or SystemClock()
        self.secrets = secrets
        self.faults = FailNext()
        self.is_down = False
        self.sessions: dict[str, CheckoutSession] = {}
        self.refunds: dict[str, Refund] = {}
        self.disputes: dict[str, Dispute] = {}
        self.events: list[PaymentEvent] = []
        self._made_at: dict[str, datetime] = {}
        self._answers: dict[str, tuple[Mapping[str, Any], str]] = {}
        self._lock = RLock()
        self._count = 0

    def _enter(self, verb: str) -> None:
        if self.is_down:
            raise PaymentsUnavailableError("the provider is down")
        self.faults.check(verb)

    def ping(self) -> None:
        """See `PaymentGateway.ping`."""
        self._enter("ping")

    def prepare_session(self, order: SessionOrder) -> Mapping[str, Any]:
        """See `PaymentGateway.prepare_session`."""
        request: Mapping[str, Any] = dump(order)
        return request

    def create_session(self, request: Mapping[str, Any]) -> CheckoutSession:
        """See `PaymentGateway.create_session`; the rules are Stripe's."""
        self._enter("create_session")
        order = load(SessionOrder, request)
        with self._lock:
            known = self._answers.get(order.enrollment_id)
            if known is None:
                session = self._new_session(order)
                self._answers[order.enrollment_id] = (dict(request), session.id)
            elif known[0] != dict(request):
                raise BackendRejectedError("the key was used with other parameters")
            else:
                session = self.sessions[known[1]]
        self.faults.check("create_session", after=True)
        return session

    def _new_session(self, order: SessionOrder) -> CheckoutSession:
        life = order.expires_at - self.clock.now()
        if life < _LEAST_LIFE or life > timedelta(hours=24):
            raise BackendRejectedError("expires_at: 30 minutes to 24 hours from now")
        session_id = self._next("cs_fake")
        session = CheckoutSession(
            id=session_id,
            url=f"{self.url}/{session_id}",
            status=SessionStatus.OPEN,
            payment_status=PaymentStatus.UNPAID,
            amount=order.amount,
            livemode=self.livemode,
            enrollment_id=order.enrollment_id,
            ours=True,
            expires_at=order.expires_at,
            created_at=self.clock.now(),
            email=order.email,
            terms=order.terms,
        )
        self.sessions[session_id] = session
        self._made_at[session_id] = self.clock.now()
        return session

    def retrieve_session(self, session_id: str) -> CheckoutSession:
        """See `PaymentGateway.retrieve_session`."""
        self._enter("retrieve_session")
        return self._look(session_id)

    def find_session(self, payment_id: str) -> CheckoutSession | None:
        """See `PaymentGateway.find_session`."""
        self._enter("find_session")
        with self._lock:
            all_sessions = self.sessions.values()
            return next((s for s in all_sessions if s.payment_id == payment_id), None)

    def expire_session(self, session_id: str) -> ExpireOutcome:
        """See `PaymentGateway.expire_session`."""
        self._enter("expire_session")
        with self._lock:
            session = self._look(session_id)
            if session.status is SessionStatus.OPEN:
                session = self._put(session, status=SessionStatus.EXPIRED)
                self._emit("checkout.session.expired", Fact.EXPIRED, session)
            expired = session.status is SessionStatus.EXPIRED
        self.faults.check("expire_session", after=True)
        return ExpireOutcome.EXPIRED if expired else ExpireOutcome.NOT_OPEN

    def list_refunds(self, payment_id: str) -> tuple[Refund, ...]:
        """See `PaymentGateway.list_refunds`."""
        self._enter("list_refunds")
        with self._lock:
            return tuple(r for r in self.refunds.values() if r.payment_id == payment_id)

    def list_disputes(self, payment_id: str) -> tuple[Dispute, ...]:
        """See `PaymentGateway.list_disputes`."""
        self._enter("list_disputes")
        with self._lock:
            every = self.disputes.values()
            return tuple(d for d in every if d.payment_id == payment_id)

    def list_sessions(
        self, *, since: datetime, limit: int = 100, cursor: str | None = None
    ) -> Page[CheckoutSession]:
        """See `PaymentGateway.list_sessions`."""
        self._enter("list_sessions")
        with self._lock:
            sessions = [self._look(name) for name in reversed([*self.sessions])]
            made = self._made_at
            found = [s for s in sessions if made.get(s.id, since) >= since]
        return _page(found, limit, cursor)

    def refund(
        self, payment_id: str, *, amount: Money | None, idempotency_key: str
    ) -> Refund:
        """See `PaymentGateway.refund`."""
        self._enter("refund")
        return self.play_refund(payment_id, amount, key=idempotency_key)[0]

    def list_events(
        self, *, since: datetime, limit: int = 100, cursor: str | None = None
    ) -> Page[PaymentEvent]:
        """See `PaymentGateway.list_events`."""
        self._enter("list_events")
        with self._lock:
            events = [e for e in reversed(self.events) if e.created_at >= since]
        return _page(events, limit, cursor)

    def retrieve_event(self, event_id: str) -> PaymentEvent:
        """See `PaymentGateway.retrieve_event`."""
        self._enter("retrieve_event")
        with self._lock:
            found = next((e for e in self.events if e.id == event_id), None)
        if found is None:
            raise BackendRejectedError("no such event")
        return found

    def signed(
        self,
        event: PaymentEvent,
        *,
        secret: str | None = None,
        at: datetime | None = None,
    ) -> tuple[bytes, dict[str, str]]:
        """Return the body and headers with which an event is delivered."""
        body = json.dumps(dump(event)).encode()
        stamp = int((at or self.clock.now()).timestamp())
        digest = _sign(secret or self.secrets[0], stamp, body)
        return body, {HEADER: f"t={stamp},v1={digest}"}

    def parse_event(
        self, body: bytes, headers: Mapping[str, str], *, now: datetime
    ) -> PaymentEvent:
        """See `PaymentGateway.parse_event`."""
        named = {str(k).lower(): v for k, v in headers.items()}
        stamp, _, digest = str(named.get(HEADER.lower(), "")).partition(",v1=")
        if not re.fullmatch(r"t=[0-9]{1,12}", stamp) or not digest.isascii():
            raise SignatureError("no signature", field=HEADER)
        if abs(now.timestamp() - int(stamp[2:])) > _TOLERANCE_S:
            raise SignatureError("out of the time tolerance", field=HEADER)
        wanted = [_sign(secret, int(stamp[2:]), body) for secret in self.secrets]
        if not any(hmac.compare_digest(w, digest) for w in wanted):
            raise SignatureError("wrong signature", field=HEADER)
        try:
            return load(PaymentEvent, json.loads(body))
        except (ValueError, RecursionError, ValidationError) as error:
            raise PayloadError("not an event", field="body") from error


def _sign(secret: str, stamp: int, body: bytes) -> str:
    signed = f"{stamp}.".encode() + body
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def _page(rows: list[Any], limit: int, cursor: str | None) -> Page[Any]:
    start = int(cursor or 0)
    end = start + limit
    following = str(end) if len(rows) > end else None
    return Page(items=tuple(rows[start:end]), next_cursor=following)
