# SPDX-License-Identifier: MIT
"""Rules over all routes: limits, proxies, CORS, bodies, what is told to whom."""

from __future__ import annotations

import base64
import secrets
import time
from types import SimpleNamespace

import pytest
from support.site import EMAIL, Site, check_problem
from support.size import LEAST, SERVER_DIFFERS
from support.world import COURSE

from frappe_enroll_sdk.settings.http import RATE_LIMITS
from frappe_enroll_sdk.testing.faults import CrashPlan
from frappe_enroll_wsgi._internal import idempotency
from frappe_enroll_wsgi._internal.proxies import Proxies, bucket_of


def limited(**more):
    """Return a site whose limits are on."""
    return Site(**{"rate_limits": ""} | more)


def from_address(address, **more):
    """Return the environment of a peer, with more headers."""
    return {"REMOTE_ADDR": address} | more


def test_checkout_is_limited_by_address():
    """Ten in 15 minutes, then a 429 that says when to come back."""
    site = limited()
    for number in range(10):
        answer = site.checkout(email=f"learner{number}@example.com")
        assert answer.status_code == 201
        assert answer.headers["RateLimit-Policy"] == '"checkout";q=10;w=900'
        assert answer.headers["RateLimit"].startswith(f'"checkout";r={9 - number};t=')
    over = site.checkout(email="last@example.com")
    check_problem(over, 429, "rate_limited", retryable=True)
    assert 890 <= int(over.headers["Retry-After"]) <= 900
    elsewhere = site.call(
        "POST",
        "/checkout",
        json={"course_id": COURSE, "email": EMAIL},
        environ=from_address("192.0.2.9"),
    )
    assert elsewhere.status_code == 201


def test_nobody_uses_up_a_learners_share():
    """Eleven requests under her address from elsewhere, and hers is none the worse."""
    site = limited()
    fields = {"course_id": COURSE, "email": EMAIL}
    for n in range(11):
        other = from_address(f"192.0.2.{n}")
        site.call("POST", "/checkout", json=fields, environ=other)
    hers = from_address("198.51.100.7")
    answer = site.call("POST", "/checkout", json=fields, environ=hers)
    assert answer.status_code == 201
    # Nor does she see that anybody was active under her address.
    assert answer.headers["RateLimit"].startswith('"checkout";r=9')


def test_one_client_does_not_hold_all_seats_of_a_public_code():
    """By made-up addresses: a few, then 429; another client has a seat at once."""
    site = limited(rate_limits="seats=3/7200,checkout=off")
    code = site.world.coupon(50, max_redemptions=10)

    def ask(n, client):
        fields = {"course_id": COURSE, "email": f"a{n}@example.com"}
        return site.call(
            "POST",
            "/checkout",
            json=fields | {"coupon_code": code.lower() if n % 2 else code},
            environ=from_address(client),
        ).status_code

    assert [ask(n, "192.0.2.1") for n in range(5)] == [201, 201, 201, 429, 429]
    assert ask(9, "192.0.2.2") == 201
    assert site.world.storage.coupons.find(code).reserved == 4


def test_limit_ends_with_its_window(monkeypatch):
    """The window moves: after it, the address is free again."""
    site = limited(rate_limits="return=2/60")
    for _ in range(2):
        assert site.call("GET", "/return").status_code == 200
    assert site.call("GET", "/return").status_code == 429
    later = time.time() + 61
    clock = SimpleNamespace(time=lambda: later)
    monkeypatch.setattr("limits.storage.memory.time", clock)
    assert site.call("GET", "/return").status_code == 200


def test_preview_return_cancel_and_account_are_limited():
    """Each route that the settings list has its limit; webhooks have none."""
    site = limited(
        rate_limits="preview=1/60,return=1/60,cancel=1/60,account=1/60",
        account_check=True,
    )
    calls = [
        ("POST", "/coupons/preview"),
        ("GET", "/return"),
        ("POST", "/enrollments/enr_1/cancel"),
        ("POST", "/accounts/check"),
    ]
    for method, path in calls:
        assert site.call(method, path).status_code != 429
        check_problem(site.call(method, path), 429, "rate_limited", retryable=True)
    for _ in range(30):
        assert site.call("POST", "/webhooks/fake").status_code == 400
    assert set(RATE_LIMITS) >= {"preview", "return", "cancel", "account", "sign_in"}


