# SPDX-License-Identifier: MIT
"""
Every answer that a real Frappe LMS gave, played through the real client and plugin.

The expected class stands in `EXPECTED`, by status, ``exc_type`` and kind of request:
S success, P permanent (never retried), T transient, U unclear (look before any
retry), C configuration of the backend.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from urllib.parse import unquote, urlsplit

import pytest
import requests
import responses

from frappe_enroll_lms.classify import Meaning, classify
from frappe_enroll_lms.frappe import FrappeLMS
from frappe_enroll_sdk.errors import (
    BackendRefusedError,
    CourseNotFoundError,
    LMSUnavailableError,
    RejectedError,
    ThrottledError,
)
from frappe_enroll_sdk.models import Learner, LMSEnrollment
from frappe_enroll_sdk.money import Money


URL = "http://lms.localhost:8000"
#: (status, exc_type, kind of request) to class; "*" = any other kind. A JSON body
#: without exc_type is called "json", anything else "page".
EXPECTED = {
    (200, "json", "*"): "S",
    (202, "json", "*"): "S",
    (200, "page", "*"): "U",  # an answer of 200 that is not the LMS's proves nothing
    (400, "CSRFTokenError", "*"): "P",
    (400, "InvalidAuthorizationToken", "*"): "C",  # a broken key is a bad key
    (401, "AuthenticationError", "*"): "C",
    (403, "PermissionError", "*"): "C",
    (403, "page", "*"): "C",
    (404, "DoesNotExistError", "*"): "P",
    (404, "DoesNotExistError", "delete"): "S",  # it is gone, which was wanted
    (404, "DoesNotExistError", "find_user"): "S",  # an answer: there is nobody
    (404, "json", "*"): "P",
    (404, "page", "*"): "C",  # no such site
    (405, "page", "*"): "P",
    (409, "DuplicateEntryError", "create_user"): "S",  # the user is there
    (413, "page", "*"): "P",
    (417, "CharacterLengthExceededError", "*"): "P",
    (417, "DataError", "*"): "P",
    (417, "InvalidEmailAddressError", "*"): "P",
    (417, "LinkExistsError", "*"): "P",
    (417, "LinkValidationError", "*"): "P",
    (417, "MandatoryError", "*"): "P",
    (417, "TimestampMismatchError", "*"): "T",
    (417, "UniqueValidationError", "*"): "P",
    (417, "ValidationError", "*"): "P",
    (417, "ValidationError", "create_user"): "T",  # "Throttled"
    (417, "page", "*"): "U",
    (429, "RateLimitExceededError", "*"): "T",
    (429, "TooManyRequestsError", "*"): "T",
    (500, "AttributeError", "*"): "P",
    (500, "ImportError", "*"): "P",
    (500, "JSONDecodeError", "*"): "P",
    (500, "TypeError", "*"): "P",
    (500, "OperationalError", "*"): "T",
    (500, "ConnectionError", "*"): "U",
    # With MariaDB down nothing was written, with Redis down the user was: the same
    # page, so the more careful class.
    (500, "page", "*"): "U",
    (503, "InReadOnlyMode", "*"): "T",
    (503, "SessionStopped", "*"): "T",
    (None, "page", "*"): "U",  # no answer within 60 s
}
_SAME_PAGE = "a bare page after a POST: with Redis down it had taken effect"
#: Answers whose cause would give another class, if it could be seen; and why not.
EXCEPTIONS = {
    # The plugin never sends a password.
    "user-create-with-password": (
        "T",
        "a weak password, for good; status and type are those of Throttled",
    ),
    "db-down-post": ("U", _SAME_PAGE),
    "db-down-ping": ("U", _SAME_PAGE),
    "db-down-login": ("U", _SAME_PAGE),
}
COUNT = 354


@pytest.fixture(scope="module")
def exchanges(shared_data):
    """Return the recorded exchanges by name."""
    recorded = json.loads((shared_data / "exchanges/frappe-lms.json").read_text())
    named = {exchange["name"]: exchange for exchange in recorded}
    assert COUNT == len(recorded) == len(named)
    return named


@pytest.fixture
def mocked():
    """Let no request leave; each test says what is answered."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def lms():
    """Return the plugin over the real client package."""
    return FrappeLMS(URL, "key", "secret", timeout_s=5)


