# SPDX-License-Identifier: MIT
"""Moments and numbers at the edge of what types hold, through every door."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from support.browser import Browser
from support.cli import lender
from support.site import ADMIN, Site, check_problem
from support.world import COURSE

from frappe_enroll_sdk import Settings
from frappe_enroll_sdk.errors import SettingsError, ValidationError
from frappe_enroll_sdk.money import from_major
from frappe_enroll_sdk.services import validate


WEST, EAST = timezone(timedelta(hours=-5)), timezone(timedelta(hours=14))
#: Moments that no clock in UTC tells, as text and as Python has them.
MOMENTS = {
    "9999-12-31T23:59:59-05:00": datetime(9999, 12, 31, 23, 59, 59, tzinfo=WEST),
    "9999-12-31T23:59:59.999999-00:01": datetime.max.replace(
        tzinfo=timezone(timedelta(minutes=-1))
    ),
    "0001-01-01T00:00:00+14:00": datetime(1, 1, 1, tzinfo=EAST),
}
#: Texts that are no moment of a zone at all.
NO_MOMENTS = ["9999-12-31T23:59:59", "10000-01-01T00:00:00Z", "2026-02-30", "now", ""]
PERCENTS = ["1e-999999999", "1e999999999", "NaN", "sNaN", "Infinity", "-0.1", "100.1"]
PERCENTS += ["1e-21", "1" * 5000, "0." + "0" * 50 + "1", "", "ten", "1e400", "-1e-999"]


def short(value):
    """Return a name of a value: the largest can't be printed."""
    return value[:20] if isinstance(value, str) else type(value).__name__


@pytest.fixture(scope="module")
def site():
    """Return a site whose admin surface is on."""
    return Site(**ADMIN)


def grant_of(site, email):
    """Return the id of a new application."""
    return site.sdk.grants.apply(course_id=COURSE, email=email).id


@pytest.mark.parametrize("moment", [*MOMENTS, *NO_MOMENTS[:-1]])
@pytest.mark.parametrize("name", ["starts_at", "expires_at"])
def test_admin_api_refuses_a_moment(site, moment, name):
    """Coupons, one and many, and grants: 400 that names the field."""
    terms = {"percent_off": 50, "course_id": COURSE, name: moment}
    check_problem(site.order("/coupons", **terms), 400, "validation", field=name)
    bulk = site.order("/coupons/bulk", count=2, **terms)
    check_problem(bulk, 400, "validation", field=name)
    if name == "expires_at":
        grant = grant_of(site, "ada@example.com")
        done = site.order(f"/grants/{grant}/approve", percent_off=5, expires_at=moment)
        check_problem(done, 400, "validation", field=name)


@pytest.mark.parametrize("moment", [*MOMENTS, *NO_MOMENTS])
def test_admin_api_refuses_a_moment_to_pull_from(site, moment):
    """Since then is since never."""
    answer = site.order("/events/pull", since=moment)
    check_problem(answer, 400, "validation", field="since")


@pytest.mark.parametrize("moment", MOMENTS)
def test_file_names_the_bad_row(site, moment):
    """An import tells the line; the others are written."""
    text = f"percent_off,course_id,expires_at\n50,{COURSE},{moment}\n50,{COURSE},\n"
    told = site.order("/coupons/import", csv=text).json
    assert (told["created"], told["bad"]) == (1, 1)
    assert told["problems"][0]["field"] == "expires_at"
    percents = "percent_off,course_id\n" + "".join(f"{p},{COURSE}\n" for p in PERCENTS)
    report = site.sdk.coupons.import_csv(io.StringIO(percents))
    assert (report.created, report.bad) == (0, len(PERCENTS))


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-05:00", "0000-01-01", "x"])
def test_dashboard_refuses_a_moment(site, moment):
    """On a page, not with a traceback."""
    browser = Browser(site)
    terms = {"percent_off": "50", "course_id": COURSE, "reason": "because"}
    for path, more in (("/coupons", {}), ("/coupons/bulk", {"count": "2"})):
        answer = browser.post(path, **terms, **more, expires_at=moment)
        assert answer.status_code == 400
        assert 'data-code="validation"' in answer.text


