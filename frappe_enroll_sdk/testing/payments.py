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
    BackendGoneError,
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
    PaymentTraits,
    Refund,
    SessionOrder,
    SessionStatus,
)
from ..money import Money
from .faults import Deadlines, FailNext
from .payments_customers import FakeCustomers


HEADER = "Fake-Signature"
_TOLERANCE_S = 300
_LEAST_LIFE = timedelta(minutes=30)
_KEY_LIFE = timedelta(hours=24)


class FakePayments(FakeCustomers):
    """
    `PaymentGateway` in memory, and the customer's side of it. Thread-safe.

    Attributes:
        livemode: See `PaymentGateway`; False by default.
        call_timeout_s: Seconds that a caller waits.
        account: See `PaymentGateway`. The gateway knows only objects created under its
            current account and mode; customers can use any.
        faults: Plan failures of verbs here.
        deadlines: Applies the effects of slow calls after their callers have given up.
        url: Base URL of its payment pages.
    """

    livemode = False
    call_timeout_s = 10.0
    account = "fake"
    url = "http://127.0.0.1:9/pay"
    traits = PaymentTraits(
        session_blank="{CHECKOUT_SESSION_ID}",
        session_prefix="cs_",
        payment_prefix="pi_",
        event_prefix="evt_",
        minimums={"usd": 50, "eur": 50, "jpy": 50},
    )

    def __init__(
        self, clock: Clock | None = None, *, secrets: tuple[str, ...] = ("whsec_fake",)
    ) -> None:
        self.clock = clock or SystemClock()
        self.secrets = secrets
        self.faults = FailNext()
        self.deadlines = Deadlines(self.clock, self.faults, PaymentsUnavailableError)
        self.is_down = False
        self.sessions: dict[str, CheckoutSession] = {}
        self.refunds: dict[str, Refund] = {}
        self.disputes: dict[str, Dispute] = {}
        self.events: list[PaymentEvent] = []
        self._made_at: dict[str, datetime] = {}
        self._made_under: dict[str, tuple[str, bool]] = {}
        self._answers: dict[str, tuple[Mapping[str, Any], str]] = {}
        #: Since when a key gets a 500; the provider repeats one for a day.
        self.remembered: dict[str, datetime] = {}
        self._failing: list[bool] = []
        self._lock = RLock()
        self._count = 0

    def _enter(self, verb: str) -> None:
        self.deadlines.catch_up()
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
        timeout_s = self.call_timeout_s

        def create() -> CheckoutSession:
            return self._create(request)

        session = self.deadlines.call("create_session", timeout_s, create)
        self.faults.check("create_session", after=True)
        return session

    def _create(self, request: Mapping[str, Any]) -> CheckoutSession:
        order = load(SessionOrder, request)
        key = order.idempotency_key
        with self._lock:
            self._check_broken(key, order)
            known = self._answers.get(key)
            if known is None:
                session = self._new_session(order)
                self._answers[key] = (dict(request), session.id)
                return session
            if known[0] != dict(request):
                raise BackendRejectedError("the key was used with other parameters")
            return self.sessions[known[1]]

    def fail_creates(self, times: int = 1, *, made: bool = False) -> None:
        """
        Answer the next new idempotency keys with a 500, repeated for a day.

        Args:
            times: How many keys.
            made: Whether the session is created all the same.
        """
        self._failing += [made] * times

    def _check_broken(self, key: str, order: SessionOrder) -> None:
        now = self.clock.now()
        if self._failing and key not in self._answers:
            if self._failing.pop(0):
                self._new_session(order)
            self.remembered.setdefault(key, now)
        since = self.remembered.get(key)
        if since is not None and now - since < _KEY_LIFE:
            raise PaymentsUnavailableError("the provider answered 500", unclear=True)

    def _known(self, session_id: str) -> CheckoutSession:
        """Return a session created under this account and mode."""
        made = self._made_under.get(session_id, (self.account, self.livemode))
        if made != (self.account, self.livemode):
            raise BackendGoneError("no such session")
        return self._look(session_id)

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
            try_number=order.try_number,
            ours=True,
            expires_at=order.expires_at,
            created_at=self.clock.now(),
            email=order.email,
            terms=order.terms,
        )
        self.sessions[session_id] = session
        self._made_at[session_id] = self.clock.now()
        self._made_under[session_id] = (self.account, self.livemode)
        return session

    def retrieve_session(self, session_id: str) -> CheckoutSession:
        """See `PaymentGateway.retrieve_session`."""
        self._enter("retrieve_session")
        return self._known(session_id)

    def find_session(self, payment_id: str) -> CheckoutSession | None:
        """See `PaymentGateway.find_session`."""
        self._enter("find_session")
        with self._lock:
            try:
                return self._known(self._session_of(payment_id).id)
            except BackendGoneError:
                return None

    def expire_session(self, session_id: str) -> ExpireOutcome:
        """See `PaymentGateway.expire_session`."""
        self._enter("expire_session")

        def expire() -> ExpireOutcome:
            return self._expire(session_id)

        outcome = self.deadlines.call("expire_session", self.call_timeout_s, expire)
        self.faults.check("expire_session", after=True)
        return outcome

    def _expire(self, session_id: str) -> ExpireOutcome:
        with self._lock:
            session = self._known(session_id)
            if session.status is SessionStatus.OPEN:
                session = self._put(session, status=SessionStatus.EXPIRED)
                self._emit("checkout.session.expired", Fact.EXPIRED, session)
            expired = session.status is SessionStatus.EXPIRED
        return ExpireOutcome.EXPIRED if expired else ExpireOutcome.NOT_OPEN

    def list_refunds(self, payment_id: str) -> tuple[Refund, ...]:
        """See `PaymentGateway.list_refunds`."""
        self._enter("list_refunds")
        with self._lock:
            self._known(self._session_of(payment_id).id)
            return tuple(r for r in self.refunds.values() if r.payment_id == payment_id)

    def list_disputes(self, payment_id: str) -> tuple[Dispute, ...]:
        """See `PaymentGateway.list_disputes`."""
        self._enter("list_disputes")
        with self._lock:
            self._known(self._session_of(payment_id).id)
            every = self.disputes.values()
            return tuple(d for d in every if d.payment_id == payment_id)

    def list_sessions(
        self, *, since: datetime, limit: int = 100, cursor: str | None = None
    ) -> Page[CheckoutSession]:
        """See `PaymentGateway.list_sessions`."""
        self._enter("list_sessions")
        with self._lock:
            sessions = [self._look(name) for name in reversed([*self.sessions])]
            made, here = self._made_at, (self.account, self.livemode)
            found = [
                session
                for session in sessions
                if made.get(session.id, since) >= since
                and self._made_under.get(session.id, here) == here
            ]
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
            raise BackendGoneError("no such event")
        return found

    def signed(
        self,
        event: PaymentEvent,
        *,
        secret: str | None = None,
        at: datetime | None = None,
    ) -> tuple[bytes, dict[str, str]]:
        """Return the body and headers of an event's delivery."""
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
