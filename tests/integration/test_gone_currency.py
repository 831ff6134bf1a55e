# SPDX-License-Identifier: MIT
"""A currency that leaves the table: what was sold in it goes on as it was written."""

from __future__ import annotations

import pytest
from support.browser import Browser
from support.site import ADMIN, Site

from frappe_enroll_sdk import errors, money
from frappe_enroll_sdk.models import Status
from frappe_enroll_sdk.money import Money
from frappe_enroll_wsgi._internal.dashboard.numbers import numbers_of


COURSE, EMAIL = "history-101", "ada@example.com"


@pytest.fixture(params=["jpy", "bhd", "eur"])
def site(request):
    """Return a site that sells in whole, in thousandths and in hundredths."""
    site = Site(**ADMIN)
    site.world.lms.add_course(COURSE, Money(50_000, request.param))
    site.currency = request.param
    return site


@pytest.fixture
def leave(monkeypatch):
    """Return what takes a currency out of today's table."""

    def gone(currency):
        before = money.exponent

        def exponent(asked):
            if asked == currency:
                raise errors.ValidationError("currency: is not in ISO 4217")
            return before(asked)

        monkeypatch.setattr(money, "exponent", exponent)

    return gone


def test_stored_sale_is_shown_paid_out_refunded_and_enrolled(site, leave):
    """At every door in the decimals of its day, and nothing of it stops."""
    world, sdk, currency = site.world, site.sdk, site.currency
    code = sdk.affiliates.register("agent@example.com", percent=10).code
    made = sdk.checkout(course_id=COURSE, email=EMAIL, affiliate=code)
    shown = str(sdk.enrollments.get(made.enrollment_id).amount)
    share = str(Money(5000, currency))
    world.deliver(sdk, world.pay(made.enrollment_id))
    sdk.run_jobs()
    leave(currency)
    (today,) = numbers_of(sdk).money
    assert str(today) == shown
    browser = Browser(site)
    assert shown in browser.get("/enrollments").text
    assert share in browser.get(f"/affiliates/{code}").text
    sdk.admin.reconcile(repair=True, actor="olga", reason="a look")
    assert sdk.enrollments.get(made.enrollment_id).status is Status.ENROLLED
    row = sdk.enrollments.get(made.enrollment_id)
    _, event = world.payments.play_refund(row.payment_id)
    world.deliver(sdk, event)
    sdk.run_jobs()
    row = sdk.enrollments.get(made.enrollment_id)
    assert row.status is Status.REVOKED
    assert str(row.amount) == shown
    assert world.lms.find_enrollments(EMAIL, COURSE) == ()
    (balance,) = sdk.affiliates.stats(code)
    assert str(balance.money(5000)) == share


def test_attempt_of_before_is_fulfilled_after(site, leave):
    """Opened while the currency was there, paid when it is gone."""
    world, sdk = site.world, site.sdk
    made = sdk.checkout(course_id=COURSE, email=EMAIL)
    leave(site.currency)
    world.deliver(sdk, world.pay(made.enrollment_id))
    sdk.run_jobs()
    assert sdk.enrollments.get(made.enrollment_id).status is Status.ENROLLED


def test_new_sale_in_it_is_refused_in_words(site, leave):
    """Today's table is for what is sold today."""
    leave(site.currency)
    with pytest.raises(errors.EnrollError):
        site.sdk.checkout(course_id=COURSE, email=EMAIL)
