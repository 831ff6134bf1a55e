# SPDX-License-Identifier: MIT
"""Which client it is, and where the mount is, by what trusted proxies say."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from support.site import ADMIN, Site
from support.world import COURSE
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from frappe_enroll_wsgi import create_app
from frappe_enroll_wsgi._internal import forwarded
from frappe_enroll_wsgi._internal.proxies import Proxies, bucket_of


def environ_of(peer, xff=None, rfc=None, **more):
    """Return the environment of a request by a peer."""
    found = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": xff, "HTTP_FORWARDED": rfc}
    return {name: value for name, value in found.items() if value is not None} | more


OURS = ("10.0.0.0/8", "::1", "fd00::/8", "unix")


@pytest.mark.parametrize(
    ("hop", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("2001:DB8:0:0::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ('"[2001:db8::7]:4711"', "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("[::ffff:203.0.113.7]:4711", "203.0.113.7"),
        ("::FFFF:cb00:7107", "203.0.113.7"),
        ("fe80::7%eth0", "fe80::7"),
        (" 203.0.113.7 ", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7:1", "203.0.113.7"),
        ("198.51.100.1,203.0.113.7,10.0.0.9:80,[fd00::1]:80", "203.0.113.7"),
        ("198.51.100.1,203.0.113.7,::ffff:10.1.1.1", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7, unix:", "203.0.113.7"),
        ("198.51.100.1,unix:,203.0.113.7,unix:,10.0.0.9", "203.0.113.7"),
    ],
)
@pytest.mark.parametrize(
    "peer",
    [
        *("10.0.0.1", "10.0.0.1:5000", "::ffff:10.0.0.1", "[::ffff:10.0.0.1]:80"),
        *("::1", "[::1]:80", "fd00::5", "", "localhost", "0.0.0.0"),  # noqa: S104
        "unix:",
    ],
)
def test_client_is_read_in_every_spelling(peer, hop, client):
    """Of the peer (a Unix socket's too) and of each hop."""
    assert Proxies(OURS).clients(environ_of(peer, hop)) == (client,)


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("for=203.0.113.7", "203.0.113.7"),
        ("For=203.0.113.7;proto=https;by=10.0.0.1", "203.0.113.7"),
        ('for="203.0.113.7:4711"', "203.0.113.7"),
        ('for="[2001:db8::7]:4711"', "2001:db8::7"),
        ('for="[2001:db8::7]";host=a', "2001:db8::7"),
        ("for=198.51.100.1, for=203.0.113.7;proto=http", "203.0.113.7"),
        ('by="a,b;c";for=198.51.100.1,for=203.0.113.7 , for=10.0.0.9', "203.0.113.7"),
        ('for="203.0.113.7";host="a\\"b"', "203.0.113.7"),
        ('for=203.0.113.7, for="unix:"', "203.0.113.7"),
        ("for=198.51.100.1, for=_hidden", "10.0.0.1"),
        ("for=198.51.100.1, for=unknown, for=10.0.0.9", "10.0.0.9"),
        ("proto=https", "10.0.0.1"),
        ("for=198.51.100.1 for=203.0.113.7", "10.0.0.1"),
        ('for="203.0.113.7', "10.0.0.1"),
        ("nonsense", "10.0.0.1"),
        ("for=a;for=203.0.113.7", "10.0.0.1"),
        ("", "10.0.0.1"),
    ],
)
def test_client_is_read_from_rfc_7239(value, client):
    """What is not of its form says nothing."""
    assert Proxies(OURS).clients(environ_of("10.0.0.1", rfc=value)) == (client,)


def test_forwarded_is_read_in_linear_time():
    """A header of a megabyte is no more than that."""
    for text in ("for=" * 250_000, 'for="' + "\\a" * 250_000, "for=a;" * 100_000):
        assert forwarded.parse(text) == []
    assert len(forwarded.parse("for=a," * 100_000)) == 100_000


@pytest.mark.parametrize(
    "peer",
    [
        *("203.0.113.1", "203.0.113.1:80", "11.0.0.1", "::ffff:203.0.113.1"),
        *("::2", "fe80::1", "nonsense", "unix:", "10.0.0.1.example.com"),
    ],
)
def test_nobody_else_is_believed(peer):
    """Whoever is not named counts as himself, whatever he sends."""
    proxies = Proxies(("10.0.0.0/8", "::1"))
    environ = environ_of(peer, "198.51.100.1", "for=198.51.100.2;proto=https")
    environ |= {"HTTP_X_FORWARDED_PREFIX": "/x", "wsgi.url_scheme": "http"}
    (client,) = proxies.clients(environ)
    assert "198.51.100" not in client
    assert proxies.apply(environ) is environ
    for socket in ("", "localhost", "0.0.0.0", "unix:"):  # noqa: S104
        assert not proxies.trusts(socket)
    through = environ_of("10.0.0.1", "198.51.100.1, unix:")
    assert proxies.clients(through) == ("10.0.0.1",)


