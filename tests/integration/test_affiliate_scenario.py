# SPDX-License-Identifier: MIT
"""The affiliate's part of the business over HTTP, on both stores."""

from __future__ import annotations

import json

import pytest
from support.shop import COURSE, Shop

from frappe_enroll_sdk.errors import SelfReferralError
from frappe_enroll_sdk.models import RowKind
from frappe_enroll_sdk.stores.ledger import add_up


@pytest.fixture
def shop(open_storage):
    """Return a shop on each store."""
    with Shop(open_storage, lms_rate_per_s=0, commission_hold_days=0) as shop:
        yield shop


def held(shop):
    """Return what bob is owed: held and available."""
    (total,) = shop.sdk.affiliates.stats("bob")
    return total.held_minor + total.available_minor


def earned(shop):
    """Return what the course breakdown tells."""
    (course,) = shop.sdk.affiliates.by_course("bob").courses
    return course.earned_minor


def test_refund_claws_a_commission_back_once(shop):
    """Refused to himself, earned once, taken back once; told within five minutes."""
    shop.sdk.affiliates.register("b.ob@gmail.com", code="bob", percent=10)
    order = {"course_id": COURSE, "email": "bob+shop@googlemail.com"}
    body = json.dumps(order | {"affiliate": "bob"}).encode()
    status, told = shop.post(body, {}, "/checkout")
    assert (status, told["code"]) == (409, "self_referral")
    with pytest.raises(SelfReferralError):
        shop.checkout(order["email"], affiliate="B.OB@gmail.com")
    _, payment = shop.pay("eve@example.com", affiliate="bob")
    _, other = shop.pay("kim@example.com", affiliate="bob")
    shop.rest()
    assert held(shop) == earned(shop) == 980
    # What asks whether a refund was seen twice: each event again, out of order.
    shop.account.refund(payment)
    shop.rest()
    for event in reversed([*shop.account.events.values()]):
        assert shop.send(event)[0] == 200
    shop.rest(130)
    assert held(shop) == 490
    assert earned(shop) == 980
    shop.clock.advance(300)
    assert earned(shop) == 490
    shop.sdk.affiliates.suspend("bob", "op", "spam")
    shop.pay("lee@example.com", affiliate="bob")
    shop.account.refund(other)
    shop.rest(130)
    assert held(shop) == 0
    rows = shop.sdk.affiliates.rows("bob", limit=100).items
    kinds = [row.kind for row in rows]
    assert kinds.count(RowKind.EARNED) == kinds.count(RowKind.CLAWED_BACK) == 2
    assert add_up(rows) == rows[-1].totals == shop.sdk.affiliates.stats("bob")
