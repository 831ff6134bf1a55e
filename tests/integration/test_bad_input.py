# SPDX-License-Identifier: MIT
"""Bad input over HTTP: a typed answer that names the field, and nothing half-done."""

from __future__ import annotations

import json

import pytest
from support.world import COURSE, PRICE, World
from werkzeug.test import Client

from frappe_enroll_sdk import Settings
from frappe_enroll_sdk.errors import SettingsError
from frappe_enroll_wsgi import create_app


@pytest.fixture
def world():
    """Return a world with a second course."""
    world = World()
    world.lms.add_course("rust-201", PRICE)
    return world


@pytest.fixture
def client(world):
    """Return a client of the HTTP surface."""
    return Client(create_app(world.sdk()))


def nothing_happened(world) -> bool:
    """Tell whether no side has been touched."""
    coupons = world.storage.coupons.list().items
    return (
        world.rows() == ()
        and world.payments.sessions == {}
        and world.lms.rows == {}
        and all(c.reserved == c.redeemed == 0 for c in coupons)
    )


def problem(answer, status, code):
    """Check an error answer and return its body."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    assert answer.json["code"] == code
    assert answer.json["status"] == status
    return answer.json


ADA = {"course_id": COURSE, "email": "ada@example.com"}


@pytest.mark.parametrize(
    ("fields", "status", "code", "field"),
    [
        (ADA | {"course_id": "no-such-course"}, 404, "course_not_found", "course_id"),
        (ADA | {"course_id": {"$ne": ""}}, 400, "validation", "course_id"),
        ({"email": "ada@example.com"}, 400, "validation", "course_id"),
        (ADA | {"email": "not-an-address"}, 400, "validation", "email"),
        (ADA | {"email": {"$gt": ""}}, 400, "validation", "email"),
        ({"course_id": COURSE}, 400, "validation", "email"),
        (ADA | {"coupon_code": {"$gt": ""}}, 400, "validation", "coupon_code"),
        (ADA | {"coupon_code": "NONE-1"}, 409, "coupon_unavailable", "coupon_code"),
        (ADA | {"price": 1}, 400, "validation", "price"),
        (ADA | {"success_url": "https://evil.example/"}, 400, "validation", None),
        (ADA | {"full_name": ["Ada"]}, 400, "validation", "full_name"),
        (ADA | {"full_name": "\ud800"}, 400, "validation", "body"),
    ],
)
def test_wrong_field_is_named(client, world, fields, status, code, field):
    """Each wrong field has its status, its code and its name."""
    body = problem(client.post("/checkout", json=fields), status, code)
    assert body["retryable"] is False
    assert field is None or body["field"] == field
    assert nothing_happened(world)


def test_code_of_another_course_or_learner_is_one_answer(client, world):
    """Nobody learns by trying which codes there are."""
    codes = [
        world.sdk().coupons.create(100, "rust-201").code,
        world.sdk().coupons.create(100, COURSE, email="bob@example.com").code,
        "GRANT-NONE-NONE-NONE",
    ]
    answers = {
        json.dumps(client.post("/checkout", json=ADA | {"coupon_code": code}).json)
        for code in codes
    }
    assert len(answers) == 1
    assert nothing_happened(world)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'"text"', 400),
        (b"\xff\xfe", 400),
        (b"[" * 60_000, 400),
        (b'{"a":"' + b"x" * 10_000_000 + b'"}', 413),
    ],
    ids=["empty", "cut", "list", "text", "no UTF-8", "deep", "10 MB"],
)
@pytest.mark.parametrize("path", ["/checkout", "/coupons/preview"])
def test_body_that_is_no_object_is_refused(client, world, path, body, status):
    """Whatever the bytes: a 4xx problem, never a 500."""
    answer = client.post(path, data=body, content_type="application/json")
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert nothing_happened(world)


def test_webhook_of_ten_megabytes_is_refused(client, world):
    """Refused by its length, before anything reads it."""
    answer = client.post("/webhooks/stripe", data=b"x" * 10_000_000)
    assert answer.status_code == 413
    assert world.storage.events.list().items == ()


def test_other_content_type_is_refused(client, world):
    """A form of another site is not a request of ours."""
    answer = client.post("/checkout", data={"email": "ada@example.com"})
    problem(answer, 415, "unsupported_media_type")
    assert nothing_happened(world)


def test_closed_provider_is_retryable_and_rolled_back(client, world):
    """503 to the learner; the coupon is free again at once."""
    code = world.coupon(50)
    world.payments.is_down = True
    answer = client.post("/checkout", json=ADA | {"coupon_code": code})
    assert problem(answer, 503, "payments_unavailable")["retryable"] is True
    assert world.storage.coupons.find(code).reserved == 0
    world.payments.is_down = False
    again = client.post("/checkout", json=ADA | {"coupon_code": code})
    assert again.status_code == 201


def test_closed_lms_is_retryable_and_leaves_nothing(client, world):
    """503 while no price is known; nothing was opened."""
    world.lms.is_down = True
    answer = client.post("/checkout", json=ADA)
    assert problem(answer, 503, "lms_unavailable")["retryable"] is True
    assert nothing_happened(world)


def test_answer_tells_nothing_of_the_inside(client, world, monkeypatch):
    """An unexpected fault: 500, a code, and not one word of its cause."""

    def broken(*_, **__):
        message = "secret inside: ada@example.com sk_test_123"
        raise RuntimeError(message)

    monkeypatch.setattr(world.lms, "get_course", broken)
    answer = client.post("/checkout", json=ADA)
    problem(answer, 500, "internal")
    assert "secret" not in answer.text
    assert "ada@" not in answer.text


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FRAPPE_LMS_URL", "http://lms.example.com"),
        ("FRAPPE_LMS_URL", "ftp://127.0.0.1"),
        ("STRIPE_API_BASE", "http://stripe.example.com"),
        ("FRAPPE_ENROLL_INLINE_S", "soon"),
        ("FRAPPE_ENROLL_PUBLIC_URL", "shop.example.com"),
        ("FRAPPE_ENROLL_LMS_TIMEOUT_S", "-1"),
    ],
)
def test_wrong_setting_is_named(monkeypatch, variable, value):
    """The text begins with the variable's name; `http://` off loopback is refused."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        Settings.from_env()
    assert any(problem.startswith(variable) for problem in caught.value.problems)


def test_all_wrong_settings_are_told_at_once(monkeypatch):
    """One run shows everything that is to be mended."""
    wrong = {
        "FRAPPE_LMS_URL": "http://lms.example.com",
        "FRAPPE_ENROLL_INLINE_S": "soon",
        "FRAPPE_ENROLL_PUBLIC_URL": "nowhere",
    }
    for variable, value in wrong.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        Settings.from_env()
    for variable in wrong:
        assert any(text.startswith(variable) for text in caught.value.problems)
