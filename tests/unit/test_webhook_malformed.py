# SPDX-License-Identifier: MIT
"""
Whatever is posted to the Stripe webhook: an event, or one of two typed refusals.

Both are answers of 400; anything else would be a 500, which Stripe sends again for
three days.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frappe_enroll_sdk.errors import (
    ConfigurationError,
    PayloadError,
    RejectedError,
    SignatureError,
)
from frappe_enroll_sdk.models import Fact, PaymentEvent
from frappe_enroll_stripe.gateway import StripePayments


OLD, NEW = "whsec_old", "whsec_new"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
STAMP = int(NOW.timestamp())
SESSION = {
    "id": "cs_test_1",
    "object": "checkout.session",
    "mode": "payment",
    "status": "complete",
    "payment_status": "paid",
    "amount_total": 4900,
    "currency": "usd",
    "livemode": False,
    "url": None,
    "expires_at": STAMP + 7200,
    "payment_intent": "pi_1",
    "client_reference_id": "enr_1",
    "customer_email": "ada@example.com",
    "metadata": {
        "frappe_enroll_app": "frappe-enroll-sdk",
        "frappe_enroll_enrollment": "enr_1",
    },
}
EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "checkout.session.completed",
    "created": STAMP,
    "livemode": False,
    "account": None,
    "data": {"object": SESSION},
}
THIN = {
    "id": "evt_thin_1",
    "object": "v2.core.event",
    "type": "v1.billing.meter.error_report_triggered",
    "created": "2026-11-24T12:00:00.000Z",
    "livemode": False,
    "snapshot_event": "evt_1",
    "related_object": {"id": "mtr_1", "type": "billing.meter", "url": "/v1/x"},
}
BODY = json.dumps(EVENT).encode()
#: Every type of JSON, and values that trip readers up.
WRONG = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    10**30,
    -(10**30),
    1e308,
    "",
    "text",
    "x" * 10_000,
    "\x00",
    "\ud800",
    "é" * 200,
    [],
    [[]],
    ["text"],
    {},
    {"id": {}},
    {"id": "pi_2", "status": []},
    {"$gt": ""},
]


def digest_of(body, secret=NEW, stamp=STAMP):
    """Return the v1 signature of a body."""
    signed = f"{stamp}.".encode() + body
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def signed(body, secret=NEW, stamp=STAMP):
    """Return the headers of a delivery."""
    return {"Stripe-Signature": f"t={stamp},v1={digest_of(body, secret, stamp)}"}


def gateway(*secrets):
    """Return a gateway with these webhook secrets."""
    return StripePayments("sk_test_malformed", secrets or (OLD, NEW))


def parse(body, headers=None, *secrets):
    """Read a delivery; it is signed unless headers are given."""
    given_headers = signed(body) if headers is None else headers
    return gateway(*secrets).parse_event(body, given_headers, now=NOW)


def refused(body, headers=None):
    """Tell which of the two refusals is raised; None = it is an event."""
    try:
        event = parse(body, headers)
    except (SignatureError, PayloadError) as error:
        assert error.http_status == 400
        assert error.retryable is False
        return type(error)
    assert isinstance(event, PaymentEvent)
    return None


def test_good_delivery_is_read():
    """Scenario 21: what all the spoilt ones are spoilt from."""
    event = parse(BODY)
    assert (event.id, event.fact, event.enrollment_id) == ("evt_1", Fact.PAID, "enr_1")


class TestSignature:
    """Headers that do not vouch for the body."""

    @pytest.mark.parametrize(
        "forged",
        [BODY.replace(b"4900", b"1"), BODY + b"\n", BODY[:-1], b"", b"{}"],
    )
    def test_forged_body_is_refused(self, forged):
        """Scenario 21: one byte off is another body."""
        assert refused(forged, signed(BODY)) is SignatureError

    @pytest.mark.parametrize("secret", ["whsec_other", "", " ", "whsec_ne"])
    def test_wrong_secret_is_refused(self, secret):
        """Scenario 21: a foreign, an empty and a cut secret sign nothing."""
        assert refused(BODY, signed(BODY, secret)) is SignatureError

    @pytest.mark.parametrize("shift", [-86_400, -301, 301, 86_400])
    def test_time_far_away_is_refused(self, shift):
        """Scenario 21: an old and a future time stamp, both rightly signed."""
        assert refused(BODY, signed(BODY, stamp=STAMP + shift)) is SignatureError

    @pytest.mark.parametrize("shift", [-300, 0, 300])
    def test_time_nearby_is_accepted(self, shift):
        """Scenario 21: five minutes either way are the tolerance."""
        assert refused(BODY, signed(BODY, stamp=STAMP + shift)) is None

    def test_time_is_the_given_one(self):
        """The host's wall clock has no say."""
        later = NOW + timedelta(days=400)
        headers = signed(BODY, stamp=int(later.timestamp()))
        event = gateway().parse_event(BODY, headers, now=later)
        assert event.id == "evt_1"

    @pytest.mark.parametrize("order", [1, -1])
    def test_one_of_two_signatures_is_enough(self, order):
        """Scenario 21: two v1, in either order, one of them of a dropped secret."""
        both = [digest_of(BODY, "whsec_dropped"), digest_of(BODY)][::order]
        header = f"t={STAMP},v1={both[0]},v1={both[1]},v0=old"
        assert refused(BODY, {"Stripe-Signature": header}) is None

    def test_two_wrong_signatures_are_refused(self):
        """Scenario 21: many tries in one header do not help."""
        guesses = ",".join(f"v1={number:064x}" for number in range(50))
        header = f"t={STAMP},{guesses}"
        assert refused(BODY, {"Stripe-Signature": header}) is SignatureError

    def test_v0_signature_does_not_count(self):
        """A right digest under another scheme's name is none."""
        header = f"t={STAMP},v0={digest_of(BODY)}"
        assert refused(BODY, {"Stripe-Signature": header}) is SignatureError

    def test_rotated_secret_works_until_it_is_dropped(self):
        """Scenario 21: while two are active both are good, then the new one only."""
        for secret in (OLD, NEW):
            assert parse(BODY, signed(BODY, secret), OLD, NEW).id == "evt_1"
        assert parse(BODY, signed(BODY, NEW), NEW).id == "evt_1"
        with pytest.raises(SignatureError):
            parse(BODY, signed(BODY, OLD), NEW)

    @pytest.mark.parametrize("secrets", [("",), (" ",), ("", "  ")])
    def test_empty_secret_verifies_nothing(self, secrets):
        """Scenario 21: a set-up without a secret is an error of the set-up."""
        for secret in secrets:
            with pytest.raises(ConfigurationError) as caught:
                parse(BODY, signed(BODY, secret), *secrets)
            assert caught.value.field == "STRIPE_WEBHOOK_SECRET"

    def test_empty_secret_beside_a_good_one_is_skipped(self):
        """Scenario 21: a trailing comma in the setting opens no door."""
        with pytest.raises(SignatureError):
            parse(BODY, signed(BODY, ""), NEW, "")
        assert parse(BODY, signed(BODY), NEW, "").id == "evt_1"

    @pytest.mark.parametrize(
        "header",
        [
            "",
            ",",
            "=",
            "t",
            "t=",
            "v1=",
            f"t={STAMP}",
            f"t={STAMP},v1=",
            f"v1={digest_of(BODY)}",
            f"t=,v1={digest_of(BODY)}",
            f"t=now,v1={digest_of(BODY)}",
            f"t=-{STAMP},v1={digest_of(BODY)}",
            f"t={STAMP}.0,v1={digest_of(BODY)}",
            f"t=0{STAMP},v1={digest_of(BODY)}",
            f"t={'9' * 5000},v1={digest_of(BODY)}",
            f"t={STAMP},t={STAMP},v1={digest_of(BODY)}",
            f"t={STAMP},v1={digest_of(BODY)}é",
            f"t={STAMP},v1={'é' * 64}",
            f"t={STAMP},v1=\udcff\udcfe",
            f"t=\u0661\u0667,v1={digest_of(BODY)}",
            f"t={STAMP},v1={digest_of(BODY).upper()}",
            f"t={STAMP},v1={'0' * 1_000_000}",
            f"t={STAMP},v1=\x00",
        ],
    )
    def test_malformed_header_is_refused(self, header):
        """Scenario 21: non-ASCII signatures, non-UTF-8 bytes, odd stamps, nonsense."""
        assert refused(BODY, {"Stripe-Signature": header}) is SignatureError

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Stripe-Signatur": "t=1,v1=a"},
            {"X-Stripe-Signature": signed(BODY)["Stripe-Signature"]},
            {"Stripe-Signature": None},
            {"Stripe-Signature": b"t=1,v1=a\xff"},
            {"Stripe-Signature": ["t=1"]},
            {b"Stripe-Signature": "t=1"},
            {None: None, 1: 2},
        ],
    )
    def test_missing_header_is_refused(self, headers):
        """Scenario 21: no signature, or one that is not text."""
        assert refused(BODY, headers) is SignatureError

    @pytest.mark.parametrize("name", ["stripe-signature", "STRIPE-SIGNATURE"])
    def test_header_name_is_read_in_any_case(self, name):
        """Servers and proxies spell names as they like."""
        assert refused(BODY, {name: signed(BODY)["Stripe-Signature"]}) is None

    @pytest.mark.parametrize("body", ["text", None, 5, EVENT, [BODY]])
    def test_body_that_is_not_bytes_is_refused(self, body):
        """A host that hands over parsed JSON is told so; nothing could be verified."""
        assert refused(body, signed(BODY)) is PayloadError


