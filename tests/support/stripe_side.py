# SPDX-License-Identifier: MIT
"""What the tests of the Stripe sandbox share: gateway, orders, a browser."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from datetime import timedelta
from urllib.parse import urlencode

from frappe_enroll_sdk.models import SessionOrder, SessionTerms
from frappe_enroll_sdk.money import Money
from frappe_enroll_stripe.gateway import StripePayments


SECRET = "whsec_sandbox"
SESSIONS = "/v1/checkout/sessions"
COURSE, ADA = "python-101", "ada@example.com"
#: For what hangs; all else gets `PATIENCE_S`, so that a busy machine is not an outage.
TIMEOUT_S, PATIENCE_S = 1.0, 30.0


def new_gateway(sandbox, **more):
    """Return what another process would build; it is patient, unless told otherwise."""
    options = {"api_base": sandbox.url, "timeout_s": PATIENCE_S} | more
    key = options.pop("secret_key", sandbox.secret_key)
    return StripePayments(key, (SECRET,), **options)


def order_of(clock, number=1, life_s=7200, **changes):
    """Return an order."""
    fields = {
        "enrollment_id": f"enr_{number:04d}",
        "amount": Money(4900, "usd"),
        "terms": SessionTerms(course_id=COURSE),
        "course_title": "Python 101",
        "email": ADA,
        "success_url": "http://127.0.0.1:9/done?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://127.0.0.1:9/back",
        "expires_at": clock.now() + timedelta(seconds=life_s),
    }
    return SessionOrder(**fields | changes)


def opened(gateway, clock, number=1, **changes):
    """Return a new open session."""
    order = order_of(clock, number, **changes)
    return gateway.create_session(gateway.prepare_session(order))


def creations(sandbox):
    """Return the create requests that came in."""
    return [r for r in sandbox.requests if (r.method, r.path) == ("POST", SESSIONS)]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def browse(url, **form):
    """Get a page or press a button; return status, text and where it leads."""
    data = urlencode(form).encode() if form else None
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(url, data, timeout=10) as answer:
            return answer.status, answer.read().decode(), ""
    except urllib.error.HTTPError as error:
        with error:
            location = error.headers.get("Location", "")
            return error.code, error.read().decode(), location


def wait_for(condition, seconds=10):
    """Wait until something is so."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.005)
