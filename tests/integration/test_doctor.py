# SPDX-License-Identifier: MIT
"""`frappe-enroll check` finds what is set up wrong, and says what mends it."""

from __future__ import annotations

import contextlib
import sqlite3

import attrs
import pytest
from support.shop import Shop
from werkzeug.wrappers import Response

from frappe_enroll_sandbox import LoopbackServer
from frappe_enroll_sdk.errors import ConfigurationError
from frappe_enroll_sdk.plugins import PluginInfo
from frappe_enroll_sdk.settings.options import Secret
from frappe_enroll_sql.storage import SQLStorage
from frappe_enroll_stripe.records import NEEDED_EVENTS


@pytest.fixture
def shop(db_folder):
    """Return a shop in which all is well."""
    storage = SQLStorage(f"sqlite:///{db_folder}/store.sqlite3")
    with Shop(lambda: storage, cron_secret=Secret("cron-hidden-secret")) as shop:
        yield shop


def change(shop, **settings):
    """Start the process anew with other settings."""
    shop.sdk.settings = attrs.evolve(shop.sdk.settings, **settings)
    shop.sdk._wire()


def found(shop, url=None):
    """Return what the examination finds, by name."""
    checks = shop.sdk.examine(url)
    for check in checks:
        # Whatever is not well says why and what to do.
        assert check.state == "ok" or (check.cause and check.mend), check
    return {check.name: check for check in checks}


def test_all_is_well(shop):
    """Everything was looked at, the public URL too, and nothing is bad."""
    shop.sdk.run_jobs()
    checks = found(shop, shop.url)
    assert [check for check in checks.values() if check.is_bad] == []
    assert {check.state for check in checks.values()} == {"ok"}
    assert {
        "storage",
        "payments",
        "lms",
        "lms key",
        "schema",
        "workers",
        "webhook secret",
        "clock",
        "rate limits",
        "stripe endpoint",
        "stripe version",
        "url /webhooks/stripe",
        "url /cron/run",
        "url proxy",
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


def test_absent_workers_are_told(shop):
    """Work has been due for ten minutes, and nobody was seen: how to start one."""
    now = shop.clock.now()
    shop.storage.jobs.enqueue("job-1", "any", {}, now, now=now)
    assert not found(shop)["workers"].is_bad
    shop.clock.advance(601)
    told = found(shop)["workers"]
    assert (told.state, told.is_bad) == ("absent", True)
    assert "frappe-enroll worker" in told.mend
    shop.sdk.run_jobs()
    assert found(shop)["workers"].state == "ok"


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


def test_endpoint_that_is_disabled_or_of_the_other_mode_is_told(shop):
    """Stripe disables an endpoint that fails for days; a live one tells test keys."""
    shop.stripe.webhooks.status = "disabled"
    shop.stripe.webhooks.livemode = True
    checks = found(shop)
    assert checks["stripe endpoint"].state == "disabled"
    assert "events pull" in checks["stripe endpoint"].mend
    assert checks["stripe mode"].state == "mode_mismatch"


def test_payments_of_the_other_mode_are_told(shop):
    """The endpoint's secret fits, and its events are not of the key's mode."""
    row = shop.checkout()
    event = shop.account.pay(row.session_id) | {"livemode": True}
    shop.stripe.webhooks.drop()
    assert shop.send(event | {"id": "evt_live"})[1]["outcome"] == "quarantined"
    check = found(shop)["payments mode"]
    assert (check.state, "test mode" in check.cause) == ("mode_mismatch", True)
    shop.sdk.admin.dismiss("evt_live", "op", "mended")
    assert "payments mode" not in found(shop)


def test_no_endpoint_at_the_public_url_is_told(shop):
    """Of another host: Stripe can't reach this one."""
    change(shop, public_url="https://shop.example.com")
    assert found(shop)["stripe endpoint"].state == "missing"


def test_webhook_secret_that_is_missing_is_told(shop):
    """Then no webhook can be verified; one that is malformed is no setting at all."""
    good = shop.sdk.settings
    change(shop, stripe_webhook_secret=())
    check = found(shop)["webhook secret"]
    assert (check.state, "STRIPE_WEBHOOK_SECRET" in check.mend) == ("missing", True)
    for wrong in ("secret_of_something", "whsec_", "sk_test_key_of_stripe"):
        with pytest.raises(ConfigurationError, match="STRIPE_WEBHOOK_SECRET"):
            attrs.evolve(good, stripe_webhook_secret=(Secret(wrong),))


def test_lms_key_that_inserts_and_does_not_see_is_told(shop):
    """It would insert for ever; one that may not even read is refused by the ping."""
    row = shop.checkout()
    shop.account.pay(row.session_id)
    shop.rest()
    assert shop.row(row.id).status == "enrolled"
    assert found(shop)["lms key"].state == "ok"
    shop.lms.site.role = "LMS Student"
    blind = found(shop)
    assert blind["lms key"].is_bad
    assert "Moderator" in blind["lms key"].mend
    shop.lms.site.role = "none"
    none = found(shop)
    assert none["lms"].is_bad
    assert "FRAPPE_LMS_API_KEY" in none["lms"].mend


def test_lms_key_that_sees_and_may_not_insert_is_told(shop):
    """Asked by what no LMS would take: nothing is written, and nothing left behind."""
    assert found(shop)["lms key"].state == "ok"
    assert shop.lms.site.tables["LMS Enrollment"] == {}
    refused = {"status": 403, "headers": {"exc_type": "PermissionError"}}
    shop.lms.fail_next("POST .*LMS Enrollment", "error", **refused)
    check = found(shop)["lms key"]
    assert (check.state, check.is_bad) == ("backend_refused", True)
    assert "may not insert" in check.cause


def test_workers_are_looked_for(shop):
    """Seen, not seen while nothing is due, and not seen while work is due."""
    assert found(shop)["workers"].state == "unknown"
    shop.sdk.run_jobs()
    assert found(shop)["workers"].state == "ok"
    shop.clock.advance(3600)
    assert found(shop)["workers"].state == "unknown"
    now = shop.clock.now()
    shop.sdk.storage.jobs.enqueue("mail-1", "mail", {}, now, now=now)
    shop.clock.advance(3600)
    check = found(shop)["workers"]
    assert (check.state, check.is_bad) == ("absent", True)


def test_limits_in_memory_are_a_note(shop):
    """Per process: worth knowing, and no fault; shared ones and none are well."""
    assert found(shop)["rate limits"].state == "ok"
    change(shop, rate_limits=())
    check = found(shop)["rate limits"]
    assert (check.state, check.is_bad) == ("note", False)
    shared = Secret("redis://127.0.0.1/0")
    change(shop, rate_limit_storage=shared)
    assert found(shop)["rate limits"].state == "ok"


def test_plugin_that_is_broken_is_told(shop):
    """With its error, which is all that there is to mend it by."""
    info = PluginInfo(name="crm", status="broken", error="ImportError: no crm")
    shop.sdk.plugins.infos.append(info)
    check = found(shop)["plugin crm"]
    assert (check.state, check.cause) == ("broken", "ImportError: no crm")
