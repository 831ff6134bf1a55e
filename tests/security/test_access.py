# SPDX-License-Identifier: MIT
"""The access table: every method of every route, every identity, every mount."""

from __future__ import annotations

import attrs
import pytest
from support.access import (
    ASKED,
    IDENTITIES,
    MOUNTS,
    SEARCH,
    Door,
    HostLogin,
    expected,
    session_of,
)
from support.site import ADMIN, OPERATOR, SECRET, VIEWER, Site

from frappe_enroll_sdk.ids import hash_token
from frappe_enroll_wsgi import RESOURCES, ROUTES
from frappe_enroll_wsgi._internal import cookies
from frappe_enroll_wsgi._internal.routing import Access, Area


@pytest.fixture(scope="module", params=MOUNTS)
def door(request):
    """Return a site whose admin surface is on, at each mount."""
    return Door(request.param)


@pytest.mark.parametrize("identity", IDENTITIES)
def test_identity_gets_what_the_rule_says(door, identity):
    """Default deny: whoever the rule does not let in stays outside."""
    found = door.outcomes(identity)
    said = {(r.name, m): expected(r, m)[identity] for r, m in ASKED}
    assert {k: v for k, v in found.items() if v != said[k]} == {}


@pytest.mark.parametrize("identity", ["nobody", "operator's token"])
def test_method_that_a_route_has_not_is_refused(door, identity):
    """Whoever asks: 405 with what there is, and nothing is done."""
    for resource in RESOURCES:
        path = door.path_of(next(iter(resource.routes.values())))
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - {
            *resource.routes
        }:
            answer = door.site.call(method, path, headers=door.headers(identity))
            assert answer.status_code == 405, (method, path)
            assert answer.headers["Allow"] == resource.allow


def test_every_change_needs_an_operator():
    """Whatever an operator changes is a POST with the operator's rule."""
    for route in ROUTES:
        if route.area in {Area.ADMIN, Area.DASHBOARD}:
            changes = route.methods != ("GET",)
            free = route.access in {Access.PUBLIC, Access.SAME_ORIGIN}
            free = free or expected(route, "POST") is SEARCH
            assert changes == (route.access is Access.OPERATOR) or free, route.name


@pytest.mark.parametrize("token", [None, OPERATOR, "fea_wrong_token_hidden"])
def test_surface_without_a_token_is_off(token):
    """No token, no plugin: 404 for everybody, whatever they bring."""
    door, headers = Door("WSGI root"), {"Sec-Fetch-Site": "same-origin"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    site = Site()
    for route in ROUTES:
        is_off = route.area in {Area.ADMIN, Area.DASHBOARD}
        if is_off and route.name not in {"dashboard_static", "dashboard_sign_out"}:
            for method in route.methods:
                answer = site.call(method, door.path_of(route), headers=headers)
                assert answer.status_code == 404, route.name
                if route.area is Area.ADMIN:
                    assert answer.json["code"] == "not_found"


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
