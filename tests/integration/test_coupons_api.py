# SPDX-License-Identifier: MIT
"""Coupons in bulk over HTTP."""

from __future__ import annotations

import csv
import io

import pytest
from support.site import ADMIN, VIEWER, Site


def noted(site):
    """Return what the audit trail says was done, in no order: time stands still."""
    return sorted(e["action"] for e in site.admin("GET", "/audit").json["items"])


@pytest.fixture
def site():
    """Return a site whose admin surface is on."""
    return Site(**ADMIN)


def test_coupons_are_made_and_moved_in_bulk(site):
    """Made, counted, exported as a file, imported whole or not at all."""
    made = site.order(
        "/coupons/bulk", count=300, percent_off=12.5, prefix="SPRING", per_learner=1
    )
    assert made.status_code == 201
    assert len(set(made.json["codes"])) == 300
    usage = site.admin("GET", "/coupons/usage", VIEWER, query={"prefix": "SPRING-"})
    assert (usage.json["coupons"], usage.json["unused"]) == (300, 300)
    file = site.admin("GET", "/coupons.csv")
    assert file.headers["Content-Disposition"] == "attachment; filename=coupons.csv"
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert [row["code"] for row in rows] == sorted(made.json["codes"])
    text = file.text.replace("SPRING", "SUMMER")
    bad = text + "A-1,0,,yes\r\n"
    whole = site.order("/coupons/import", csv=bad, all_or_nothing=True).json
    assert (whole["created"], whole["bad"]) == (0, 1)
    assert whole["problems"][0]["line"] == 302
    assert site.order("/coupons/import", csv=text).json["created"] == 300
    assert site.admin("GET", "/coupons/usage").json["coupons"] == 600
    assert noted(site) == [
        *["create_coupons"] * 2,
        *["import_coupons"] * 4,
    ]
