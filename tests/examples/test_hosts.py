# SPDX-License-Identifier: MIT
"""The example hosts, and the recipes for others: from the page to the enrollment."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.world import COURSE, World
from werkzeug.test import Client

from frappe_enroll_sdk import EnrollSDK


ROOT = Path(__file__).parents[2]
EMAIL = "ada@example.com"


def load(folder, name):
    """Import a module of an example."""
    path = ROOT / "examples" / folder / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Flask asks there where its templates are
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def world():
    """Return a world whose surface hangs under /enroll."""
    return World(public_url="http://127.0.0.1:5000/enroll", rate_limits="off")


@pytest.fixture
def shop(world):
    """Return the shop's test client."""
    app = load("flask_shop", "shop").create_app(
        world.sdk(), SECRET_KEY="shop-secret", TESTING=True
    )
    return app.test_client()


def buy(shop, **form):
    """Send the course page's form."""
    return shop.post(f"/courses/{COURSE}/buy", data={"email": EMAIL} | form)


def test_shop_sells_a_course(shop, world):
    """Page → checkout → payment page → return page, before the webhook comes."""
    assert f'href="/courses/{COURSE}"' in shop.get("/").text
    assert "49.00 USD" in shop.get(f"/courses/{COURSE}").text
    sent = buy(shop, name="Ada")
    (row,) = world.rows()
    assert (sent.status_code, sent.location) == (303, row.payment_url)
    assert row.success_url.startswith("http://127.0.0.1:5000/thanks?session_id=")
    assert "waiting for your payment" in shop.get("/thanks").text
    world.pay(row.id)
    back = shop.get("/thanks", query_string={"session_id": row.session_id})
    assert "You are enrolled" in back.text


def test_shop_takes_a_grant(shop, world):
    """A full grant leads straight to the thanks."""
    sent = buy(shop, code=world.coupon(100).lower())
    assert sent.location == "/thanks"
    assert "You are enrolled" in shop.get("/thanks").text


def test_shop_frees_the_code_of_a_learner_who_goes_back(shop, world):
    """The payment page's "back" leads to the course, and the code is free."""
    code = world.coupon(50)
    buy(shop, code=code)
    assert world.storage.coupons.find(code).reserved == 1
    assert shop.get("/given-up").location == f"/courses/{COURSE}"
    assert world.storage.coupons.find(code).reserved == 0


def test_shop_tells_what_is_wrong(shop, world):
    """In its own words where it has some; the form keeps what was typed."""
    wrong = buy(shop, code="NO-SUCH-CODE", name='"><b>')
    assert wrong.status_code == 409
    assert "not valid for this course" in wrong.text
    assert "&#34;&gt;&lt;b&gt;" in wrong.text
    assert "There is no such course" in shop.get("/courses/none").text
    assert shop.get("/thanks").status_code == 403
    api = shop.post("/enroll/checkout", json={"course_id": "none", "email": EMAIL})
    assert api.json["code"] == "course_not_found"
    world.lms.is_down = True
    assert shop.get("/").status_code == 503


def test_wsgi_host_sells_a_course(world):
    """The same without any framework."""
    client = Client(load("wsgi_mount", "app").application_of(world.sdk()))
    assert "<form" in client.get("/").text
    sent = client.post("/", data={"email": EMAIL})
    (row,) = world.rows()
    assert (sent.status_code, sent.location) == (303, row.payment_url)
    world.pay(row.id)
    back = client.get(f"/enroll/return?session_id={row.session_id}")
    assert "You are enrolled" in back.text
    refused = client.post("/", data={"email": EMAIL, "code": "NO-SUCH"})
    assert (refused.status_code, "can't be used" in refused.text) == (409, False)
    assert client.get("/other").status_code == 404


def test_wsgi_host_reads_the_environment(made_up_backends):
    """`gunicorn app:application` needs nothing else."""
    application = load("wsgi_mount", "app").application
    assert Client(application).get("/enroll/healthz").json == {"status": "ok"}


@pytest.fixture
def made_up_backends(monkeypatch, tmp_path):
    """Settings of a host whose backends nobody reaches."""
    for name, value in {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'enroll.sqlite3'}",
        "STRIPE_SECRET_KEY": "sk_test_made_up",
        "STRIPE_WEBHOOK_SECRET": "whsec_made_up",
        "FRAPPE_LMS_URL": "http://127.0.0.1:9",
        "FRAPPE_LMS_API_KEY": "made-up",
        "FRAPPE_LMS_API_SECRET": "made-up",
        "FRAPPE_ENROLL_PUBLIC_URL": "http://127.0.0.1:5000/enroll",
    }.items():
        monkeypatch.setenv(name, value)


def recipes():
    """Return the recipes of the mounting page, by what they mount into."""
    text = (ROOT / "docs" / "mounting.md").read_text(encoding="utf-8")
    found = re.findall(
        r"## (\w+)[^#]*?<!-- recipe -->\n```python\n(.*?)^```",
        text,
        re.DOTALL | re.MULTILINE,
    )
    return dict(found)


def test_django_recipe_runs(made_up_backends):
    """Django's own pages beside ours, under the prefix."""
    django = pytest.importorskip("django", reason="Django is no dependency of ours")
    from django.conf import settings  # noqa: PLC0415  only where it is there

    if not settings.configured:
        settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x")
        django.setup()
    names = {}
    exec(recipes()["Django"], names)  # noqa: S102  our own docs
    client = Client(names["application"])
    assert client.get("/enroll/healthz").json == {"status": "ok"}
    assert client.post("/enroll/webhooks/stripe").json["code"] == "schema"
    EnrollSDK.from_env().setup()
    assert client.post("/enroll/webhooks/stripe").json["code"] == "signature"
    assert client.get("/nope").status_code == 404


#: The URL configuration of the Django recipe's project.
urlpatterns = []


def test_fastapi_recipe_runs(made_up_backends):
    """Through ASGI and back: the prefix, bodies and answers arrive."""
    pytest.importorskip("fastapi", reason="FastAPI is no dependency of ours")
    a2wsgi = pytest.importorskip("a2wsgi", reason="a2wsgi is no dependency of ours")
    names = {"__name__": "recipe"}
    exec(recipes()["FastAPI"], names)  # noqa: S102  our own docs
    client = Client(a2wsgi.ASGIMiddleware(names["app"]))
    assert client.get("/enroll/healthz").json == {"status": "ok"}
    assert client.get("/enroll/openapi.json").json["servers"] == [{"url": "/enroll"}]
    refused = client.post("/enroll/checkout", json={"email": "x"})
    assert (refused.status_code, refused.json["code"]) == (400, "validation")
    assert urlsplit(client.get("/enroll/return").request.url).path == "/enroll/return"
