# SPDX-License-Identifier: MIT
"""The WSGI application: every route, at the root and under a prefix, validated."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest
from support.site import EMAIL, MONEY, SECRET, Site, check_problem
from support.world import COURSE

from frappe_enroll_sdk.errors import (
    LMSUnavailableError,
    StorageUnavailableError,
    ThrottledError,
)
from frappe_enroll_sdk.models import Status
from frappe_enroll_sdk.testing.faults import CrashPlan


@pytest.fixture(params=["root", "prefix", "flask"])
def site(request):
    """Return a site at the root, one under a prefix, and one in a Flask application."""
    prefix = "" if request.param == "root" else "/enroll"
    return Site(prefix, mount="flask" if request.param == "flask" else "wsgi")


@pytest.fixture
def root():
    """Return a site at the root."""
    return Site()


def test_checkout_is_created_then_resumed(site):
    """201 with the token and the payment page, then 200 without a token."""
    first = site.checkout(full_name="Ada L")
    (row,) = site.world.rows()
    assert first.status_code == 201
    assert first.content_type == "application/json"
    assert first.json == {
        "enrollment_id": row.id,
        "token": first.json["token"],
        "status": "awaiting_payment",
        "payment_url": row.payment_url,
        "next_url": row.payment_url,
        "expires_at": row.session_expires_at.isoformat(),
        "price": {"amount_minor": 4900} | MONEY,
        "discount": {"amount_minor": 0} | MONEY,
        "amount": {"amount_minor": 4900} | MONEY,
    }
    name, _, secret = first.json["token"].partition(".")
    assert (name, len(secret)) == (row.id, 43)
    mine = {"Enrollment-Token": first.json["token"]}
    again = site.checkout(full_name="Ada L", headers=mine)
    assert again.status_code == 200
    assert again.json == first.json | {"token": None}


def test_checkout_with_a_full_grant_enrolls(site):
    """201, enrolled, nothing to pay."""
    answer = site.checkout(coupon_code=site.world.coupon(100))
    assert (answer.status_code, answer.json["status"]) == (201, "enrolled")
    assert answer.json["payment_url"] is None
    assert answer.json["amount"] == {"amount_minor": 0} | MONEY


def test_checkout_follows_its_idempotency_key(root):
    """The same key and request get the same answer; another request is a 422."""
    first = root.checkout(key="k1")
    again = root.checkout(key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json == first.json
    assert again.headers["Idempotent-Replayed"] == "true"
    other = root.checkout(key="k1", email="bob@example.com")
    check_problem(other, 422, "idempotency_mismatch", field="idempotency_key")


def test_checkout_refuses_with_a_stable_code(root):
    """One problem for each cause, with the field where there is one."""
    root.world.lms.add_course("gratis")
    refusals = [
        ({"email": "nobody"}, 400, "validation", "email"),
        ({"email": None}, 400, "validation", "email"),
        ({"email": {"$gt": ""}}, 400, "validation", "email"),
        ({"course_id": 5}, 400, "validation", "course_id"),
        ({"course_id": ""}, 400, "validation", "course_id"),
        ({"price": 1}, 400, "validation", "price"),
        ({"affiliate": EMAIL}, 409, "self_referral", "affiliate"),
        ({"course_id": "no-such"}, 404, "course_not_found", "course_id"),
        ({"course_id": "gratis"}, 409, "course_not_for_sale", "course_id"),
        ({"coupon_code": "NO-SUCH-CODE"}, 409, "coupon_unavailable", "coupon_code"),
        ({"coupon_code": {"$gt": ""}}, 400, "validation", "coupon_code"),
    ]
    for fields, status, code, field in refusals:
        check_problem(root.checkout(**fields), status, code, field=field)
    assert root.world.rows() == ()


def test_checkout_of_somebody_enrolled_elsewhere_is_refused(root):
    """No money is taken and no coupon touched."""
    code = root.world.coupon(50)
    root.world.lms.create_user(EMAIL, None)
    root.world.lms.add_row(EMAIL, COURSE)
    answer = root.checkout(coupon_code=code)
    check_problem(answer, 409, "already_enrolled", field="email")
    assert root.world.storage.coupons.find(code).reserved == 0
    assert root.world.rows() == ()


@pytest.mark.parametrize(
    ("data", "kind", "status", "code"),
    [
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b"", "application/json", 400, "validation"),
        (b"{", "application/json", 400, "validation"),
        (b"[1]", "application/json", 400, "validation"),
        (b"null", "application/json", 400, "validation"),
        (b"\xff\xfe", "application/json", 400, "validation"),
        (b"[" * 60_000, "application/json", 400, "validation"),
        (b"{}", "application/json", 400, "validation"),
    ],
    ids=["type", "empty", "cut", "list", "null", "bytes", "deep", "no_fields"],
)
@pytest.mark.parametrize("path", ["/checkout", "/coupons/preview"])
def test_body_that_is_no_json_object_is_refused(root, path, data, kind, status, code):
    """Scenario 21: a clean refusal, never a 500."""
    answer = root.call("POST", path, data=data, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json["code"]) == (status, code)


@pytest.mark.parametrize("field", ["success_url", "cancel_url"])
@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://shop.example.com/thanks", True),
        ("https://evil.example.com/", False),
        ("https://shop.example.com.evil.org/", False),
        ("https://shop.example.com:8443/", False),
        ("https://shop.example.com@evil.org/", False),
        ("https://evil.org\\@shop.example.com/", False),
        ("//shop.example.com/", False),
        ("/thanks", False),
        ("javascript:alert(1)", False),
        ("javascript://shop.example.com/%0aalert(1)", False),
        ("http://[", False),
        ("", False),
        (5, False),
    ],
)
def test_redirects_go_to_the_hosts_of_the_setting_only(root, field, url, allowed):
    """An open redirect on a payment page would be a gift to phishers."""
    answer = root.checkout(**{field: url})
    if allowed:
        assert answer.status_code == 201
    else:
        check_problem(answer, 400, "validation", field=field)
        assert root.world.rows() == ()


def test_preview_tells_the_price_and_reserves_nothing(site):
    """200 for a coupon that fits; one answer for every other."""
    code = site.world.coupon(40)
    fields = {"code": code, "course_id": COURSE, "email": EMAIL}
    answer = site.call("POST", "/coupons/preview", json=fields)
    assert answer.json == {
        "kind": "partial_grant",
        "price": {"amount_minor": 4900} | MONEY,
        "discount": {"amount_minor": 1960} | MONEY,
        "amount": {"amount_minor": 2940} | MONEY,
    }
    assert site.world.storage.coupons.find(code).reserved == 0
    personal = site.sdk.coupons.create(40, COURSE, email="bob@example.com").code
    answers = [
        site.call("POST", "/coupons/preview", json=fields | {"code": code})
        for code in ("NO-SUCH-CODE", personal)
    ]
    for answer in answers:
        check_problem(answer, 409, "coupon_unavailable", field="coupon_code")
    assert answers[0].data == answers[1].data


def test_enrollment_is_shown_to_its_token_only(site):
    """In a header, never in the URL; unknown ids and wrong tokens look alike."""
    made = site.checkout().json
    path = f"/enrollments/{made['enrollment_id']}"
    shown = site.call("GET", path, headers={"Enrollment-Token": made["token"]})
    assert shown.status_code == 200
    assert shown.json["id"] == made["enrollment_id"]
    assert shown.json["status"] == "awaiting_payment"
    assert EMAIL not in shown.text
    assert made["token"] not in shown.text
    refusals = [
        site.call("GET", path),
        site.call("GET", path, headers={"Enrollment-Token": "wrong"}),
        site.call("GET", path, query={"token": made["token"]}),
        site.call(
            "GET", "/enrollments/enr_0", headers={"Enrollment-Token": made["token"]}
        ),
    ]
    for answer in refusals:
        check_problem(answer, 403, "token", field="token")


def test_cancel_needs_the_token_and_frees_the_code(site):
    """The session is expired, the seat is given back."""
    code = site.world.coupon(50)
    made = site.checkout(coupon_code=code).json
    path = f"/enrollments/{made['enrollment_id']}/cancel"
    check_problem(site.call("POST", path), 403, "token", field="token")
    answer = site.call("POST", path, headers={"Enrollment-Token": made["token"]})
    assert (answer.status_code, answer.json["status"]) == (200, "cancelled")
    assert site.world.storage.coupons.find(code).reserved == 0
    (session,) = site.world.payments.sessions.values()
    assert session.status == "expired"


def test_webhook_enrolls_once(site):
    """Processed, then a duplicate: both 200."""
    made = site.checkout().json
    event = site.world.pay(made["enrollment_id"])
    answers = [site.deliver(event) for _ in range(2)]
    assert [a.status_code for a in answers] == [200, 200]
    assert [a.json for a in answers] == [
        {"outcome": "processed", "event_id": event.id},
        {"outcome": "duplicate", "event_id": event.id},
    ]
    (row,) = site.world.rows()
    assert row.status is Status.ENROLLED
    assert len(site.world.lms.rows) == 1


def test_webhook_that_is_not_signed_is_400(root):
    """Scenario 21: forged, old, or not an event; nothing is stored."""
    made = root.checkout().json
    event = root.world.pay(made["enrollment_id"])
    body, headers = root.world.payments.signed(event)
    forged = root.call("POST", "/webhooks/fake", data=body + b" ", headers=headers)
    check_problem(forged, 400, "signature", field="Fake-Signature")
    bare = root.call("POST", "/webhooks/fake", data=body)
    check_problem(bare, 400, "signature", field="Fake-Signature")
    root.world.clock.advance(301)
    old = root.call("POST", "/webhooks/fake", data=body, headers=headers)
    check_problem(old, 400, "signature", field="Fake-Signature")
    assert root.sdk.admin.events().items == ()
    assert root.world.rows()[0].status is Status.AWAITING_PAYMENT


def test_webhook_of_another_provider_is_404(root):
    """The path names the provider that the settings chose."""
    check_problem(
        root.call("POST", "/webhooks/other"), 404, "not_found", field="provider"
    )


@pytest.mark.parametrize("path", ["/webhooks/fake", "/checkout", "/coupons/preview"])
def test_body_over_the_limit_is_413(path):
    """Scenario 21: one byte too many is refused, the limit itself is read."""
    site = Site(body_limit=1024)
    headers = {"Content-Type": "application/json"}
    answer = site.call("POST", path, data=b"x" * 1025, headers=headers)
    check_problem(answer, 413, "request_entity_too_large")
    fits = site.call("POST", path, data=b"x" * 1024, headers=headers)
    assert fits.status_code == 400


def test_webhook_is_503_while_the_store_is_down(root, monkeypatch):
    """The provider sends it again; nothing was promised."""
    made = root.checkout().json
    event = root.world.pay(made["enrollment_id"])

    def down(*_, **__):
        raise StorageUnavailableError("mongodb://ada:hidden@db refuses")

    with monkeypatch.context() as patch:
        patch.setattr(root.world.storage.events, "record", down)
        answer = root.deliver(event)
    check_problem(answer, 503, "storage_unavailable", retryable=True)
    assert "hidden" not in answer.text
    assert root.deliver(event).json["outcome"] == "processed"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_cron_runs_one_pass_for_the_bearer(site, method):
    """200 with the report; 401 for anybody else."""
    for header in (None, "Bearer wrong", SECRET, f"Basic {SECRET}", "Bearer é"):
        headers = {} if header is None else {"Authorization": header}
        check_problem(
            site.call(method, "/cron/run", headers=headers), 401, "unauthorized"
        )
    site.checkout()
    site.world.clock.advance(8000)
    answer = site.call(
        method, "/cron/run", headers={"Authorization": f"Bearer {SECRET}"}
    )
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json == {
        "claimed": 1,
        "succeeded": 1,
        "retried": 0,
        "dead": 0,
        "deferred": 0,
        "due_left": 0,
    }
    assert site.world.rows()[0].status is Status.EXPIRED


def test_cron_without_a_secret_does_not_exist():
    """Unset = off, not open."""
    site = Site(cron_secret="")
    for value in ("Bearer ", "Bearer None", ""):
        headers = {"Authorization": value}
        check_problem(site.call("POST", "/cron/run", headers=headers), 404, "not_found")


def test_healthz_asks_nobody(site):
    """The process is up, whatever is down."""
    site.restart(site.world.sdk(CrashPlan(1)))
    answer = site.call("GET", "/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_readyz_is_503_only_when_the_store_is_down(site, monkeypatch):
    """The LMS and the payments degrade, the store decides."""
    ready = site.call("GET", "/readyz")
    ok = dict.fromkeys(["storage", "payments", "lms"], "ok")
    assert (ready.status_code, ready.json) == (200, {"status": "ok", "checks": ok})
    site.world.lms.is_down = site.world.payments.is_down = True
    site.restart()
    degraded = site.call("GET", "/readyz")
    assert degraded.status_code == 200
    assert degraded.json["checks"] == {
        "storage": "ok",
        "payments": "degraded",
        "lms": "degraded",
    }

    def down():
        raise OSError("hidden path")

    monkeypatch.setattr(site.world.storage, "ping", down)
    cached = site.call("GET", "/readyz")
    assert cached.status_code == 200, "the answer is cached for some seconds"
    site.restart()
    gone = site.call("GET", "/readyz")
    assert (gone.status_code, gone.json["status"]) == (503, "unavailable")
    assert gone.json["checks"]["storage"] == "down"
    assert "hidden" not in gone.text


def test_return_settles_and_tells_the_learner(site):
    """Before the webhook: the same settle, and a page without anything personal."""
    made = site.checkout().json
    (row,) = site.world.rows()
    pending = site.call("GET", "/return", query={"session_id": row.session_id})
    assert (pending.status_code, "Payment pending" in pending.text) == (200, True)
    # In place, by the one script that its policy knows; loaded anew without scripts.
    again = '<noscript><meta http-equiv="refresh" content='
    assert again in pending.text
    (script,) = re.findall(r"<script>(.*)</script>", pending.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = pending.headers["Content-Security-Policy"]
    assert f"script-src 'sha256-{digest}'; connect-src 'self';" in policy
    site.world.pay(made["enrollment_id"])
    done = site.call("GET", "/return", query={"session_id": row.session_id})
    assert (done.status_code, "You are enrolled" in done.text) == (200, True)
    assert "http-equiv" not in done.text
    assert "<script" not in done.text
    assert "script-src" not in done.headers["Content-Security-Policy"]
    assert done.content_type == "text/html; charset=utf-8"
    for secret in (EMAIL, row.session_id, made["token"], row.id):
        assert secret not in done.text
    assert site.world.rows()[0].status is Status.ENROLLED
    unknown = site.call("GET", "/return", query={"session_id": "<script>"})
    check_problem(unknown, 404, "enrollment_not_found", field="session_id")
    cancelled = site.call("GET", "/return")
    assert "Nothing was charged" in cancelled.text


def test_return_goes_on_to_the_course():
    """Where the LMS's address is known."""
    site = Site(frappe_lms_url="https://lms.example.com/")
    made = site.checkout().json
    site.world.pay(made["enrollment_id"])
    (row,) = site.world.rows()
    answer = site.call("GET", "/return", query={"session_id": row.session_id})
    assert answer.status_code == 303
    assert answer.location == f"https://lms.example.com/lms/courses/{COURSE}"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/checkout", {"POST", "OPTIONS"}),
        ("PUT", "/coupons/preview", {"POST", "OPTIONS"}),
        ("GET", "/webhooks/fake", {"POST", "OPTIONS"}),
        ("POST", "/enrollments/enr_1", {"GET", "HEAD", "OPTIONS"}),
        ("GET", "/enrollments/enr_1/cancel", {"POST", "OPTIONS"}),
        ("DELETE", "/cron/run", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("POST", "/readyz", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_wrong_method_is_405_with_allow(site, method, path, allow):
    """The header names what would do."""
    answer = site.call(method, path)
    check_problem(answer, 405, "method_not_allowed")
    told = set(answer.headers["Allow"].split(", "))
    assert told == allow - {"OPTIONS"}


@pytest.mark.parametrize(
    "path", ["/", "/nope", "/checkout/x", "/admins", "/enrollments"]
)
def test_unknown_route_is_404(site, path):
    """As a problem like every other."""
    check_problem(site.call("GET", path), 404, "not_found")


def test_every_answer_carries_the_safe_headers(site):
    """Also errors, and pages."""
    paths = ["/healthz", "/nope", "/return", "/enrollments/x"]
    for path in paths:
        headers = site.call("GET", path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        policy = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
        assert headers["Content-Security-Policy"] == policy


def test_throttled_answer_carries_retry_after(root):
    """Whole seconds, rounded up."""
    root.world.lms.faults.add(
        "get_course", ThrottledError("slow down", retry_after_s=6.2)
    )
    answer = root.checkout()
    check_problem(answer, 503, "throttled", retryable=True)
    assert answer.headers["Retry-After"] == "7"


def test_unexpected_error_is_told_to_the_log_only(root, caplog):
    """A 500 without a word of the cause."""
    root.world.lms.faults.add("get_course", RuntimeError("hidden cause"))
    answer = root.checkout()
    check_problem(answer, 500, "internal", retryable=True)
    assert "hidden" not in answer.text
    assert "Traceback" not in answer.text
    (record,) = [
        r for r in caplog.records if r.name == "frappe_enroll_wsgi._internal.problems"
    ]
    assert record.exc_info is not None


def test_backend_error_is_told_by_its_code_only(root):
    """503, with the public message; the detail is the operator's."""
    root.world.lms.is_down = True
    answer = root.checkout()
    check_problem(answer, 503, "lms_unavailable", retryable=True)
    assert answer.json["title"] == "The service is busy. Try again later."


def test_nothing_secret_or_personal_reaches_logs_and_refusals(root, caplog):
    """P6: over the whole path, faults included, on every level."""
    caplog.set_level("DEBUG")
    code = root.world.coupon(50)
    made = root.checkout(coupon_code=code, full_name="Augusta Ada King").json
    event = root.world.pay(made["enrollment_id"])
    error = LMSUnavailableError("reset", unclear=True)
    root.world.lms.faults.add("insert_enrollment", error, times=2)
    texts = [root.deliver(event).text, root.deliver(event).text]
    token = {"Enrollment-Token": made["token"]}
    path = f"/enrollments/{made['enrollment_id']}"
    texts += [
        root.call("POST", f"{path}/cancel", headers=token).text,
        root.call("GET", path, headers={"Enrollment-Token": "wrong"}).text,
        root.checkout(email="nobody at all", coupon_code=code).text,
        root.checkout(email="bob@example.com", coupon_code=code).text,
        root.call(
            "GET", "/cron/run", headers={"Authorization": f"Bearer {SECRET}"}
        ).text,
    ]
    root.world.lms.is_down = True
    texts.append(root.checkout(course_id="other", coupon_code=code).text)
    logged = [
        json.dumps({k: str(v) for k, v in vars(record).items() if k != "exc_info"})
        for record in caplog.records
        if record.name.startswith("frappe_enroll")
    ]
    assert logged, "the path has something to log"
    hidden = [EMAIL, "Augusta", code, made["token"], SECRET, "whsec_fake", "bob@"]
    for text in texts + logged:
        for secret in hidden:
            assert secret not in text
