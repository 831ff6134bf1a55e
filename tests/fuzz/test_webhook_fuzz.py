# SPDX-License-Identifier: MIT
"""
Mutated bodies, headers and signatures: refused, or stored as ignored; never an effect.

A small size runs with the other tests; ``nox -s fuzz`` runs all.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.size import times
from werkzeug.test import Client

from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_stripe.gateway import StripePayments
from frappe_enroll_wsgi import create_app


SECRET = "whsec_fuzz_secret"
#: Of each of the two tests: 100 000 in all.
EXAMPLES = times(500, 50_000)
_NUMBERS = count(1)


class Door:
    """The webhook of an app over a store in which nobody is enrolled."""

    def __init__(self):
        self.clock = FakeClock()
        self.storage = MemoryStorage(self.clock)
        self.storage.setup()
        self.lms = FakeLMS()
        sdk = EnrollSDK(
            Settings(rate_limits=("off",), body_limit=20_000),
            storage=self.storage,
            # Nobody listens there: whoever called Stripe would be found out.
            payments=StripePayments(
                "sk_test_fuzz", (SECRET,), api_base="http://127.0.0.1:9"
            ),
            lms=self.lms,
            clock=self.clock,
            discover=False,
        )
        self.client = Client(create_app(sdk))

    def sign(self, body, stamp=None):
        """Return a right signature."""
        stamp = int(self.clock.now().timestamp()) if stamp is None else stamp
        digest = hmac.new(SECRET.encode(), b"%d." % stamp + body, hashlib.sha256)
        return f"t={stamp},v1={digest.hexdigest()}"

    def knock(self, body, signature):
        """Post a body; return the status and the answer."""
        headers = {} if signature is None else {"Stripe-Signature": signature}
        answer = self.client.post("/webhooks/stripe", data=body, headers=headers)
        return answer.status_code, answer.get_data()


DOOR = Door()

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=6,
)


def event_of(number):
    """Return an event that is well-formed, of another product."""
    return {
        "id": f"evt_fuzz{number:08d}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": 1_767_268_800,
        "type": "checkout.session.completed",
        "livemode": False,
        "data": {
            "object": {
                "id": f"cs_fuzz{number:08d}",
                "object": "checkout.session",
                "mode": "payment",
                "status": "complete",
                "payment_status": "paid",
                "amount_total": 4900,
                "currency": "usd",
                "total_details": {"amount_tax": 0},
                "metadata": {},
                "payment_intent": f"pi_fuzz{number:08d}",
            }
        },
    }


KINDS = [
    "checkout.session.completed",
    "checkout.session.expired",
    "checkout.session.async_payment_failed",
    "payment_intent.payment_failed",
    "plan.created",
    "v1.checkout.session.completed",
]
FIELDS = [
    ("id",), ("type",), ("object",), ("created",), ("livemode",), ("account",),
    ("data",), ("data", "object"), ("data", "object", "id"),
    ("data", "object", "object"), ("data", "object", "mode"),
    ("data", "object", "status"), ("data", "object", "payment_status"),
    ("data", "object", "amount_total"), ("data", "object", "currency"),
    ("data", "object", "total_details"),
    ("data", "object", "total_details", "amount_tax"),
    ("data", "object", "metadata"), ("data", "object", "payment_intent"),
    ("data", "object", "currency_conversion"), ("data", "object", "expires_at"),
    ("related_object",), ("snapshot_event",),
]  # fmt: skip


@st.composite
def mutated(draw):
    """Return the bytes of an event of which some fields are anything."""
    event = event_of(next(_NUMBERS))
    event["type"] = draw(st.sampled_from(KINDS))
    for path in draw(st.lists(st.sampled_from(FIELDS), max_size=3)):
        inner = event
        for name in path[:-1]:
            inner = inner.get(name) if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            inner[path[-1]] = draw(json_values)
    body = json.dumps(event).encode("utf-8", "surrogatepass")
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.binary(max_size=4)) + body[at + 1 :]
    return body


headers = st.one_of(
    st.none(),
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=80),
    st.builds(
        "t={},v1={}".format, st.integers(), st.text("0123456789abcdef", max_size=64)
    ),
)
many = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))


def check_nothing_happened():
    """Nobody is enrolled, nothing is owed, no answer has a stack in it."""
    assert DOOR.storage.enrollments.list(limit=1).items == ()
    assert DOOR.storage.jobs.list(limit=1).items == ()
    assert DOOR.lms.rows == {}


@many
@given(mutated() | st.binary(max_size=200), headers)
def test_unsigned_delivery_is_refused(body, signature):
    """Whatever is sent without the secret: 400, and nothing is stored."""
    before = len(DOOR.storage.events.list(limit=1).items)
    status, answer = DOOR.knock(body, signature)
    assert status == 400
    assert b"Traceback" not in answer
    assert len(DOOR.storage.events.list(limit=1).items) == before
    check_nothing_happened()


@many
@given(mutated() | st.binary(max_size=200))
def test_signed_delivery_is_refused_or_ignored(body):
    """Whatever is signed: 400, or 200 with an outcome that gives nobody anything."""
    status, answer = DOOR.knock(body, DOOR.sign(body))
    assert status in (200, 400), answer
    if status == 200:
        outcome = json.loads(answer)["outcome"]
        assert outcome in {"ignored", "duplicate", "queued", "quarantined"}, answer
    assert b"Traceback" not in answer
    check_nothing_happened()


def test_large_delivery_is_refused():
    """Larger than the limit: 413, signed or not."""
    body = b" " * 30_000
    assert DOOR.knock(body, DOOR.sign(body))[0] == 413