def test_limit_survives_its_store(caplog):
    """While Redis is down, this process's memory counts."""
    site = limited(rate_limit_storage="redis://127.0.0.1:1", rate_limits="return=1/60")
    assert site.call("GET", "/return").status_code == 200
    assert site.call("GET", "/return").status_code == 429
    assert "store of the rate limits is failing" in caplog.text


@pytest.mark.skipif(LEAST, reason=SERVER_DIFFERS)
def test_processes_share_a_limit_on_mongodb(mongo_uri):
    """Two hosts on one store count together; another address has its own share."""
    one, other = (
        limited(rate_limit_storage=mongo_uri, rate_limits="return=3/60")
        for _ in range(2)
    )
    # A server that is not ours may remember an earlier run.
    here, there = (
        from_address(f"198.{18 + n}.{secrets.randbelow(256)}.{secrets.randbelow(256)}")
        for n in range(2)
    )
    statuses = [
        site.call("GET", "/return", environ=here).status_code
        for site in (one, other, one, other, one)
    ]
    assert statuses == [200, 200, 200, 429, 429]
    answer = other.call("GET", "/return", environ=there)
    assert answer.status_code == 200
    assert answer.headers["RateLimit"].startswith('"return";r=2;t=')


@pytest.mark.parametrize("uri", ["memcached://127.0.0.1", "nonsense://"])
def test_store_that_cannot_count_is_told(uri, caplog):
    """A misconfiguration is a 503 and a line for the operator."""
    site = limited(rate_limit_storage=uri)
    check_problem(site.call("GET", "/return"), 503, "settings", retryable=True)
    assert "FRAPPE_ENROLL_RATE_LIMIT_STORAGE" in str(vars(caplog.records[-1]))


def test_forged_forwarded_addresses_share_one_bucket():
    """Scenario 30: a client that makes addresses up stays one client."""
    site = limited()
    statuses = [
        site.call(
            "GET",
            "/return",
            environ=from_address(
                "203.0.113.7", HTTP_X_FORWARDED_FOR=f"198.51.100.{n % 250}, 10.0.0.{n}"
            ),
        ).status_code
        for n in range(61)
    ]
    assert statuses == [200] * 60 + [429]


def test_forwarded_addresses_of_a_trusted_proxy_count():
    """Clients behind it are told apart; what they write themselves is not read."""
    site = limited(trusted_proxies="10.0.0.0/8", rate_limits="return=1/60")

    def come(forwarded):
        environ = from_address("10.1.2.3", HTTP_X_FORWARDED_FOR=forwarded)
        return site.call("GET", "/return", environ=environ).status_code

    assert come("203.0.113.1") == 200
    assert come("203.0.113.2") == 200
    assert come("1.2.3.4, 203.0.113.1") == 429
    assert come("1.2.3.4, 203.0.113.2, 10.9.9.9") == 429


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        ("", "203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("10.0.0.1", "10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.1", "made up", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.1", "1.1.1.1,10.0.0.1", "1.1.1.1"),
        ("unix", "", "198.51.100.1", "198.51.100.1"),
        ("", "", "198.51.100.1", ""),
        ("::1", "::1", "2001:db8::5", "2001:db8::5"),
    ],
)
def test_client_is_the_last_address_that_is_no_proxy(trusted, peer, forwarded, client):
    """Only what trusted proxies appended is believed."""
    proxies = Proxies(filter(None, trusted.split(",")))
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}
    assert proxies.clients(environ) == (client,)


def test_household_of_ipv6_is_one_bucket():
    """A /64 is one household; a mapped IPv4 address is that address."""
    assert bucket_of("2001:db8::1") == bucket_of("2001:db8::ffff:2")
    assert bucket_of("2001:db8::1") != bucket_of("2001:db8:0:1::1")
    assert bucket_of("::ffff:192.0.2.1") == bucket_of("192.0.2.1")


def test_prefix_of_a_trusted_proxy_is_the_mount():
    """X-Forwarded-Prefix and -Proto of a proxy of ours, and of nobody else."""
    site = Site(trusted_proxies="10.0.0.1")
    told = {"HTTP_X_FORWARDED_PREFIX": "/shop", "HTTP_X_FORWARDED_PROTO": "https"}
    by_proxy = site.call(
        "GET", "/openapi.json", environ=from_address("10.0.0.1", **told)
    )
    assert by_proxy.json["servers"] == [{"url": "/shop"}]
    by_anybody = site.call(
        "GET", "/openapi.json", environ=from_address("203.0.113.7", **told)
    )
    assert by_anybody.json["servers"] == [{"url": "/"}]


