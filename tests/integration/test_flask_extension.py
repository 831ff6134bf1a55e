# SPDX-License-Identifier: MIT
"""The Flask extension in a host's application."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from flask import Flask, request, url_for
from flask_wtf import CSRFProtect
from support.site import EMAIL
from support.size import with_the_first_python
from support.world import COURSE, World

from frappe_enroll_flask import (
    LEARNER_BLUEPRINT,
    MACHINE_BLUEPRINT,
    FrappeEnroll,
    current_enroll,
)
from frappe_enroll_sdk import EnrollSDK
from frappe_enroll_sdk.errors import (
    ConfigurationError,
    CouponUnavailableError,
    EnrollError,
    SettingsError,
)


FIELDS = {"course_id": COURSE, "email": EMAIL}
CONFIG = {
    "STRIPE_SECRET_KEY": "sk_test_made_up",
    "FRAPPE_LMS_URL": "http://127.0.0.1:9",
    "FRAPPE_LMS_API_KEY": "made-up",
    "FRAPPE_LMS_API_SECRET": "made-up",
}


@pytest.fixture
def world():
    """Return a world whose provider is the fake one."""
    return World(
        payments="fake", rate_limits="off", cron_secret="cron-secret-of-no-worth"
    )


@pytest.fixture
def app(world):
    """Return an application that has the extension."""
    app = Flask("host")
    app.secret_key = "host-secret"
    FrappeEnroll(app, sdk=world.sdk())
    return app


def signed(world):
    """Return the request of a signed webhook."""
    made = world.sdk().checkout(**FIELDS)
    body, headers = world.payments.signed(world.pay(made.enrollment_id))
    return {"data": body, "headers": headers, "content_type": "application/json"}


def test_sdk_is_built_from_the_config(tmp_path):
    """Variables of ours and the plain names; a host's own keys are left alone."""
    app = Flask("host")
    app.config |= CONFIG | {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'enroll.sqlite3'}",
        "FRAPPE_ENROLL_INLINE_S": 0,
        "FRAPPE_ENROLL_URL_PREFIX": "/courses/",
        "SECRET_KEY": "host-secret-of-no-worth",
    }
    FrappeEnroll(app)
    sdk = app.extensions["frappe_enroll"]
    assert isinstance(sdk, EnrollSDK)
    assert sdk.settings.inline_s == 0
    assert sdk.settings.stripe_secret_key.value == "sk_test_made_up"
    assert sdk.settings.secret_key
    assert "host-secret" not in sdk.settings.secret_key.value
    assert app.test_client().get("/courses/healthz").json == {"status": "ok"}
    sdk.close()


def test_wrong_config_is_told_at_once():
    """With the variable's name, when the application is made."""
    app = Flask("host")
    app.config |= CONFIG | {"FRAPPE_ENROLL_INLINE_S": "soon", "FRAPPE_ENROLL_TYPO": 1}
    with pytest.raises(SettingsError) as caught:
        FrappeEnroll(app)
    assert len(caught.value.problems) == 2


def test_second_init_is_refused(app):
    """Two surfaces in one application would be a mistake."""
    with pytest.raises(ConfigurationError, match="already"):
        FrappeEnroll(app)


def test_several_applications_share_an_extension():
    """Nothing of an application is kept; each has its own SDK."""
    extension, worlds = FrappeEnroll(), [World(), World()]
    apps = [Flask(f"host{n}") for n in range(2)]
    for app, world in zip(apps, worlds, strict=True):
        extension.init_app(app, sdk=world.sdk(), url_prefix="/enroll")
    codes = [world.coupon(100) for world in worlds]
    for number, app in enumerate(apps):
        fields = FIELDS | {"coupon_code": codes[0]}
        status = app.test_client().post("/enroll/checkout", json=fields).status_code
        assert status == (201 if number == 0 else 409)
    assert not any(isinstance(value, Flask) for value in vars(extension).values())