class TestBody:
    """Rightly signed bodies that are no events."""

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b" ",
            b"null",
            b"true",
            b"5",
            b'"text"',
            b"[]",
            b"[{}]",
            b"{}",
            b"{",
            b'{"id": "evt_1"}}',
            BODY[:-1],
            BODY + BODY,
            b"\xff\xfe\x00",
            b"\xef\xbb\xbf" + BODY,
            BODY.decode().encode("utf-16"),
            BODY.replace(b"ada@", b"ad\xe9@"),
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b'{"data":' + b"[" * 900 + b"]" * 900 + b"}",
            BODY.replace(b"4900", b"NaN"),
            BODY.replace(b"4900", b"Infinity"),
            BODY.replace(b"4900", b"-Infinity"),
            BODY.replace(b"4900", b"9" * 5000),
            b'{"id": "evt_2", ' + BODY[1:],
            BODY.replace(b'"currency"', b'"amount_total": 1, "currency"'),
            json.dumps([EVENT]).encode(),
        ],
    )
    def test_body_is_refused(self, body):
        """Scenario 21: lists, other encodings, deep nesting, NaN, repeated keys."""
        assert refused(body) is PayloadError

    def test_five_megabytes_are_read_or_refused(self):
        """Scenario 21: size alone breaks nothing (the HTTP surface has its limit)."""
        padded = EVENT | {"padding": "x" * 5_000_000}
        assert refused(json.dumps(padded).encode()) is None
        assert refused(b"x" * 5_000_000) is PayloadError
        assert refused(b"x" * 5_000_000, signed(BODY)) is SignatureError

    @pytest.mark.parametrize("value", WRONG, ids=range(len(WRONG)))
    @pytest.mark.parametrize("field", SESSION)
    def test_session_field_of_a_wrong_type(self, field, value):
        """Scenario 21: each field of the session, each type: an event or a refusal."""
        of_an_old_api_version = SESSION | {"status": None}
        for session in (SESSION, of_an_old_api_version):
            spoilt = EVENT | {"data": {"object": session | {field: value}}}
            assert refused(json.dumps(spoilt).encode()) in {None, PayloadError}

    @pytest.mark.parametrize("value", WRONG, ids=range(len(WRONG)))
    @pytest.mark.parametrize("field", EVENT)
    def test_event_field_of_a_wrong_type(self, field, value):
        """Scenario 21: each field of the envelope, each type."""
        spoilt = EVENT | {field: value}
        assert refused(json.dumps(spoilt).encode()) in {None, PayloadError}

    @pytest.mark.parametrize("value", WRONG, ids=range(len(WRONG)))
    @pytest.mark.parametrize("field", THIN)
    def test_thin_event_field_of_a_wrong_type(self, field, value):
        """Scenario 21: the same for thin events, which have another shape."""
        spoilt = THIN | {field: value}
        assert refused(json.dumps(spoilt).encode()) in {None, PayloadError}

    @pytest.mark.parametrize("field", ["id", "type", "created", "data"])
    def test_event_without_a_field_it_needs(self, field):
        """Missing is refused with the field's name."""
        cut = {name: value for name, value in EVENT.items() if name != field}
        with pytest.raises(PayloadError) as caught:
            parse(json.dumps(cut).encode())
        assert field in caught.value.field

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("amount_total", True),
            ("amount_total", "4900"),
            ("amount_total", 49.0),
            ("amount_total", 10**16),
            ("amount_total", None),
            ("currency", "us"),
            ("currency", "ÜSD"),
            ("currency", None),
            ("amount_total", 1e308),
            ("payment_status", None),
            ("payment_status", ["paid"]),
            ("status", {"complete": True}),
            ("total_details", {"amount_tax": "none"}),
        ],
    )
    def test_session_that_could_be_misread_is_a_hint(self, field, value):
        """Nothing is guessed where money hangs on it: the provider is asked."""
        spoilt = EVENT | {"data": {"object": SESSION | {field: value}}}
        event = parse(json.dumps(spoilt).encode())
        assert (event.fact, event.session_id) == (Fact.PAID, "cs_test_1")
        assert (event.session, event.is_ours) == (None, True)
        assert event.unreadable
        assert event.enrollment_id == "enr_1"

    @pytest.mark.parametrize(
        ("field", "word"), [("payment_status", "free"), ("status", "done")]
    )
    def test_unknown_word_pays_nothing(self, field, word):
        """Its text is kept, and it is no payment fact."""
        told = EVENT | {"data": {"object": SESSION | {field: word}}}
        event = parse(json.dumps(told).encode())
        assert (event.fact, event.session.paid) == (Fact.PROCESSING, False)
        assert event.session.unknown == word

    @pytest.mark.parametrize("name", [None, "x" * 256])
    def test_session_without_a_name_is_nothing_to_us(self, name):
        """No row of ours could be meant."""
        told = EVENT | {"data": {"object": SESSION | {"id": name}}}
        assert parse(json.dumps(told).encode()).fact is None

    def test_wrong_hint_is_dropped(self):
        """An id in the metadata that is no text is no hint, and breaks nothing."""
        metadata = {"frappe_enroll_enrollment": {"$gt": ""}, "frappe_enroll_app": []}
        spoilt = EVENT | {"data": {"object": SESSION | {"metadata": metadata}}}
        event = parse(json.dumps(spoilt).encode())
        assert event.enrollment_id is None
        assert event.session.ours is False

    @pytest.mark.parametrize(
        "created",
        ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "", "now", "24:00"],
    )
    def test_thin_event_of_an_impossible_time(self, created):
        """A moment that no clock of ours can tell."""
        body = json.dumps(THIN | {"created": created}).encode()
        assert refused(body) is PayloadError

    def test_thin_event_is_deduped_by_its_snapshot(self):
        """Thin and snapshot of one fact share one id."""
        event = parse(json.dumps(THIN).encode())
        assert (event.id, event.fact, event.object_id) == ("evt_1", None, "mtr_1")

    def test_refusal_tells_nothing_of_the_body(self):
        """What was posted does not come back in the answer."""
        body = BODY.replace(b'"evt_1"', b'{"ada@secret": 1}')
        with pytest.raises(RejectedError) as caught:
            parse(body)
        assert "ada@secret" not in f"{caught.value} {caught.value.public_message}"


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=40)
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)
_TYPES = st.sampled_from(
    [
        "checkout.session.completed",
        "checkout.session.expired",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "charge.refunded",
        "refund.failed",
        "plan.created",
    ]
)


