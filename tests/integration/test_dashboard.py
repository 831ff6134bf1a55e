# SPDX-License-Identifier: MIT
"""The dashboard: pages, forms, the sign-in; nothing that a name could break."""

from __future__ import annotations

import re

import attrs
import pytest
from support.browser import HOSTILE, Browser
from support.site import ADMIN, OPERATOR, VIEWER, Site
from support.world import COURSE

from frappe_enroll_sdk.errors import BackendRejectedError
from frappe_enroll_sdk.money import Money
from frappe_enroll_wsgi import ROUTES
from frappe_enroll_wsgi._internal import cookies
from frappe_enroll_wsgi._internal.dashboard.numbers import numbers_of
from frappe_enroll_wsgi._internal.routing import Area


@pytest.fixture
def site():
    """Return a site whose admin surface is on."""
    return Site("/enroll", **ADMIN)


@pytest.fixture
def browser(site):
    """Return an operator's browser."""
    return Browser(site)


def filled(site):
    """Put one of everything there; return the dead enrollment's row."""
    error = BackendRejectedError("course x is not published: publish it")
    site.world.lms.faults.add("insert_enrollment", error)
    code = site.world.coupon(100)
    made = site.checkout(coupon_code=code, full_name=HOSTILE).json
    paid = site.checkout(email="bob@example.com").json
    site.deliver(site.world.pay(paid["enrollment_id"]))
    return site.sdk.enrollments.get(made["enrollment_id"])


def orders(site):
    """Return what was done, beside signing in."""
    return [e for e in site.sdk.admin.audit().items if e.action != "sign_in"]


def test_sign_in_sets_a_cookie_that_others_cannot_use(site):
    """Signed, HttpOnly, Strict, expiring, under our path only."""
    answer = Browser(site).signed_in
    assert (answer.status_code, answer.location) == (303, "/enroll/admin/")
    cookie = answer.headers["Set-Cookie"]
    for part in ("HttpOnly", "SameSite=Strict", "Path=/enroll/admin", "Max-Age=28800"):
        assert part in cookie
    assert "Secure" not in cookie
    secure = Site("/enroll", **ADMIN, public_url="HTTPS://shop.example.com/enroll")
    cookie = Browser(secure).signed_in.headers["Set-Cookie"]
    # What browsers want of such a name: https, "/", no domain.
    assert cookie.startswith(f"__Host-{cookies.NAME}=")
    assert "; Secure" in cookie
    assert "; Path=/;" in f"{cookie};"
    assert "Domain" not in cookie


def test_wrong_token_signs_nobody_in(site):
    """401, no cookie, and the token is not repeated."""
    answer = Browser(site, "fea_wrong_hidden").signed_in
    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers
    assert "token is unknown" in answer.text
    assert "fea_wrong_hidden" not in answer.text


def test_sign_in_is_limited():
    """Five wrong tries in a quarter of an hour; then none is looked at."""
    site = Site(**ADMIN | {"rate_limits": ""})
    statuses = [Browser(site, f"wrong{n}").signed_in.status_code for n in range(6)]
    assert statuses == [401] * 5 + [429]
    assert Browser(site).signed_in.status_code == 429


def test_sign_in_from_another_site_is_refused(site):
    """Nobody is signed in to somebody else's account."""
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = site.call(
        "POST", "/admin/sign-in", headers=headers, data={"token": OPERATOR}
    )
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers


def test_sign_in_without_a_key_says_what_is_missing():
    """No key, no cookie: the page names the setting."""
    site = Site(**ADMIN | {"secret_key": ""})
    page = site.call("GET", "/admin/sign-in")
    assert "FRAPPE_ENROLL_SECRET_KEY" in page.text
    assert Browser(site).signed_in.status_code == 401


def test_sign_out_takes_the_cookie_back(browser):
    """And leads to the sign-in."""
    answer = browser.post("/sign-out")
    assert answer.location == "/enroll/admin/sign-in"
    assert f"{cookies.NAME}=;" in answer.headers["Set-Cookie"]


def test_stranger_is_led_to_the_sign_in(site):
    """From every page, and nothing of it is told."""
    filled(site)
    for route in ROUTES:
        looked_at = route.access == "viewer" and route.methods == ("GET",)
        if route.area is Area.DASHBOARD and looked_at:
            answer = site.call("GET", route.path.replace("<", "").replace(">", ""))
            assert answer.status_code == 303
            assert answer.location == "/enroll/admin/sign-in"


