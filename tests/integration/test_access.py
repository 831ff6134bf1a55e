# SPDX-License-Identifier: MIT
"""The access table: every route, every kind of caller, from the table of routes."""

from __future__ import annotations

import re

import attrs
import pytest
from support.site import ADMIN, OPERATOR, SECRET, VIEWER, Site

from frappe_enroll_sdk import hookimpl
from frappe_enroll_sdk.ids import hash_token
from frappe_enroll_wsgi import ROUTES
from frappe_enroll_wsgi._internal import cookies
from frappe_enroll_wsgi._internal.routing import Access, Area
from frappe_enroll_wsgi._internal.sessions import Sessions


IN, UNKNOWN, ROLE, FOREIGN, TOKEN = "in", 401, "forbidden", "cross_site", "token"
#: What each rule says to each caller. A rule that is not here fails every test of it.
TABLE = {
    Access.PUBLIC: dict.fromkeys(
        ("none", "wrong", "viewer", "operator", "cookie", "cross"), IN
    ),
    Access.PROVIDER: dict.fromkeys(
        ("none", "wrong", "viewer", "operator", "cookie", "cross"), "signature"
    ),
    Access.LEARNER: dict.fromkeys(
        ("none", "wrong", "viewer", "operator", "cookie", "cross"), TOKEN
    ),
    Access.CRON: dict.fromkeys(
        ("none", "wrong", "viewer", "operator", "cookie", "cross"), UNKNOWN
    ),
    Access.SAME_ORIGIN: {
        "none": FOREIGN,
        "wrong": FOREIGN,
        "viewer": FOREIGN,
        "operator": FOREIGN,
        "cookie": IN,
        "cross": FOREIGN,
    },
    Access.VIEWER: {
        "none": UNKNOWN,
        "wrong": UNKNOWN,
        "viewer": IN,
        "operator": IN,
        "cookie": IN,
        "cross": IN,
    },
    Access.OPERATOR: {
        "none": UNKNOWN,
        "wrong": UNKNOWN,
        "viewer": ROLE,
        "operator": IN,
        "cookie": IN,
        "cross": FOREIGN,
    },
}
#: What is a POST only because its words have no place in a URL.
SEARCHES = {"api_search", "api_coupon", "dashboard_search"}
CALLERS = list(TABLE[Access.PUBLIC])
#: Routes with the method that they are asked by, where it matters who asks.
ASKED = [(route, method) for route in ROUTES for method in route.methods]


def session_of(site, token=OPERATOR):
    """Return the cookie's value of a new session."""
    return Sessions(site.sdk).open(hash_token(token))


def headers_of(caller, site):
    """Return the headers of a caller."""
    tokens = {"wrong": "fea_wrong", "viewer": VIEWER, "operator": OPERATOR}
    if caller in tokens:
        return {"Authorization": f"Bearer {tokens[caller]}"}
    if caller == "none":
        return {}
    value = session_of(site)
    origin = {"cookie": "same-origin", "cross": "cross-site"}[caller]
    return {"Cookie": f"{cookies.NAME}={value}", "Sec-Fetch-Site": origin}


def path_of(route):
    """Return a path of the route with names in its places."""
    parts = route.path.replace("<path:", "<").split("/")
    names = {"<provider>": "fake", "<backend>": "lms"}
    return "/".join(
        names.get(part, "some") if part.startswith("<") else part for part in parts
    )


@pytest.fixture(scope="module", params=["wsgi", "flask"])
def site(request):
    """Return a site whose admin surface is on."""
    return Site("/enroll", mount=request.param, **ADMIN)


def outcome_of(site, route, method, caller):
    """Return what becomes of a caller."""
    headers = headers_of(caller, site)
    more = {"json": {"reason": "because"}} if route.body else {}
    if route.form is not None:
        more = {"data": {"reason": "because", "token": OPERATOR}}
    answer = site.call(method, path_of(route), headers=headers, **more)
    leads_to_sign_in = "sign-in" in answer.headers.get("Location", "")
    if route.access in {Access.VIEWER, Access.OPERATOR} and leads_to_sign_in:
        return UNKNOWN
    if answer.status_code == 401:
        return UNKNOWN
    told = re.search(r'data-code="(\w+)"', answer.text)
    code = answer.json.get("code") if answer.is_json else told and told[1]
    refusals = {ROLE, FOREIGN, TOKEN, "signature"}
    return code if code in refusals else IN


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(
    ("route", "method"), ASKED, ids=lambda v: v if isinstance(v, str) else v.name
)
def test_caller_gets_what_the_rule_says(site, route, method, caller):
    """Default deny: whoever the rule does not let in stays outside."""
    expected = TABLE[route.access][caller]
    if (caller, method) == ("cross", "POST") and expected == IN:
        # A search by POST: only from our own pages, as all that a browser signs.
        expected = FOREIGN if route.access is Access.VIEWER else IN
    assert outcome_of(site, route, method, caller) == expected


def test_every_change_needs_an_operator():
    """Whatever an operator changes is a POST with the operator's rule."""
    for route in ROUTES:
        if route.area in {Area.ADMIN, Area.DASHBOARD}:
            changes = route.methods != ("GET",)
            free = route.access in {Access.PUBLIC, Access.SAME_ORIGIN}
            free = free or route.name in SEARCHES
            assert changes == (route.access is Access.OPERATOR) or free, route.name


