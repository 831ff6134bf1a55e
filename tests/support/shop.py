# SPDX-License-Identifier: MIT
"""Stripe over HTTP in both directions: the sandbox's API, and our WSGI app served."""

from __future__ import annotations

import contextlib
import json
import random
import threading
import urllib.error
import urllib.request

from werkzeug.serving import make_server

from frappe_enroll_sandbox import LMSSandbox, StripeSandbox, sign
from frappe_enroll_sandbox._internal.server import QuietHandler
from frappe_enroll_sdk import EnrollSDK, hookimpl
from frappe_enroll_sdk.clock import OffsetClock
from frappe_enroll_sdk.models import Status
from frappe_enroll_stripe.gateway import StripePayments
from frappe_enroll_wsgi import create_app
from support.victim import settings_of


COURSE, ADA = "python-101", "ada@example.com"
SECRET, LIVE_KEY = "whsec_test_secret", "sk_live_sandbox"


class Ears:
    """A plugin that hears of enrolments and alerts."""

    def __init__(self) -> None:
        self.enrolled, self.alerts = [], []

    @hookimpl
    def on_enrolled(self, enrollment):
        """Note who is enrolled."""
        self.enrolled.append(enrollment.id)

    @hookimpl
    def on_alert(self, code, subject):
        """Note an alert."""
        self.alerts.append((code, subject))


class Shop:
    """
    Both sandboxes, a store, and the WSGI app under a threaded server.

    Webhooks come over HTTP as Stripe sends them: signed, held, doubled, shuffled. What
    is not one of these is a setting: `clock` (of the sandboxes, and of the SDK), `live`
    (whether its Stripe key is a live one).

    Attributes:
        hosts: The apps that the server passes requests on to; one, unless changed.
    """

    def __init__(self, open_storage, plugins=(), **settings) -> None:
        self.clock = settings.pop("clock", None) or OffsetClock()
        self._live = settings.pop("live", False)
        key = LIVE_KEY if self._live else "sk_test_sandbox"
        self.stripe = StripeSandbox(self.clock, secret_key=key)
        self.lms = LMSSandbox(self.clock)
        self.ears = Ears()
        self._open, self._settings = open_storage, settings
        self._plugins = (self.ears, *plugins)
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        self._stack.enter_context(self.stripe)
        self._stack.enter_context(self.lms)
        self.lms.site.add_course(COURSE, 49.0, "USD", title="Python 101")
        self.storage = self._open()
        self.storage.setup()
        self.sdk = self.new_sdk()
        self.hosts = [create_app(self.sdk)]
        server = make_server(
            "127.0.0.1",
            0,
            self._serve,
            threaded=True,
            request_handler=QuietHandler,
        )
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(server.server_close)
        self._stack.callback(server.shutdown)
        self.stripe.webhooks.add_endpoint(f"{self.url}/webhooks/stripe", SECRET)
        return self

    def __exit__(self, *_) -> None:
        self._stack.close()
        self.sdk.close()

    def new_sdk(self, *, by_the_store=False, **more) -> EnrollSDK:
        """Return an SDK over the same sandboxes and store, maybe by its time."""
        urls = {"stripe": self.stripe.url, "lms": self.lms.url}
        fields = (
            {"rate_limits": "off", "retry_jitter": 0, "inline_s": 30}
            | self._settings
            | more
        )
        return EnrollSDK(
            settings_of(urls, "/nowhere.sqlite3", **fields),
            storage=self.storage,
            payments=self._live_payments(),
            clock=None if by_the_store else self.clock,
            plugins=self._plugins,
        )

    def _serve(self, environ, start_response):
        """Let any of the hosts answer, as a load balancer would."""
        return random.choice(self.hosts)(environ, start_response)

    def new_host(self, **settings):
        """Return what a host that was started with these settings serves."""
        return create_app(self.new_sdk(**settings))

    def _live_payments(self):
        """Return a gateway by hand: settings let a live key near Stripe only."""
        if not self._live:
            return None
        return StripePayments(LIVE_KEY, (SECRET,), api_base=self.stripe.url)

    @property
    def account(self):
        """The Stripe account, with the customers' verbs."""
        return self.stripe.account

    def checkout(self, email=ADA, course_id=COURSE, **more):
        """Begin an enrollment; return its row."""
        answer = self.sdk.checkout(course_id=course_id, email=email, **more)
        return self.row(answer.enrollment_id)

    def row(self, enrollment_id):
        """Return an enrollment."""
        return self.sdk.enrollments.get(enrollment_id)

    def send(self, event, *, secrets=(SECRET,)):
        """Deliver an event now, signed by each; return the status and the answer."""
        body, now_s = json.dumps(event).encode(), int(self.clock.now().timestamp())
        signatures = [sign(body, secret, now_s).split(",")[1] for secret in secrets]
        header = ",".join([f"t={now_s}", *signatures])
        return self.post(body, {"Stripe-Signature": header})

    def post(self, body, headers, path="/webhooks/stripe"):
        """Post to the app; return the status and the answer."""
        request = urllib.request.Request(  # noqa: S310  loopback
            f"{self.url}{path}",
            body,
            {"Content-Type": "application/json", **headers},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def rest(self, *seconds):
        """Let all deliveries end, and time and cron go on."""
        assert self.stripe.webhooks.wait_idle(30)
        for wait_s in seconds or (0,):
            self.clock.advance(wait_s)
            while self.sdk.run_jobs(limit=1000).claimed:
                pass

    def pay(self, email=ADA, **more):
        """Let a learner check out and pay; return the row and its payment."""
        row = self.checkout(email, **more)
        self.account.pay(row.session_id)
        return row, self.account.sessions[row.session_id]["payment_intent"]

    def news(self, order="as_is"):
        """Deliver what is held, in an order; let work be done; hold again."""
        self.stripe.webhooks.release(order=order)
        self.rest(0)
        self.stripe.webhooks.held = True

    def check_end(self, row, status):
        """Check where a row and its LMS row have come to."""
        now = self.row(row.id)
        assert now.status is status, now.history
        assert self.lms_rows(now) == (status is Status.ENROLLED)

    def lms_rows(self, row):
        """Return how many rows the LMS has of an enrollment's learner."""
        return len(self.lms.site.enrollments(row.learner, row.course_id))
