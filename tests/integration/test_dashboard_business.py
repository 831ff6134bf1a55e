# SPDX-License-Identifier: MIT
"""The dashboard's pages of grants, affiliates and coupons in bulk."""

from __future__ import annotations

import re

import pytest
from support.browser import HOSTILE, Browser
from support.site import ADMIN, VIEWER, Site
from support.world import COURSE


@pytest.fixture
def site():
    """Return a site whose admin surface is on."""
    return Site("/enroll", commission_hold_days=0, **ADMIN)


@pytest.fixture
def browser(site):
    """Return an operator's browser."""
    return Browser(site)


def applied(site, name):
    """Let somebody apply; return the application's id."""
    return site.sdk.grants.apply(
        course_id=COURSE,
        email=f"{name}@example.com",
        full_name=HOSTILE,
        answers={HOSTILE[:90]: HOSTILE},
    ).id


def sold(site):
    """Register bob, and sell a course through him that has matured."""
    site.sdk.affiliates.register(
        "bob@example.com", code="bob", percent=10, full_name=HOSTILE
    )
    made = site.checkout(affiliate="bob").json
    site.deliver(site.world.pay(made["enrollment_id"]))
    site.sdk.run_jobs()


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_pages_render_for_every_role(site, role):
    """What people typed stays text; a viewer gets no form that changes anything."""
    name = applied(site, "ada")
    sold(site)
    browser = Browser(site, VIEWER) if role == "viewer" else Browser(site)
    pages = [(f"/grants/{name}", {}), ("/grants", {"status": "pending"})]
    pages += [
        (p, {}) for p in ("/grants", "/affiliates", "/affiliates/bob", "/coupons")
    ]
    for path, query in pages:
        page = browser.get(path, **query)
        assert page.status_code == 200, page.text
        assert "<script>alert" not in page.text
        changes = set(re.findall(r'method="post" action="([^"]+)"', page.text))
        assert (role == "operator") or changes == {"/enroll/admin/sign-out"}, path


@pytest.mark.parametrize("path", ["/affiliates", "/coupons/bulk"])
def test_form_without_its_fields_is_refused(browser, path):
    """What a page's form always has may be missing in another's: told, not a 500."""
    assert browser.post(path, reason="good").status_code == 400


def test_grants_are_decided(site, browser):
    """One by one with a reason, and those that are ticked in bulk."""
    first, second, third, fourth = (applied(site, name) for name in "abcd")
    done = browser.post(
        f"/grants/{first}", verb="approve", percent_off="50", reason="good"
    )
    assert done.location == f"/enroll/admin/grants/{first}?done=approve"
    assert site.sdk.grants.get(first).code in browser.get(f"/grants/{first}").text
    done = browser.post(f"/grants/{second}", verb="reject", reason="too late")
    assert "too late" in browser.get(f"/grants/{second}").text
    again = browser.post(
        f"/grants/{second}", verb="approve", reason="x", percent_off="9"
    )
    assert again.status_code == 409
    assert browser.post(f"/grants/{third}", verb="approve").status_code == 400
    ticked = {second: "yes", third: "yes"}
    told = browser.post("/grants", percent_off="25", reason="round", **ticked)
    assert told.status_code == 200
    assert "not approved, transition" in told.text
    assert str(site.sdk.grants.get(third).percent_off) == "25"
    assert site.sdk.grants.get(fourth).status == "pending"
    waiting = browser.get("/grants", status="pending").text
    assert waiting.count("/grants/grt_") == 1


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
