# SPDX-License-Identifier: MIT
"""No request costs more than it brings: patterns, bodies, guesses, hanging backends."""

from __future__ import annotations

import gc
import io
import itertools
import json
import re
import sys
import threading
import time

import pytest
from support.browser import Browser
from support.site import ADMIN, EMAIL, OPERATOR, SECRET, Site, check_problem
from support.size import LEAST, SERVER_DIFFERS
from support.world import COURSE

from frappe_enroll_wsgi import ROUTES
from frappe_enroll_wsgi._internal import validation
from frappe_enroll_wsgi._internal.bodies import MAX_PUBLIC_BODY
from frappe_enroll_wsgi._internal.readiness import Readiness
from frappe_enroll_wsgi._internal.routing import Access, Area
from frappe_enroll_wsgi._internal.schemas import resolved


#: Routes by what they take of JSON.
BODIES = sorted({route.body for route in ROUTES if route.body})
LEARNERS = [r for r in ROUTES if r.area is Area.LEARNER and r.body]
BEARER = {"Authorization": f"Bearer {OPERATOR}"}


def texts_of(schema):
    """Return the schemas of texts in a schema."""
    if isinstance(schema, list):
        return [text for part in schema for text in texts_of(part)]
    if not isinstance(schema, dict):
        return []
    matched, kind = isinstance(schema.get("pattern"), str), schema.get("type")
    is_text = matched or (isinstance(kind, (str, list)) and "string" in kind)
    found = [schema] if is_text else []
    return found + [text for part in schema.values() for text in texts_of(part)]


def asked_texts():
    """Return the schemas of all texts that callers send, each once."""
    asked = [resolved(name) for name in BODIES]
    asked += [dict(route.query) for route in ROUTES]
    asked += [dict(route.form or {}) for route in ROUTES]
    found = {json.dumps(t, sort_keys=True): t for s in asked for t in texts_of(s)}
    return list(found.values())


PATTERNS = sorted({text["pattern"] for text in asked_texts() if "pattern" in text})


def test_text_of_a_caller_has_a_length():
    """Whatever is matched has a limit that is looked at before; so has the rest."""
    assert len(PATTERNS) > 8
    unbound = [t for t in asked_texts() if not {"maxLength", "enum"} & t.keys()]
    # A file has the body's limit.
    assert unbound == [{"type": "string", "minLength": 1}]


def duration_of(pattern, text):
    """Return the least seconds of CPU that a match takes."""
    least = float("inf")
    for _ in range(7):
        began = time.thread_time()
        pattern.search(text)
        least = min(least, time.thread_time() - began)
    return least


@pytest.mark.parametrize("pattern", PATTERNS)
def test_pattern_is_linear(pattern):
    """Eight times the text takes about eight times as long, whatever it is made of."""
    compiled = validation._compiled(pattern)
    pieces = ["a", " ", "\u2003", "#", "-", ".", "0", "a.", "-a", "#a", " a", "a "]
    gc.disable()
    try:
        for start, piece, end in itertools.product(
            ("", "a@a", "a"), pieces, ("\x00", "@", " ")
        ):
            short, long = (start + piece * n + end for n in (1500, 12_000))
            before = max(duration_of(compiled, short), 5e-6)
            assert duration_of(compiled, long) < 24 * before, (start, piece, end)
    finally:
        gc.enable()


def test_pattern_of_before_would_be_seen():
    """The measurement tells a quadratic pattern from a linear one."""
    quadratic = re.compile(r"^[^\x00]*[^\s\x00][^\x00]*$")
    short, long = (duration_of(quadratic, "a" * n + "\x00") for n in (500, 6000))
    assert long > 40 * short


@pytest.mark.parametrize("name", ["course_id", "email", "coupon_code", "success_url"])
def test_text_too_long_is_not_matched(monkeypatch, name):
    """Its length is a problem already; nothing else looks at it."""
    seen = []
    real = validation._compiled

    def watched(pattern):
        seen.append(pattern)
        return real(pattern)

    fields = {"course_id": COURSE, "email": EMAIL} | {name: "a" * 60_000}
    body = json.dumps({name: "a" * 60_000, **fields})
    monkeypatch.setattr(validation, "_compiled", watched)
    answer = Site().call(
        "POST",
        "/checkout",
        data=body,
        headers={"Content-Type": "application/json"},
    )
    check_problem(answer, 400, "validation", field=name)
    assert len(seen) == len({"course_id", "email"} - {name})


