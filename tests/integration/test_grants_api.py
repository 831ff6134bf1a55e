# SPDX-License-Identifier: MIT
"""Grants over HTTP."""

from __future__ import annotations

import pytest
from support.site import ADMIN, EMAIL, Site
from support.world import COURSE

from frappe_enroll_sdk import hookimpl
from frappe_enroll_sdk.models import GrantField


class Form:
    """A plugin that asks for a reason and a country."""

    @hookimpl
    def grant_fields(self):
        """Declare the form."""
        return [
            GrantField(name="why", label="Why?", required=True, most=20),
            GrantField(name="country", choices=("DE", "FR")),
            GrantField(name="age", kind="number"),
            GrantField(name="terms", kind="flag", required=True),
        ]


def noted(site):
    """Return what the audit trail says was done, in no order: time stands still."""
    return sorted(e["action"] for e in site.admin("GET", "/audit").json["items"])


@pytest.fixture
def site():
    """Return a site whose admin surface is on."""
    return Site(**ADMIN)


def apply(site, email=EMAIL, **fields):
    """Apply for a grant."""
    body = {"course_id": COURSE, "email": email} | fields
    return site.call("POST", "/grants", json=body)


def test_application_is_decided_and_redeemed(site):
    """The same one waits once; of several one is approved, for this learner only."""
    for _ in range(2):
        done = apply(site, answers={"why": "two\nlines", "age": 30, "terms": True})
        assert (done.status_code, done.json) == (202, {"received": True})
    pending = {"status": "pending"}
    (waiting,) = site.admin("GET", "/grants", query=pending).json["items"]
    assert waiting["answers"] == {"why": "two\nlines", "age": 30, "terms": True}
    path = f"/grants/{waiting['id']}"
    approved = site.order(f"{path}/approve", percent_off=100).json
    assert approved == site.admin("GET", path).json
    assert (approved["status"], approved["actor"]) == ("approved", "olga")
    assert site.order(f"{path}/reject").json["code"] == "transition"
    assert apply(site).json == {"received": True}
    (again,) = site.admin("GET", "/grants", query=pending).json["items"]
    assert len(site.admin("GET", "/grants").json["items"]) == 2
    second = site.order(f"/grants/{again['id']}/approve", percent_off=100)
    assert second.json["code"] == "transition"
    other = site.checkout(coupon_code=approved["code"], email="eve@example.com")
    assert other.json["code"] == "coupon_unavailable"
    assert site.checkout(coupon_code=approved["code"]).json["status"] == "enrolled"
    assert noted(site) == ["grant_approved"]


def test_applications_are_approved_in_bulk(site):
    """Each by itself: one that is decided already keeps no other from it."""
    for number in range(3):
        apply(site, f"a{number}@example.com")
    ids = [grant["id"] for grant in site.admin("GET", "/grants").json["items"]]
    rejected = site.order(f"/grants/{ids[1]}/reject").json
    assert (rejected["status"], rejected["reason"]) == ("rejected", "because")
    told = site.order("/grants/approve", grant_ids=[*ids, "none"], percent_off=25)
    items = {item["grant_id"]: item for item in told.json["items"]}
    assert items[ids[1]]["error"] == "transition"
    assert items["none"]["error"] == "not_found"
    for name in (ids[0], ids[2]):
        assert items[name]["error"] is None
        code = site.admin("POST", "/coupons/find", json={"code": items[name]["code"]})
        assert code.json["percent_off"] == "25"


def test_form_is_what_plugins_declare():
    """It is told to front ends; other answers, missing and wrong ones are refused."""
    site = Site(plugins=[Form()])
    told = site.call("GET", "/grants/form").json["fields"]
    assert [field["name"] for field in told] == ["why", "country", "age", "terms"]
    good = {"why": "because", "terms": True}
    bad = {
        "answers.why": [{"terms": True}, good | {"why": " "}, good | {"why": "x" * 21}],
        "answers.country": [good | {"country": "IT"}],
        "answers.age": [good | {"age": "30"}, good | {"age": True}],
        "answers.terms": [good | {"terms": False}, {"why": "x"}],
        "answers.colour": [good | {"colour": "red"}],
    }
    for field, several in bad.items():
        for answers in several:
            refused = apply(site, answers=answers)
            assert (refused.status_code, refused.json["field"]) == (400, field)
    assert site.world.storage.grants.list().items == ()
    assert apply(site, answers=good | {"age": 30, "country": "FR"}).status_code == 202


def test_applying_is_limited():
    """By the client's address; nobody uses up what a learner may ask for."""
    site = Site(rate_limits="grant=1/60")
    assert apply(site).status_code == 202
    assert apply(site, "eve@example.com").status_code == 429
    elsewhere = {"REMOTE_ADDR": "192.0.2.9"}
    again = site.call(
        "POST",
        "/grants",
        json={"course_id": COURSE, "email": EMAIL.upper()},
        environ=elsewhere,
    )
    assert again.status_code == 202
