# SPDX-License-Identifier: MIT
"""The dashboard's forms of coupons in bulk."""

from __future__ import annotations

import pytest
from support.browser import Browser
from support.site import ADMIN, Site


@pytest.fixture
def site():
    """Return a site whose admin surface is on."""
    return Site("/enroll", commission_hold_days=0, **ADMIN)


@pytest.fixture
def browser(site):
    """Return an operator's browser."""
    return Browser(site)


def test_coupons_are_made_and_imported_in_bulk(site, browser):
    """Codes and bad rows are on the page, and nowhere in an address."""
    made = browser.post(
        "/coupons/bulk", count="12", percent_off="20", prefix="SPRING", reason="spring"
    )
    assert made.status_code == 201
    codes = [coupon.code for coupon in site.sdk.coupons.each(prefix="SPRING-")]
    assert len(codes) == 12
    assert all(code in made.text for code in codes)
    text = "code,percent_off,any_course\nA-1,50,yes\nA-2,0,yes\n"
    whole = browser.post("/coupons/import", csv=text, all_or_nothing="yes", reason="x")
    assert "0 created, 0 already known, 1 bad" in whole.text
    assert "Line 3, percent_off" in whole.text
    part = browser.post("/coupons/import", csv=text, reason="x")
    assert "1 created, 0 already known, 1 bad" in part.text
    assert browser.post("/coupons/import", csv=text).status_code == 400