def kind_of(exchange):
    """Return which verb of ours makes such a request, or "other"."""
    path = unquote(urlsplit(exchange["request"]["path"]).path).rstrip("/")
    verbs = {
        "POST /api/resource/LMS Enrollment": "insert",
        "GET /api/resource/LMS Enrollment": "find",
        "DELETE /api/resource/LMS Enrollment/.+": "delete",
        "GET /api/resource/User/.+": "find_user",
        "POST /api/resource/User": "create_user",
        "GET /api/resource/LMS Course/.+": "get_course",
        "GET /api/resource/LMS Course": "list_courses",
    }
    line = f"{exchange['request']['method']} {path}"
    return next((v for p, v in verbs.items() if re.fullmatch(p, line)), "other")


def key_of(exchange):
    """Return what the table is keyed by."""
    answer = exchange["response"]
    body = answer.get("json")
    named = body.get("exc_type", "json") if isinstance(body, dict) else "page"
    return answer["status"], named, kind_of(exchange)


def expected_class(exchange):
    """Look a recorded answer up."""
    status, named, kind = key_of(exchange)
    if exchange["name"] in EXCEPTIONS:
        return EXCEPTIONS[exchange["name"]][0]
    return EXPECTED.get((status, named, kind)) or EXPECTED[status, named, "*"]


def answer_with(mock, exchange, method=None):
    """Answer every request of this method as the server did."""
    answer = exchange["response"]
    options = {"body": requests.exceptions.ReadTimeout("no answer")}
    if answer["status"] is not None:
        body = json.dumps(answer["json"]) if "json" in answer else answer["text"]
        kept = {"Retry-After", "Content-Type", "Set-Cookie"} & answer["headers"].keys()
        headers = {name: answer["headers"][name] for name in kept}
        kind = headers.pop("Content-Type", "text/plain")
        cookies = headers.pop("Set-Cookie", None)
        if cookies:
            headers["Set-Cookie"] = cookies[0]
        options = {
            "body": body,
            "status": answer["status"],
            "headers": headers,
            "content_type": kind,
        }
    wanted = method or exchange["request"]["method"]
    mock.add(wanted, re.compile(f"{URL}/.*"), **options)


def call(lms, exchange):
    """Make the request as the plugin makes it."""
    verbs = {
        "insert": lambda: lms.insert_enrollment("ada@example.com", "python-101"),
        "find": lambda: lms.find_enrollments("ada@example.com", "python-101"),
        "delete": lambda: lms.delete_enrollment("865qasdnho"),
        "find_user": lambda: lms.find_user("ada@example.com"),
        "create_user": lambda: lms.create_user("ada@example.com", "Ada"),
        "get_course": lambda: lms.get_course("python-101"),
        "list_courses": lms.list_courses,
    }
    verb = verbs.get(kind_of(exchange))
    if verb is not None:
        return verb()
    method, path = exchange["request"]["method"], exchange["request"]["path"]
    with lms._client("other", None) as client:
        return client.session.request(method, f"{URL}{path}")


def class_of(lms, exchange):
    """Return the class that the plugin gives, out of the error that it raises."""
    try:
        call(lms, exchange)
    except RejectedError:
        return "P"
    except BackendRefusedError:
        return "C"
    except ThrottledError:
        return "T"
    except LMSUnavailableError as error:
        return "U" if error.unclear else "T"
    return "S"


def test_every_exchange_gets_its_class(exchanges, lms):
    """Scenario 26: all 354 recorded answers, none left out."""
    wrong, seen = {}, Counter()
    for name, exchange in exchanges.items():
        with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
            answer_with(mock, exchange)
            if exchange["request"]["method"] != "GET":
                answer_with(mock, exchanges["user-get-ok"], "GET")
            found = class_of(lms, exchange)
        seen[found] += 1
        if found != expected_class(exchange):
            wrong[name] = (key_of(exchange), expected_class(exchange), found)
    assert wrong == {}
    assert seen.total() == COUNT
    assert set("SPTUC") == set(seen)


def test_table_holds_nothing_that_was_not_recorded(exchanges):
    """Every line of the table and every exception is used."""
    used = set()
    for exchange in exchanges.values():
        status, named, kind = key_of(exchange)
        exact = (status, named, kind)
        used.add(exact if exact in EXPECTED else (status, named, "*"))
    assert set(EXPECTED) == used
    assert exchanges.keys() >= EXCEPTIONS.keys()


