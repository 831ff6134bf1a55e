# SPDX-License-Identifier: MIT
"""Alerts into the log and to a signed webhook, over real HTTP on loopback."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.world import COURSE, World

import frappe_enroll_alerts.plugin
from frappe_enroll_alerts.settings import PREFIX, AlertSettings
from frappe_enroll_alerts.signature import HEADER, sign, verify
from frappe_enroll_sdk import Settings, hookimpl
from frappe_enroll_sdk.errors import SettingsError
from frappe_enroll_sdk.models import JobState
from frappe_enroll_sdk.outcomes import Dead
from frappe_enroll_sdk.services.alerts import raise_alert
from frappe_enroll_sdk.settings.plugins import load_part


OLD, NEW = "an-old-secret-of-ours", "the-next-secret-of-ours"


class Receiver:
    """An HTTP server that notes posts and answers as it is told; a context manager."""

    def __init__(self) -> None:
        self.posts, self.answers = [], deque()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                """Note the post and answer it."""
                length = int(self.headers["Content-Length"])
                receiver.posts.append((self.rfile.read(length), self.headers[HEADER]))
                answers = receiver.answers
                status, headers = answers.popleft() if answers else (204, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args):
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?token=T0KEN"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join(30)
        self._server.server_close()


class Doomed:
    """A plugin whose one job dies at once."""

    @hookimpl
    def register_jobs(self, register):
        """Hang on the enrolment."""
        register("doomed", lambda _context: Dead("it never works"), on=("enrolled",))


@pytest.fixture
def receiver():
    """Return a receiver."""
    with Receiver() as server:
        yield server


@pytest.fixture
def world(receiver):
    """Return a world that posts to it, signed with the new and the old secret."""
    given = {
        f"{PREFIX}WEBHOOK_URL": receiver.url,
        f"{PREFIX}WEBHOOK_SECRET": f"{NEW},{OLD}",
    }
    return World(plugin_settings=given)


def sdk_of(world):
    """Return an SDK with the plugin and one whose job dies."""
    return world.sdk(plugins=[frappe_enroll_alerts.plugin, Doomed()])


def work(world, sdk, *waits):
    """Do what is due, now and after each wait."""
    for wait_s in (0, *waits):
        world.clock.advance(wait_s)
        while sdk.run_jobs().claimed:
            pass


def webhook_job(world):
    """Return the one job of the webhook."""
    (job,) = world.storage.jobs.list(kind="alerts.webhook").items
    return job


def test_alert_is_posted_once_and_signed_with_each_secret(world, receiver):
    """A receiver that has either secret takes it; nobody else's mark fits."""
    sdk = sdk_of(world)
    for _ in range(2):
        raise_alert(sdk.affiliates._context, "backend_down", "lms", "occasion")
    work(world, sdk, 130)
    ((body, header),) = receiver.posts
    said = json.loads(body)
    assert (said["type"], said["code"], said["subject"]) == (
        "alert",
        "backend_down",
        "lms",
    )
    assert said["id"] == webhook_job(world).key
    now_s = world.clock.now().timestamp() - 130
    for secret in (OLD, NEW):
        assert verify(body, header, [secret], now_s=now_s)
    assert not verify(body, header, ["another-secret-altogether"], now_s=now_s)


def test_dead_letter_is_posted_with_its_cause(world, receiver):
    """Key, kind, tries and cause: enough to find it and to retry it."""
    sdk = sdk_of(world)
    sdk.checkout(
        course_id=COURSE, email="ada@example.com", coupon_code=world.coupon(100)
    )
    work(world, sdk, 3)
    ((body, _),) = receiver.posts
    said = json.loads(body)
    (dead,) = world.storage.jobs.list(kind="doomed").items
    assert (said["type"], said["subject"]) == ("job_dead", dead.key)
    assert (said["kind"], said["tries"], said["cause"]) == (
        "doomed",
        1,
        "it never works",
    )
    assert b"ada@example.com" not in body


def test_post_is_tried_until_it_is_taken(world, receiver):
    """The same body and id in each try, under a fresh time; waits as it is asked."""
    receiver.answers.extend([(500, {}), (429, {"Retry-After": "7"}), (302, {})])
    receiver.answers[2] = (302, {"Location": receiver.url})
    sdk = sdk_of(world)
    raise_alert(sdk.affiliates._context, "backend_down", "lms")
    work(world, sdk, 120)
    assert len(receiver.posts) == 2
    work(world, sdk, 7)
    assert len(receiver.posts) == 3, "a redirect is not followed"
    work(world, sdk, 480)
    assert len(receiver.posts) == 4
    assert len({body for body, _ in receiver.posts}) == 1
    assert len({header.partition(",")[0] for _, header in receiver.posts}) == 4
    job = webhook_job(world)
    assert (job.state, job.outcome) == (JobState.DONE, "told")
    assert [error.cause for error in job.errors] == [
        "the receiver of alerts answered 500",
        "the receiver of alerts answered 429",
        "the receiver of alerts answered 302: redirects are not followed",
    ]


