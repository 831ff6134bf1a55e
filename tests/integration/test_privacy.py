# SPDX-License-Identifier: MIT
"""P6 over the real plugins: an error tells nothing of a learner, causes included."""

from __future__ import annotations

import sqlite3
import traceback
from datetime import timedelta

import attrs
import pytest

from frappe_enroll_lms.frappe import FrappeLMS
from frappe_enroll_sandbox import LMSSandbox, StripeSandbox
from frappe_enroll_sdk.clock import SystemClock
from frappe_enroll_sdk.errors import EnrollError
from frappe_enroll_sdk.models import SessionOrder, SessionTerms
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.testing.conformance.records import enrollment
from frappe_enroll_sql.storage import SQLStorage
from frappe_enroll_stripe.gateway import StripePayments


EMAIL, NAME = "ada.private@example.com", "Augusta Private"
KEY, SECRET = "a-private-key", "a-private-secret"
CLOSED = "http://127.0.0.1:9"
HIDDEN = ("ada.private", "Augusta", KEY, SECRET, "YS1wcml2YXRl")  # the last: base64


def told_by(call) -> str:
    """Return all that a log with every cause would hold."""
    with pytest.raises(EnrollError) as caught:
        call()
    error = caught.value
    return "".join(
        [*traceback.format_exception(error), repr(vars(error)), error.public_message]
    )


def check(call) -> None:
    """Check that nothing private is told, but which class of error it was."""
    told = told_by(call)
    assert [word for word in HIDDEN if word in told] == []
    assert "Error" in told


LMS_CALLS = {
    "find_user": lambda lms: lms.find_user(EMAIL),
    "create_user": lambda lms: lms.create_user(EMAIL, NAME),
    "find_enrollments": lambda lms: lms.find_enrollments(EMAIL, "python-101"),
    "insert": lambda lms: lms.insert_enrollment(EMAIL, "python-101"),
}


@pytest.mark.parametrize("verb", LMS_CALLS)
def test_closed_lms_is_told_without_the_learner(verb):
    """The client's own error has the URL, and the URL has the address."""
    lms = FrappeLMS(CLOSED, KEY, SECRET, timeout_s=2)
    check(lambda: LMS_CALLS[verb](lms))


@pytest.mark.parametrize("verb", LMS_CALLS)
@pytest.mark.parametrize("kind", ["hang", "html", "reset", "redirect"])
def test_failing_lms_is_told_without_the_learner(verb, kind):
    """Whatever the server does."""
    with LMSSandbox() as sandbox:
        sandbox.fail_next(".*", kind, seconds=2)
        lms = FrappeLMS(sandbox.url, KEY, SECRET, timeout_s=0.5)
        check(lambda: LMS_CALLS[verb](lms))


def order() -> SessionOrder:
    """Return an order of the learner."""
    return SessionOrder(
        enrollment_id="enr_1",
        amount=Money(4900, "usd"),
        terms=SessionTerms(course_id="python-101"),
        course_title="Python 101",
        email=EMAIL,
        success_url="http://127.0.0.1/",
        cancel_url="http://127.0.0.1/",
        expires_at=SystemClock().now() + timedelta(hours=2),
        metadata={},
        parameters={},
    )


def test_failing_provider_is_told_without_learner_and_key():
    """Closed, and refusing the key (which Stripe's own text repeats in part)."""
    key = f"sk_test_{SECRET}"
    closed = StripePayments(key, api_base=CLOSED, timeout_s=2)
    check(lambda: closed.create_session(closed.prepare_session(order())))
    with StripeSandbox() as sandbox:
        refused = StripePayments(key, api_base=sandbox.url, timeout_s=2)
        check(lambda: refused.create_session(refused.prepare_session(order())))


def test_failing_database_is_told_without_the_learner(db_folder):
    """The driver's own error has the statement's parameters."""
    path = db_folder / "store.sqlite3"
    storage = SQLStorage(f"sqlite:///{path}")
    storage.setup()
    row = attrs.evolve(enrollment(1), email=EMAIL, full_name=NAME)
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE enrollments RENAME COLUMN course_id TO other")
    connection.close()
    check(lambda: storage.enrollments.find_holder(EMAIL, "python-101"))
    check(lambda: storage.enrollments.open(row))
    storage.close()