@pytest.mark.parametrize(
    ("status", "exc_type", "is_json", "verb", "meaning"),
    [
        (301, None, False, "insert_enrollment", Meaning.CONFIGURATION),
        (308, None, False, "find_enrollments", Meaning.CONFIGURATION),
        (404, None, False, "get_course", Meaning.CONFIGURATION),
        (413, None, False, "insert_enrollment", Meaning.PERMANENT),
        (417, "ValidationError", True, "insert_enrollment", Meaning.PERMANENT),
        (417, "UniqueValidationError", True, "create_user", Meaning.TRANSIENT),
        (429, None, False, "find_user", Meaning.THROTTLED),
        (500, "QueryDeadlockError", True, "create_user", Meaning.TRANSIENT),
        (500, "SomethingElse", True, "insert_enrollment", Meaning.UNCLEAR),
        (500, None, True, "insert_enrollment", Meaning.UNCLEAR),
        (502, None, False, "insert_enrollment", Meaning.UNCLEAR),
        (503, None, False, "insert_enrollment", Meaning.UNCLEAR),
        (504, None, False, "insert_enrollment", Meaning.UNCLEAR),
        (200, "ValidationError", True, "insert_enrollment", Meaning.UNCLEAR),
        (200, None, False, "find_enrollments", Meaning.UNCLEAR),
    ],
)
def test_unrecorded_answers_get_their_class(status, exc_type, is_json, verb, meaning):
    """What was measured without a recording, or comes from a proxy before the LMS."""
    assert classify(status, exc_type, is_json=is_json, verb=verb).meaning is meaning