def test_receiver_that_is_gone_ends_it(world, receiver):
    """A 410 is final; one that can't be reached is tried again, its URL kept."""
    receiver.answers.append((410, {}))
    sdk = sdk_of(world)
    raise_alert(sdk.affiliates._context, "backend_down", "lms")
    work(world, sdk)
    assert webhook_job(world).state is JobState.DEAD
    receiver._server.shutdown()
    receiver._server.server_close()
    sdk.admin.retry(webhook_job(world).key)
    work(world, sdk)
    job = webhook_job(world)
    assert job.state is JobState.DUE
    assert job.errors[-1].cause == (
        "the receiver of alerts can't be reached: ConnectionRefusedError"
    )
    assert "T0KEN" not in str(job)


def test_log_tells_alerts_and_dead_letters(caplog):
    """With their names as fields, and without a webhook, too."""
    world = World()
    sdk = sdk_of(world)
    with caplog.at_level(logging.ERROR, "frappe_enroll_alerts"):
        raise_alert(sdk.affiliates._context, "backend_down", "lms")
        sdk.checkout(
            course_id=COURSE, email="ada@example.com", coupon_code=world.coupon(100)
        )
        work(world, sdk, 3)
    alert, dead = [r for r in caplog.records if r.name == "frappe_enroll_alerts"]
    assert (alert.message, alert.code, alert.subject) == (
        "alert",
        "backend_down",
        "lms",
    )
    assert (dead.kind, dead.tries, dead.cause) == ("doomed", 1, "it never works")
    assert world.storage.jobs.list(kind="alerts.webhook").items == ()


@pytest.mark.parametrize(
    "header",
    [
        "",
        "v1=00",
        "t=1000",
        "t=x,v1=00",
        "t=²,v1=00",
        "t=1000,v0={mac}",
        "t=1001,v1={mac}",
        "t=1000,t=1000,v1={mac}",
        "t=1000,v1=ü",
    ],
)
def test_signature_that_is_none_is_refused(header):
    """Without a time, with two, of another time or version, or with a foreign mark."""
    mac = sign(b"{}", [NEW], 1000).partition("v1=")[2]
    assert verify(b"{}", f"t=1000,v1={mac}", [NEW], now_s=1000)
    assert not verify(b"{}", header.format(mac=mac), [NEW], now_s=1000)


def test_signature_of_another_body_or_time_is_refused():
    """One byte more, or five minutes later."""
    header = sign(b"{}", [OLD, NEW], 1000)
    assert verify(b"{}", header, [NEW], now_s=1300)
    assert verify(b"{}", header, ["x", OLD], now_s=700)
    for body, now_s in ((b"{} ", 1000), (b"{}", 1301), (b"{}", 699)):
        assert not verify(body, header, [NEW], now_s=now_s)
    assert not verify(b"{}", header, [], now_s=1000)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"WEBHOOK_URL": "http://alerts.example.com/T0KEN"}, "refused off loopback"),
        ({"WEBHOOK_URL": "ftp://T0KEN"}, "absolute http(s)"),
        ({"WEBHOOK_URL": "https://[T0KEN"}, "is not a URL"),
        ({"WEBHOOK_SECRET": ""}, "WEBHOOK_SECRET: must be set"),
        ({"WEBHOOK_SECRET": f"{NEW},short"}, "16 characters"),
        ({"WEBHOOK_TIMEOUT_S": "0"}, "WEBHOOK_TIMEOUT_S"),
        ({"WEBHOOK": "x"}, "WEBHOOK: unknown setting"),
    ],
)
def test_wrong_setting_is_named(more, said):
    """By its variable, without showing a URL or a secret."""
    given = {"WEBHOOK_URL": "https://example.com/T0KEN", "WEBHOOK_SECRET": NEW} | more
    told = Settings(plugin_settings={f"{PREFIX}{k}": v for k, v in given.items()})
    with pytest.raises(SettingsError) as caught:
        load_part(AlertSettings, told, PREFIX)
    assert said in str(caught.value)
    assert "T0KEN" not in str(caught.value)