def calls_of(work):
    """Return how many functions a piece of work calls."""
    count = 0

    def watch(_frame, event, _argument):
        nonlocal count
        count += event in {"call", "c_call"}

    # What the collector finalizes in between are calls, too, and of somebody else's.
    gc.disable()
    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


BAD_BODIES = {
    "unknown names": lambda n: {f"k{i}": i for i in range(n)},
    "many answers": lambda n: {
        "course_id": COURSE,
        "email": EMAIL,
        "answers": {f"k{i}": "x" for i in range(n)},
    },
    "bad answers": lambda n: {
        "course_id": COURSE,
        "email": EMAIL,
        "answers": {f"\x00{i}": [] for i in range(n)},
    },
    "a list": lambda n: [{}] * n,
    "deep ends": lambda n: {"email": [[[]]] * n},
}


@pytest.mark.parametrize("make", BAD_BODIES.values(), ids=BAD_BODIES)
def test_bad_body_costs_the_same_however_long(make):
    """The search for problems ends with the first twenty."""

    def cost(n):
        fields = make(n)

        def check():
            with pytest.raises(validation.InvalidError) as caught:
                validation.check_body("GrantRequest", fields)
            assert 1 <= len(caught.value.errors) <= 20

        check()
        return calls_of(check)

    assert cost(80_000) == cost(800)


def test_twenty_problems_are_told():
    """Each with a path that is cut, the body's unknown names first come."""
    fields = {f"{'x' * 100}{n}": n for n in range(50)}
    answer = Site().call("POST", "/checkout", json=fields)
    assert answer.status_code == 400
    assert all(len(error["path"]) <= 65 for error in answer.json["errors"])
    many = Site().call("POST", "/checkout", json={f"k{n}": n for n in range(50)})
    assert len(many.json["errors"]) == 20


@pytest.mark.parametrize("route", LEARNERS, ids=lambda route: route.name)
def test_learner_route_takes_64_kilobytes(route):
    """One byte more is 413; so much and no JSON is 400."""
    site = Site(account_check=True)
    headers = {"Content-Type": "application/json"}
    for length, status in ((MAX_PUBLIC_BODY, 400), (MAX_PUBLIC_BODY + 1, 413)):
        body = b'"' + b"x" * (length - 2) + b'"'
        answer = site.call("POST", route.path, data=body, headers=headers)
        assert answer.status_code == status


def test_sign_in_takes_64_kilobytes_and_operators_take_more():
    """What anybody may send is small; a file of an operator's is not."""
    site = Site(**ADMIN)
    large = "x" * 200_000
    answer = site.call(
        "POST",
        "/admin/sign-in",
        data={"token": large},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    assert answer.status_code == 413
    assert site.order("/coupons/import", csv=f"code\n{large}").status_code == 400
    webhook = site.call("POST", "/webhooks/fake", data=large.encode())
    assert (webhook.status_code, webhook.json["code"]) == (400, "signature")


def in_chunks(site, path, data, **environ):
    """Send a body whose length is not told, in pieces of a server."""

    class Pieces(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 4096) if size >= 0 else -1)

    answer = site.client.open(
        path,
        method="POST",
        input_stream=Pieces(data),
        headers={"Content-Type": "application/json"},
        environ_overrides={"HTTP_TRANSFER_ENCODING": "chunked"} | environ,
    )
    answer.get_data()
    answer.close()
    return answer


@pytest.mark.parametrize("mount", ["wsgi", "flask"])
@pytest.mark.parametrize("path", ["/checkout", "/webhooks/fake", "/admin/api/coupons"])
def test_body_in_chunks_is_had_whole_or_refused(mount, path):
    """Above the limit it is 413, never a body that was cut there."""
    site = Site(mount=mount, body_limit=70_000, **ADMIN)
    limit = MAX_PUBLIC_BODY if path == "/checkout" else 70_000
    ended = {"wsgi.input_terminated": True}
    if "admin" in path:
        ended["HTTP_AUTHORIZATION"] = BEARER["Authorization"]
    fields = {"course_id": COURSE, "email": EMAIL}
    fits = json.dumps(fields).ljust(limit).encode()
    statuses = [
        in_chunks(site, path, body, **ended).status_code
        for body in (fits, fits + b" ", fits * 4)
    ]
    assert statuses == [201 if path == "/checkout" else 400, 413, 413]


