# SPDX-License-Identifier: MIT
"""A whole round trip over HTTP, at the root and under a prefix, by the WSGI rules."""

from __future__ import annotations

from wsgiref.validate import validator

import pytest
from support.world import COURSE, World
from werkzeug.test import Client

from frappe_enroll_sdk.settings_loader import Secret
from frappe_enroll_wsgi import create_app


SECRET = "a-long-cron-secret"


@pytest.fixture
def world():
    """Return a world with a cron secret."""
    return World(cron_secret=Secret(SECRET))


@pytest.fixture(params=["", "/shop/enroll"], ids=["root", "prefix"])
def client(request, world):
    """Return a client whose every request and answer is checked by wsgiref."""
    app = validator(create_app(world.sdk()))

    def mounted(environ, start_response):
        environ["SCRIPT_NAME"] = request.param
        answer = app(environ, start_response)
        try:
            return [b"".join(answer)]
        finally:
            answer.close()

    return Client(mounted)


def check_out(client, **fields):
    """Begin an enrollment."""
    return client.post(
        "/checkout", json={"course_id": COURSE, "email": "ada@example.com"} | fields
    )


def test_paid_round_trip(client, world):
    """Checkout, webhook, return page, the learner's view."""
    begun = check_out(client)
    assert begun.status_code == 201
    body = begun.json
    assert body["status"] == "awaiting_payment"
    assert body["next_url"] == body["payment_url"]
    assert body["amount"] == {"amount_minor": 4900, "currency": "usd"}
    event = world.pay(body["enrollment_id"])
    raw, headers = world.payments.signed(event)
    told = client.post("/webhooks/stripe", data=raw, headers=headers)
    assert (told.status_code, told.json["outcome"]) == (200, "processed")
    page = client.get("/return", query_string={"session_id": event.session_id})
    assert page.status_code == 200
    assert "You are enrolled" in page.text
    row = client.get(
        f"/enrollments/{body['enrollment_id']}",
        headers={"Enrollment-Token": body["token"]},
    )
    assert (row.status_code, row.json["status"]) == (200, "enrolled")
    assert "email" not in row.json


def test_repeated_checkout_resumes_without_the_token(client):
    """200, the same payment page, and the token only for who opened it."""
    first, again = check_out(client), check_out(client)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json["payment_url"] == first.json["payment_url"]
    assert first.json["token"]
    assert again.json["token"] is None


@pytest.mark.parametrize("token", [None, "", "wrong", "é"])
def test_enrollment_is_shown_to_its_learner_only(client, token):
    """One answer for a wrong token and for an id that does not exist."""
    name = check_out(client).json["enrollment_id"]
    headers = (
        {} if token is None else {"Enrollment-Token": token.encode().decode("latin1")}
    )
    answers = [
        client.get(f"/enrollments/{wanted}", headers=headers)
        for wanted in (name, "enr_unknown")
    ]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].data == answers[1].data


def test_cancel_needs_the_token_and_frees_the_code(client, world):
    """The learner gives up: the session is expired, the coupon free."""
    code = world.coupon(50)
    body = check_out(client, coupon_code=code).json
    path = f"/enrollments/{body['enrollment_id']}/cancel"
    assert client.post(path).status_code == 403
    assert world.storage.coupons.find(code).reserved == 1
    done = client.post(path, headers={"Enrollment-Token": body["token"]})
    assert (done.status_code, done.json["status"]) == (200, "cancelled")
    assert world.storage.coupons.find(code).reserved == 0
    (session,) = world.payments.sessions.values()
    assert session.status == "expired"


def test_preview_tells_the_price_and_reserves_nothing(client, world):
    """What the learner would pay: discount + amount = price."""
    code = world.coupon(50)
    fields = {"code": code, "course_id": COURSE, "email": "ada@example.com"}
    told = client.post("/coupons/preview", json=fields)
    assert told.status_code == 200
    money = {name: told.json[name]["amount_minor"] for name in ("price", "discount")}
    assert money == {"price": 4900, "discount": 2450}
    assert world.storage.coupons.find(code).reserved == 0


def test_forged_webhook_is_refused(client, world):
    """400 for a wrong signature, and nothing is stored."""
    answer = client.post(
        "/webhooks/stripe", data=b"{}", headers={"Fake-Signature": "t=1,v1=00"}
    )
    assert (answer.status_code, answer.json["code"]) == (400, "signature")
    assert world.storage.events.list().items == ()


def test_unknown_provider_is_not_found(client):
    """Only the provider that the settings name."""
    assert client.post("/webhooks/paypal", data=b"{}").status_code == 404


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_cron_runs_with_the_secret_only(client, world, method):
    """A bearer secret; the answer is never cached."""
    check_out(client)
    world.clock.advance(200)
    refused = client.open("/cron/run", method=method)
    assert refused.status_code == 401
    wrong = client.open(
        "/cron/run", method=method, headers={"Authorization": "Bearer wrong"}
    )
    assert wrong.status_code == 401
    done = client.open(
        "/cron/run", method=method, headers={"Authorization": f"Bearer {SECRET}"}
    )
    assert done.status_code == 200
    assert done.headers["Cache-Control"] == "no-store"
    assert set(done.json) == {
        "claimed",
        "succeeded",
        "retried",
        "dead",
        "deferred",
        "due_left",
    }


def test_cron_is_off_without_a_secret():
    """No secret, no route."""
    world = World()
    client = Client(create_app(world.sdk()))
    answer = client.get("/cron/run", headers={"Authorization": "Bearer "})
    assert answer.status_code == 404


def test_health_needs_no_backend(client, world):
    """Healthz answers while everything is down."""
    world.lms.is_down = world.payments.is_down = True
    assert client.get("/healthz").json == {"status": "ok"}


def test_readiness_tells_what_is_degraded(client, world):
    """LMS or payments down: 200, degraded; only the store makes it 503."""
    world.lms.is_down = True
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json["checks"] == {
        "storage": "ok",
        "payments": "ok",
        "lms": "degraded",
    }


def test_readiness_is_503_without_the_store(world, monkeypatch):
    """Nothing can be promised without the store."""

    def broken():
        message = "gone"
        raise OSError(message)

    monkeypatch.setattr(world.storage, "ping", broken)
    answer = Client(create_app(world.sdk())).get("/readyz")
    assert answer.status_code == 503
    assert answer.json["checks"]["storage"] == "down"


def test_unknown_route_and_method_are_problems(client):
    """404 and 405 as problem+json, with Allow."""
    missing = client.get("/nothing")
    assert (missing.status_code, missing.json["code"]) == (404, "not_found")
    wrong = client.get("/checkout")
    assert wrong.status_code == 405
    assert "POST" in wrong.headers["Allow"]
    assert wrong.content_type == "application/problem+json"


def test_every_answer_carries_the_security_headers(client):
    """Answers, pages and errors alike."""
    for path in ("/healthz", "/return", "/nothing"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
