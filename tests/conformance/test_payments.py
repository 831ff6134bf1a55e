# SPDX-License-Identifier: MIT
"""The public payments suite on the fake, and on Stripe over the sandbox."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest

from frappe_enroll_sandbox import StripeSandbox
from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.testing.conformance.payments import PaymentsConformance
from frappe_enroll_sdk.testing.payments import HEADER, FakePayments
from frappe_enroll_stripe.gateway import StripePayments


KEYS = ("whsec_old_one", "whsec_new_one")


class Driver:
    """What both drivers share: a clock and the v1 signing scheme."""

    header: str
    keys = KEYS

    def __init__(self):
        self.clock = FakeClock()
        self.now, self.advance = self.clock.now, self.clock.advance

    def sign(self, body, *, key, at):
        """Sign with a time stamp, as Stripe does and the fake too."""
        stamp = str(int(at.timestamp()))
        signed = stamp.encode() + b"." + body
        digest = hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()
        return {self.header: f"t={stamp},v1={digest}"}

    def delivery(self):
        """Sign the newest event now."""
        body = self.newest()
        return body, self.sign(body, key=KEYS[0], at=self.now())


class FakeDriver(Driver):
    """The fake is its own provider."""

    header = HEADER

    def __init__(self):
        super().__init__()
        self.gateway = FakePayments(self.clock, secrets=KEYS)
        self.pay, self.pay_delayed = self.gateway.pay, self.gateway.pay_delayed
        self.settle_delayed = self.gateway.settle_delayed
        self.refund = self.gateway.play_refund
        self.move_dispute = self.gateway.move_dispute

    def dispute(self, payment_id, status):
        """Dispute a payment as a bank."""
        return self.gateway.play_dispute(payment_id, status)[0].id

    def newest(self):
        """Return the newest event's body."""
        return self.gateway.signed(self.gateway.events[-1])[0]

    def go_down(self):
        """Let every verb fail."""
        self.gateway.is_down = True

    def come_back(self):
        """Let them work again."""
        self.gateway.is_down = False


class StripeDriver(Driver):
    """The real stripe package over loopback HTTP."""

    header = "Stripe-Signature"

    def __init__(self, sandbox):
        super().__init__()
        sandbox.clock = sandbox.account.clock = self.clock
        self.sandbox, account = sandbox, sandbox.account
        self.gateway = StripePayments(sandbox.secret_key, KEYS, api_base=sandbox.url)
        self.pay, self.settle_delayed = account.pay, account.settle_delayed
        self.go_down, self.come_back = sandbox.stop, sandbox.start

    def pay_delayed(self, session_id):
        """Press the button of the delayed method."""
        self.sandbox.account.pay(session_id, delayed=True)

    def dispute(self, payment_id, status):
        """Dispute a payment as a bank."""
        account = self.sandbox.account
        # The withdrawal is an event of its own: the newest is to be the dispute's.
        name = account.dispute(payment_id, f"{status}")["id"]
        account.emit("charge.dispute.updated", dict(account.disputes[name]))
        return name

    def move_dispute(self, dispute_id, status):
        """Let it go on, or end."""
        self.sandbox.account.move_dispute(dispute_id, f"{status}")

    def refund(self, payment_id, amount):
        """Give money back at the dashboard."""
        self.sandbox.account.refund(payment_id, amount.amount_minor)

    def newest(self):
        """Return the newest event's body."""
        return json.dumps(list(self.sandbox.account.events.values())[-1]).encode()


class TestFake(PaymentsConformance):
    """The fake keeps what it stands for."""

    @pytest.fixture
    def payments_driver(self):
        """Return a driver with nothing in it."""
        return FakeDriver()


class TestStripe(PaymentsConformance):
    """The Stripe plugin."""

    @pytest.fixture
    def payments_driver(self):
        """Return a driver over a sandbox of its own."""
        with StripeSandbox() as sandbox:
            yield StripeDriver(sandbox)