def some_of(record):
    """Return a strategy of records some of whose fields are something else."""
    return st.fixed_dictionaries(
        {},
        optional={name: st.just(value) | _VALUES for name, value in record.items()},
    )


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused(body):
    """No bytes, signed or not, raise anything but the two refusals."""
    assert refused(body) is PayloadError
    assert refused(body, {"Stripe-Signature": "t=1,v1=1"}) is SignatureError


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_header_is_refused(header):
    """No header raises anything but a SignatureError."""
    assert refused(BODY, {"Stripe-Signature": header}) is SignatureError


@settings(deadline=None)
@given(_VALUES)
def test_any_signed_json_is_an_event_or_refused(value):
    """No JSON raises anything but a PayloadError."""
    assert refused(json.dumps(value).encode()) in {None, PayloadError}


@settings(deadline=None)
@given(some_of(EVENT), some_of(SESSION), _TYPES)
def test_any_signed_session_event_is_read_or_refused(event, session, kind):
    """Any field may be missing or anything: an event of the right id, or a refusal."""
    mixed = EVENT | event | {"type": kind, "data": {"object": session}}
    assert refused(json.dumps(mixed).encode()) in {None, PayloadError}


@settings(deadline=None)
@given(some_of(THIN))
def test_any_signed_thin_event_is_read_or_refused(event):
    """The same for thin events."""
    mixed = event | {"object": "v2.core.event"}
    assert refused(json.dumps(mixed).encode()) in {None, PayloadError}
