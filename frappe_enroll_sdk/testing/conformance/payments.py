# SPDX-License-Identifier: MIT
"""
`PaymentsConformance`: what every payment gateway has to keep.

A gateway's author writes an empty subclass and one fixture::

    from frappe_enroll_sdk.testing.conformance import PaymentsConformance


    class TestMyPayments(PaymentsConformance):
        @pytest.fixture
        def payments_driver(self):
            return MyDriver()

The fixture gives a `PaymentsDriver`: the gateway, and the provider's test side of it
(the customer who pays, the operator who refunds, the keys that sign). Each test wants
a new one with nothing in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from ...errors import (
    BackendGoneError,
    PayloadError,
    PaymentsUnavailableError,
    SignatureError,
)
from ...interfaces import PaymentGateway
from ...models import Fact, PaymentEvent
from ...money import Money
from .payments_disputes import DisputeChecks
from .payments_driver import (
    PaymentsBase,
    opened,
    order_of,
    paid,
    payment_of,
    read,
)
from .payments_sessions import RefundChecks, SessionChecks


_SPOILS: dict[str, Callable[[str], str]] = {
    "empty": lambda value: value[:0],
    "cut": lambda value: value[:-1],
    "reversed": lambda value: value[::-1],
    "not_ascii": lambda value: value + "é",
    "other_digits": lambda value: value.replace("1", "\u0661"),
    "surrogate": lambda value: value + "\udcff",
    "long": lambda value: "9" * 5000 + value,
    "long_number": lambda value: f"t={'9' * 5000},{value}",
    "no_names": lambda value: value.replace("=", ""),
}


class EventChecks(PaymentsBase):
    """Events: verified over raw bytes, parsed, or refused."""

    def test_paid_event(self, driver):
        """It carries the paid session, whole."""
        session = paid(driver)
        event = read(driver)
        assert (event.fact, event.session_id, event.payment_id) == (
            Fact.PAID,
            session.id,
            session.payment_id,
        )
        assert event.session is not None
        assert (event.session.paid, event.session.amount) == (True, session.amount)
        assert (event.enrollment_id, event.session.ours, event.livemode) == (
            session.enrollment_id,
            True,
            driver.gateway.livemode,
        )
        assert abs(event.created_at - driver.now()) < timedelta(seconds=5)

    @pytest.mark.parametrize(
        ("ok", "fact"), [(True, Fact.PAID), (False, Fact.FAILED)], ids=["ok", "failed"]
    )
    def test_delayed_payment_events(self, driver, ok, fact):
        """First processing, then paid or failed; two events of one session."""
        session = opened(driver)
        driver.pay_delayed(session.id)
        first = read(driver)
        driver.settle_delayed(session.id, ok=ok)
        second = read(driver)
        assert [Fact.PROCESSING, fact] == [first.fact, second.fact]
        assert first.session_id == second.session_id == session.id
        assert first.id != second.id

    def test_expired_event(self, driver):
        """Expiring a session sends an event."""
        session = opened(driver)
        driver.gateway.expire_session(session.id)
        event = read(driver)
        assert (event.fact, event.session_id) == (Fact.EXPIRED, session.id)

    def test_refunded_event_names_the_payment(self, driver):
        """It is a hint that leads to the payment."""
        payment = payment_of(paid(driver))
        driver.refund(payment, Money(1000, "usd"))
        event = read(driver)
        assert (event.fact, event.payment_id) == (Fact.REFUNDED, payment)

    def test_redelivery_is_the_same_event(self, driver, gateway):
        """Signed again an hour later, under other header names: the same facts."""
        paid(driver)
        first = read(driver)
        driver.advance(3600)
        body, headers = driver.delivery()
        for shout in (str.upper, str.lower):
            named = {shout(name): value for name, value in headers.items()}
            assert first == gateway.parse_event(body, named, now=driver.now())

    def test_every_active_key_is_accepted(self, driver, gateway):
        """While a secret is rotated, two are valid at once."""
        if len(driver.keys) < 2:
            pytest.skip("this driver has one key only")
        paid(driver)
        body, _ = driver.delivery()
        for key in driver.keys:
            headers = driver.sign(body, key=key, at=driver.now())
            event = gateway.parse_event(body, headers, now=driver.now())
            assert event.fact is Fact.PAID

    @pytest.mark.parametrize("seconds", [-3600, -301, 301, 3600])
    def test_delivery_from_another_time_is_refused(self, driver, gateway, seconds):
        """More than five minutes old, or from the future: a replay or a forgery."""
        paid(driver)
        body, _ = driver.delivery()
        for shift, is_good in ((seconds, False), (295 if seconds > 0 else -295, True)):
            at = driver.now() + timedelta(seconds=shift)
            headers = driver.sign(body, key=driver.keys[0], at=at)
            if is_good:
                gateway.parse_event(body, headers, now=driver.now())
                continue
            with pytest.raises(SignatureError):
                gateway.parse_event(body, headers, now=driver.now())

    def test_forged_delivery_is_refused(self, driver, gateway):
        """Another body, a foreign key, no signature: SignatureError."""
        paid(driver)
        body, headers = driver.delivery()
        foreign = driver.sign(body, key="whsec_foreign", at=driver.now())
        forged = [(body + b" ", headers), (body, foreign), (body, {}), (b"", headers)]
        for sent in forged:
            with pytest.raises(SignatureError):
                gateway.parse_event(*sent, now=driver.now())

    @pytest.mark.parametrize("spoil", _SPOILS.values(), ids=_SPOILS)
    def test_malformed_signature_is_refused(self, driver, gateway, spoil):
        """Whatever the headers contain: SignatureError and nothing else."""
        paid(driver)
        body, headers = driver.delivery()
        spoilt = {name: spoil(value) for name, value in headers.items()}
        if spoilt == headers:
            pytest.skip("these headers have nothing that this spoils")
        with pytest.raises(SignatureError):
            gateway.parse_event(body, spoilt, now=driver.now())

    @pytest.mark.parametrize(
        "body",
        [b"", b"\xff\xfe{", b"[]", b"null", b'"text"', b"{", b"{}", b"[" * 99_999],
        ids=["empty", "not_utf8", "list", "null", "text", "cut", "bare", "deep"],
    )
    def test_signed_body_that_is_no_event_is_refused(self, driver, gateway, body):
        """PayloadError and nothing else."""
        headers = driver.sign(body, key=driver.keys[0], at=driver.now())
        with pytest.raises(PayloadError):
            gateway.parse_event(body, headers, now=driver.now())

    def test_events_are_listed_newest_first_over_pages(self, driver, gateway):
        """Pages of one: each event once, and none from before `since`."""
        paid(driver, 1)
        driver.advance(60)
        since = driver.now() - timedelta(seconds=30)
        sessions = []
        for number in (2, 3, 4):
            sessions.append(paid(driver, number).id)
            driver.advance(60)
        found: list[PaymentEvent] = []
        page = gateway.list_events(since=since, limit=1)
        while page.next_cursor is not None and len(found) < 99:
            found += page.items
            page = gateway.list_events(since=since, limit=1, cursor=page.next_cursor)
        found += page.items
        told = [event.session_id for event in found if event.fact is Fact.PAID]
        assert sessions[::-1] == told
        assert len({event.id for event in found}) == len(found)

    def test_event_is_retrieved_as_it_was_delivered(self, driver, gateway):
        """A thin notification leads to the same event; an unknown id to an error."""
        paid(driver)
        told = read(driver)
        assert gateway.retrieve_event(told.id) == told
        with pytest.raises(BackendGoneError):
            gateway.retrieve_event("evt_there_is_none")


_CALLS: dict[str, Callable[[PaymentGateway, Mapping[str, Any]], object]] = {
    "ping": lambda gateway, _: gateway.ping(),
    "create": lambda gateway, request: gateway.create_session(request),
    "retrieve": lambda gateway, _: gateway.retrieve_session("cs_1"),
    "find": lambda gateway, _: gateway.find_session("pi_1"),
    "expire": lambda gateway, _: gateway.expire_session("cs_1"),
    "list_refunds": lambda gateway, _: gateway.list_refunds("pi_1"),
    "list_disputes": lambda gateway, _: gateway.list_disputes("pi_1"),
    "retrieve_event": lambda gateway, _: gateway.retrieve_event("evt_1"),
    "refund": lambda gateway, _: gateway.refund(
        "pi_1", amount=None, idempotency_key="a"
    ),
}


class OutageChecks(PaymentsBase):
    """Outages: typed, and over when they are over."""

    @pytest.mark.parametrize("call", _CALLS.values(), ids=_CALLS)
    def test_down_is_unavailable(self, driver, gateway, call):
        """Every verb raises the same error; a driver's own errors never escape."""
        request = gateway.prepare_session(order_of(driver))
        driver.go_down()
        with pytest.raises(PaymentsUnavailableError):
            call(gateway, request)

    def test_listing_events_while_down_is_unavailable(self, driver, gateway):
        """The same for the list that the sweep reads."""
        driver.go_down()
        with pytest.raises(PaymentsUnavailableError):
            gateway.list_events(since=driver.now())
        with pytest.raises(PaymentsUnavailableError):
            gateway.list_sessions(since=driver.now())

    def test_event_is_read_while_the_provider_is_down(self, driver):
        """Verifying makes no calls."""
        paid(driver)
        driver.go_down()
        assert read(driver).fact is Fact.PAID

    def test_request_is_replayed_after_an_outage(self, driver, gateway):
        """The stored request works when the provider is back."""
        request = gateway.prepare_session(order_of(driver))
        driver.go_down()
        with pytest.raises(PaymentsUnavailableError):
            gateway.create_session(request)
        driver.come_back()
        session = gateway.create_session(request)
        assert session == gateway.retrieve_session(session.id)


class PaymentsConformance(
    SessionChecks, RefundChecks, DisputeChecks, EventChecks, OutageChecks
):
    """Subclass this and provide the fixture `payments_driver`."""