@pytest.mark.parametrize("caller", CALLERS)
def test_surface_without_a_token_is_off(caller):
    """No token, no plugin: 404 for everybody, whatever they bring."""
    site = Site()
    for route in ROUTES:
        if route.area is Area.DASHBOARD and route.name != "dashboard_static":
            for method in route.methods:
                headers = headers_of(caller, site) | {"Sec-Fetch-Site": "same-origin"}
                if route.name != "dashboard_sign_out":
                    answer = site.call(method, path_of(route), headers=headers)
                    assert answer.status_code == 404, route.name
        if route.area is Area.ADMIN:
            for method in route.methods:
                answer = site.call(
                    method, path_of(route), headers=headers_of(caller, site)
                )
                assert (answer.status_code, answer.json["code"]) == (404, "not_found")


def test_cron_lets_its_secret_in():
    """The one that the table leaves out."""
    bearer = {"Authorization": f"Bearer {SECRET}"}
    assert Site().call("POST", "/cron/run", headers=bearer).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example.com"},
        {"Origin": "null"},
        {},
    ],
    ids=str,
)
def test_cookie_changes_nothing_for_another_site(headers):
    """Scenario 30: a form of another page; a browser that says nothing is not ours."""
    site = Site(**ADMIN)
    headers = {"Cookie": f"{cookies.NAME}={session_of(site)}"} | headers
    fields = {"reason": "because"}
    answer = site.call("POST", "/admin/api/jobs/requeue", headers=headers, json=fields)
    assert (answer.status_code, answer.json["code"]) == (403, "cross_site")


@pytest.mark.parametrize(
    ("public_url", "origin", "allowed"),
    [
        ("https://shop.example.com/enroll", "https://shop.example.com", True),
        ("https://shop.example.com/enroll", "http://enroll.example.com", False),
        ("", "http://enroll.example.com", True),
        ("", "https://shop.example.com", False),
    ],
)
def test_origin_of_an_older_browser_must_be_ours(public_url, origin, allowed):
    """By the public URL where there is one, never by a Host header then."""
    site = Site(**ADMIN, public_url=public_url)
    secure = public_url.startswith("https")
    name = cookies.HOST_NAME if secure else cookies.NAME
    headers = {"Cookie": f"{name}={session_of(site)}", "Origin": origin}
    answer = site.call(
        "POST", "/admin/api/jobs/requeue", headers=headers, json={"reason": "because"}
    )
    assert (answer.status_code == 200) is allowed


def test_forged_or_old_cookie_is_none():
    """Another key, another hash, a later end, a part of it: all unsigned."""
    site = Site(**ADMIN)
    now_s = int(site.world.clock.now().timestamp())
    key = ADMIN["secret_key"]
    good = session_of(site)
    told = cookies.read(good, key, now_s, 2**40)
    until, session, digest, signature = good.split(".")
    values = [
        cookies.write(told, "another-key-of-cookies"),
        cookies.write(attrs.evolve(told, until_s=now_s), key),
        cookies.write(attrs.evolve(told, digest=hash_token("fea_unknown")), key),
        cookies.write(attrs.evolve(told, session="0" * 32), key),
        f"{int(until) + 9}.{session}.{digest}.{signature}",
        f"{until}.{session}.{hash_token(VIEWER)}.{signature}",
        f"{until}.{'0' * 32}.{digest}.{signature}",
        good[:-1],
        "",
        "..",
        "...",
        "é.ü.ö",
    ]
    for value in values:
        cookie = {"Cookie": f"{cookies.NAME}={value}".encode().decode("latin-1")}
        answer = site.call("GET", "/admin/api/stats", headers=cookie)
        assert answer.status_code == 401, value
    cookie = {"Cookie": f"{cookies.NAME}={good}"}
    assert site.call("GET", "/admin/api/stats", headers=cookie).status_code == 200


def test_cookie_ends_with_its_token():
    """A token that is taken out of the settings takes its sign-ins along."""
    site = Site(**ADMIN)
    cookie = {"Cookie": f"{cookies.NAME}={session_of(site)}"}
    assert site.call("GET", "/admin/api/stats", headers=cookie).json
    lines = ADMIN["admin_tokens"].split(",")[0]
    site.world.settings = attrs.evolve(site.world.settings, admin_tokens=(lines,))
    site.restart(site.world.sdk())
    gone = site.call("GET", "/admin/api/stats", headers=cookie)
    assert gone.status_code == 401


class HostLogin:
    """A plugin that lets the host's users in."""

    @hookimpl
    def authenticate_admin(self, environ):
        """Name the user of the host's session."""
        return {"ada": "ada", "vera": ("vera", "viewer")}.get(
            environ.get("HTTP_X_HOST_USER")
        )


def test_login_of_the_host_is_asked():
    """With its role, audited under its name, and only from our own pages."""
    site = Site(plugins=[HostLogin()])
    same = {"Sec-Fetch-Site": "same-origin"}
    fields = {"reason": "because"}

    def order(**headers):
        return site.call("POST", "/admin/api/retention", headers=headers, json=fields)

    ada, vera = {"X-Host-User": "ada"}, {"X-Host-User": "vera"}
    assert order().status_code == 401
    assert order(**ada).json["code"] == "cross_site"
    assert order(**vera, **same).json["code"] == "forbidden"
    assert order(**ada, **same).status_code == 200
    # Of the events, and of the jobs.
    begun_and_done = site.sdk.admin.audit().items
    assert [(one.actor, one.reason) for one in begun_and_done] == [
        ("ada", "because")
    ] * 4
    stats = site.call("GET", "/admin/api/stats", headers=vera)
    assert stats.status_code == 200
