# SPDX-License-Identifier: MIT
"""`frappe-enroll check` finds what is set up wrong, and says what mends it."""

from __future__ import annotations

import contextlib
import sqlite3

import attrs
import pytest
from support.shop import Shop
from werkzeug.wrappers import Response

from frappe_enroll_sandbox.server import LoopbackServer
from frappe_enroll_sdk.services.doctor import examine
from frappe_enroll_sdk.settings_loader import Secret
from frappe_enroll_sql.storage import SQLStorage
from frappe_enroll_stripe.records import NEEDED_EVENTS


@pytest.fixture
def shop(db_folder):
    """Return a shop in which all is well."""
    storage = SQLStorage(f"sqlite:///{db_folder}/store.sqlite3")
    with Shop(lambda: storage, cron_secret=Secret("cron-hidden-secret")) as shop:
        yield shop


def found(shop, url=None):
    """Return what the examination finds, by name."""
    return {check.name: check for check in examine(shop.sdk, url)}


def test_all_is_well(shop):
    """Everything was looked at, the public URL too, and nothing is bad."""
    checks = found(shop, shop.url)
    assert [check for check in checks.values() if check.is_bad] == []
    assert {check.state for check in checks.values()} == {"ok"}
    assert {
        "storage",
        "payments",
        "lms",
        "lms sight",
        "schema",
        "workers",
        "webhook secret",
        "clock",
        "stripe endpoint",
        "stripe version",
        "url /webhooks/stripe",
        "url /cron/run",
    } == set(checks)


@pytest.mark.parametrize("lacking", sorted(NEEDED_EVENTS))
def test_missing_event_is_named(shop, lacking):
    """An endpoint that is not told of something would miss it for good."""
    shop.stripe.webhooks.enabled_events = sorted(NEEDED_EVENTS - {lacking})
    check = found(shop)["stripe endpoint"]
    assert (check.state, lacking in check.cause) == ("events_missing", True)
    assert check.mend


def test_other_api_version_is_told(shop):
    """Events are read as the pinned version."""
    shop.account.api_version = "2020-08-27"
    assert found(shop)["stripe version"].state == "differs"


def test_key_that_may_not_read_endpoints_is_no_fault(shop):
    """A restricted key is fine: it says what it could not look at."""
    shop.stripe.fail_next("GET .*/webhook_endpoints", "status", status=403)
    check = found(shop)["stripe endpoint"]
    assert (check.state, check.is_bad) == ("unknown", False)


def test_clock_that_is_off_is_told(shop):
    """Stripe's Date header against our time."""
    shop.clock.advance(400)
    assert found(shop)["clock"].state == "skewed"


def test_schema_that_differs_is_told(shop, db_folder):
    """A dropped index is found."""
    with contextlib.closing(sqlite3.connect(db_folder / "store.sqlite3")) as file:
        file.execute("DROP INDEX one_live_row")
    check = found(shop)["schema"]
    assert (check.state, check.mend) == ("drift", "run `frappe-enroll setup`")


@pytest.mark.parametrize("status", [302, 403, 404, 405, 200])
def test_what_stands_in_front_is_found(shop, status):
    """A login redirect, a CSRF check, another site: our refusal never came."""
    front = LoopbackServer(
        lambda _: Response("", status, {"Location": "https://example.com/login"})
    )
    with front:
        checks = found(shop, front.url)
    for name in ("url /webhooks/stripe", "url /cron/run"):
        assert checks[name].state == f"http_{status}"
        assert checks[name].mend


def test_nobody_at_the_url_is_told(shop):
    """Refused connections are a finding, not a crash."""
    checks = found(shop, "http://127.0.0.1:9")
    assert checks["url /cron/run"].state == "unreachable"
    assert attrs.asdict(checks["url /cron/run"])["mend"]
