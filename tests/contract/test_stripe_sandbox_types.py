# SPDX-License-Identifier: MIT
"""Everything that the Stripe sandbox tells, held to the types of the stripe package."""

from __future__ import annotations

import typing

import pytest
import stripe
from support.shop import COURSE, Shop
from support.size import with_the_first_python

from frappe_enroll_sql.storage import SQLStorage


pytestmark = with_the_first_python

CLASSES = {
    "checkout.session": stripe.checkout.Session,
    "payment_intent": stripe.PaymentIntent,
    "charge": stripe.Charge,
    "refund": stripe.Refund,
    "dispute": stripe.Dispute,
    "event": stripe.Event,
    "radar.early_fraud_warning": stripe.radar.EarlyFraudWarning,
    "review": stripe.Review,
    "webhook_endpoint": stripe.WebhookEndpoint,
}


def faults_of(cls, data, where=""):
    """Return what of an object does not fit the package's type of it."""
    found = []
    hints = {k: v for k, v in cls.__annotations__.items() if k != "OBJECT_NAME"}
    found += [f"{where}{name}: not in the package" for name in data.keys() - hints]
    for name, kind in hints.items():
        if name in data:
            found += wrong(kind, data[name], f"{where}{name}")
        elif type(None) not in typing.get_args(kind):
            found.append(f"{where}{name}: is never left out")
    return found


def wrong(kind, value, where):
    """Return why a value is not of an annotated kind; [] = it is."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, typing.ForwardRef):
        # An expanded object of another file; those that we tell have their class.
        ours = CLASSES.get(value.get("object")) if isinstance(value, dict) else None
        return faults_of(ours, value, f"{where}.") if ours else [f"{where}: odd"]
    if origin is typing.Union:
        tried = [wrong(part, value, where) for part in args]
        literal = [p for p in args if typing.get_origin(p) is typing.Literal]
        if literal and isinstance(value, str):
            # Beside its literals the package lets any text pass: we do not.
            return [] if any(value in typing.get_args(p) for p in literal) else tried[0]
        return min(tried, key=len)
    if origin is typing.Literal:
        return [] if value in args else [f"{where}: {value!r} is not in {args}"]
    if origin is list:
        if not isinstance(value, list):
            return [f"{where}: is no list"]
        return [
            f
            for n, one in enumerate(value)
            for f in wrong(args[0], one, f"{where}.{n}")
        ]
    if kind is type(None):
        return [] if value is None else [f"{where}: is not null"]
    if origin is not None or "UntypedStripeObject" in str(kind):
        return [] if isinstance(value, dict) else [f"{where}: is no object"]
    if issubclass(kind, stripe.StripeObject):
        return (
            faults_of(kind, value, f"{where}.") if isinstance(value, dict) else [where]
        )
    return [] if type(value) is kind else [f"{where}: {value!r} is no {kind.__name__}"]


@pytest.fixture
def shop(db_folder):
    """Return a shop whose webhooks stay where they are."""
    storage = SQLStorage(f"sqlite:///{db_folder}/store.sqlite3")
    with Shop(lambda: storage) as shop:
        shop.stripe.webhooks.held = True
        yield shop


def lived(shop):
    """Let an account live through everything that it can; return what it holds."""
    account = shop.account
    paid, delayed, failed, ended, lapsed = (
        shop.checkout(f"u{n}@example.com").session_id for n in range(5)
    )
    account.decline(paid)
    account.pay(paid)
    for session_id, ok in ((delayed, True), (failed, False)):
        account.pay(session_id, delayed=True)
        account.settle_delayed(session_id, ok=ok)
    account.expire_session(ended)
    payment = account.sessions[paid]["payment_intent"]
    account.fail_refund(account.refund(payment, 100)["id"])
    for status in ("pending", "requires_action"):
        account.refund(payment, 50, status)
    dispute = account.dispute(payment)["id"]
    for status in ("under_review", "lost", "appeal_under_review", "won"):
        account.move_dispute(dispute, status)
    account.move_dispute(
        account.dispute(payment, "warning_needs_response")["id"], "prevented"
    )
    account.warn(payment)
    account.close_review(account.review(payment))
    shop.clock.advance(86_400)
    account.lapse()
    assert account.sessions[lapsed]["status"] == "expired"
    return account


def test_every_object_is_of_the_packages_type(shop):
    """Fields that are never null are there, words are the package's, none is ours."""
    account = lived(shop)
    events = list(account.events.values())
    objects = [event["data"]["object"] for event in events]
    kinds = {one["object"] for one in objects} | {"event", "webhook_endpoint"}
    assert kinds == set(CLASSES)
    answers = shop.stripe._endpoints(params={}, query={})["data"]
    found = {
        fault
        for one in (*events, *objects, *answers, *account.charges().values())
        for fault in faults_of(CLASSES[one["object"]], one, f"{one['object']} ")
    }
    assert found == set()
    assert len(objects) > 25


def test_every_object_is_retrieved_by_its_name(shop, gateway_of):
    """What an event names is found at the path that the package asks at."""
    account = lived(shop)
    gateway = gateway_of(shop)
    payment = next(iter(account.payments))
    session = gateway.find_session(payment)
    names = [
        *(
            c
            for c, one in account.charges().items()
            if one["payment_intent"] == payment
        ),
        *(n for n, one in account.refunds.items() if one["payment_intent"] == payment),
        *account.disputes,
        *account.others,
    ]
    assert len(names) > 6
    assert {gateway.find_session(name).id for name in names} == {session.id}
    (dispute, *_) = account.disputes
    account.disputes[dispute]["payment_intent"] = None
    assert gateway.find_session(dispute).id == session.id, "by its charge"
    for nobody in ("dp_nobody", "ch_nobody", "txn_1", "", "cus_1"):
        assert gateway.find_session(nobody) is None


@pytest.fixture
def gateway_of():
    """Return the gateway of a shop."""
    return lambda shop: shop.sdk.payments


def test_broken_types_are_found(shop):
    """The check itself: a missing field, a null, an unknown word, a field of ours."""
    shop.checkout()
    (session,) = shop.account.sessions.values()
    told = {k: v for k, v in session.items() if not k.startswith("_")}
    assert faults_of(CLASSES["checkout.session"], told) == []
    for name, value in {
        "payment_status": "free",
        "created": None,
        "custom_text": None,
        "livemode": "no",
        "_ours": 1,
        "automatic_tax": {},
        "payment_intent": 5,
    }.items():
        assert faults_of(CLASSES["checkout.session"], told | {name: value}), name
    del told["payment_method_types"]
    assert faults_of(CLASSES["checkout.session"], told)
    assert COURSE