@pytest.mark.parametrize("network", ["10.0.0.0/8", "::ffff:10.0.0.0/104"])
def test_network_is_named_in_either_spelling(network):
    """IPv4, or as IPv6 writes it."""
    proxies = Proxies((network,))
    assert proxies.trusts("10.1.1.1")
    assert proxies.trusts("::ffff:10.1.1.1")
    assert not proxies.trusts("11.1.1.1")


def limited(**more):
    """Return a site behind 10.0.0.0/8 whose checkout is limited to two."""
    return Site(rate_limits="checkout=2/900", trusted_proxies="10.0.0.0/8", **more)


def come(site, number, xff=None, rfc=None):
    """Check out as a learner by the proxy."""
    return site.call(
        "POST",
        "/checkout",
        json={"course_id": COURSE, "email": f"l{number}@example.com"},
        environ=environ_of("10.0.0.1", xff, rfc),
    ).status_code


@pytest.mark.parametrize("mount", ["wsgi", "flask"])
def test_header_that_is_made_up_helps_nobody(mount):
    """Where a proxy writes one header and lets the other through, both are counted."""
    site = limited(mount=mount)
    by_one = [come(site, n, "203.0.113.1", f"for=198.51.100.{n}") for n in range(4)]
    assert by_one == [201, 201, 429, 429]
    names = [f"198.51.100.{n}" for n in range(4)]
    by_other = [
        come(site, 50 + n, name, "for=203.0.113.2") for n, name in enumerate(names)
    ]
    assert by_other == [201, 201, 429, 429]
    inside = [(f"203.0.113.{n}", f"for=192.168.1.{n}") for n in range(9, 14)]
    honest = [come(site, 60 + n, *told) for n, told in enumerate(inside)]
    assert honest == [201] * 5
    # Nobody is locked out by his address in somebody else's header.
    victim = [come(site, 20 + n, "198.51.100.2") for n in range(2)]
    assert victim == [201] * 2
    same = [come(site, 30 + n, "192.0.2.1", 'for="192.0.2.1:80"') for n in range(3)]
    assert same == [201, 201, 429]


def test_household_is_a_bucket_whatever_its_spelling():
    """The /64 of IPv6, IPv4 by itself."""
    assert bucket_of("[2001:db8::1]:80") == bucket_of("2001:db8::2")
    assert bucket_of("::ffff:192.0.2.1") == bucket_of("192.0.2.1:99") == "192.0.2.1"
    assert bucket_of("forwarded 2001:db8::1") != bucket_of("2001:db8::1")
    assert bucket_of("nonsense") == bucket_of("") == "unknown"


def mounted(**more):
    """Return a client of a host that has our application under /enroll."""
    site = Site(**ADMIN, trusted_proxies="127.0.0.1", **more)
    host = DispatcherMiddleware(NotFound(), {"/enroll": create_app(site.sdk)})
    return Client(host)


TOLD = {"REMOTE_ADDR": "127.0.0.1"}


def prefixed(client, path, prefix, **more):
    """Send a request with a prefix."""
    headers = {"X-Forwarded-Prefix": prefix} | more
    return client.get(path, headers=headers, environ_base=TOLD)


def test_prefix_joins_the_inner_mount():
    """Sign-in, links, cookie and OpenAPI are where the browser finds them."""
    client = mounted()
    home = prefixed(client, "/enroll/admin/", "/shop")
    assert home.location == "/shop/enroll/admin/sign-in"
    document = prefixed(client, "/enroll/openapi.json", "/shop/")
    assert document.json["servers"] == [{"url": "/shop/enroll"}]
    page = prefixed(client, "/enroll/admin/sign-in", "/shop")
    assert 'action="/shop/enroll/admin/sign-in"' in page.text
    two = prefixed(client, "/enroll/openapi.json", "/made-up, /shop")
    assert two.json["servers"] == [{"url": "/shop/enroll"}]


@pytest.mark.parametrize(
    "prefix",
    [
        *("//evil.example", "/\\evil.example", "evil", "/a//b", "/..", "/./a", "/a?b"),
        *("/a#b", "/%2fevil.example", "/a;b", "/a b", "/", "", "https://evil.example"),
    ],
)
def test_prefix_that_is_no_path_is_none(prefix):
    """It would lead elsewhere, for one reader or another."""
    answer = prefixed(mounted(), "/enroll/admin/", prefix)
    assert answer.location == "/enroll/admin/sign-in"


