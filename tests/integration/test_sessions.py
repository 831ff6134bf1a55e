# SPDX-License-Identifier: MIT
"""Sessions of the dashboard end when they should, and every sign-in is audited."""

from __future__ import annotations

import base64
import contextlib
import re

import pytest
from support.browser import Browser
from support.site import ADMIN, OPERATOR, VIEWER, Site
from support.world import COURSE

from frappe_enroll_sdk import Settings
from frappe_enroll_sdk.errors import SettingsError
from frappe_enroll_sdk.ids import hash_token
from frappe_enroll_wsgi._internal import cookies


@pytest.fixture(params=["wsgi", "flask"])
def site(request):
    """Return a site whose admin surface is on."""
    return Site("/enroll", mount=request.param, **ADMIN)


def is_in(browser):
    """Tell whether a browser's session lasts."""
    status = browser.get("/system").status_code
    assert status in {200, 303}
    return status == 200


def test_sign_out_ends_the_session(site):
    """A cookie that was copied ends with it; the operator's other one stays."""
    browser, other = Browser(site), Browser(site)
    kept = dict(browser.cookie)
    assert is_in(browser)
    assert browser.post("/sign-out").location == "/enroll/admin/sign-in"
    browser.cookie = kept
    assert not is_in(browser)
    api = site.call("GET", "/admin/api/stats", headers=kept)
    assert api.status_code == 401
    assert is_in(other)
    # For every process on the store, and for good.
    site.restart()
    assert not is_in(browser)
    site.world.clock.advance(600)
    assert not is_in(browser)
    assert is_in(other)


def test_signing_in_again_ends_the_browsers_former_session(site):
    """Whoever has a copy of that is out; a wrong token ends nothing."""
    browser = Browser(site)
    former = dict(browser.cookie)
    assert browser.post("/sign-in", token="fea_wrong_token_hidden").status_code == 401
    assert is_in(browser)
    again = browser.post("/sign-in", token=VIEWER)
    browser.cookie = {"Cookie": again.headers["Set-Cookie"].partition(";")[0]}
    assert is_in(browser)
    browser.cookie = former
    assert not is_in(browser)


def test_session_that_is_seen_while_it_is_ended_stays_ended(site, monkeypatch):
    """A request that runs beside the sign-out undoes nothing."""
    browser = Browser(site)
    site.world.clock.advance(1000)
    events, real = site.world.storage.events, site.world.storage.events.find
    ended = []

    def find(key):
        found = real(key)
        if "session_ended" in key and not ended:
            ended.append(key)
            browser.post("/sign-out")
        return found

    monkeypatch.setattr(events, "find", find)
    browser.get("/system")
    assert ended
    assert not is_in(browser)


def test_session_ends_when_nobody_uses_it(site):
    """After an hour without a request; each request begins the hour again."""
    browser = Browser(site)
    for _ in range(4):
        site.world.clock.advance(3500)
        assert is_in(browser)
    site.world.clock.advance(3600)
    assert not is_in(browser)


def test_session_ends_after_its_time(site):
    """Eight hours, however busy."""
    browser = Browser(site)
    for _ in range(9):
        site.world.clock.advance(3199)
        assert is_in(browser)
    site.world.clock.advance(10)
    assert not is_in(browser)


@pytest.mark.parametrize("ahead_s", [90, 86_400])
def test_session_of_a_clock_that_ran_ahead_is_over(ahead_s):
    """Neither signed in nor seen in what is to come: nobody knows how long it idled."""
    site = Site(**ADMIN)
    site.world.clock.advance(ahead_s)
    early = Browser(site)
    site.world.clock.advance(-ahead_s)
    assert not is_in(early)
    right = Browser(site)
    assert is_in(right)
    site.world.clock.advance(1_000)
    assert is_in(right)
    site.world.clock.advance(-930)
    assert not is_in(right)


def test_session_of_clocks_that_differ_a_little_lasts():
    """Clocks that are right may differ by a minute."""
    site = Site(**ADMIN)
    site.world.clock.advance(60)
    browser = Browser(site)
    site.world.clock.advance(-60)
    assert is_in(browser)


