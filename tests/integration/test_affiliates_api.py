# SPDX-License-Identifier: MIT
"""Affiliates over HTTP."""

from __future__ import annotations

import csv
import io

import pytest
from support.site import ADMIN, VIEWER, Site
from support.world import COURSE


def noted(site):
    """Return what the audit trail says was done, in no order: time stands still."""
    return sorted(e["action"] for e in site.admin("GET", "/audit").json["items"])


@pytest.fixture
def site():
    """Return a site whose admin surface is on."""
    return Site(**ADMIN)


def test_affiliate_is_registered_paid_and_suspended(site):
    """Balances are exact, courses told, the statement a file, each word audited."""
    made = site.order("/affiliates", email="bob@example.com", code="bob", percent=12.5)
    assert made.json["percent"] == "12.5"
    sold = site.checkout(affiliate="bob").json
    site.deliver(site.world.pay(sold["enrollment_id"]))
    site.world.clock.advance(31 * 86_400)
    site.sdk.run_jobs()
    shown = site.admin("GET", "/affiliates/bob", VIEWER).json
    (total,) = shown["totals"]
    assert total["available_minor"] == 612
    assert shown["courses"] == [
        {"course_id": COURSE, "currency": "usd", "sales": 1, "earned_minor": 612}
    ]
    too_much = site.order("/affiliates/bob/pay-out", currency="usd", amount_minor=613)
    assert too_much.json["code"] == "transition"
    for _ in range(2):
        paid = site.order("/affiliates/bob/pay-out", currency="usd", payout_id="p-1")
        assert paid.json["totals"][0]["paid_minor"] == 612
    ledger = site.admin("GET", "/affiliates/bob/ledger").json["items"]
    file = site.admin("GET", "/affiliates/bob/statement.csv", VIEWER).text
    lines = list(csv.DictReader(io.StringIO(file)))
    assert [row["kind"] for row in lines] == [row["kind"] for row in ledger]
    assert lines[-1]["kind"] == "payout"
    assert site.order("/affiliates/bob/suspend").json["suspended"] is True
    assert [a["code"] for a in site.admin("GET", "/affiliates").json["items"]] == [
        "bob"
    ]
    assert noted(site) == [
        "affiliate_paid_out",
        "affiliate_registered",
        "affiliate_suspended",
    ]


def test_self_referral_is_refused_over_http(site):
    """By alias and dots: 400, and nothing is opened."""
    site.order("/affiliates", email="b.ob@gmail.com", code="bob")
    refused = site.checkout(email="bob+x@googlemail.com", affiliate="bob")
    assert (refused.status_code, refused.json["code"]) == (409, "self_referral")
    assert site.world.rows() == ()