def test_key_replays_the_answer_and_its_token():
    """A lost answer is had again by its key, token and all; nobody else has it."""
    site = Site()
    first = site.checkout(key="key-1")
    again = site.checkout(key="key-1")
    assert (again.status_code, again.json) == (201, first.json)
    assert again.json["token"] is not None
    (stored,) = site.world.storage.events.list(limit=10).items
    assert "key-1" not in str(stored.payload)
    assert first.json["token"].encode() not in base64.b64decode(
        stored.payload["answer"]["body"]
    )
    without = site.checkout()
    assert without.status_code == 201
    assert without.json["enrollment_id"] != first.json["enrollment_id"]


def test_key_with_another_payload_is_422():
    """Whatever differs: the course, the learner, the code."""
    site = Site()
    site.checkout(key="key-1")
    for change in ({"email": "bob@example.com"}, {"full_name": "Ada"}):
        answer = site.checkout(key="key-1", **change)
        check_problem(answer, 422, "idempotency_mismatch", field="idempotency_key")


def test_key_that_is_being_worked_on_is_409(monkeypatch):
    """The second of two at once is told to wait; then it has the first one's answer."""
    site = Site()
    real, seen = site.sdk.checkout, []

    def slow(**arguments):
        if not seen:
            seen.append(site.checkout(key="key-1"))
        return real(**arguments)

    monkeypatch.setattr(site.sdk, "checkout", slow)
    first = site.checkout(key="key-1")
    check_problem(seen[0], 409, "in_progress", retryable=True)
    assert seen[0].headers["Retry-After"] == "2"
    assert site.checkout(key="key-1").json == first.json


def test_worker_that_claims_a_new_record_is_waited_for(monkeypatch):
    """It is due for a moment: a worker may be faster, and then lets go of it."""
    site = Site()
    events, now = site.sdk.storage.events, site.world.clock.now()
    real, claims = idempotency._Record.open, []

    def open_record(record):
        job = real(record)
        if claims:
            return job
        claims.extend(events.claim("worker", now, 60, 1))
        return events.find(job.key)

    def let_go(_):
        for claim in claims:
            events.complete(claim.token, claim.seq, now)

    monkeypatch.setattr(idempotency._Record, "open", open_record)
    monkeypatch.setattr(site.sdk.ambient, "sleep", let_go)
    assert site.checkout(key="key-1").status_code == 201
    assert len(claims) == 1


