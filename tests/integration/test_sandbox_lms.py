# SPDX-License-Identifier: MIT
"""The Frappe LMS sandbox and its faults; the real frappe-client talks to it."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.lms_side import (
    ADA,
    COURSE,
    INSERT,
    PATIENCE_S,
    TIMEOUT_S,
    new_lms,
    rows,
    wait_for,
)

from frappe_enroll_lms.frappe import FrappeLMS
from frappe_enroll_sandbox import LMSSandbox
from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.errors import (
    BackendRefusedError,
    BackendRejectedError,
    LMSUnavailableError,
    ThrottledError,
)


@pytest.fixture
def clock():
    """Return a clock that all sides share."""
    return FakeClock()


@pytest.fixture
def sandbox(clock):
    """Return a running site with a course and a learner."""
    with LMSSandbox(clock) as server:
        server.site.add_course(COURSE, 49.0, "USD")
        server.site.add_user(ADA)
        yield server


@pytest.fixture
def lms(sandbox):
    """Return the plugin over the sandbox."""
    backend = new_lms(sandbox)
    yield backend
    backend.close()


class TestFaults:
    """Each fault gives one of our errors and tells whether it may have worked."""

    @pytest.mark.parametrize(
        ("kind", "more", "error", "unclear", "written"),
        [
            ("html", {"status": 502}, LMSUnavailableError, True, 0),
            ("html", {"status": 500}, LMSUnavailableError, True, 0),
            ("html", {"status": 404}, BackendRefusedError, None, 0),
            ("html", {"status": 200}, LMSUnavailableError, True, 0),
            ("redirect", {}, BackendRefusedError, None, 0),
            ("throttled", {}, ThrottledError, False, 0),
            ("hang", {}, LMSUnavailableError, True, 0),
            ("drip", {}, LMSUnavailableError, True, 0),
            ("reset", {}, LMSUnavailableError, True, 0),
            ("empty", {}, LMSUnavailableError, True, 0),
            ("error_body", {}, LMSUnavailableError, True, 0),
            ("commit_then_timeout", {}, LMSUnavailableError, True, 1),
            ("commit_then_500", {}, LMSUnavailableError, True, 1),
        ],
    )
    def test_insert_tells_what_the_fault_means(
        self, sandbox, kind, more, error, unclear, written
    ):
        """Scenario 26: the class, in time, and whether a row was written."""
        hangs = kind in {"hang", "drip", "commit_then_timeout"}
        lms = new_lms(sandbox, timeout_s=TIMEOUT_S if hangs else PATIENCE_S)
        sandbox.fail_next(INSERT, kind, **more)
        began = time.monotonic()
        with pytest.raises(error) as caught:
            lms.insert_enrollment(ADA, COURSE)
        # The server would hang for a minute.
        assert time.monotonic() - began < PATIENCE_S
        assert getattr(caught.value, "unclear", None) is unclear
        wait_for(lambda: len(rows(sandbox)) == written)
        sandbox.heal()
        assert len(new_lms(sandbox).find_enrollments(ADA, COURSE)) == written
        lms.close()

    @pytest.mark.parametrize(
        ("status", "exc_type", "error"),
        [
            (417, "ValidationError", BackendRejectedError),
            (417, "LinkValidationError", BackendRejectedError),
            (417, "TimestampMismatchError", LMSUnavailableError),
            (403, "PermissionError", BackendRefusedError),
            (401, "AuthenticationError", BackendRefusedError),
            (500, "QueryDeadlockError", LMSUnavailableError),
            (500, "AttributeError", BackendRejectedError),
            (503, "SessionStopped", LMSUnavailableError),
        ],
    )
    @pytest.mark.parametrize("tracebacks", [True, False])
    def test_hidden_tracebacks_change_nothing(
        self, sandbox, lms, status, exc_type, error, tracebacks
    ):
        """Scenario 26: a hardened site leaves ``exc`` out; the class is the same."""
        sandbox.tracebacks = tracebacks
        headers = {"exc_type": exc_type}
        sandbox.fail_next(INSERT, "error", status=status, headers=headers)
        with pytest.raises(error):
            lms.insert_enrollment(ADA, COURSE)
        assert rows(sandbox) == []

    def test_closed_port_has_carried_nothing(self, sandbox, lms):
        """Scenario 26: an outage; refused before anything was sent: not unclear."""
        sandbox.stop()
        with pytest.raises(LMSUnavailableError) as caught:
            lms.insert_enrollment(ADA, COURSE)
        assert caught.value.unclear is False

    @pytest.mark.parametrize(
        ("headers", "seconds"), [({"Retry-After": "56"}, 56), ({}, None)]
    )
    def test_retry_after_is_told(self, sandbox, lms, headers, seconds):
        """Scenario 26: 429 with and without Retry-After."""
        sandbox.fail_next(".", "throttled", headers=headers)
        with pytest.raises(ThrottledError) as caught:
            lms.find_enrollments(ADA, COURSE)
        assert caught.value.retry_after_s == seconds

    def test_redirect_is_not_followed(self, sandbox, lms):
        """Scenario 26: a followed POST becomes a GET whose 200 looks like a yes."""
        sandbox.fail_next(INSERT, "redirect")
        with pytest.raises(BackendRefusedError):
            lms.insert_enrollment(ADA, COURSE)
        assert [method for method, _ in sandbox.requests] == ["POST"]

    def test_latency_is_waited_for(self, sandbox, lms):
        """Slow is not down."""
        fault = sandbox.fail_next(".", "latency", seconds=0.1)
        began = time.monotonic()
        lms.ping()
        assert fault.seen == 1
        assert time.monotonic() - began >= 0.1

    @pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "sized"])
    def test_dripping_answer_does_not_hold_us(self, chunked):
        """A byte now and then keeps every socket time-out from striking."""
        with Dripping(chunked=chunked) as url:
            lms = FrappeLMS(url, "key", "secret", timeout_s=TIMEOUT_S)
            began = time.monotonic()
            with pytest.raises(LMSUnavailableError) as caught:
                lms.ping()
            assert time.monotonic() - began < PATIENCE_S
            assert caught.value.unclear
            lms.close()


class TestSite:
    """The site's own rules."""

    @pytest.mark.parametrize(
        "key", [{"api_key": "other"}, {"api_secret": "other"}], ids=["key", "secret"]
    )
    def test_wrong_key_is_refused(self, sandbox, key):
        """401, and the setting is named."""
        with pytest.raises(BackendRefusedError) as caught:
            new_lms(sandbox, **key).ping()
        assert "FRAPPE_LMS_API_KEY" in str(caught.value)

    def test_site_is_chosen_by_host(self, sandbox):
        """A multi-site bench: the right name works, a wrong one is an HTML 404."""
        sandbox.host = "lms.school.example"
        new_lms(sandbox, site="lms.school.example").ping()
        for site in ("", "other.school.example"):
            with pytest.raises(BackendRefusedError) as caught:
                new_lms(sandbox, site=site).ping()
            assert "FRAPPE_LMS_SITE" in str(caught.value)

    def test_key_without_the_right_role_is_refused(self, sandbox, lms):
        """403 is the key's fault, not the job's."""
        sandbox.site.role = "none"
        with pytest.raises(BackendRefusedError):
            lms.insert_enrollment(ADA, COURSE)
        with pytest.raises(BackendRefusedError):
            lms.ping()

    def test_batch_evaluator_inserts_blindly(self, sandbox, lms):
        """It may insert, and its look-up shows nothing: the trap of that role."""
        sandbox.site.role = "Batch Evaluator"
        lms.insert_enrollment(ADA, COURSE)
        assert lms.find_enrollments(ADA, COURSE) == ()
        assert len(rows(sandbox)) == 1

    @pytest.mark.parametrize(
        ("duplicates", "count"), [("accepted", 20), ("refused", 1)]
    )
    def test_parallel_inserts_are_not_the_sites_business(
        self, sandbox, duplicates, count
    ):
        """Frappe 15 takes them all: whoever inserts must serialise."""
        sandbox.site.duplicates = duplicates
        lms = new_lms(sandbox, timeout_s=10)

        def insert(_):
            try:
                lms.insert_enrollment(ADA, COURSE)
            except BackendRejectedError:
                return 0
            finally:
                lms.close()
            return 1

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(insert, range(20))) == count
        assert len(rows(sandbox)) == count

    def test_user_creation_is_throttled(self, sandbox, lms):
        """417 "Throttled", until an hour has gone by."""
        sandbox.site.throttle = 2
        lms.create_user("first@example.com", "First")
        with pytest.raises(ThrottledError):
            lms.create_user("second@example.com", "Second")
        sandbox.clock.advance(3601)
        assert lms.create_user("second@example.com", "Second").enabled


class Dripping:
    """A server that sends its answer byte by byte, for ever."""

    def __init__(self, *, chunked):
        framing = "Transfer-Encoding: chunked" if chunked else "Content-Length: 9999"
        kind = "Content-Type: application/json"
        self._head = f"HTTP/1.1 200 OK\r\n{kind}\r\n{framing}\r\n\r\n".encode()
        self._drop = b"1\r\n \r\n" if chunked else b" "
        self._ended = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join(10)
        self._socket.close()

    def _serve(self):
        connection, _ = self._socket.accept()
        with connection:
            connection.recv(65_536)
            try:
                connection.sendall(self._head)
                while not self._ended.wait(0.05):
                    connection.sendall(self._drop)
            except ConnectionError:
                return