def test_body_in_chunks_of_a_server_that_does_not_join_them_is_411():
    """It would be read as empty."""
    answer = in_chunks(Site(), "/checkout", b"{}")
    check_problem(answer, 411, "length_required")


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"email": ' + b"[" * 17 + b"]" * 17 + b"}",
        b'{"a": "[[[", "b": ' + b"[" * 20 + b"]" * 20 + b"}",
        b'"' + b'\\"' * 30_000,
        b'{"a":"' + b"\\" * 60_000,
    ],
    ids=["lists", "objects", "just too deep", "after text", "quotes", "backslashes"],
)
def test_deep_or_endless_json_is_refused_before_it_is_read(body, monkeypatch):
    """The depth is counted, not walked."""
    site = Site()
    deep = body.count(b"[") > 16 or body.count(b"{") > 16
    if deep:
        monkeypatch.setattr("frappe_enroll_wsgi._internal.strict_json.json", None)
    answer = site.call(
        "POST", "/checkout", data=body, headers={"Content-Type": "application/json"}
    )
    check_problem(answer, 400, "validation", field="body")


def test_brackets_in_a_text_are_no_depth():
    """A name of brackets is a name."""
    name = "[" * 70 + '"\\' + "{" * 60
    assert Site().checkout(full_name=name).status_code == 201


@pytest.mark.parametrize(
    "number",
    ["1" * 50_000, "-" + "9" * 41, "1e999", "1e-999999999", "-1e400", "0.0000e-1000"],
)
def test_number_that_no_type_holds_names_its_field(number):
    """Refused where it stands; 0 in a strange spelling is 0."""
    site = Site(**ADMIN)
    body = f'{{"percent_off": {number}, "reason": "because"}}'
    headers = BEARER | {"Content-Type": "application/json"}
    answer = site.call("POST", "/admin/api/coupons", data=body, headers=headers)
    check_problem(answer, 400, "validation", field="percent_off")
    answers = f'{{"course_id": "{COURSE}", "email": "{EMAIL}", "answers": {{"n": %s}}}}'
    headers = {"Content-Type": "application/json"}
    applied = site.call("POST", "/grants", data=answers % number, headers=headers)
    if number.startswith("0"):
        assert applied.status_code == 202
    else:
        check_problem(applied, 400, "validation", field="answers/n")


class Hanging:
    """A ping that hangs until it is let go."""

    def __init__(self):
        self.begun, self.go, self.count = threading.Event(), threading.Event(), 0

    def __call__(self):
        self.count += 1
        self.begun.set()
        assert self.go.wait(30)


@pytest.mark.parametrize("backend", ["storage", "payments", "lms"])
def test_readyz_does_not_wait_for_somebody_elses_question(monkeypatch, backend):
    """One asks a backend that hangs; the others have what is known, at once."""
    site, hanging = Site(), Hanging()
    monkeypatch.setattr(getattr(site.sdk, backend), "ping", hanging)
    first = threading.Thread(target=site.call, args=("GET", "/readyz"))
    first.start()
    try:
        assert hanging.begun.wait(10)
        others = [site.call("GET", "/readyz") for _ in range(5)]
        assert hanging.count == 1
        for answer in others:
            assert answer.json["checks"][backend] == "unknown"
            assert answer.status_code == (503 if backend == "storage" else 200)
    finally:
        hanging.go.set()
        first.join(10)
    assert site.call("GET", "/readyz").json["checks"][backend] == "ok"


def test_readyz_tells_the_last_answer_for_some_seconds_only(monkeypatch):
    """A backend that hangs for longer is unknown; an asker that is lost is replaced."""
    site, now = Site(), [1000.0]
    monkeypatch.setattr(site.sdk.ambient, "monotonic", lambda: now[0])
    readiness = Readiness(site.sdk)
    assert readiness.checks()["lms"] == "ok"
    hanging = Hanging()
    monkeypatch.setattr(site.sdk.lms, "ping", hanging)
    now[0] += 6
    asker = threading.Thread(target=readiness.checks)
    asker.start()
    try:
        assert hanging.begun.wait(10)
        assert readiness.checks()["lms"] == "ok"
        now[0] += 6
        assert readiness.checks() == {
            "storage": "ok",
            "payments": "ok",
            "lms": "unknown",
        }
        monkeypatch.setattr(site.sdk.lms, "ping", lambda: None)
        now[0] += 60
        assert readiness.checks()["lms"] == "ok"
    finally:
        hanging.go.set()
        asker.join(10)


