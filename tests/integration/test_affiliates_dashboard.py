# SPDX-License-Identifier: MIT
"""The dashboard's pages of affiliates."""

from __future__ import annotations

import re

import pytest
from support.browser import HOSTILE, Browser
from support.site import ADMIN, Site


@pytest.fixture
def site():
    """Return a site whose admin surface is on."""
    return Site("/enroll", commission_hold_days=0, **ADMIN)


@pytest.fixture
def browser(site):
    """Return an operator's browser."""
    return Browser(site)


def sold(site):
    """Register bob, and sell a course through him that has matured."""
    site.sdk.affiliates.register(
        "bob@example.com", code="bob", percent=10, full_name=HOSTILE
    )
    made = site.checkout(affiliate="bob").json
    site.deliver(site.world.pay(made["enrollment_id"]))
    site.sdk.run_jobs()


def test_affiliate_is_registered_paid_and_suspended(site, browser):
    """Balances in money; the form's own id pays once, however often it is sent."""
    made = browser.post(
        "/affiliates", email="bob@example.com", code="bob", reason="new"
    )
    assert made.location == "/enroll/admin/affiliates/bob?done=register"
    sold(site)
    page = browser.get("/affiliates/bob").text
    assert "4.90 USD" in page
    form = {
        "payout_id": re.search(r'name="payout_id" value="([^"]+)"', page)[1],
        "currency": "usd",
        "verb": "pay_out",
        "reason": "January",
    }
    for _ in range(2):
        done = browser.post("/affiliates/bob", **form)
        assert done.location == "/enroll/admin/affiliates/bob?done=pay_out"
    (total,) = site.sdk.affiliates.stats("bob")
    assert (total.available_minor, total.paid_minor) == (0, 490)
    more = browser.post("/affiliates/bob", **form | {"payout_id": "p-2"})
    assert more.status_code == 409
    browser.post("/affiliates/bob", verb="suspend", reason="spam")
    assert site.sdk.affiliates.get("bob").suspended
    browser.post("/affiliates/bob", verb="resume", reason="was none")
    assert not site.sdk.affiliates.get("bob").suspended
    assert browser.post("/affiliates/bob", verb="x", reason="y").status_code == 404