def test_current_enroll_is_the_sdk_of_the_application(app, world):
    """In the host's own views."""

    @app.get("/mine")
    def mine():
        return {"course": current_enroll.catalogue.get(COURSE).title}

    assert app.test_client().get("/mine").status_code == 200
    with app.app_context():
        assert current_enroll.checkout(**FIELDS).status == "awaiting_payment"
    with pytest.raises(RuntimeError, match="application context"):
        current_enroll.checkout(**FIELDS)


def test_url_for_knows_the_routes(app):
    """By the names of the table."""
    with app.test_request_context():
        assert url_for("frappe_enroll.checkout") == "/enroll/checkout"
        webhook = url_for("frappe_enroll_machine.webhook", provider="stripe")
        assert webhook == "/enroll/webhooks/stripe"


def test_before_request_of_the_host_comes_first(app, world):
    """A host that wants a login everywhere has one line for the machines."""

    @app.before_request
    def login():
        if request.blueprint == MACHINE_BLUEPRINT:
            return None
        return ("log in", 401) if "X-User" not in request.headers else None

    client = app.test_client()
    assert client.post("/enroll/checkout", json=FIELDS).status_code == 401
    known = {"X-User": "ada"}
    answer = client.post("/enroll/checkout", json=FIELDS, headers=known)
    assert answer.status_code == 201
    delivered = client.post("/enroll/webhooks/fake", **signed(world))
    assert delivered.json["outcome"] == "processed"
    assert LEARNER_BLUEPRINT in app.blueprints


@pytest.mark.parametrize("before", [True, False])
def test_error_handlers_of_the_host_win(world, before):
    """For all our errors or for one, registered before the extension or after."""
    app = Flask("host")

    def handlers():
        app.register_error_handler(EnrollError, lambda e: (f"sorry: {e.code}", 418))
        app.register_error_handler(CouponUnavailableError, lambda _: ("no code", 410))

    if before:
        handlers()
    FrappeEnroll(app, sdk=world.sdk())
    if not before:
        handlers()
    client = app.test_client()
    wrong = client.post("/enroll/checkout", json=FIELDS | {"course_id": "none"})
    assert (wrong.status_code, wrong.text) == (418, "sorry: course_not_found")
    code = client.post("/enroll/checkout", json=FIELDS | {"coupon_code": "NONE-1"})
    assert (code.status_code, code.text) == (410, "no code")


def test_errors_of_the_sdk_in_views_of_the_host_are_problems(app):
    """A host that calls the SDK need not translate."""

    @app.get("/mine")
    def mine():
        return current_enroll.enrollments.get("enr_none").id

    answer = app.test_client().get("/mine")
    assert (answer.status_code, answer.json["code"]) == (404, "enrollment_not_found")


def test_unexpected_error_reaches_the_hosts_reporters(app, world):
    """A tool such as Sentry hears of it; the caller hears nothing."""
    from flask import got_request_exception  # noqa: PLC0415  needs blinker

    seen = []

    def report(_sender, exception):
        seen.append(exception)

    got_request_exception.connect(report, app)
    world.lms.faults.add("get_course", RuntimeError("hidden cause"))
    answer = app.test_client().post("/enroll/checkout", json=FIELDS)
    assert (answer.status_code, answer.json["code"]) == (500, "internal")
    assert [str(error) for error in seen] == ["hidden cause"]
    app.testing = True
    world.lms.faults.add("get_course", RuntimeError("hidden cause"))
    with pytest.raises(RuntimeError, match="hidden cause"):
        app.test_client().post("/enroll/checkout", json=FIELDS | {"course_id": "x"})


@pytest.mark.parametrize("late", [False, True])
def test_machines_need_no_token_of_flask_wtf(world, late):
    """Webhook and cron are exempt, whoever was initialised first; checkout is not."""
    app = Flask("host")
    app.secret_key = "host-secret"
    if not late:
        CSRFProtect(app)
    FrappeEnroll(app, sdk=world.sdk())
    if late:
        CSRFProtect(app)
    client = app.test_client()
    assert client.post("/enroll/checkout", json=FIELDS).status_code == 400
    delivered = client.post("/enroll/webhooks/fake", **signed(world))
    assert (delivered.status_code, delivered.json["outcome"]) == (200, "processed")
    cron = {"Authorization": "Bearer cron-secret-of-no-worth"}
    assert client.post("/enroll/cron/run", headers=cron).status_code == 200


