# SPDX-License-Identifier: MIT
"""The sessions' and the refunds' part of the payments suite."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from ...errors import BackendGoneError, BackendRejectedError
from ...models import ExpireOutcome, PaymentStatus, SessionStatus
from ...money import Money
from .payments_driver import PaymentsBase, opened, order_of, paid, payment_of


class SessionChecks(PaymentsBase):
    """Checkout sessions: one per prepared request, expired only when unpaid."""

    def test_ping_answers(self, gateway):
        """With valid credentials and a working provider, nothing is raised."""
        gateway.ping()
        assert gateway.livemode in (True, False)
        assert isinstance(gateway.account, str)

    def test_prepared_request_is_plain_json(self, driver, gateway):
        """It is stored before it is sent, so it must survive JSON."""
        request = gateway.prepare_session(order_of(driver))
        assert request == json.loads(json.dumps(request))

    def test_preparing_calls_nobody(self, driver, gateway):
        """A request is prepared while the provider is down."""
        order = order_of(driver)
        driver.go_down()
        assert gateway.prepare_session(order) == gateway.prepare_session(order)

    def test_session_tells_the_order(self, driver, gateway):
        """Amount, our id and mark, when it lapses and where to pay come back."""
        order = order_of(driver)
        session = gateway.create_session(gateway.prepare_session(order))
        assert (session.status, session.payment_status, session.paid) == (
            SessionStatus.OPEN,
            PaymentStatus.UNPAID,
            False,
        )
        assert (session.amount, session.enrollment_id, session.ours) == (
            order.amount,
            order.enrollment_id,
            True,
        )
        assert session.livemode is gateway.livemode
        assert session.url
        assert session.expires_at is not None
        assert abs(session.expires_at - order.expires_at) < timedelta(seconds=1)
        assert session == gateway.retrieve_session(session.id)

    def test_session_keeps_what_opens_its_enrollment_anew(self, driver, gateway):
        """Course, discount, code and affiliate; the address it was made for; when."""
        order, now = order_of(driver), driver.now()
        session = gateway.create_session(gateway.prepare_session(order))
        assert (session.terms, session.email) == (order.terms, order.email)
        assert session.created_at is not None
        assert abs(session.created_at - now) < timedelta(seconds=5)
        paid_one = paid(driver, 2)
        (listed,) = (
            one
            for one in gateway.list_sessions(since=now - timedelta(minutes=1)).items
            if one.id == paid_one.id
        )
        assert (listed.terms, listed.email) == (order.terms, order.email)

    def test_same_request_gives_the_same_session(self, driver, gateway):
        """A replay after a crash, out of JSON and much later, makes no second one."""
        request = gateway.prepare_session(order_of(driver))
        first = gateway.create_session(request)
        driver.advance(6600)
        stored = json.loads(json.dumps(request))
        assert first.id == gateway.create_session(stored).id

    def test_same_key_with_other_parameters_is_refused(self, driver, gateway):
        """An id stands for one order."""
        opened(driver)
        with pytest.raises(BackendRejectedError):
            opened(driver, amount=Money(4800, "usd"))

    def test_two_orders_get_two_sessions(self, driver):
        """Another id, another session."""
        assert opened(driver, 1).id != opened(driver, 2).id

    def test_tries_of_one_enrollment_are_told_apart(self, driver, gateway):
        """Another try is another key, and each session tells whose it is."""
        first, second = opened(driver), opened(driver, try_number=2)
        assert first.id != second.id
        assert first.enrollment_id == second.enrollment_id
        assert [s.try_number for s in (first, second)] == [1, 2]
        assert gateway.retrieve_session(second.id).try_number == 2

    def test_unknown_session_is_gone(self, gateway):
        """An object unknown to this account is unlike every other refusal."""
        with pytest.raises(BackendGoneError):
            gateway.retrieve_session("cs_test_unknown")
        with pytest.raises(BackendGoneError):
            gateway.expire_session("cs_test_unknown")

    def test_refusal_is_not_taken_for_gone(self, driver, gateway):
        """Other parameters under a known key: the key is known."""
        opened(driver)
        with pytest.raises(BackendRejectedError) as caught:
            opened(driver, amount=Money(4800, "usd"))
        assert not isinstance(caught.value, BackendGoneError)

    def test_paid_session_names_its_payment(self, driver, gateway):
        """Complete, paid, found again by its payment."""
        other, session = paid(driver, 1), paid(driver, 2)
        assert (session.status, session.paid) == (SessionStatus.COMPLETE, True)
        assert other.payment_id != session.payment_id
        found = gateway.find_session(payment_of(session))
        assert found is not None
        assert session.id == found.id

    def test_unknown_payment_has_no_session(self, driver, gateway):
        """Neither an open session nor somebody else's is found by it."""
        opened(driver)
        paid(driver, 2)
        assert gateway.find_session("pi_unknown") is None

    def test_delayed_payment_is_unpaid_until_it_succeeds(self, driver, gateway):
        """Complete is not paid."""
        session = opened(driver)
        driver.pay_delayed(session.id)
        waiting = gateway.retrieve_session(session.id)
        assert (waiting.status, waiting.paid, waiting.payment_failed) == (
            SessionStatus.COMPLETE,
            False,
            False,
        )
        driver.settle_delayed(session.id, ok=True)
        assert gateway.retrieve_session(session.id).paid

    def test_delayed_payment_that_fails_is_told(self, driver, gateway):
        """Failed for good is distinguished from still pending."""
        session = opened(driver)
        driver.pay_delayed(session.id)
        driver.settle_delayed(session.id, ok=False)
        failed = gateway.retrieve_session(session.id)
        assert (failed.paid, failed.payment_failed) == (False, True)

    def test_session_lapses_by_itself(self, driver, gateway):
        """After its end, an unpaid session is expired for every caller."""
        session = opened(driver)
        driver.advance(7201)
        assert gateway.retrieve_session(session.id).status is SessionStatus.EXPIRED
        assert gateway.expire_session(session.id) is ExpireOutcome.EXPIRED

    def test_open_session_is_expired_once_and_for_all(self, driver, gateway):
        """Expiring it again says the same."""
        session = opened(driver)
        for _ in range(2):
            assert gateway.expire_session(session.id) is ExpireOutcome.EXPIRED
        assert gateway.retrieve_session(session.id).status is SessionStatus.EXPIRED

    def test_completed_session_is_not_expired(self, driver, gateway):
        """Paid, or about to be: the answer is "not open" and nothing changes."""
        done, waiting = paid(driver, 1), opened(driver, 2)
        driver.pay_delayed(waiting.id)
        for session_id in (done.id, waiting.id):
            assert gateway.expire_session(session_id) is ExpireOutcome.NOT_OPEN
            status = gateway.retrieve_session(session_id).status
            assert status is SessionStatus.COMPLETE


