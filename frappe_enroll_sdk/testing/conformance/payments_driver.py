# SPDX-License-Identifier: MIT
"""`PaymentsDriver`, what the payments suite drives, and what its checks share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import attrs
import pytest

from ...interfaces import PaymentGateway
from ...models import (
    CheckoutSession,
    DisputeStatus,
    PaymentEvent,
    SessionOrder,
    SessionTerms,
)
from ...money import Money


class PaymentsDriver(Protocol):
    """A gateway and control over its provider."""

    @property
    def gateway(self) -> PaymentGateway:
        """The gateway under test."""
        ...

    @property
    def keys(self) -> Sequence[str]:
        """Signing keys (or their names) that the gateway accepts, newest last."""
        ...

    def now(self) -> datetime:
        """Return the provider's time."""
        ...

    def advance(self, seconds: float) -> None:
        """Advance the provider's clock."""
        ...

    def pay(self, session_id: str) -> None:
        """Pay an open session as a customer."""
        ...

    def pay_delayed(self, session_id: str) -> None:
        """Complete an open session with a method that pays later."""
        ...

    def settle_delayed(self, session_id: str, *, ok: bool) -> None:
        """Make a delayed payment succeed or fail for good."""
        ...

    def refund(self, payment_id: str, amount: Money) -> None:
        """Refund money as an operator at the provider."""
        ...

    def dispute(self, payment_id: str, status: DisputeStatus) -> str:
        """Dispute a payment as a bank; return the dispute's id."""
        ...

    def move_dispute(self, dispute_id: str, status: DisputeStatus) -> None:
        """Move a dispute to another status."""
        ...

    def delivery(self) -> tuple[bytes, Mapping[str, str]]:
        """Return body and headers of a delivery of the newest event, signed now."""
        ...

    def sign(self, body: bytes, *, key: str, at: datetime) -> Mapping[str, str]:
        """Return the headers of a delivery; `key` may be one that is not accepted."""
        ...

    def go_down(self) -> None:
        """Make the provider unreachable."""
        ...

    def come_back(self) -> None:
        """Make it reachable again, unchanged."""
        ...


class PaymentsBase:
    """The suite's own fixtures."""

    #: More refunds than the provider lists on one page.
    many_refunds = 101

    @pytest.fixture
    def driver(self, payments_driver: PaymentsDriver) -> PaymentsDriver:
        """Provide the driver under a short name."""
        return payments_driver

    @pytest.fixture
    def gateway(self, driver: PaymentsDriver) -> PaymentGateway:
        """Provide the gateway under test."""
        return driver.gateway


def order_of(driver: PaymentsDriver, number: int = 1, **changes: Any) -> SessionOrder:
    """Return an order; `number` determines its id."""
    order = SessionOrder(
        enrollment_id=f"enr_conformance{number:04d}",
        amount=Money(4900, "usd"),
        terms=SessionTerms(
            course_id="python-101",
            discount_minor=100,
            coupon_code="GRANT-7K2Q",
            affiliate="carol",
        ),
        course_title="Python 101 – für Anfänger",
        email="ada@example.com",
        success_url="http://127.0.0.1:5000/return?session={CHECKOUT_SESSION_ID}",
        cancel_url="http://127.0.0.1:5000/cancelled",
        expires_at=driver.now() + timedelta(hours=2),
    )
    return attrs.evolve(order, **changes)


def opened(driver: PaymentsDriver, number: int = 1, **changes: Any) -> CheckoutSession:
    """Return a new open session."""
    order = order_of(driver, number, **changes)
    return driver.gateway.create_session(driver.gateway.prepare_session(order))


def paid(driver: PaymentsDriver, number: int = 1, **changes: Any) -> CheckoutSession:
    """Return a paid session."""
    session = opened(driver, number, **changes)
    driver.pay(session.id)
    return driver.gateway.retrieve_session(session.id)


def payment_of(session: CheckoutSession) -> str:
    """Return the payment that a session must have."""
    assert session.payment_id is not None
    return session.payment_id


def read(driver: PaymentsDriver) -> PaymentEvent:
    """Return the newest event, parsed."""
    return driver.gateway.parse_event(*driver.delivery(), now=driver.now())