def test_mount_at_the_root_leaves_the_hosts_404_alone(world):
    """There, only our own paths are ours."""
    app = Flask("host")
    FrappeEnroll(app, sdk=world.sdk(), url_prefix="/")
    client = app.test_client()
    assert client.get("/healthz").json == {"status": "ok"}
    assert client.get("/nope").content_type.startswith("text/html")


def test_commands_work_on_the_sdk_of_the_application(app, world):
    """`flask enroll` is the whole command line; errors are exit codes."""
    runner = app.test_cli_runner()
    code = world.coupon(100)
    shown = runner.invoke(args=["enroll", "coupons", "show", code])
    assert json.loads(shown.output)["code"] == code
    missing = runner.invoke(args=["enroll", "coupons", "show", "NO-SUCH"])
    assert missing.exit_code == 1
    assert "ERROR" in missing.output
    made = world.sdk().checkout(**FIELDS)
    world.pay(made.enrollment_id)
    world.clock.advance(8000)
    once = runner.invoke(args=["enroll", "worker", "--once"])
    assert once.exit_code == 0, once.output
    assert world.rows()[0].status == "enrolled"


@with_the_first_python
def test_flask_command_has_the_group(tmp_path):
    """In a process of its own, as an operator types it."""
    (tmp_path / "shop.py").write_text(
        "from flask import Flask\n"
        "from frappe_enroll_flask import FrappeEnroll\n"
        "app = Flask(__name__)\n"
        f"app.config |= {CONFIG!r}\n"
        f"app.config['DATABASE_URL'] = 'sqlite:///{tmp_path / 'e.sqlite3'}'\n"
        "FrappeEnroll(app)\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "flask", "--app", "shop", "enroll"]
    for arguments in (["setup"], ["coupons", "list"], ["worker", "--once"]):
        done = subprocess.run(
            [*command, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "text", "field"),
    [
        ("FRAPPE_LMS_API_KEY", "123456789012345", "frappe_lms_api_key"),
        ("FRAPPE_LMS_API_KEY", "12345678901e345", "frappe_lms_api_key"),
        ("FRAPPE_LMS_API_KEY", "1e5", "frappe_lms_api_key"),
        ("FRAPPE_LMS_API_SECRET", "1.50", "frappe_lms_api_secret"),
        ("CRON_SECRET", "1234567890123e45", "cron_secret"),
        ("FRAPPE_LMS_API_SECRET", "true", "frappe_lms_api_secret"),
        ("FRAPPE_LMS_API_SECRET", "-0", "frappe_lms_api_secret"),
    ],
)
@pytest.mark.parametrize("prefix", ["FLASK", "SHOP"])
def test_prefixed_environment_is_read_as_it_is_written(
    monkeypatch, name, text, field, prefix
):
    """Flask reads it as JSON; a key stays the text that it is."""
    monkeypatch.setenv(f"{prefix}_{name}", text)
    app = Flask("host")
    app.config.from_mapping(CONFIG)
    app.config.from_prefixed_env(prefix)
    FrappeEnroll(app)
    settings = app.extensions["frappe_enroll"].settings
    assert getattr(settings, field).value == text


@pytest.mark.parametrize(("text", "waits"), [("60", (60.0,)), ("1.5", (1.5,))])
def test_prefixed_environment_may_be_one_number_of_a_list(monkeypatch, text, waits):
    """A schedule of one wait is a schedule."""
    monkeypatch.setenv("FLASK_FRAPPE_ENROLL_RETRY_SCHEDULE_S", text)
    monkeypatch.setenv("FLASK_FRAPPE_ENROLL_PLUGINS", '["sql", "stripe", "lms"]')
    app = Flask("host")
    app.config.from_mapping(CONFIG)
    app.config.from_prefixed_env()
    FrappeEnroll(app)
    settings = app.extensions["frappe_enroll"].settings
    assert settings.retry_schedule_s == waits
    assert settings.plugins == ("sql", "stripe", "lms")