@pytest.mark.parametrize("token", [VIEWER, OPERATOR], ids=["viewer", "operator"])
def test_every_page_renders_for_every_role(site, token):
    """With one of everything; a viewer is shown no form that changes anything."""
    row = filled(site)
    browser = Browser(site, token)
    job = site.sdk.admin.jobs(state="dead").items[0].key
    event = site.world.events[0].id
    site.sdk.admin.note("olga", "prune", "store", HOSTILE)
    pages = ["/", "/enrollments", f"/enrollments/{row.id}", "/jobs", f"/jobs/{job}"]
    pages += ["/events", f"/events/{event}", "/coupons", "/audit", "/system"]
    pages += ["/reconcile", "/quarantine"]
    for path in pages:
        page = browser.get(path)
        assert page.status_code == 200, (path, page.text)
        changes = re.findall(r'method="post" action="([^"]+)"', page.text)
        free = ("/sign-out", "/admin/enrollments")
        others = [a for a in changes if not a.endswith(free)]
        assert token == OPERATOR or others == [], path
        policy = page.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "script-src 'self'" in policy
        assert re.findall(r"<script(?! src=\"/enroll/admin/static/)", page.text) == []
        assert not re.search(
            r"\son\w+=|\sstyle=|javascript:", page.text.split("&lt;")[0]
        )


def test_hostile_names_are_text(site, browser):
    """Whatever a learner types stays text, on every page that shows it."""
    row = filled(site)
    browser.post(f"/enrollments/{row.id}/order", verb="retry", reason=HOSTILE)
    pages = [
        browser.get(f"/enrollments/{row.id}"),
        browser.post("/enrollments", q=HOSTILE),
        browser.get("/audit"),
        browser.post("/enrollments", q=row.email),
        browser.get(f"/enrollments/{HOSTILE[:60]}"),
    ]
    for page in pages:
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert "49" not in re.findall(r"onerror=alert\(2\)&gt;(\d+)", page.text)
    assert "&lt;script&gt;alert(1)" in pages[0].text
    assert "{{7*7}}" in pages[0].text


def test_home_shows_how_things_stand(site, browser):
    """Owed, dead, quarantine and today's money, each with its number."""
    filled(site)
    held = site.checkout(email="eve@example.com").json
    event = site.world.pay(held["enrollment_id"], livemode=True)
    site.deliver(event)
    page = browser.get("/").text
    tiles = dict(
        re.findall(r'"label">([^<]+)</span>\s*<strong[^>]*>([^<]+)</strong>', page)
    )
    assert tiles["Waiting for the LMS"] == "1"
    assert tiles["Dead jobs and events"] == "1"
    assert tiles["Quarantine"] == "1"
    assert tiles["Paid today"] == "49.00 USD"
    numbers = numbers_of(site.sdk)
    outcomes, tries = numbers.charts
    assert numbers.complete
    assert sum(bar.total for bar in outcomes.bars) == 3
    assert outcomes.bars[-1].counts[0] == 1
    assert tries.bars[-1].counts == (0, 1)


def test_dead_letter_is_mended_from_its_timeline(site, browser):
    """The cause in words, a reason, a button: enrolled, and audited."""
    row = filled(site)
    page = browser.get(f"/enrollments/{row.id}").text
    assert "publish it" in page
    done = browser.post(
        f"/enrollments/{row.id}/order", verb="retry", reason="it is now"
    )
    assert done.status_code == 303
    assert done.location == f"/enroll/admin/enrollments/{row.id}?done=retry"
    site.sdk.run_jobs()
    site.world.clock.advance(130)
    site.sdk.run_jobs()
    assert (
        "The job is due now."
        in browser.get(f"/enrollments/{row.id}", done="retry").text
    )
    assert site.sdk.enrollments.get(row.id).status == "enrolled"
    assert orders(site)[0].reason == "it is now"


def test_jobs_are_retried_ended_and_requeued(site, browser):
    """One, or all in bulk."""
    filled(site)
    job = site.sdk.admin.jobs(state="dead").items[0].key
    bulk = browser.post("/jobs/requeue", reason="all", limit="5")
    assert bulk.location == "/enroll/admin/jobs?done=requeue&state=due"
    assert (
        browser.post(f"/jobs/{job}/order", verb="bury", reason="no").status_code == 303
    )
    assert site.sdk.storage.jobs.find(job).state == "dead"
    assert (
        browser.post(f"/jobs/{job}/order", verb="retry", reason="yes").status_code
        == 303
    )
    assert site.sdk.storage.jobs.find(job).state == "due"
    assert browser.post(f"/jobs/{job}/order", verb="x", reason="yes").status_code == 404


def test_event_is_replayed(site, browser):
    """From its page, with its payload beside it."""
    filled(site)
    event = site.world.events[0].id
    page = browser.get(f"/events/{event}").text
    assert "bob@example.com in python-101" in page
    done = browser.post(f"/events/{event}/replay", reason="again")
    assert done.location == f"/enroll/admin/events/{event}?done=replay"


