# SPDX-License-Identifier: MIT
"""The demo's sandboxes, SDK on a SQLite file, HTTP app and worker."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import attrs
from werkzeug.wrappers import Request, Response

from frappe_enroll_sandbox import LMSSandbox, LoopbackServer, StripeSandbox
from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.clock import SYSTEM, OffsetClock
from frappe_enroll_sdk.settings.options import Secret
from frappe_enroll_wsgi import create_app


WEBHOOK_SECRET = "whsec_demo_secret_of_no_worth"  # noqa: S105  a sandbox's
COURSE = "python-101"


@attrs.frozen
class Answer:
    """An HTTP answer: status and decoded JSON (or None)."""

    status: int
    body: Any


def demo_settings(stripe_url: str, lms_url: str, database: str, url: str) -> Settings:
    """Return the settings of every process of the demo."""
    return Settings(
        database_url=f"sqlite:///{database}",
        stripe_secret_key=Secret("sk_test_sandbox"),
        stripe_webhook_secret=(Secret(WEBHOOK_SECRET),),
        stripe_api_base=stripe_url,
        frappe_lms_url=lms_url,
        frappe_lms_api_key=Secret("sandbox-key"),
        frappe_lms_api_secret=Secret("sandbox-secret"),
        frappe_lms_timeout_s=5,
        public_url=url,
        gate_closed_s=10,
        # All learners share one address.
        rate_limits=("off",),
    )


class Stage:
    """Owns everything that the demo starts. A context manager."""

    def __init__(self, folder: Path) -> None:
        self.clock = OffsetClock()
        self.stripe = StripeSandbox(self.clock)
        self.lms = LMSSandbox(self.clock)
        self.database = str(folder / "demo.sqlite3")
        self.web = LoopbackServer(self._serve)
        self.sdk: EnrollSDK
        self._app: Any = None
        self._worker: Any = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.stripe.start()
        self.lms.start()
        self.web.start()
        self.lms.site.add_course(COURSE, 49.0, "USD", title="Python 101")
        settings = demo_settings(
            self.stripe.url, self.lms.url, self.database, self.web.url
        )
        self.sdk = EnrollSDK(settings, clock=self.clock)
        self.sdk.setup()
        self._app = create_app(self.sdk)
        self.stripe.webhooks.add_endpoint(
            f"{self.web.url}/webhooks/stripe", WEBHOOK_SECRET
        )
        self.start_worker()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_worker()
        self.stripe.close()
        self.lms.close()
        self.web.close()
        self.sdk.close()

    def start_worker(self) -> None:
        """Start the worker."""
        self._worker = self.sdk.worker(2, poll_s=0.1)
        self._thread = threading.Thread(target=self._worker.run, daemon=True)
        self._thread.start()

    def stop_worker(self) -> None:
        """Stop the worker after its running jobs."""
        self._worker.stop()
        if self._thread is not None:
            self._thread.join(10)

    def _serve(self, request: Request) -> Response:
        return Response.from_app(self._app, request.environ)

    # The host's front end.

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """Send JSON (or raw bytes) to the app."""
        raw = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        headers = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return call(f"{self.web.url}{path}", raw, headers)

    def checkout(self, email: str, code: str | None = None) -> Answer:
        """Start an enrollment over HTTP."""
        fields = {"course_id": COURSE, "email": email, "full_name": "Demo Learner"}
        if code is not None:
            fields["coupon_code"] = code
        return self.post("/checkout", fields)

    def press_pay(self, payment_url: str) -> int:
        """Press Pay on the hosted page, without following the redirect."""
        request = urllib.request.Request(payment_url, b"press=pay")  # noqa: S310
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            with opener.open(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    def status(self, enrollment_id: str) -> str:
        """Return an enrollment's status from the store."""
        return str(self.sdk.enrollments.get(enrollment_id).status)

    def lms_rows(self, email: str) -> int:
        """Return the number of a learner's enrolments in the LMS."""
        return len(self.lms.site.enrollments(email, COURSE))

    def wait(self, test: Callable[[], bool], seconds: float = 20.0) -> bool:
        """Wait until a condition holds; return False if it never does."""
        ends = SYSTEM.monotonic() + seconds
        while SYSTEM.monotonic() < ends:
            if test():
                return True
            SYSTEM.sleep(0.02)
        return test()

    def wait_status(self, enrollment_id: str, status: str) -> str:
        """Wait for a status and return the final one."""
        self.wait(lambda: self.status(enrollment_id) == status)
        return self.status(enrollment_id)

    # A process to kill.

    def start_process(self) -> Victim:
        """Start another process that serves the same app on its own port."""
        process = subprocess.Popen(  # noqa: S603  our own module
            [
                sys.executable,
                "-m",
                "frappe_enroll_cli._internal.demo.victim",
                self.stripe.url,
                self.lms.url,
                self.database,
                str(self.clock.offset_s),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None  # noqa: S101  it is a pipe
        return Victim(process, process.stdout.readline().strip())


@attrs.frozen
class Victim:
    """A child process and the URL of its app."""

    process: subprocess.Popen[str]
    url: str

    def kill(self) -> int:
        """Send SIGKILL and return the exit code."""
        self.process.send_signal(signal.SIGKILL)
        code = self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def call(url: str, body: bytes | None, headers: dict[str, str]) -> Answer:
    """Make one HTTP call; an error status is returned like any other."""
    request = urllib.request.Request(url, body, headers)  # noqa: S310  loopback
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return Answer(answer.status, _decode(answer.read()))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, _decode(error.read()))


def _decode(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None