def test_times_are_settings():
    """Within bounds: maintenance forgets sessions after a day."""
    site = Site(**ADMIN, sign_in_s=120, sign_in_idle_s=60)
    browser = Browser(site)
    assert "Max-Age=120" in browser.signed_in.headers["Set-Cookie"]
    site.world.clock.advance(59)
    assert is_in(browser)
    site.world.clock.advance(60)
    assert not is_in(browser)
    for field in ("sign_in_s", "sign_in_idle_s"):
        for value in (59, 86_401):
            with pytest.raises(SettingsError, match="SIGN_IN"):
                Settings(**{field: value})


def test_maintenance_ends_no_session_early():
    """What it forgets is over already; what it leaves is not counted as events."""
    site = Site(**ADMIN, sign_in_s=86_400, sign_in_idle_s=86_400)
    browser = Browser(site)
    site.world.clock.advance(86_000)
    site.sdk.admin.maintain()
    site.sdk.run_jobs()
    assert is_in(browser)
    assert site.sdk.admin.events().items == ()
    site.world.clock.advance(401)
    assert not is_in(browser)
    site.sdk.admin.maintain()
    assert site.world.storage.events.list(limit=10).items == ()


def test_session_costs_few_writes(site, monkeypatch):
    """It is written down as seen again after a tenth of the idle time."""
    browser, writes = Browser(site), []
    events, real = site.world.storage.events, site.world.storage.events.enqueue

    def enqueue(key, *arguments, **more):
        writes.append(key)
        return real(key, *arguments, **more)

    monkeypatch.setattr(events, "enqueue", enqueue)
    for _ in range(10):
        assert is_in(browser)
    assert writes == []
    site.world.clock.advance(361)
    for _ in range(10):
        assert is_in(browser)
    assert len(writes) == 1


def test_sign_ins_are_audited(site):
    """Who, and who was not; without a token."""
    browser = Browser(site)
    Browser(site, VIEWER)
    Browser(site, "fea_wrong_hidden")
    browser.post("/sign-out")
    told = [(e.actor, e.action, e.subject) for e in site.sdk.admin.audit().items]
    assert sorted(told) == sorted(
        [
            ("olga", "sign_in", "dashboard"),
            ("vera", "sign_in", "dashboard"),
            ("nobody", "sign_in_failed", "dashboard"),
            ("olga", "sign_out", "dashboard"),
        ]
    )
    assert "fea_wrong" not in str(site.sdk.admin.audit())


def test_cookie_of_plain_http_is_none_over_https():
    """Only the name that browsers bind to the host and HTTPS is read there."""
    site = Site(**ADMIN, public_url="https://shop.example.com/enroll")
    browser = Browser(site)
    assert is_in(browser)
    value = browser.cookie["Cookie"].partition("=")[2]
    browser.cookie = {"Cookie": f"{cookies.NAME}={value}"}
    assert not is_in(browser)


@pytest.mark.parametrize("mount", ["wsgi", "flask"])
def test_hsts_is_a_setting(mount):
    """Said over HTTPS only, and not unless it is set."""
    https, http = "https://shop.example.com/e", "http://shop.example.com/e"
    for more, told in (
        ({"hsts_s": 31_536_000, "public_url": https}, "max-age=31536000"),
        ({"hsts_s": 31_536_000, "public_url": http}, None),
        ({"public_url": https}, None),
    ):
        site = Site(mount=mount, **more)
        for path in ("/healthz", "/enrollments/enr_1", "/admin/"):
            headers = site.call("GET", path).headers
            assert headers.get("Strict-Transport-Security") == told


@pytest.mark.parametrize(
    ("field", "variable", "least"),
    [
        ("secret_key", "FRAPPE_ENROLL_SECRET_KEY", 16),
        ("cron_secret", "FRAPPE_ENROLL_CRON_SECRET", 8),
    ],
)
def test_secret_that_can_be_guessed_is_refused_at_load(field, variable, least):
    """A least length for each (a date will do for cron), without showing any."""
    assert Settings(**{field: "x" * least})
    with pytest.raises(SettingsError, match=variable) as caught:
        Settings(**{field: "hidden-fifteen!"[: least - 1]})
    assert "hidden" not in str(caught.value)
    with pytest.raises(SettingsError, match="CRON_SECRET"):
        Settings.from_env({"CRON_SECRET": "short"})


@pytest.mark.parametrize("length", [15, 16])
def test_short_token_opens_nothing_though_its_hash_is_set(length):
    """Somebody has made a line by hand; sixteen characters at the least."""
    token = "x" * length
    line = f"operator:olga:{hash_token(token)}"
    site = Site(**ADMIN | {"admin_tokens": line})
    bearer = {"Authorization": f"Bearer {token}"}
    status = site.call("GET", "/admin/api/stats", headers=bearer).status_code
    assert status == (200 if length == 16 else 401)
    assert bool(Browser(site, token).cookie["Cookie"]) == (length == 16)


