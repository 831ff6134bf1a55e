# SPDX-License-Identifier: MIT
"""The dashboard's pages of grants; and of coupons and affiliates, by role."""

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