def test_prefix_leads_past_no_rule_of_the_proxy():
    """A path that the proxy lets through stays what it is, whatever the client adds."""
    site = Site(**ADMIN, trusted_proxies="127.0.0.1")
    client = Client(create_app(site.sdk))
    for path in ("/x/admin/sign-in", "/x/healthz", "/x/y/healthz"):
        for prefix in ("/x", "/x/y"):
            assert prefixed(client, path, prefix).status_code == 404


def test_prefix_in_the_path_is_taken_out_where_the_settings_say_so():
    """Once, and only under it."""
    site = Site(**ADMIN, trusted_proxies="127.0.0.1", proxy_keeps_prefix=True)
    client = Client(create_app(site.sdk))
    assert prefixed(client, "/shop/healthz", "/shop").status_code == 200
    document = prefixed(client, "/shop/openapi.json", "/shop")
    assert document.json["servers"] == [{"url": "/shop"}]
    assert prefixed(client, "/shop/shop/healthz", "/shop").status_code == 404
    assert prefixed(client, "/shopping/healthz", "/shop").status_code == 404
    inner = mounted(proxy_keeps_prefix=True)
    kept = prefixed(inner, "/enroll/openapi.json", "/enroll")
    assert kept.json["servers"] == [{"url": "/enroll"}]


@pytest.mark.parametrize(
    ("headers", "scheme"),
    [
        ({"X-Forwarded-Proto": "https"}, "https"),
        ({"X-Forwarded-Proto": "http, HTTPS"}, "https"),
        ({"Forwarded": "for=192.0.2.1;proto=https"}, "https"),
        ({"Forwarded": "proto=https, for=192.0.2.1;proto=http"}, "http"),
        ({"X-Forwarded-Proto": "javascript"}, "http"),
        ({}, "http"),
    ],
)
def test_scheme_is_the_nearest_proxys(headers, scheme):
    """X-Forwarded-Proto, or RFC 7239."""
    names = {f"HTTP_{k.upper().replace('-', '_')}": v for k, v in headers.items()}
    environ = environ_of("10.0.0.1", **{"wsgi.url_scheme": "http"}) | names
    assert Proxies(OURS).apply(environ)["wsgi.url_scheme"] == scheme


UNTRUSTED = "FRAPPE_ENROLL_TRUSTED_PROXIES does not name"


@pytest.mark.parametrize("mount", ["wsgi", "flask"])
@pytest.mark.parametrize(
    "header",
    [
        {"X-Forwarded-For": "203.0.113.1"},
        {"X-Forwarded-Proto": "https"},
        {"X-Forwarded-Prefix": "/shop"},
        {"X-Forwarded-Host": "shop.example.com"},
        {"X-Forwarded-Port": "443"},
        {"Forwarded": "for=203.0.113.1"},
    ],
    ids=str,
)
def test_proxy_that_is_not_trusted_is_told_once(mount, header, caplog):
    """One line, without an address; and /readyz says so to whoever comes that way."""
    site = Site(mount=mount)
    site.call("GET", "/healthz")
    assert UNTRUSTED not in caplog.text
    for _ in range(3):
        site.call("GET", "/healthz", headers=header)
    assert caplog.text.count(UNTRUSTED) == 1
    assert "203.0.113.1" not in caplog.text
    ready = site.call("GET", "/readyz", headers=header)
    assert (ready.status_code, ready.json["checks"]["proxy"]) == (200, "untrusted")
    assert "proxy" not in site.call("GET", "/readyz").json["checks"]
    named = Site(trusted_proxies="127.0.0.1", mount=mount)
    peer = {"REMOTE_ADDR": "127.0.0.1"}
    heard = named.call("GET", "/readyz", headers=header, environ=peer)
    assert "proxy" not in heard.json["checks"]


@pytest.mark.parametrize(
    ("checks", "state"), [({"proxy": "untrusted"}, "untrusted"), ({}, "ok")]
)
def test_check_with_url_finds_a_proxy_that_is_not_trusted(monkeypatch, checks, state):
    """By what the deployment says of the request that came through it."""
    body = json.dumps({"status": "ok", "checks": {"storage": "ok"} | checks}).encode()

    def knock(*_):
        return (200, "application/json", body)

    monkeypatch.setattr("frappe_enroll_sdk.services.doctor._knock", knock)
    found = {c.name: c for c in Site().sdk.examine("https://shop.example.com/e")}
    assert found["url proxy"].state == state
    assert found["url proxy"].is_bad is (state != "ok")


def test_server_that_is_not_waitress_hides_nothing():
    """Whatever else stands under its name."""
    for hidden in (None, print, SimpleNamespace(), "x"):
        environ = environ_of("10.0.0.1") | {"waitress.client_disconnected": hidden}
        assert Proxies(OURS).clients(environ) == ("10.0.0.1",)
