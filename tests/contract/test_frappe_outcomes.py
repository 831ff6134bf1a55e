# SPDX-License-Identifier: MIT
"""
Every row of the table of outcomes, played by the sandbox over HTTP.

The recorded exchanges show what real servers answered; this shows that the sandbox
answers so too, and that the plugin makes the same of it over a real connection.
S success, P permanent, T transient, U unclear, C configuration of the backend.
"""

from __future__ import annotations

import pytest
from support.lms_side import ADA, COURSE, INSERT, PATIENCE_S, TIMEOUT_S, new_lms

from frappe_enroll_sandbox import LMSSandbox
from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.errors import (
    BackendRefusedError,
    LMSUnavailableError,
    RejectedError,
    ThrottledError,
)


USERS = "POST .*User"


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


def add_draft(sandbox):
    """Put an unpublished course there, for a key that may not pass over that."""
    sandbox.site.add_course("draft", published=False)
    sandbox.site.role = "System Manager"


def crowd(sandbox):
    """Let the site have created as many users as it allows in an hour."""
    sandbox.site.throttle = 1


#: Outcome → (what is so at the site, the call, the class).
OUTCOMES = {
    "enrolled": (site(), insert, "S"),
    "duplicate, accepted": (site(duplicates="accepted"), twice, "S"),
    "duplicate, refused": (site(duplicates="refused"), twice, "P"),
    "deleted": (site(), lambda lms: lms.delete_enrollment(insert(lms).name), "S"),
    "delete of a missing one": (site(), lambda lms: lms.delete_enrollment("x"), "S"),
    "unknown course": (site(), lambda lms: insert(lms, course="nope"), "P"),
    "unknown member, Frappe 15": (site(), lambda lms: insert(lms, "g@x.example"), "S"),
    "unknown member, newer": (
        error(INSERT, 417, "LinkValidationError"),
        lambda lms: insert(lms, "g@x.example"),
        "P",
    ),
    "missing member": (site(), lambda lms: insert(lms, ""), "P"),
    "missing course": (site(), lambda lms: insert(lms, course=""), "P"),
    "too long": (error(INSERT, 417, "CharacterLengthExceededError"), insert, "P"),
    "bad e-mail": (site(), lambda lms: lms.create_user("nonsense", "N"), "P"),
    "unpublished": (add_draft, lambda lms: insert(lms, course="draft"), "P"),
    "paid without payment": (site(role="System Manager"), insert, "P"),
    "no permission": (site(role="none"), insert, "C"),
    "guest": (error(INSERT, 403, "PermissionError"), insert, "C"),
    "bad token": (lambda s: setattr(s, "api_key", "other"), insert, "C"),
    "CSRF": (error(INSERT, 400, "CSRFTokenError"), insert, "P"),
    "no such document": (site(), lambda lms: lms.get_course("nope"), "P"),
    "unknown site": (lambda s: setattr(s, "host", "other.example"), insert, "C"),
    "redirect": (fault(INSERT, "redirect"), insert, "C"),
    "duplicate user": (site(), lambda lms: lms.create_user(ADA, "Ada"), "S"),
    "users throttled": (crowd, lambda lms: lms.create_user("n@x.example", "N"), "T"),
    "username race": (
        error(USERS, 417, "UniqueValidationError"),
        lambda lms: lms.create_user("n@x.example", "N"),
        "T",
    ),
    "deadlock": (
        error(USERS, 500, "QueryDeadlockError"),
        lambda lms: lms.create_user("n@x.example", "N"),
        "T",
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
    "endpoint limit": (fault(INSERT, "throttled"), insert, "T"),
    "maintenance": (error(INSERT, 503, "SessionStopped"), insert, "T"),
    "read-only mode": (error(INSERT, 503, "InReadOnlyMode"), insert, "T"),
    "body too large": (fault(INSERT, "html", status=413), insert, "P"),
    "wrong method": (fault(INSERT, "html", status=405), insert, "P"),
    "malformed JSON": (error(INSERT, 500, "JSONDecodeError"), insert, "P"),
    "JSON that is a list": (error(INSERT, 500, "TypeError"), insert, "P"),
    "unknown doctype": (error(INSERT, 500, "ImportError"), insert, "P"),
    "MariaDB down, read": (
        error("GET .*LMS Enrollment", 500, "OperationalError"),
        lambda lms: lms.find_enrollments(ADA, COURSE),
        "T",
    ),
    # The page is the same as with Redis down, when the row was written: look first.
    "MariaDB down, write": (fault(INSERT, "html", status=500), insert, "U"),
    "MariaDB hung": (fault(INSERT, "hang", seconds=TIMEOUT_S * 3), insert, "U"),
    "Redis down, user": (
        fault(USERS, "commit_then_500"),
        lambda lms: lms.create_user("n@x.example", "N"),
        "U",
    ),
    "502 of a proxy": (fault(INSERT, "html", status=502), insert, "U"),
    "timeout, committed": (
        fault(INSERT, "commit_then_timeout", seconds=TIMEOUT_S * 3),
        insert,
        "U",
    ),
    "reset": (fault(INSERT, "reset"), insert, "U"),
    "not JSON": (fault(INSERT, "html", status=200), insert, "U"),
}
HANGS = {"MariaDB hung", "timeout, committed"}


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
    lms = new_lms(sandbox, timeout_s=TIMEOUT_S if name in HANGS else PATIENCE_S)
    at_the_site(sandbox)
    assert class_of(call, lms) == wanted
    lms.close()


@pytest.mark.parametrize("name", [n for n, row in OUTCOMES.items() if row[2] in "PC"])
def test_refusal_says_what_to_do_and_nothing_personal(sandbox, name):
    """An operator reads a cause; the learner's address is not in it."""
    at_the_site, call, _ = OUTCOMES[name]
    lms = new_lms(sandbox)
    at_the_site(sandbox)
    with pytest.raises((RejectedError, BackendRefusedError)) as caught:
        call(lms)
    assert len(str(caught.value)) > 10
    assert ADA not in str(caught.value)
    lms.close()