def test_quarantine_is_accepted_or_dismissed(site, browser):
    """An event of the other mode and a wrong amount: reason, names, two buttons."""
    rows = [
        site.checkout(email=f"{name}@example.com").json["enrollment_id"]
        for name in ("held", "live")
    ]
    site.deliver(site.world.pay(rows[0], amount=Money(1, "usd")))
    event = attrs.evolve(site.world.pay(rows[1]), livemode=True)
    site.deliver(event)
    shown = browser.get("/quarantine").text
    assert {"amount mismatch", "mode mismatch"} <= set(
        re.findall(r"<h2>([a-z ]+?) <small>", shown)
    )
    for name in (rows[0], event.id, rows[1]):
        assert name in shown
    for name in (rows[0], event.id):
        order = {"verb": "dismiss", "reason": "test"}
        done = browser.post(f"/quarantine/{name}", **order)
        assert done.location == "/enroll/admin/quarantine?done=dismiss"
    assert "None." in browser.get("/quarantine").text
    trail = [(e.action, e.subject) for e in orders(site)]
    assert sorted(trail) == sorted([("dismissed", event.id), ("dismissed", rows[0])])
    again = browser.post(f"/quarantine/{event.id}", verb="accept", reason="test")
    assert again.status_code == 409


def test_coupon_is_made_and_disabled(site, browser):
    """By the form; what is wrong with it is told."""
    made = browser.post(
        "/coupons",
        percent_off="12.5",
        course_id=COURSE,
        max_redemptions="3",
        expires_at="2030-01-01",
        reason="spring",
    )
    assert made.status_code == 201
    code = re.search(r"Its code: <code>([A-Z0-9-]+)</code>", made.text)[1]
    coupon = site.sdk.coupons.get(code)
    assert (str(coupon.percent_off), coupon.max_redemptions) == ("12.5", 3)
    assert coupon.expires_at.year == 2030
    browser.post("/coupons/disable", code=code, reason="over")
    assert site.sdk.coupons.get(code).disabled
    wrong = browser.post("/coupons", percent_off="many", reason="x")
    assert (wrong.status_code, 'data-code="validation"' in wrong.text) == (400, True)


def test_order_without_a_reason_changes_nothing(site, browser):
    """Each form; an audit trail with holes is none."""
    row = filled(site)
    job = site.sdk.admin.jobs(state="dead").items[0].key
    for path, fields in [
        (f"/enrollments/{row.id}/order", {"verb": "revoke"}),
        (f"/jobs/{job}/order", {"verb": "bury"}),
        (f"/events/{site.world.events[0].id}/replay", {}),
        ("/coupons", {"percent_off": "10"}),
        ("/jobs/requeue", {}),
        (f"/quarantine/{row.id}", {"verb": "dismiss"}),
        ("/system/lms/probe", {}),
    ]:
        assert browser.post(path, **fields).status_code == 400, path
    assert orders(site) == []
    assert site.sdk.coupons.list().items[0].percent_off == 100
    assert len(site.sdk.coupons.list().items) == 1
    assert site.sdk.storage.jobs.find(job).state == "dead"


def test_filters_and_unknown_parameters(site, browser):
    """An empty field means any; a parameter that is none is refused."""
    filled(site)
    rows = browser.get("/enrollments", status="", course_id=COURSE).text
    assert rows.count("/enrollments/enr_") == 2
    one = browser.get("/enrollments", status="enrolled").text
    assert one.count("/enrollments/enr_") == 1
    assert browser.get("/enrollments", nonsense="1").status_code == 400
    assert browser.get("/jobs", state="nonsense").status_code == 400


def test_system_says_that_limits_are_per_process(browser):
    """Memory is not shared, and the page says so."""
    assert "in its own memory" in browser.get("/system").text


def test_static_files_are_ours_only(site):
    """Three names, and nothing that climbs."""
    for name, kind in (("dashboard.css", "text/css"), ("dashboard.js", "javascript")):
        answer = site.call("GET", f"/admin/static/{name}")
        assert (answer.status_code, kind in answer.content_type) == (200, True)
        assert "max-age" in answer.headers["Cache-Control"]
    for name in ("../pages.py", "..%2fpages.py", "nope.css", "__init__.py"):
        assert site.call("GET", f"/admin/static/{name}").status_code == 404


def test_reconcile_finds_and_repairs(site, browser):
    """A dry run tells; a repair mends and is audited; pages go on by a button."""
    made = site.checkout().json
    site.world.pay(made["enrollment_id"])  # and no webhook comes
    dry = browser.post("/reconcile", reason="look")
    assert dry.status_code == 200, dry.text
    assert "paid not confirmed" in dry.text
    assert orders(site) == []
    mended = browser.post("/reconcile", reason="mend", repair="yes")
    assert "Compare the next page" in mended.text
    assert site.sdk.enrollments.get(made["enrollment_id"]).status in {
        "confirmed",
        "enrolled",
    }
    assert orders(site)[0].action == "reconcile"
    cursor = re.search(r'name="cursor" value="([^"]+)"', mended.text)[1]
    last = browser.post("/reconcile", reason="mend", cursor=cursor, checked="1")
    assert last.status_code == 200
    assert browser.post("/reconcile").status_code == 400
