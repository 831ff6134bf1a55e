# SPDX-License-Identifier: MIT
"""The drivers' own log lines tell neither bodies, nor names, nor queries."""

from __future__ import annotations

import logging

import pytest
import stripe._util as stripe_util

from frappe_enroll_sdk import EnrollSDK
from frappe_enroll_sdk.log_filter import LOGGERS, filter_drivers
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sdk.testing.payments import FakePayments


@pytest.fixture(autouse=True)
def all_is_logged(caplog):
    """Every logger tells all that it has."""
    caplog.set_level("DEBUG")
    filter_drivers()


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
        ("/other/list?email=ada", "/other/list?…"),
        ("/other/ada", "/other/ada"),
    ],
)
def test_paths_and_queries_are_cut_off(url, told, caplog):
    """The library's DEBUG line keeps host, method, doctype and status."""
    line = '%s://%s:%s "%s %s %s" %s %s'
    values = ("https", "lms.example.com", 443, "GET", url, "HTTP/1.1", 200, 12)
    logging.getLogger("urllib3.connectionpool").debug(line, *values)
    (record,) = caplog.records
    assert record.getMessage() == (
        f'https://lms.example.com:443 "GET {told} HTTP/1.1" 200 12'
    )


@pytest.mark.parametrize("name", ["pymongo.command", "sqlalchemy.engine.Engine"])
def test_documents_and_rows_are_not_logged(name, caplog):
    """Drivers tell them at DEBUG; what they tell above it stays."""
    logging.getLogger(name).debug("Row %r", ("ada@example.com",))
    logging.getLogger(name).warning("slow")
    assert [record.getMessage() for record in caplog.records] == ["slow"]


def test_bodies_of_stripe_are_not_logged(caplog):
    """Its DEBUG lines hold them; its INFO lines stay, without what it repeats."""
    stripe_util.log_debug("API response body", body="ada@example.com")
    stripe_util.log_info("Request to Stripe api", method="post", url="/v1/x")
    for words in ("No such user: 'ada'", 'It\'s "ada"', "ada", None):
        stripe_util.log_info("API error", error_code="no", error_message=words, x=1)
    assert len(caplog.records) == 5
    assert "Request to Stripe" in caplog.text
    assert "error_code=no error_message=… message=" in caplog.text
    assert "ada" not in caplog.text


def test_error_of_a_driver_is_told_by_its_class(caplog):
    """Its words repeat statements and keys; so does the traceback."""
    try:
        raise KeyError("ada@example.com")
    except KeyError:
        logging.getLogger("pymongo.client").exception("a task failed")
    assert caplog.records[0].getMessage() == "a task failed (KeyError)"
    assert "ada" not in caplog.text


def test_sdk_brings_one_filter_to_each_logger():
    """However many of them there are in a process."""
    for name in LOGGERS:
        logging.getLogger(name).filters.clear()
    for _ in range(2):
        EnrollSDK(
            storage=MemoryStorage(),
            payments=FakePayments(),
            lms=FakeLMS(),
            discover=False,
        )
    assert {len(logging.getLogger(name).filters) for name in LOGGERS} == {1}