class TestVerbs:
    """What the verbs make of recorded answers."""

    def test_insert_reads_the_new_row(self, exchanges, lms, mocked):
        """200, not 201; the row as the LMS shows it."""
        answer_with(mocked, exchanges["enrol-create-ok"])
        row = lms.insert_enrollment("student01@example.com", "free-python-course")
        wanted = LMSEnrollment(
            name="865qasdnho",
            learner="student01@example.com",
            course_id="free-python-course",
            creation="2026-11-23 23:03:03.608318",
            modified="2026-11-23 23:03:03.608318",
            modified_by="api-moderator@example.com",
        )
        assert wanted == row
        assert row.untouched

    def test_whoami_is_what_rows_of_ours_name(self, exchanges, lms, mocked):
        """The user that the new row says wrote it; asked once, at the recorded path."""
        exchange = exchanges["whoami-token-api-moderator"]
        answer_with(mocked, exchange)
        assert [lms.whoami(), lms.whoami()] == ["api-moderator@example.com"] * 2
        (call,) = mocked.calls
        assert exchange["request"]["path"] == urlsplit(call.request.url).path

    def test_key_whose_user_is_not_told_is_refused(self, exchanges, lms, mocked):
        """A site may block the method: nothing is proved by the user then."""
        answer_with(mocked, exchanges["notb-guest-whoami"])
        with pytest.raises(BackendRefusedError):
            lms.whoami()

    def test_insert_goes_to_the_recorded_path(self, exchanges, lms, mocked):
        """The recording's path and fields; asking for JSON, with the key."""
        exchange = exchanges["enrol-create-ok"]
        answer_with(mocked, exchange)
        lms.insert_enrollment("student01@example.com", "free-python-course")
        sent = mocked.calls[0].request
        assert exchange["request"]["path"] == urlsplit(sent.url).path
        assert sent.headers["Accept"] == "application/json"
        assert sent.headers["Authorization"].startswith("Basic ")
        form = dict(part.split("=", 1) for part in sent.body.split("&"))
        fields = json.loads(unquote(form["data"].replace("+", " ")))
        recorded = json.loads(exchange["request"]["body"])
        assert recorded == {name: fields[name] for name in recorded}

    def test_no_cookie_is_kept(self, exchanges, lms, mocked):
        """A cookie's user would win over the key's."""
        answer_with(mocked, exchanges["enrol-create-ok"])
        assert "Set-Cookie" in exchanges["enrol-create-ok"]["response"]["headers"]
        for _ in range(2):
            lms.insert_enrollment("student01@example.com", "free-python-course")
        assert "Cookie" not in mocked.calls[1].request.headers

    def test_find_sorts_by_age(self, exchanges, lms, mocked):
        """The oldest row is the one that is kept, so it comes first."""
        exchange = exchanges["enrol-list-filter"]
        answer_with(mocked, exchange)
        rows = lms.find_enrollments("student01@example.com", "free-python-course")
        recorded = exchange["response"]["json"]["data"]
        by_age = sorted(recorded, key=lambda row: row["creation"])
        assert [row["name"] for row in by_age] == [row.name for row in rows]
        assert len(rows) == 4

    def test_find_of_nothing_is_empty(self, exchanges, lms, mocked):
        """200 with an empty list."""
        answer_with(mocked, exchanges["enrol-list-filter-none-match"])
        assert lms.find_enrollments("student39@example.com", "c") == ()

    def test_row_of_a_batch_is_not_removable(self, exchanges, lms, mocked):
        """A batch's row is not ours to delete."""
        answer_with(mocked, exchanges["batch-enrol-course-enrolments"])
        (row,) = lms.find_enrollments("student34@example.com", "free-python-course")
        assert (row.batch, row.removable) == ("autumn-batch", False)

    @pytest.mark.parametrize(
        ("name", "deleted"), [("enrol-delete-ok", True), ("enrol-delete-again", False)]
    )
    def test_delete_tells_whether_there_was_one(
        self, exchanges, lms, mocked, name, deleted
    ):
        """202, then 404 without a message."""
        answer_with(mocked, exchanges[name])
        assert deleted is lms.delete_enrollment("865qasdnho")

    def test_user_is_found_under_the_sites_spelling(self, exchanges, lms, mocked):
        """Asked in mixed case, answered in lower case."""
        answer_with(mocked, exchanges["user-get-mixed-case"])
        user = lms.find_user("New2.Case@Example.COM")
        assert isinstance(user, Learner)
        assert (user.name, user.enabled) == ("new2.case@example.com", True)

    def test_unknown_user_is_none(self, exchanges, lms, mocked):
        """404 DoesNotExistError is an answer."""
        answer_with(mocked, exchanges["user-get-missing"])
        assert lms.find_user("nobody@example.com") is None

    @pytest.mark.parametrize(
        "name", ["user-create-duplicate", "user-create-duplicate-upper"]
    )
    def test_duplicate_user_is_looked_up(self, exchanges, lms, mocked, name):
        """409: it is there, so it is returned."""
        answer_with(mocked, exchanges[name])
        answer_with(mocked, exchanges["user-get-ok"])
        assert lms.create_user("New1@Example.com", "New").name == "new1@example.com"
        assert [c.request.method for c in mocked.calls] == ["POST", "GET"]

    def test_new_user_always_has_a_first_name(self, exchanges, lms, mocked):
        """Frappe LMS 2.61 loops for ever without one."""
        answer_with(mocked, exchanges["user-create-duplicate"])
        answer_with(mocked, exchanges["user-get-ok"])
        for full_name in (None, "", "  "):
            lms.create_user("new1@example.com", full_name)
            body = unquote(mocked.calls[-2].request.body.replace("+", " "))
            assert json.loads(body.removeprefix("data="))["first_name"]

    def test_course_comes_under_its_own_spelling(self, exchanges, lms, mocked):
        """Asked in upper case; a float price becomes exact money."""
        answer_with(mocked, exchanges["course-get-upper"])
        course = lms.get_course("PAID-DATA-COURSE")
        assert (course.id, course.price) == ("paid-data-course", Money(49950, "mad"))

    def test_unknown_course_is_not_found(self, exchanges, lms, mocked):
        """404 in JSON is the course's; 404 as a page is the site's."""
        answer_with(mocked, exchanges["course-get-missing"])
        with pytest.raises(CourseNotFoundError):
            lms.get_course("no-such-course")

    def test_retry_after_is_kept(self, exchanges, lms, mocked):
        """A site's limit says how long; an endpoint's limit does not."""
        for name, seconds in (
            ("ratelimit-rejected-post", 56.0),
            ("endpoint-ratelimit-429", None),
        ):
            mocked.reset()
            answer_with(mocked, exchanges[name], "POST")
            with pytest.raises(ThrottledError) as caught:
                lms.insert_enrollment("ada@example.com", "python-101")
            assert caught.value.retry_after_s == seconds

    def test_hidden_tracebacks_change_nothing(self, exchanges, lms, mocked):
        """Where a hardened site leaves ``exc`` out, the client alone sees a success."""
        exchange = exchanges["notb-enrol-unknown-course"]
        assert "exc" not in exchange["response"]["json"]
        answer_with(mocked, exchange)
        with pytest.raises(RejectedError):
            lms.insert_enrollment("ada@example.com", "nope")

    def test_errors_hold_nothing_of_the_request(self, exchanges, lms, mocked):
        """No address, key or answer of the server gets into an error's text."""
        answer_with(mocked, exchanges["emul-enrol-create-duplicate"])
        with pytest.raises(RejectedError) as caught:
            lms.insert_enrollment("ada@example.com", "python-101")
        for private in ("ada@", "student", "secret", "Traceback", URL):
            assert private not in f"{caught.value} {caught.value.public_message}"
