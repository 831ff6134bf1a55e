# SPDX-License-Identifier: MIT
"""The customer's, the bank's and the operator's side of `FakePayments`."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any

import attrs

from ..errors import BackendGoneError, BackendRejectedError
from ..models import (
    CheckoutSession,
    Dispute,
    DisputeStatus,
    Fact,
    PaymentEvent,
    PaymentStatus,
    Refund,
    RefundStatus,
    SessionStatus,
)
from ..money import Money


if TYPE_CHECKING:
    from ..clock import Clock


class FakeCustomers:
    """What people do with sessions and payments; each act is an event. Thread-safe."""

    clock: Clock
    sessions: dict[str, CheckoutSession]
    refunds: dict[str, Refund]
    disputes: dict[str, Dispute]
    events: list[PaymentEvent]
    _lock: RLock
    _count: int

    def _next(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_{self._count:06d}"

    def _look(self, session_id: str) -> CheckoutSession:
        with self._lock:
            session = self.sessions.get(session_id)
            if session is None:
                raise BackendGoneError("no such session")
            lapsed = session.expires_at and session.expires_at <= self.clock.now()
            if session.status is SessionStatus.OPEN and lapsed:
                session = self._put(session, status=SessionStatus.EXPIRED)
                self._emit("checkout.session.expired", Fact.EXPIRED, session)
            return session

    def _put(self, session: CheckoutSession, **changes: Any) -> CheckoutSession:
        self.sessions[session.id] = attrs.evolve(session, **changes)
        return self.sessions[session.id]

    def pay(self, session_id: str, **changes: Any) -> PaymentEvent:
        """Pay an open session; `changes` alter the session in the event."""
        with self._lock:
            session = self._open(session_id)
            paid = self._put(
                session,
                status=SessionStatus.COMPLETE,
                payment_status=PaymentStatus.PAID,
                payment_id=self._next("pi_fake"),
            )
            told = attrs.evolve(paid, **changes)
            return self._emit("checkout.session.completed", Fact.PAID, told)

    def _open(self, session_id: str) -> CheckoutSession:
        session = self._look(session_id)
        if session.status is not SessionStatus.OPEN:
            raise BackendRejectedError("the session is not open")
        return session

    def pay_delayed(self, session_id: str) -> PaymentEvent:
        """Complete a session with a delayed payment method: unpaid for now."""
        with self._lock:
            session = self._open(session_id)
            told = self._put(
                session,
                status=SessionStatus.COMPLETE,
                payment_id=self._next("pi_fake"),
            )
            return self._emit("checkout.session.completed", Fact.PROCESSING, told)

    def settle_delayed(self, session_id: str, *, ok: bool) -> PaymentEvent:
        """Make a delayed payment succeed or fail."""
        with self._lock:
            session = self._look(session_id)
            if ok:
                told = self._put(session, payment_status=PaymentStatus.PAID)
                name = "checkout.session.async_payment_succeeded"
                return self._emit(name, Fact.PAID, told)
            told = self._put(session, payment_failed=True)
            return self._emit(
                "checkout.session.async_payment_failed", Fact.FAILED, told
            )

    def play_refund(
        self,
        payment_id: str,
        amount: Money | None = None,
        *,
        status: RefundStatus = RefundStatus.SUCCEEDED,
        key: str = "",
    ) -> tuple[Refund, PaymentEvent]:
        """Refund money as an operator at the provider would."""
        with self._lock:
            session = self._session_of(payment_id)
            refund = self.refunds.get(key) or Refund(
                id=self._next("re_fake"),
                payment_id=payment_id,
                amount=self._refundable(session, amount),
                status=status,
                created_at=self.clock.now(),
            )
            self.refunds[key or refund.id] = refund
            event = self._emit("charge.refunded", Fact.REFUNDED, session)
            return refund, event

    def fail_refund(self, refund: Refund) -> PaymentEvent:
        """Make a refund fail after all: the money is kept."""
        with self._lock:
            for key, known in self.refunds.items():
                if known.id == refund.id:
                    self.refunds[key] = attrs.evolve(known, status=RefundStatus.FAILED)
            session = self._session_of(refund.payment_id)
            return self._emit("refund.failed", Fact.REFUNDED, session)

    def play_dispute(
        self, payment_id: str, status: DisputeStatus = DisputeStatus.NEEDS_RESPONSE
    ) -> tuple[Dispute, PaymentEvent]:
        """Dispute a payment as the cardholder's bank would."""
        with self._lock:
            session = self._session_of(payment_id)
            dispute = Dispute(
                id=self._next("dp_fake"),
                payment_id=payment_id,
                amount=session.amount or Money.zero("usd"),
                status=status,
                created_at=self.clock.now(),
            )
            self.disputes[dispute.id] = dispute
            event = self._emit("charge.dispute.created", Fact.DISPUTED, session)
            return dispute, event

    def move_dispute(self, dispute_id: str, status: DisputeStatus) -> PaymentEvent:
        """Move a dispute to another status."""
        with self._lock:
            dispute = attrs.evolve(self.disputes[dispute_id], status=status)
            self.disputes[dispute_id] = dispute
            session = self._session_of(dispute.payment_id)
            return self._emit("charge.dispute.updated", Fact.DISPUTED, session)

    def warn(self, payment_id: str) -> PaymentEvent:
        """Send an early fraud warning about a payment."""
        with self._lock:
            session = self._session_of(payment_id)
            kind = "radar.early_fraud_warning.created"
            return self._emit(kind, Fact.FLAGGED, session)

    def _session_of(self, payment_id: str) -> CheckoutSession:
        for session in self.sessions.values():
            if session.payment_id == payment_id:
                return session
        raise BackendGoneError("no such payment")

    def _refundable(self, session: CheckoutSession, amount: Money | None) -> Money:
        """Return the amount, or all that is left; reject a larger one."""
        whole = session.amount or Money.zero("usd")
        back = sum(
            refund.amount.amount_minor
            for refund in self.refunds.values()
            if refund.payment_id == session.payment_id
            and refund.counts
            and refund.amount is not None
        )
        left = Money(whole.amount_minor - back, whole.currency)
        wanted = left if amount is None else amount
        if not 0 < wanted.amount_minor <= left.amount_minor:
            raise BackendRejectedError("amount: more than is left of the payment")
        return wanted

    def _emit(self, kind: str, fact: Fact, session: CheckoutSession) -> PaymentEvent:
        # Like the provider's, events about refunds and disputes name only the payment.
        told = kind.startswith("checkout.")
        event = PaymentEvent(
            id=self._next("evt_fake"),
            type=kind,
            created_at=self.clock.now(),
            livemode=session.livemode,
            fact=fact,
            object_id=session.id,
            session_id=session.id if told else None,
            payment_id=session.payment_id,
            enrollment_id=session.enrollment_id if told else None,
            session=session if told else None,
        )
        self.events.append(event)
        return event