class RefundChecks(PaymentsBase):
    """Refunds: all of them, over all pages, exact."""

    def test_no_refunds_are_an_empty_list(self, driver, gateway):
        """A payment that was never refunded has none."""
        assert gateway.list_refunds(payment_of(paid(driver))) == ()

    def test_partial_refunds_add_up(self, driver, gateway):
        """40 % and 60 % are listed as they are, and for this payment only."""
        payment, other = (payment_of(paid(driver, n)) for n in (1, 2))
        driver.refund(other, Money(1, "usd"))
        for minor in (1960, 2940):
            driver.refund(payment, Money(minor, "usd"))
        refunds = gateway.list_refunds(payment)
        assert sorted(r.amount.amount_minor for r in refunds) == [1960, 2940]
        assert {(r.payment_id, r.counts) for r in refunds} == {(payment, True)}

    def test_refunds_are_listed_over_all_pages(self, driver, gateway):
        """More refunds than fit on one page: none is missing, none twice."""
        payment = payment_of(paid(driver))
        for _ in range(self.many_refunds):
            driver.refund(payment, Money(1, "usd"))
        refunds = gateway.list_refunds(payment)
        assert len({r.id for r in refunds}) == len(refunds) == self.many_refunds

    def test_refund_gives_back_an_amount_or_the_rest(self, driver, gateway):
        """None stands for all that is left."""
        payment = payment_of(paid(driver))
        part = gateway.refund(payment, amount=Money(1000, "usd"), idempotency_key="a")
        rest = gateway.refund(payment, amount=None, idempotency_key="b")
        assert [part.amount, rest.amount] == [Money(1000, "usd"), Money(3900, "usd")]
        assert {part.id, rest.id} == {r.id for r in gateway.list_refunds(payment)}

    def test_money_of_an_unknown_payment_is_gone(self, gateway):
        """Its refunds and disputes can't be listed."""
        with pytest.raises(BackendGoneError):
            gateway.list_refunds("pi_unknown")
        with pytest.raises(BackendGoneError):
            gateway.list_disputes("pi_unknown")

    def test_same_key_refunds_once(self, driver, gateway):
        """Requesting a refund again returns the same one."""
        payment, amount = payment_of(paid(driver)), Money(1000, "usd")
        asked = [
            gateway.refund(payment, amount=amount, idempotency_key="a")
            for _ in range(2)
        ]
        assert asked[0].id == asked[1].id
        assert len(gateway.list_refunds(payment)) == 1

    def test_refund_that_cannot_be_is_refused(self, driver, gateway):
        """More than is left, or of no payment: refused for good."""
        payment = payment_of(paid(driver))
        with pytest.raises(BackendRejectedError):
            gateway.refund(payment, amount=Money(4901, "usd"), idempotency_key="a")
        with pytest.raises(BackendRejectedError):
            gateway.refund("pi_unknown", amount=None, idempotency_key="b")
        assert gateway.list_refunds(payment) == ()
