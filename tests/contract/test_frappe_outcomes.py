# SPDX-License-Identifier: MIT
"""
Every row of the table of outcomes, played by the sandbox over HTTP.

The recorded exchanges show what real servers answered; this shows that the sandbox
answers so too, and that the plugin makes the same of it over a real connection.
S success, P permanent, T transient, U unclear, C configuration of the backend.
"""

from __future__ import annotations

import json

import pytest
from support.lms_side import ADA, COURSE, INSERT, PATIENCE_S, TIMEOUT_S, new_lms

from frappe_enroll_lms.selling import Books
from frappe_enroll_sandbox import LMSSandbox
from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.errors import (
    BackendRefusedError,
    LMSUnavailableError,
    RejectedError,
    ThrottledError,
)
from frappe_enroll_sdk.models import Sale
from frappe_enroll_sdk.money import Money


USERS = "POST .*User"
ENROLLMENTS = "/api/resource/LMS%20Enrollment"
BOOKS = Books("Website", "1 High Street, London, United Kingdom")
SALE = Sale(enrollment_id="enr_1", amount=Money(4900, "usd"), payment_id="pi_1")


@pytest.fixture
def sandbox():
    """Return a running site with a course that is sold and a learner."""
    with LMSSandbox(FakeClock()) as server:
        server.site.add_course(COURSE, 49.0, "USD")
        server.site.add_user(ADA)
        yield server


def insert(lms, learner=ADA, course=COURSE):
    """Enroll a learner."""
    return lms.insert_enrollment(learner, course)


def twice(lms):
    """Enroll a learner twice."""
    insert(lms)
    return insert(lms)


def error(pattern, status, exc_type, **headers):
    """Let the site answer with a JSON error."""

    def plan(sandbox):
        sandbox.fail_next(
            pattern, "error", status=status, headers={"exc_type": exc_type} | headers
        )

    return plan


def fault(pattern, kind, **more):
    """Let a fault of the sandbox's happen."""
    return lambda sandbox: sandbox.fail_next(pattern, kind, **more)


def site(**switches):
    """Set switches of the site."""

    def plan(sandbox):
        for name, value in switches.items():
            setattr(sandbox.site, name, value)

    return plan


def send(method, path, body=None):
    """Send what no verb of ours sends, through the same fenced session."""

    def call(lms):
        with lms._client("other", None) as client:
            return client.session.request(method, f"{lms._url}{path}", data=body)

    return call


def add_draft(sandbox):
    """Put an unpublished course there, for a key that may not pass over that."""
    sandbox.site.add_course("draft", published=False)
    sandbox.site.role = "System Manager"


def close_course(sandbox):
    """Close a course to self-learning, for such a key."""
    sandbox.site.add_course("closed", disable_self_learning=True)
    sandbox.site.role = "System Manager"


def disable_ada(sandbox):
    """Disable the learner's account."""
    sandbox.site.add_user(ADA)["enabled"] = 0


def sell_beside_us(sandbox):
    """Let somebody record the payment just after we have looked for it."""
    lms = new_lms(sandbox, books=BOOKS)
    lms.enroll(ADA, COURSE, SALE)
    lms.close()
    sandbox.fail_next("GET .*LMS Payment", "empty")


def crowd(sandbox):
    """Let the site have created as many users as it allows in an hour."""
    sandbox.site.throttle = 1


