# SPDX-License-Identifier: MIT
"""What callers may pass in, and which coupons fit whom."""

from __future__ import annotations

from decimal import Decimal

import pytest
from unit.rows import NOW, later

from frappe_enroll_sdk.errors import CouponUnavailableError, ValidationError
from frappe_enroll_sdk.models import Coupon
from frappe_enroll_sdk.services import validate
from frappe_enroll_sdk.services.coupons.pricing import require_fit


NO_TEXT = [None, 5, True, b"text", ["text"], {"$gt": ""}]


def refused(function, value, *field):
    """Check that a value is refused with the field's name."""
    with pytest.raises(ValidationError) as caught:
        function(value, *field)
    assert caught.value.field == (field[0] if field else "email")
    if isinstance(value, str) and len(value) > 2:
        assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("ada@example.com", "ada@example.com"),
        ("  ADA@Example.COM\n", "ada@example.com"),
        ("ada+course@example.com", "ada+course@example.com"),
        ("o'hara_x.y-z@a-b.example.co", "o'hara_x.y-z@a-b.example.co"),
        ("a" * 64 + "@example.com", "a" * 64 + "@example.com"),
    ],
)
def test_email_is_trimmed_and_lower_cased(typed, address):
    """One learner, one spelling; a plus sign is part of it."""
    assert validate.email(typed) == address


@pytest.mark.parametrize(
    "typed",
    [
        *NO_TEXT,
        "",
        " ",
        "ada",
        "@example.com",
        "ada@",
        "ada@example",
        "ada@@example.com",
        "a b@example.com",
        "ada@exa mple.com",
        "ada@.example.com",
        "ada@example..com",
        "a..b@example.com",
        "ada@-example.com",
        "ada@example-.com",
        "ada@example.com,bob@example.com",
        "ada@example.com\nbcc: bob@example.com",
        "аda@example.com",
        "ada@exаmple.com",
        "\N{KELVIN SIGN}ate@example.com",
        "ada@example.com\x00",
        "a" * 65 + "@example.com",
        "ada@" + "a" * 64 + ".com",
        "ada@" + "a." * 70 + "com",
    ],
)
def test_email_that_is_none_is_refused(typed):
    """Scenario 24: look-alikes, operators and header lines among them."""
    refused(validate.email, typed)


@pytest.mark.parametrize(
    ("typed", "code"),
    [(" grant-7k2q ", "GRANT-7K2Q"), ("a.b_c-1", "A.B_C-1"), ("abc", "ABC")],
)
def test_code_is_trimmed_and_upper_cased(typed, code):
    """As people type it."""
    assert validate.code(typed) == code
    assert validate.code("A" * 64) == "A" * 64


@pytest.mark.parametrize(
    "typed",
    [
        *NO_TEXT,
        "",
        "ab",
        "-abc",
        "a b c",
        "A" * 65,
        "GRANTÉ",
        "\N{LATIN SMALL LETTER LONG S}abc",
        "a/b/c",
    ],
)
def test_code_that_is_none_is_refused(typed):
    """Scenario 24: nothing but letters, digits, dots, dashes, underlines."""
    refused(validate.code, typed, "coupon_code")


@pytest.mark.parametrize(
    "value", [*NO_TEXT, "", "  ", "a\nb", "a\x00", "a\x7fb", "x" * 141]
)
def test_text_that_is_none_is_refused(value):
    """Control characters and endless text are no names."""
    refused(validate.text, value, "course_id")


def test_text_is_trimmed_and_bounded():
    """The bound itself is fine."""
    assert validate.text("  Python 101 ", "course_id") == "Python 101"
    assert validate.text("x" * 140, "course_id") == "x" * 140
    assert validate.text("x" * 255, "key", most=255) == "x" * 255
    assert validate.optional_text(None, "full_name") is None
    assert validate.optional_text("  ", "full_name") is None
    assert validate.optional_text(" Ada ", "full_name") == "Ada"


@pytest.mark.parametrize(
    "value",
    [
        5,
        "/thanks",
        "//shop.example.com",
        "ftp://shop.example.com",
        "javascript:alert(1)",
        "https://",
        "http://[",
        "https://shop.example.com/" + "x" * 2000,
    ],
)
def test_url_that_is_not_absolute_is_refused(value):
    """Only http(s) with a host."""
    refused(validate.url, value, "success_url")


def test_url_that_is_absolute_is_taken():
    """With its query, as it is; blank is none."""
    url = "https://shop.example.com/thanks?id={CHECKOUT_SESSION_ID}"
    assert validate.url(f" {url} ", "success_url") == url
    assert validate.url("http://localhost:5000", "u") == "http://localhost:5000"
    assert validate.url(None, "success_url") is None
    assert validate.url("", "success_url") is None


def test_key_is_bounded():
    """255 characters, as the provider's own."""
    assert validate.key("k" * 255) == "k" * 255
    assert validate.key(None) is None
    refused(validate.key, "k" * 256, "idempotency_key")


def coupon(**terms):
    """Return a coupon for one course."""
    return Coupon(code="ABC", percent_off=Decimal(50), created_at=NOW, **terms)


@pytest.mark.parametrize(
    ("terms", "fits"),
    [
        ({}, True),
        ({"course_id": "python-101"}, True),
        ({"course_id": "python-102"}, False),
        ({"email": "ada@example.com"}, True),
        ({"email": "bob@example.com"}, False),
        ({"starts_at": NOW}, True),
        ({"starts_at": later(0.001)}, False),
        ({"expires_at": later(0.001)}, True),
        ({"disabled": True}, False),
        ({"course_id": "python-101", "email": "bob@example.com"}, False),
    ],
    ids=str,
)
def test_coupon_fits_by_all_its_terms(terms, fits):
    """Scenario 24: course, learner, begin, not disabled; one answer for every no."""
    asked = ("python-101", "ada@example.com", NOW)
    if fits:
        assert require_fit(coupon(**terms), *asked) == coupon(**terms)
        return
    with pytest.raises(CouponUnavailableError) as caught:
        require_fit(coupon(**terms), *asked)
    with pytest.raises(CouponUnavailableError) as unknown:
        require_fit(None, *asked)
    assert (str(caught.value), caught.value.field) == (
        str(unknown.value),
        unknown.value.field,
    )


@pytest.mark.parametrize("foreign", [False, True])
def test_coupon_that_has_expired_is_told_to_whom_it_fits(foreign):
    """Whoever it does not fit hears what they hear of an unknown code."""
    terms = {"email": "bob@example.com"} if foreign else {}
    with pytest.raises(CouponUnavailableError) as caught:
        require_fit(
            coupon(expires_at=NOW, **terms), "python-101", "ada@example.com", NOW
        )
    wanted = "coupon_unavailable" if foreign else "coupon_expired"
    assert caught.value.code == wanted
