# SPDX-License-Identifier: MIT
"""Recorded Stripe payloads, signed as deliveries and read by the Stripe plugin."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest

from frappe_enroll_sdk.models import Fact
from frappe_enroll_sdk.money import Money
from frappe_enroll_stripe.gateway import StripePayments


SECRET = "whsec_contract"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

#: Whole events: file to the fact (None = nothing to us: stored and ignored).
EVENTS = {
    "openapi/event.json": None,
    "stripe-ruby-mock/charge.dispute.closed.json": Fact.DISPUTED,
    "stripe-ruby-mock/charge.dispute.created.json": Fact.DISPUTED,
    "stripe-ruby-mock/charge.dispute.funds_reinstated.json": None,
    "stripe-ruby-mock/charge.dispute.funds_withdrawn.json": None,
    "stripe-ruby-mock/charge.dispute.updated.json": Fact.DISPUTED,
    "stripe-ruby-mock/charge.failed.json": None,
    # One that names no payment is found by the object that it is about.
    "stripe-ruby-mock/charge.refund.updated.json": Fact.REFUNDED,
    "stripe-ruby-mock/charge.refunded.json": Fact.REFUNDED,
    "stripe-ruby-mock/charge.succeeded.json": None,
    "stripe-ruby-mock/charge.updated.json": None,
    "stripe-ruby-mock/checkout.session.completed.json": Fact.PAID,
    # Of an old API version: no status in it.
    "stripe-ruby-mock/checkout.session.completed.payment_mode.json": Fact.PAID,
    "stripe-ruby-mock/checkout.session.completed.setup_mode.json": None,
    "stripe-ruby-mock/payment_intent.canceled.json": Fact.NOTED,
    "stripe-ruby-mock/payment_intent.payment_failed.json": Fact.NOTED,
    "stripe-ruby-mock/payment_intent.processing.json": None,
    "stripe-ruby-mock/payment_intent.requires_action.json": None,
    "stripe-ruby-mock/payment_intent.succeeded.json": Fact.NOTED,
}
#: Bare objects: file to the types of events that carry one, with their facts.
OBJECTS = {
    "dj-stripe/charge_ch_fakefakefakefakefake0001.json": {
        "charge.refunded": Fact.REFUNDED,
        "charge.succeeded": None,
    },
    "dj-stripe/dispute_dp_fakefakefakefake01.json": {
        "charge.dispute.created": Fact.DISPUTED
    },
    "dj-stripe/dispute_dp_fakefakefakefake02.json": {
        "charge.dispute.updated": Fact.DISPUTED
    },
    "dj-stripe/dispute_dp_funds_reinstated_full.json": {
        "charge.dispute.funds_reinstated": Fact.NOTED
    },
    "dj-stripe/payment_intent_pi_fakefakefakefakefake0001.json": {
        "payment_intent.succeeded": Fact.NOTED
    },
    "openapi/balance_transaction.json": {"balance.available": None},
    "openapi/charge.json": {"charge.refunded": Fact.REFUNDED, "charge.captured": None},
    "openapi/checkout.session.json": {
        # The sample is unpaid: completed by a delayed method.
        "checkout.session.completed": Fact.PROCESSING,
        "checkout.session.async_payment_failed": Fact.FAILED,
        "checkout.session.expired": Fact.EXPIRED,
        "checkout.session.some_new_thing": None,
    },
    "openapi/coupon.json": {"coupon.created": None},
    "openapi/dispute.json": {"charge.dispute.created": Fact.DISPUTED},
    "openapi/payment_intent.json": {"payment_intent.payment_failed": Fact.NOTED},
    "openapi/promotion_code.json": {"promotion_code.created": None},
    "openapi/refund.json": {
        "refund.created": Fact.REFUNDED,
        "refund.updated": Fact.REFUNDED,
        "refund.failed": Fact.REFUNDED,
        "charge.refund.updated": Fact.REFUNDED,
    },
    "openapi/webhook_endpoint.json": {"webhook_endpoint.updated": None},
}
CASES = [
    *((file, None, fact) for file, fact in EVENTS.items()),
    *((f, kind, fact) for f, facts in OBJECTS.items() for kind, fact in facts.items()),
]


def payload_of(folder, file):
    """Return a recorded payload."""
    return json.loads((folder / "payloads/stripe" / file).read_text())


def wrapped(folder, file, kind, number):
    """Return an event: as recorded, or around a bare object; with an id of its own."""
    payload = payload_of(folder, file)
    if kind is not None:
        event = payload_of(folder, "openapi/event.json")
        payload = event | {"type": kind, "data": {"object": payload}}
    return payload | {"id": f"evt_contract{number:04d}"}


def read(event):
    """Deliver an event, signed over its bytes."""
    body = json.dumps(event, indent=2).encode()
    stamp = str(int(NOW.timestamp()))
    digest = hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256)
    headers = {"Stripe-Signature": f"t={stamp},v1={digest.hexdigest()}"}
    gateway = StripePayments("sk_test_contract", (SECRET,))
    return gateway.parse_event(body, headers, now=NOW)


def test_every_payload_has_its_line(shared_data):
    """No recorded file is left out of the tables."""
    folder = shared_data / "payloads/stripe"
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.json")}
    assert files == {*EVENTS, *OBJECTS}
    assert len(files) == 33


@pytest.mark.parametrize(("number", "case"), list(enumerate(CASES)))
def test_payload_gives_its_fact(shared_data, number, case):
    """Read without error; the right fact, or none."""
    file, kind, fact = case
    event = read(wrapped(shared_data, file, kind, number))
    assert (event.id, event.fact) == (f"evt_contract{number:04d}", fact)
    assert event.type == (kind or payload_of(shared_data, file)["type"])
    assert event.livemode is False
    assert (event.session is not None) is (event.session_id is not None)


def test_paid_session_is_read_whole(shared_data):
    """Session, payment and exact money come out of the recorded event."""
    file = "stripe-ruby-mock/checkout.session.completed.json"
    recorded = payload_of(shared_data, file)
    inner = recorded["data"]["object"]
    event = read(recorded)
    assert event.session is not None
    assert (event.session.id, event.session.payment_id, event.session.paid) == (
        inner["id"],
        inner["payment_intent"],
        True,
    )
    assert event.session.amount == Money(inner["amount_total"], inner["currency"])
    assert (event.session.ours, event.enrollment_id) == (False, None)
    assert event.created_at == datetime.fromtimestamp(recorded["created"], UTC)


def test_refunded_charge_names_its_payment(shared_data):
    """The payment leads back to the session."""
    file = "dj-stripe/charge_ch_fakefakefakefakefake0001.json"
    event = read(wrapped(shared_data, file, "charge.refunded", 1))
    assert event.payment_id == payload_of(shared_data, file)["payment_intent"]
    assert event.object_id == payload_of(shared_data, file)["id"]


@pytest.mark.parametrize("account", [None, "acct_1032D82eZvKYlo2C"])
def test_connected_account_is_told(shared_data, account):
    """An event of a connected account is not our own."""
    file = "stripe-ruby-mock/checkout.session.completed.json"
    event = payload_of(shared_data, file)
    assert read(event | {"account": account}).account == account
