# SPDX-License-Identifier: MIT
"""Records as plain JSON data: the exact form, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from unit.rows import NOW, PRICE, make_row

from frappe_enroll_sdk.codec import (
    cursor_of,
    dump,
    load,
    moment_of,
    parts_of,
    require_text,
    text_of,
)
from frappe_enroll_sdk.errors import ValidationError
from frappe_enroll_sdk.models import Coupon, Enrollment, Status


def test_dump_has_the_documented_forms():
    """Moments ISO with milliseconds in UTC, decimals text, enums their value."""
    east = datetime(2026, 1, 1, 14, 0, 0, 1999, timezone(timedelta(hours=2)))
    coupon = Coupon(code="ABC", percent_off=Decimal("33.30"), created_at=east)
    told = dump(coupon)
    assert told["percent_off"] == "33.30"
    assert told["created_at"] == "2026-01-01T12:00:00.001+00:00"
    row = json.loads(json.dumps(dump(make_row(Status.ENROLLED))))
    assert row["status"] == "enrolled"
    assert row["amount"] == {"amount_minor": 4900, "currency": "usd", "exponent": 2}


def test_moment_of_any_zone_is_utc():
    """The text's zone is followed, the answer is UTC."""
    moment = moment_of("2026-01-01T14:00:00.000+02:00")
    assert (moment, moment.tzinfo) == (NOW, UTC)
    assert moment_of(text_of(NOW)) == NOW


def test_load_takes_records_that_lack_new_fields():
    """A row of an older version has the defaults."""
    told = dump(make_row())
    for name in ("refunded_minor", "override", "tries"):
        del told[name]
    assert load(Enrollment, told) == make_row()


@pytest.mark.parametrize(
    "spoiled",
    [
        None,
        [],
        "text",
        {"status": "bought"},
        {"created_at": "yesterday"},
        {"amount": {"amount_minor": "4900", "currency": "USD"}},
        {"amount": None},
    ],
)
def test_load_refuses_what_is_not_of_the_kind(spoiled):
    """One error, that names the kind and shows no value."""
    data = dump(make_row()) | spoiled if isinstance(spoiled, dict) else spoiled
    with pytest.raises(ValidationError) as caught:
        load(Enrollment, data)
    assert caught.value.field == "Enrollment"
    assert "ada@" not in str(caught.value)


@pytest.mark.parametrize("value", [{"$gt": ""}, 1, True, b"x", ["a"]])
def test_require_text_refuses_operators(value):
    """Scenario 24: nothing but text gets near a query."""
    with pytest.raises(ValidationError) as caught:
        require_text(code="fine", email=value)
    assert caught.value.field == "email"


def test_require_text_takes_text_and_nothing():
    """None stands for "not given"."""
    assert require_text(code="", email=None) is None


def test_cursor_continues_where_it_was_made():
    """The same parts come back; None stays None."""
    assert parts_of(cursor_of(17, "enr_1"), (int, str)) == [17, "enr_1"]
    assert parts_of(None, (int, str)) is None


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!!!",
        "é",
        5,
        cursor_of("enr_1"),
        cursor_of("17", "enr_1"),
        cursor_of(17, "enr_1", "more"),
        "bnVsbA==",
        "eyJhIjoxfQ==",
        "/////w==",
    ],
)
def test_cursor_of_strangers_is_refused(cursor):
    """Whatever was not made for this list is a refusal, not a crash."""
    with pytest.raises(ValidationError) as caught:
        parts_of(cursor, (int, str))
    assert caught.value.field == "cursor"


def test_cursor_does_not_take_booleans_for_numbers():
    """True is no 1 here."""
    with pytest.raises(ValidationError):
        parts_of(cursor_of(True), (int,))


def test_price_round_trips_through_json():
    """A record's money is itself again."""
    assert load(type(PRICE), dump(PRICE)) == PRICE