def test_key_goes_on_after_its_process_died(monkeypatch):
    """The lease lapses; the next try resumes what the first one opened."""
    site = Site()
    real = site.sdk.checkout

    def die(**arguments):
        real(**arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(site.sdk, "checkout", die)
    with pytest.raises(KeyboardInterrupt):
        site.checkout(key="key-1")
    monkeypatch.undo()
    check_problem(site.checkout(key="key-1"), 409, "in_progress", retryable=True)
    site.world.clock.advance(61)
    site.sdk.run_jobs()
    answer = site.checkout(key="key-1")
    assert answer.status_code == 200
    assert [row.id for row in site.world.rows()] == [answer.json["enrollment_id"]]


def test_key_of_a_failure_may_be_used_again():
    """A 503 is not kept; a refusal is."""
    site = Site()
    site.world.lms.is_down = True
    check_problem(site.checkout(key="key-1"), 503, "lms_unavailable", retryable=True)
    site.world.lms.is_down = False
    assert site.checkout(key="key-1").status_code == 201
    refused = site.checkout(key="key-2", coupon_code="NO-SUCH")
    again = site.checkout(key="key-2", coupon_code="NO-SUCH")
    assert refused.json == again.json
    assert again.headers["Idempotent-Replayed"] == "true"


def test_key_is_forgotten_after_a_day():
    """Then it may ask for something else."""
    site = Site()
    site.checkout(key="key-1")
    site.world.clock.advance(24 * 3600)
    assert site.checkout(key="key-1", email="bob@example.com").status_code == 201
    site.world.clock.advance(24 * 3600 + 1)
    site.sdk.admin.maintain()
    assert site.world.storage.events.list(kind="http_request").items == ()


@pytest.mark.parametrize("key", ["", "  ", "x" * 256, "a\tb"])
def test_key_that_is_none_is_refused(key):
    """A header that can't be a key is a mistake to be told of."""
    answer = Site().checkout(key=key)
    check_problem(answer, 400, "validation", field="idempotency_key")


def store_calls(site, fields, path="/checkout"):
    """Return an answer and the store calls that it took."""
    plan = CrashPlan()
    sdk = site.world.sdk(plan=plan)
    other = Site()
    other.restart(sdk)
    answer = other.call("POST", path, json=fields)
    return answer, [call for call in plan.calls if "." in call]


@pytest.mark.parametrize("path", ["/checkout", "/coupons/preview"])
def test_unknown_and_foreign_codes_look_alike(path):
    """Scenario 24: one answer and the same calls, for every code that does not fit."""
    site = Site()
    world = site.world
    world.lms.add_course("other", world.lms.get_course(COURSE).price)
    name = "coupon_code" if path == "/checkout" else "code"
    foreign = [
        "NO-SUCH-CODE",
        site.sdk.coupons.create(100, COURSE, email="bob@example.com").code,
        site.sdk.coupons.create(100, "other").code,
    ]
    disabled = world.coupon(100)
    site.sdk.coupons.disable(disabled)
    told = []
    for code in [*foreign, disabled]:
        fields = {"course_id": COURSE, "email": EMAIL, name: code}
        answer, calls = store_calls(site, fields, path)
        check_problem(answer, 409, "coupon_unavailable", field="coupon_code")
        told.append((answer.data, calls))
    assert told == [told[0]] * len(told)
    assert told[0][1].count("coupons.find") == 1
    assert world.rows() == ()


def test_learner_of_the_code_is_told_why():
    """Reserved, used up or expired: to whom the code fits, and to nobody else."""
    site = Site()
    world = site.world
    held = world.coupon(50)
    site.checkout(email="bob@example.com", coupon_code=held)
    reserved = site.checkout(coupon_code=held)
    check_problem(reserved, 409, "coupon_reserved", retryable=True, field="coupon_code")
    assert reserved.headers["Retry-After"] == "900"
    used = world.coupon(100)
    site.checkout(email="bob2@example.com", coupon_code=used)
    for answer in (
        site.checkout(coupon_code=used),
        site.call(
            "POST",
            "/coupons/preview",
            json={"code": used, "course_id": COURSE, "email": EMAIL},
        ),
    ):
        check_problem(answer, 409, "coupon_exhausted", field="coupon_code")
    over = world.coupon(50, expires_at=world.clock.now())
    check_problem(
        site.checkout(coupon_code=over), 409, "coupon_expired", field="coupon_code"
    )
    personal = world.coupon(50, email="bob@example.com", expires_at=world.clock.now())
    stranger = site.checkout(coupon_code=personal)
    check_problem(stranger, 409, "coupon_unavailable", field="coupon_code")


def test_stranger_learns_nothing_of_an_enrolled_learner():
    """Who knows the address hears the same of our enrolments and of the LMS's own."""
    site = Site()
    made = site.checkout(coupon_code=site.world.coupon(100)).json
    site.world.lms.create_user("bob@example.com", None)
    site.world.lms.add_row("bob@example.com", COURSE)
    ours, theirs = site.checkout(), site.checkout(email="bob@example.com")
    check_problem(ours, 409, "already_enrolled", field="email")
    assert ours.data == theirs.data
    wrong = site.checkout(headers={"Enrollment-Token": "wrong"})
    check_problem(wrong, 403, "token", field="token")
    holder = site.checkout(headers={"Enrollment-Token": made["token"]})
    assert (holder.status_code, holder.json["status"]) == (200, "enrolled")
    assert holder.json["token"] is None


def test_account_check_is_off_unless_it_is_allowed():
    """404 by default; with the setting, existence and nothing else."""
    fields = {"email": EMAIL}
    off = Site().call("POST", "/accounts/check", json=fields)
    check_problem(off, 404, "not_found")
    site = Site(account_check=True)
    assert site.call("POST", "/accounts/check", json=fields).json == {"exists": False}
    site.world.lms.create_user(EMAIL, "Ada")
    assert site.call("POST", "/accounts/check", json=fields).json == {"exists": True}


def test_every_problem_of_a_body_is_told_with_its_path():
    """All at once, and no value is repeated."""
    answer = Site().call(
        "POST",
        "/checkout",
        json={"email": "secret person", "coupon_code": 5, "price": 1, "full_name": ""},
    )
    check_problem(answer, 400, "validation", field="coupon_code")
    assert answer.json["errors"] == [
        {"path": "/coupon_code", "problem": "must be text"},
        {"path": "/course_id", "problem": "is missing"},
        {"path": "/email", "problem": "has the wrong format"},
        {"path": "/full_name", "problem": "must have 1 characters or more"},
        {"path": "/price", "problem": "is unknown"},
    ]
    assert "secret person" not in answer.text


@pytest.mark.parametrize(
    ("data", "headers", "status"),
    [
        (b'{"email": "a@b.co", "email": "b@b.co"}', {}, 400),
        (b'{"email": NaN}', {}, 400),
        (b'{"email": "\\ud800"}', {}, 400),
        (b"{}", {"Content-Type": "application/json; charset=latin-1"}, 415),
        (b"{}", {"Content-Encoding": "gzip"}, 415),
        (b"{}", {"Content-Type": "multipart/form-data"}, 415),
        (b"{}", {"Content-Type": "application/json; charset=UTF-8"}, 400),
    ],
    ids=["twins", "nan", "surrogate", "charset", "gzip", "form", "utf8"],
)
def test_body_of_a_kind_that_is_not_taken_is_refused(data, headers, status):
    """Scenario 21: what two readers could read differently is not read at all."""
    headers = {"Content-Type": "application/json"} | headers
    answer = Site().call("POST", "/checkout", data=data, headers=headers)
    assert answer.status_code == status


def test_cors_is_off_unless_set():
    """No header, and a preflight is a wrong method."""
    site = Site()
    headers = {"Origin": "https://shop.example.com"}
    assert "Access-Control-Allow-Origin" not in site.checkout(headers=headers).headers
    preflight = headers | {"Access-Control-Request-Method": "POST"}
    answer = site.call("OPTIONS", "/checkout", headers=preflight)
    check_problem(answer, 405, "method_not_allowed")


def test_cors_lets_the_origins_of_the_setting_in():
    """Learners' routes only, without credentials; other origins get nothing."""
    site = Site(cors_origins="https://shop.example.com")
    ours = {"Origin": "https://shop.example.com"}
    asks = {"Access-Control-Request-Method": "POST"}
    allowed = site.call("OPTIONS", "/checkout", headers=ours | asks)
    assert allowed.status_code == 204
    assert allowed.headers["Access-Control-Allow-Origin"] == ours["Origin"]
    assert "Idempotency-Key" in allowed.headers["Access-Control-Allow-Headers"]
    answer = site.checkout(headers=ours)
    assert answer.headers["Access-Control-Allow-Origin"] == ours["Origin"]
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert answer.headers["Vary"] == "Origin"
    theirs = {"Origin": "https://evil.example.com"}
    for path in ("/checkout", "/webhooks/fake"):
        for headers in (theirs, theirs | asks):
            refused = site.call("OPTIONS", path, headers=headers)
            assert refused.status_code == 405
            assert "Access-Control-Allow-Origin" not in refused.headers
    unread = site.checkout(headers=theirs)
    assert "Access-Control-Allow-Origin" not in unread.headers
    machine = site.call("GET", "/healthz", headers=ours)
    assert "Access-Control-Allow-Origin" not in machine.headers


def test_absolute_links_come_from_the_setting_only():
    """A Host header never gets into the URLs that Stripe is given."""
    site = Site()
    site.call(
        "POST",
        "/checkout",
        json={"course_id": COURSE, "email": EMAIL},
        environ={"HTTP_HOST": "evil.example.com"},
    )
    (row,) = site.world.rows()
    for url in (row.success_url, row.cancel_url):
        assert url.startswith("http://127.0.0.1:5000/return")


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.com/x",
        "https://shop.example.com@evil.example.com",
        "https://evil.example.com\\@shop.example.com",
        "https://shop.example.com\\.evil.example.com",
        "https://shop.example.com:8443/",
        "https://shop.exam\tple.com",
        "https://evil.example.com%2f.shop.example.com",
        "https:///shop.example.com",
        "//shop.example.com",
        "javascript://shop.example.com/%0aalert(1)",
    ],
)
@pytest.mark.parametrize("name", ["success_url", "cancel_url"])
def test_caller_sends_learners_to_our_hosts_only(name, url):
    """In every spelling; what is allowed reaches the provider as it was compared."""
    site = Site()
    check_problem(site.checkout(**{name: url}), 400, "validation", field=name)
    fine = site.checkout(**{name: "HTTPS://SHOP.example.com.:443/thanks"})
    assert fine.status_code == 201
    (row,) = site.world.rows()
    assert getattr(row, name) == "https://shop.example.com/thanks"
