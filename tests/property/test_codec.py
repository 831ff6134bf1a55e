# SPDX-License-Identifier: MIT
"""Every record is itself again after a trip through JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from frappe_enroll_sdk.codec import cursor_of, dump, load, moment_of, parts_of, text_of
from frappe_enroll_sdk.errors import ValidationError
from frappe_enroll_sdk.models import (
    CheckoutSession,
    Coupon,
    Enrollment,
    HistoryEntry,
    Job,
    JobState,
    Kind,
    LMSStatus,
    Override,
    PaymentStatus,
    SessionStatus,
    Status,
    TryError,
)
from frappe_enroll_sdk.money import Money


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Milliseconds from the epoch to the year 9999.
moments = st.integers(0, 253_000_000_000_000).map(
    lambda ms: EPOCH + timedelta(milliseconds=ms)
)
texts = st.text(max_size=20)
monies = st.builds(
    Money, st.integers(-(10**12), 10**12), st.sampled_from(["usd", "jpy", "kwd"])
)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
json_values = st.recursive(
    leaves, lambda x: st.lists(x) | st.dictionaries(texts, x), max_leaves=6
)
documents = st.dictionaries(texts, json_values, max_size=3)
errors = st.builds(
    TryError, at=moments, try_number=st.integers(), code=texts, cause=texts
)
entries = st.builds(
    HistoryEntry,
    at=moments,
    version=st.integers(1, 99),
    status=st.sampled_from(Status),
    fact=texts,
    op_id=texts,
    detail=documents,
)
enrollments = st.builds(
    Enrollment,
    id=texts,
    email=texts,
    learner=texts,
    course_id=texts,
    full_name=st.none() | texts,
    kind=st.sampled_from(Kind),
    status=st.sampled_from(Status),
    price=monies,
    discount=monies,
    amount=monies,
    coupon_code=st.none() | texts,
    session_request=st.none() | documents,
    session_expires_at=st.none() | moments,
    lms_status=st.sampled_from(LMSStatus),
    lms_progress=st.none() | st.floats(0, 100),
    override=st.none() | st.sampled_from(Override),
    due_at=st.none() | moments,
    created_at=moments,
    updated_at=moments,
    history=st.lists(entries, max_size=3).map(tuple),
)
jobs = st.builds(
    Job,
    key=texts,
    kind=texts,
    payload=st.none() | documents,
    data=documents,
    state=st.sampled_from(JobState),
    due_at=moments,
    token=st.none() | texts,
    errors=st.lists(errors, max_size=3).map(tuple),
    created_at=moments,
    updated_at=moments,
)
coupons = st.builds(
    Coupon,
    code=texts,
    percent_off=st.decimals("0.01", "100", places=4),
    email=st.none() | texts,
    starts_at=st.none() | moments,
    created_at=moments,
)
sessions = st.builds(
    CheckoutSession,
    id=texts,
    status=st.sampled_from(SessionStatus),
    payment_status=st.sampled_from(PaymentStatus),
    amount=st.none() | monies,
    livemode=st.booleans(),
    expires_at=st.none() | moments,
)


@given(enrollments | jobs | coupons | sessions)
def test_record_round_trips_through_json(record):
    """Whatever a store keeps as JSON is read back equal."""
    data = json.loads(json.dumps(dump(record)))
    assert load(type(record), data) == record


@given(moments, moments)
def test_moment_round_trips_and_sorts_as_text(one, other):
    """Milliseconds are kept, and the text's order is the time's."""
    assert moment_of(text_of(one)) == one
    assert (text_of(one) < text_of(other)) is (one < other)


@given(st.decimals(allow_nan=False))
def test_decimal_keeps_its_digits(number):
    """3.30 does not become 3.3."""
    assert str(load(Decimal, dump(number))) == str(number)


@given(json_values)
def test_foreign_json_is_a_record_or_a_refusal(value):
    """Nothing but ValidationError comes out of a reading."""
    for kind in (Enrollment, CheckoutSession, Coupon, Job):
        try:
            load(kind, value)
        except ValidationError as error:
            assert error.field == kind.__name__


@given(st.integers(0, 253_402_300_799_999), st.text())
def test_cursor_round_trips(number, text):
    """Any sort key survives, and nothing else is taken for one."""
    assert parts_of(cursor_of(number, text), (int, str)) == [number, text]


@given(st.text())
def test_foreign_cursor_is_refused(text):
    """Whatever a caller types."""
    try:
        parts = parts_of(text, (int, str))
    except ValidationError as error:
        assert error.field == "cursor"
    else:
        assert [type(part) for part in parts] == [int, str]
