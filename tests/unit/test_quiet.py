# SPDX-License-Identifier: MIT
"""The drivers' own log lines tell neither bodies nor names."""

from __future__ import annotations

import logging

import pytest
import stripe._util as stripe_util

from frappe_enroll_lms.fence import FencedSession
from frappe_enroll_stripe.gateway import StripePayments


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("/api/resource/User/ada%40example.com", "/api/resource/User/…"),
        (
            "/api/resource/LMS%20Enrollment?filters=ada",
            "/api/resource/LMS%20Enrollment/…",
        ),
        ("/api/method/frappe.ping", "/api/method/frappe.ping"),
        ("/enroll/api/resource/User/ada", "/enroll/api/resource/User/…"),
        ("/other/ada", "/other/ada"),
    ],
)
def test_paths_of_the_lms_are_cut_off(url, told, caplog):
    """The library's DEBUG line keeps host, method, doctype and status."""
    caplog.set_level("DEBUG")
    FencedSession("").close()
    FencedSession("").close()
    line = '%s://%s:%s "%s %s %s" %s %s'
    values = ("https", "lms.example.com", 443, "GET", url, "HTTP/1.1", 200, 12)
    logging.getLogger("urllib3.connectionpool").debug(line, *values)
    (record,) = caplog.records
    assert record.getMessage() == (
        f'https://lms.example.com:443 "GET {told} HTTP/1.1" 200 12'
    )


def test_bodies_of_stripe_are_not_logged(caplog):
    """Its DEBUG lines hold them; its INFO lines stay."""
    caplog.set_level("DEBUG")
    StripePayments("sk_test_made_up")
    StripePayments("sk_test_made_up")
    stripe_util.log_debug("API response body", body="ada@example.com")
    stripe_util.log_info("Request to Stripe api", method="post", url="/v1/x")
    assert len(caplog.records) == 1
    assert "Request to Stripe" in caplog.text
    assert len(logging.getLogger("stripe").filters) == 1