def guess(site, kind, right=False, **more):
    """Send credentials of a kind, wrong ones unless told."""
    if kind == "sign_in":
        token = OPERATOR if right else "fea_wrong"
        headers = {"Sec-Fetch-Site": "same-origin"} | more.pop("headers", {})
        data = {"token": token}
        return site.call("POST", "/admin/sign-in", data=data, headers=headers, **more)
    secret = {"cron": SECRET, "admin": OPERATOR}[kind] if right else "wrong"
    path = {"cron": "/cron/run", "admin": "/admin/api/stats"}[kind]
    headers = {"Authorization": f"Bearer {secret}"}
    method = {"cron": "POST", "admin": "GET"}[kind]
    return site.call(method, path, headers=headers, **more)


GUESSES = ["cron", "admin", "sign_in"]
ELSEWHERE = {"REMOTE_ADDR": "192.0.2.9"}


@pytest.mark.parametrize("kind", GUESSES)
def test_guesses_are_limited_for_their_address(kind):
    """Three wrong ones, then nothing is looked at; another address is let in."""
    site = Site(**ADMIN | {"rate_limits": f"{kind}=3/60"})
    for _ in range(5):
        assert guess(site, kind, right=True).status_code in {200, 303}
    statuses = [guess(site, kind).status_code for _ in range(4)]
    assert statuses == [401, 401, 401, 429]
    blocked = guess(site, kind, right=True)
    assert blocked.status_code == 429
    assert 1 <= int(blocked.headers["Retry-After"]) <= 61
    assert guess(site, kind, right=True, environ=ELSEWHERE).status_code in {200, 303}


def test_request_without_credentials_is_no_guess():
    """A browser that is not signed in, a probe without a secret, another scheme."""
    site = Site(**ADMIN | {"rate_limits": "admin=1/60,cron=1/60"})
    for _ in range(3):
        assert site.call("GET", "/admin/api/stats").status_code == 401
        assert site.call("POST", "/cron/run").status_code == 401
        basic = {"Authorization": "Basic YTpi"}
        answer = site.call("GET", "/admin/api/stats", headers=basic)
        assert answer.status_code == 401
    assert guess(site, "admin", right=True).status_code == 200
    assert guess(site, "cron", right=True).status_code == 200


def test_other_sites_pages_use_nobodys_tries_up():
    """The origin is looked at before anything is counted."""
    site = Site(**ADMIN | {"rate_limits": "sign_in=2/60"})
    for _ in range(5):
        cross = guess(site, "sign_in", headers={"Sec-Fetch-Site": "cross-site"})
        assert cross.status_code == 403
    assert Browser(site).signed_in.status_code == 303


@pytest.mark.skipif(LEAST, reason=SERVER_DIFFERS)
def test_limits_are_counted_in_the_database_of_the_setting(mongo_uri):
    """Deployments on one server have a share each, and no database but theirs."""
    pymongo = pytest.importorskip("pymongo")
    client = pymongo.MongoClient(mongo_uri)
    names = ["door_staging", "door_live", "door_named"]
    try:
        before = set(client.list_database_names())
        shop = {"rate_limits": "return=1/60", "rate_limit_storage": mongo_uri}
        sites = [Site(**shop, mongodb_database=name) for name in names[:2]]
        base, _, options = mongo_uri.partition("?")
        named = f"{base.rstrip('/')}/door_named?{options}"
        sites.append(Site(**shop | {"rate_limit_storage": named}))
        for site in sites:
            statuses = [site.call("GET", "/return").status_code for _ in range(2)]
            assert statuses == [200, 429]
        assert set(client.list_database_names()) - before == set(names)
    finally:
        for name in names:
            client.drop_database(name)
        client.close()


def test_rule_of_every_route_bounds_its_body():
    """Routes of anybody take little; whatever takes more knows who sends it."""
    free = {Access.PUBLIC, Access.LEARNER, Access.SAME_ORIGIN}
    known = {Access.PROVIDER, Access.CRON, Access.VIEWER, Access.OPERATOR}
    assert {route.access for route in ROUTES} <= free | known