@pytest.mark.parametrize("percent", PERCENTS, ids=short)
def test_dashboard_refuses_a_percentage(site, percent):
    """Of coupons, grants and affiliates."""
    browser, grant = Browser(site), grant_of(site, "eve@example.com")
    for path, more in (
        ("/coupons", {"percent_off": percent, "course_id": COURSE}),
        (f"/grants/{grant}", {"verb": "approve", "percent_off": percent}),
        ("/affiliates", {"email": "af@example.com", "percent": percent or "x"}),
    ):
        answer = browser.post(path, **more, reason="because")
        assert answer.status_code == 400, path


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_sdk_refuses_a_moment(site, moment):
    """By a ValidationError that names it."""
    sdk, grant = site.sdk, grant_of(site, "bob@example.com")
    who = {"actor": "ada", "reason": "because"}
    for name, order in (
        ("starts_at", lambda: sdk.coupons.create(50, COURSE, starts_at=moment)),
        ("expires_at", lambda: sdk.coupons.create(50, COURSE, expires_at=moment)),
        ("expires_at", lambda: sdk.grants.approve(grant, 50, **who, expires_at=moment)),
        ("since", lambda: sdk.admin.pull_events(moment, **who)),
        ("since", lambda: sdk.admin.reconcile(since=moment)),
    ):
        with pytest.raises(ValidationError) as caught:
            order()
        assert caught.value.field == name


@pytest.mark.parametrize("value", [None, "2026-01-01", 5, datetime(2026, 1, 1)])  # noqa: DTZ001  the fault
def test_moment_is_one_with_a_zone(value):
    """Nothing else is."""
    with pytest.raises(ValidationError, match="time zone"):
        validate.moment(value, "since")


def test_last_moment_in_utc_is_taken(site):
    """That is how people write never."""
    never = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    made = site.sdk.coupons.create(50, COURSE, expires_at=never)
    assert made.expires_at == never
    answer = site.order(
        "/coupons", percent_off=50, course_id=COURSE, expires_at="9999-12-31T23:59:59Z"
    )
    assert answer.status_code == 201


NUMBERS = [*PERCENTS, Decimal("1e-999999999"), Decimal("NaN"), float("nan")]
NUMBERS += [float("inf"), 10**5000, -1, 101, 1e-300, True, None, [], object()]


@pytest.mark.parametrize("value", NUMBERS, ids=short)
def test_sdk_refuses_a_percentage(site, value):
    """Of a coupon, a grant, an affiliate, and in the settings."""
    sdk, grant = site.sdk, grant_of(site, "cy@example.com")
    who = {"actor": "ada", "reason": "because"}
    for name, order in (
        ("percent_off", lambda: sdk.coupons.create(value, COURSE)),
        ("percent_off", lambda: sdk.grants.approve(grant, value, **who)),
        ("percent", lambda: sdk.affiliates.register("x@example.com", percent=value)),
    ):
        if (name, value) == ("percent", None):
            continue  # the setting's
        with pytest.raises(ValidationError) as caught:
            order()
        assert caught.value.field == name
    if value not in ("", None):
        with pytest.raises(SettingsError, match="COMMISSION_PERCENT"):
            Settings(commission_percent=value)


@pytest.mark.parametrize(
    ("value", "kept"),
    [("33.333", "33.333"), (100 / 3, str(100 / 3)), ("1e2", "100"), (1, "1")],
)
def test_percentage_is_kept_as_it_was_said(site, value, kept):
    """Plain, without an exponent."""
    assert str(site.sdk.coupons.create(value, COURSE).percent_off) == kept


