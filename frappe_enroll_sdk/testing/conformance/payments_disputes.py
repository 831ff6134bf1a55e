# SPDX-License-Identifier: MIT
"""The payments suite: disputes, and the list of sessions."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ...errors import BackendRejectedError
from ...models import CheckoutSession, DisputeStatus, Fact
from .payments_driver import PaymentsBase, opened, paid, payment_of, read


class DisputeChecks(PaymentsBase):
    """Disputes are listed as they stand, whatever the events told."""

    def test_payment_without_disputes_lists_none(self, driver, gateway):
        """Nothing, not an error."""
        assert gateway.list_disputes(payment_of(paid(driver))) == ()

    @pytest.mark.parametrize("status", list(DisputeStatus))
    def test_dispute_is_listed_in_every_status(self, driver, gateway, status):
        """An inquiry, an open one and every end, of this payment alone."""
        session, other = paid(driver, 1), paid(driver, 2)
        name = driver.dispute(payment_of(session), status)
        driver.dispute(payment_of(other), DisputeStatus.LOST)
        (found,) = gateway.list_disputes(payment_of(session))
        assert (found.id, found.status) == (name, status)
        assert (found.payment_id, found.amount) == (session.payment_id, session.amount)

    def test_dispute_is_listed_as_it_stands_now(self, driver, gateway):
        """The list follows the provider; a second dispute is listed beside it."""
        payment = payment_of(paid(driver))
        name = driver.dispute(payment, DisputeStatus.NEEDS_RESPONSE)
        driver.move_dispute(name, DisputeStatus.WON)
        driver.dispute(payment, DisputeStatus.LOST)
        statuses = {one.status for one in gateway.list_disputes(payment)}
        assert statuses == {DisputeStatus.WON, DisputeStatus.LOST}

    def test_dispute_event_names_its_payment(self, driver):
        """What came of it is listed again: the event is a hint."""
        payment = payment_of(paid(driver))
        driver.dispute(payment, DisputeStatus.WARNING_NEEDS_RESPONSE)
        event = read(driver)
        assert (event.fact, event.payment_id) == (Fact.DISPUTED, payment)

    def test_sessions_are_listed_newest_first_over_pages(self, driver, gateway):
        """Pages of one: each session once, as it stands, none from before `since`."""
        opened(driver, 1)
        driver.advance(60)
        since = driver.now() - timedelta(seconds=30)
        made = []
        for number in (2, 3, 4):
            made.append(paid(driver, number))
            driver.advance(60)
        found: list[CheckoutSession] = []
        page = gateway.list_sessions(since=since, limit=1)
        while page.next_cursor is not None and len(found) < 9:
            found += page.items
            page = gateway.list_sessions(since=since, limit=1, cursor=page.next_cursor)
        found += page.items
        assert made[::-1] == found
        assert all(session.ours for session in found)

    def test_refund_of_an_unknown_payment_is_refused(self, gateway):
        """An error that says so, not an empty answer."""
        with pytest.raises(BackendRejectedError):
            gateway.refund("pi_unknown", amount=None, idempotency_key="key")