def test_operators_token_is_needed_anew(site):
    """Who has signed out signs in again."""
    browser = Browser(site)
    browser.post("/sign-out")
    assert is_in(Browser(site, OPERATOR))


CODE = "GRANT-OF-VERA-7Q"
LOOKS = [
    "/admin/api/enrollments",
    "/admin/api/enrollments.csv",
    "/admin/api/enrollments/{row}",
    "/admin/api/coupons",
    "/admin/api/coupons?limit=1",
    "/admin/api/coupons.csv",
    "/admin/api/audit",
    "/admin/api/grants",
    "/admin/api/grants/{grant}",
    "/admin/api/jobs",
    "/admin/api/events",
    "/admin/",
    "/admin/enrollments",
    "/admin/enrollments/{row}",
    "/admin/coupons",
    "/admin/grants",
    "/admin/grants/{grant}",
    "/admin/audit",
    "/admin/jobs",
    "/admin/events",
]


@pytest.fixture(scope="module")
def used():
    """Return a site with a coupon that is used, and a grant that is approved."""
    site = Site(**ADMIN)
    made = site.order("/coupons", percent_off=100, code=CODE, max_redemptions=5)
    assert made.status_code == 201
    for n in range(2):
        site.order("/coupons", percent_off=10, code=f"{CODE}-{n}")
    row = site.checkout(coupon_code=CODE).json["enrollment_id"]
    grant = site.sdk.grants.apply(course_id=COURSE, email="eve@example.com").id
    site.order(f"/grants/{grant}/approve", percent_off=20)
    site.order("/coupons/disable", code=CODE)
    site.sdk.run_jobs()
    return site, {"row": row, "grant": grant}


def decoded(text):
    """Return what may be read out of a text: its cursors too."""
    found = [text]
    for word in re.findall(r"[\w=-]{16,}", text):
        with contextlib.suppress(ValueError):
            found.append(base64.urlsafe_b64decode(word.encode()).decode("latin-1"))
    return "\n".join(found)


@pytest.mark.parametrize("path", LOOKS)
def test_viewer_sees_no_code(used, path):
    """On no page, in no answer, file or cursor; an operator does."""
    site, names = used
    grant_code = site.sdk.grants.get(names["grant"]).code
    texts = {}
    for token in (VIEWER, OPERATOR):
        headers = {"Authorization": f"Bearer {token}"}
        answer = site.call("GET", path.format(**names), headers=headers)
        assert answer.status_code == 200
        texts[token] = decoded(answer.text)
    for code in (CODE, grant_code):
        assert code not in texts[VIEWER]
    of_codes = ("coupons", "audit", "enrollments", "grants")
    # These lists have no column of codes.
    shown = path not in {"/admin/enrollments", "/admin/grants"}
    if shown and any(word in path for word in of_codes):
        assert CODE in texts[OPERATOR] or grant_code in texts[OPERATOR]


def test_viewer_that_knows_a_code_is_told_no_more(used):
    """A search finds; what is found is masked."""
    site, _ = used
    for path, fields in (
        ("/enrollments/search", {"q": CODE}),
        ("/enrollments/search", {"coupon_code": CODE}),
        ("/coupons/find", {"code": CODE}),
    ):
        found = site.admin("POST", path, VIEWER, json=fields)
        assert found.status_code == 200
        assert CODE not in found.text
        assert "GRAN…" in found.text or "GRAN\\u2026" in found.text


def test_viewer_turns_pages(used):
    """By a cursor that tells nothing, and that is nobody's making."""
    site, _ = used
    seen, cursor = 0, None
    while True:
        query = {"limit": "1"} | ({"cursor": cursor} if cursor else {})
        page = site.admin("GET", "/coupons", VIEWER, query=query).json
        seen += len(page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    everything = len(site.admin("GET", "/coupons").json["items"])
    assert seen == everything >= 4
    first = site.admin("GET", "/coupons", query={"limit": "1"}).json["next_cursor"]
    for forged in (first, "x", "eA==", "é"):
        answer = site.admin("GET", "/coupons", VIEWER, query={"cursor": forged})
        assert answer.status_code == 400