@pytest.mark.parametrize(
    "amount",
    ["1e999999999", "1e16", "1e-999999999", "NaN", "9" * 5000, 10**5000],
    ids=short,
)
def test_price_that_no_currency_has_is_refused(amount):
    """From an LMS or a host, with the field's name."""
    with pytest.raises(ValidationError) as caught:
        from_major(amount, "usd")
    assert caught.value.field == "amount"


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 10**400, -1, "5", True], ids=short
)
def test_sdk_refuses_a_number(site, value):
    """Seconds, rates, counts: typed, and named."""
    sdk = site.sdk
    affiliate = sdk.affiliates.register("af2@example.com").code

    def apply(answers):
        sdk.grants.apply(course_id=COURSE, email="a@b.example", answers=answers)

    for name, order in (
        ("time_budget_s", lambda: sdk.run_jobs(time_budget_s=value)),
        ("poll_s", lambda: sdk.worker(poll_s=value)),
        ("shutdown_timeout_s", lambda: sdk.worker(shutdown_timeout_s=value)),
        ("limit", lambda: sdk.run_jobs(value)),
        ("per_s", lambda: sdk.admin.requeue(10, per_s=value)),
        ("limit", lambda: sdk.admin.requeue(value)),
        ("limit", lambda: sdk.admin.reconcile(limit=value)),
        ("limit", lambda: sdk.coupons.list(limit=value)),
        (
            "max_redemptions",
            lambda: sdk.coupons.create(5, COURSE, max_redemptions=value),
        ),
        (
            "amount_minor",
            lambda: sdk.affiliates.pay_out(
                affiliate, "usd", "a", "b", amount_minor=value
            ),
        ),
        (
            "answers",
            lambda: apply({"n": value}),
        ),
    ):
        if name in {"amount_minor", "answers"} and value in (-1, "5", True):
            continue  # of their kind, or refused in words of its own
        with pytest.raises(ValidationError) as caught:
            order()
        assert caught.value.field == name


@pytest.mark.parametrize(
    "value", ["nan", "inf", "1e999", "9" * 5000, 10**400], ids=short
)
def test_settings_refuse_a_number(value):
    """With the variable's name, from text and from TOML."""
    for field in ("inline_s", "health_warning"):
        with pytest.raises(SettingsError, match="FRAPPE_ENROLL"):
            Settings(**{field: value})


def test_command_line_refuses_edges(site, capsys):
    """With words and exit code, never a traceback."""
    call = lender(capsys, site.sdk)
    coupon = ["coupons", "create", "--any-course", "--percent"]
    worn = [*coupon, "50", "--expires-at", "9999-12-31T23:59:59-0500"]
    for words in (
        worn,
        [*worn[:-2], "--starts-at", "0001-01-01T00:00:00+1400"],
        *([*coupon, percent] for percent in PERCENTS),
        [*coupon, "50", "--max-redemptions", "9" * 30],
        ["jobs", "requeue", "--per-second", "nan"],
        ["jobs", "requeue", "--per-second", "1e-300"],
        ["worker", "--once", "--poll", "nan"],
        ["worker", "--once", "--shutdown-timeout", "nan"],
        ["events", "pull", "--since", "0001-01-01", "--actor", "a", "--reason", "b"],
    ):
        done = call(*words)
        assert done.code in {1, 2}, words
        assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "number", ["1e-999999999", "NaN", "Infinity", "9" * 400], ids=short
)
def test_http_refuses_a_number(site, number):
    """In a body, by an operator."""
    body = json.dumps({"reason": "because", "count": 2}).replace(
        "}", f', "percent_off": {number}}}'
    )
    headers = {"Content-Type": "application/json"}
    answer = site.admin("POST", "/coupons/bulk", data=body, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (400, "validation")


@pytest.mark.parametrize(
    ("number", "kept"),
    [
        ("100.00000000000000000001", None),
        ("99.99999999999999999999", "99.99999999999999999999"),
        ("33.333", "33.333"),
        ("5e1", "50"),
        ("1E+2", "100"),
        ("-0.0", None),
    ],
)
def test_http_keeps_a_percentage_as_it_was_said(site, number, kept):
    """A float would make 100 of what is not: a code that leaves nothing to pay."""
    body = f'{{"reason": "because", "course_id": "{COURSE}", "percent_off": {number}}}'
    headers = {"Content-Type": "application/json"}
    answer = site.admin("POST", "/coupons", data=body, headers=headers)
    assert answer.status_code == (400 if kept is None else 201)
    assert answer.json.get("percent_off") == kept


@pytest.mark.parametrize(
    "text", ["--5", "-", "٣", "²", "1e1", "5_0", "9" * 30, " 5", "+5"], ids=short
)
def test_query_refuses_a_number(site, text):
    """What Python reads as a number, or chokes on, is none."""
    answer = site.admin("GET", "/jobs", query={"limit": text})
    assert (answer.status_code, answer.json["code"]) == (400, "validation")