#: Outcome → (what is so at the site, the call, the class).
OUTCOMES = {
    "enrolled": (site(), insert, "S"),
    "duplicate enrolment, accepted": (site(duplicates="accepted"), twice, "S"),
    # The core looks, and a row there is a success.
    "duplicate enrolment, refused": (site(duplicates="refused"), twice, "P"),
    "deleted": (site(), lambda lms: lms.delete_enrollment(insert(lms).name), "S"),
    "delete of a missing one": (site(), lambda lms: lms.delete_enrollment("x"), "S"),
    "unknown course": (site(), lambda lms: insert(lms, course="nope"), "P"),
    "unknown member, Frappe 15": (site(), lambda lms: insert(lms, "g@x.example"), "S"),
    "unknown member, newer": (
        error(INSERT, 417, "LinkValidationError"),
        lambda lms: insert(lms, "g@x.example"),
        "P",
    ),
    "disabled member": (disable_ada, insert, "S"),
    "missing member": (site(), lambda lms: insert(lms, ""), "P"),
    "missing course": (site(), lambda lms: insert(lms, course=""), "P"),
    "bad Select value": (
        site(),
        send(
            "POST",
            ENROLLMENTS,
            json.dumps({"member": ADA, "course": COURSE, "member_type": "King"}),
        ),
        "P",
    ),
    "too long": (site(), lambda lms: insert(lms, course="c" * 141), "P"),
    "bad e-mail": (site(), lambda lms: lms.create_user("nonsense", "N"), "P"),
    "paid course without payment": (site(role="System Manager"), insert, "P"),
    "unpublished": (add_draft, lambda lms: insert(lms, course="draft"), "P"),
    "self-learning off": (close_course, lambda lms: insert(lms, course="closed"), "P"),
    # We insert no batch enrolments; the answer is the catch-all of every refusal.
    "batch: no seat, restricted or not Moderator": (
        error(INSERT, 417, "ValidationError"),
        insert,
        "P",
    ),
    "no permission": (site(role="none"), insert, "C"),
    "guest": (error(INSERT, 403, "PermissionError"), insert, "C"),
    "bad token": (lambda s: setattr(s, "api_key", "other"), insert, "C"),
    "CSRF": (error(INSERT, 400, "CSRFTokenError"), insert, "P"),
    "document not found": (site(), lambda lms: lms.get_course("nope"), "P"),
    "unknown site": (lambda s: setattr(s, "host", "other.example"), insert, "C"),
    "redirect of a write": (fault(INSERT, "redirect"), insert, "C"),
    "redirect of a read": (
        fault("GET", "redirect"),
        lambda lms: lms.find_enrollments(ADA, COURSE),
        "C",
    ),
    "duplicate User": (site(), lambda lms: lms.create_user(ADA, "Ada"), "S"),
    "User throttled": (crowd, lambda lms: lms.create_user("n@x.example", "N"), "T"),
    "username race": (
        error(USERS, 417, "UniqueValidationError"),
        lambda lms: lms.create_user("n@x.example", "N"),
        "T",
    ),
    "deadlock of users": (
        error(USERS, 500, "QueryDeadlockError"),
        lambda lms: lms.create_user("n@x.example", "N"),
        "T",
    ),
    "deadlock": (error(INSERT, 500, "QueryDeadlockError"), insert, "T"),
    "duplicate payment_id": (
        sell_beside_us,
        lambda lms: lms.enroll(ADA, COURSE, SALE),
        "S",
    ),
    "delete blocked by links": (
        error("DELETE", 417, "LinkExistsError"),
        lambda lms: lms.delete_enrollment("x"),
        "P",
    ),
    "stale modified": (error(INSERT, 417, "TimestampMismatchError"), insert, "T"),
    "site rate limit": (
        fault(INSERT, "throttled", headers={"Retry-After": "56"}),
        insert,
        "T",
    ),
    "endpoint limit": (error(INSERT, 429, "RateLimitExceededError"), insert, "T"),
    "maintenance": (error(INSERT, 503, "SessionStopped"), insert, "T"),
    "read-only mode": (error(INSERT, 503, "InReadOnlyMode"), insert, "T"),
    "body over 25 MB": (fault(INSERT, "html", status=413), insert, "P"),
    "wrong method": (site(), send("PATCH", ENROLLMENTS, "{}"), "P"),
    "malformed JSON": (site(), send("POST", ENROLLMENTS, "{"), "P"),
    "JSON list": (site(), send("POST", ENROLLMENTS, "[]"), "P"),
    "JSON string": (site(), send("POST", ENROLLMENTS, '"hello"'), "P"),
    "unknown method path": (site(), send("POST", "/api/method/no.such", "{}"), "P"),
    "POST to an unknown doctype": (site(), send("POST", "/api/resource/No", "{}"), "P"),
    "GET of an unknown doctype": (site(), send("GET", "/api/resource/No"), "P"),
    "MariaDB down, read": (
        error("GET .*LMS Enrollment", 500, "OperationalError"),
        lambda lms: lms.find_enrollments(ADA, COURSE),
        "T",
    ),
    # The page is the same as with Redis down, when the row was written: look first.
    "MariaDB down, write": (fault(INSERT, "html", status=500), insert, "U"),
    "MariaDB hung": (fault(INSERT, "hang", seconds=TIMEOUT_S * 3), insert, "U"),
    "MariaDB hung, executed later": (
        fault(INSERT, "commit_later", seconds=TIMEOUT_S * 3),
        insert,
        "U",
    ),
    "Redis down, enrolment": (fault(INSERT, "latency", seconds=0.1), insert, "S"),
    "Redis down, User": (
        fault(USERS, "commit_then_500"),
        lambda lms: lms.create_user("n@x.example", "N"),
        "U",
    ),
    "any other 5xx": (fault(INSERT, "html", status=502), insert, "U"),
    "timeout, committed": (
        fault(INSERT, "commit_then_timeout", seconds=TIMEOUT_S * 3),
        insert,
        "U",
    ),
    "reset": (fault(INSERT, "reset"), insert, "U"),
    "non-JSON body": (fault(INSERT, "html", status=200), insert, "U"),
}
HANGS = {"MariaDB hung", "MariaDB hung, executed later", "timeout, committed"}


def class_of(call, lms) -> str:
    """Return the class that the plugin gives an answer."""
    try:
        call(lms)
    except RejectedError:
        return "P"
    except BackendRefusedError:
        return "C"
    except ThrottledError:
        return "T"
    except LMSUnavailableError as failure:
        return "U" if failure.unclear else "T"
    return "S"


@pytest.mark.parametrize("name", OUTCOMES)
def test_outcome_over_http_gets_its_class(sandbox, name):
    """Scenario 26: what an answer means, whatever carries it."""
    at_the_site, call, wanted = OUTCOMES[name]
    timeout_s = TIMEOUT_S if name in HANGS else PATIENCE_S
    lms = new_lms(sandbox, books=BOOKS, timeout_s=timeout_s)
    at_the_site(sandbox)
    assert class_of(call, lms) == wanted
    lms.close()


@pytest.mark.parametrize("name", [n for n, row in OUTCOMES.items() if row[2] in "PC"])
def test_refusal_says_what_to_do_and_nothing_personal(sandbox, name):
    """An operator reads a cause; the learner's address is not in it."""
    at_the_site, call, _ = OUTCOMES[name]
    lms = new_lms(sandbox, books=BOOKS)
    at_the_site(sandbox)
    with pytest.raises((RejectedError, BackendRefusedError)) as caught:
        call(lms)
    assert len(str(caught.value)) > 10
    assert ADA not in str(caught.value)
    lms.close()
