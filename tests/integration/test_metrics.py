# SPDX-License-Identifier: MIT
"""What is measured: the numbers that a scrape of a working SDK shows."""

from __future__ import annotations

import json
import logging
import re
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from frappe_enroll_cli._internal.logs import JSONFormatter, TextFormatter
from frappe_enroll_metrics import PrometheusMetrics
from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.errors import StorageUnavailableError
from frappe_enroll_sdk.metrics import MEASURES
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sdk.testing.payments import FakePayments


COURSE, ADA = "python-101", "ada@example.com"


class Scene:
    """An SDK that is measured."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.lms = FakeLMS()
        self.lms.add_course(COURSE, Money(4900, "usd"))
        self.metrics = PrometheusMetrics()
        self.sdk = EnrollSDK(
            Settings(public_url="http://127.0.0.1:5000", inline_s=0, retry_jitter=0),
            storage=MemoryStorage(self.clock),
            payments=FakePayments(self.clock),
            lms=self.lms,
            clock=self.clock,
            metrics=self.metrics,
            discover=False,
        )
        self.metrics.watch(self.sdk)

    def enroll(self):
        """Let the learner redeem a grant."""
        code = self.sdk.coupons.create(100, COURSE).code
        return self.sdk.checkout(course_id=COURSE, email=ADA, coupon_code=code)

    def scrape(self) -> dict[tuple, float]:
        """Return every sample by its name and its labels, these by their names."""
        kind, text = self.metrics.render()
        assert kind.startswith("text/plain")
        return {
            (
                sample.name.removeprefix("frappe_enroll_"),
                *(sample.labels[name] for name in sorted(sample.labels)),
            ): sample.value
            for family in text_string_to_metric_families(text.decode())
            for sample in family.samples
        }


@pytest.fixture
def scene():
    """Return an SDK that is measured."""
    scene = Scene()
    yield scene
    scene.sdk.close()


def test_enrollment_is_counted_from_coupon_to_lms(scene):
    """Jobs by outcome, tries, facts, LMS calls by verb."""
    scene.enroll()
    before = scene.scrape()
    assert before["queue_due", "jobs"] == 1
    scene.sdk.run_jobs()
    found = scene.scrape()
    assert found["jobs_total", "sync", "done"] == 1
    assert found["tries_total", "sync"] == 1
    assert found["job_seconds_count", "sync"] == 1
    for verb in ("create_user", "insert_enrollment"):
        assert found["lms_call_seconds_count", "ok", verb] == 1
    for fact in ("coupon_reserved", "coupon_redeemed", "enrolled"):
        assert found["enrollment_facts_total", fact] == 1
    assert found["queue_depth", "jobs", "done"] == 1
    assert (found["queue_due", "jobs"], found["enrollments", "enrolled"]) == (0, 1)


def test_trouble_is_counted(scene):
    """A backend that is down: its gate, the alert, snoozed jobs, ages."""
    scene.enroll()
    scene.lms.is_down = True
    scene.sdk.run_jobs()
    scene.clock.advance(700)
    found = scene.scrape()
    assert found["jobs_total", "sync", "snooze"] == 1
    assert ("tries_total", "sync") not in found
    assert found["lms_call_seconds_count", "lms_unavailable", "ping"] >= 1
    assert found["alerts_total", "backend_down"] == 1
    assert (found["gate_open", "lms"], found["gate_open", "payments"]) == (0, 1)
    assert found["oldest_owed_seconds",] == pytest.approx(700)
    assert found["queue_oldest_due_seconds", "jobs"] == pytest.approx(670)
    assert found["health",] == 2, "work is due, and no worker was seen for ten minutes"
    assert found["worker_seen_seconds",] == pytest.approx(700)


def test_events_reservations_and_dead_jobs_are_counted(scene):
    """A webhook by its outcome, a seat that is held, a job that is refused for good."""
    code = scene.sdk.coupons.create(50, COURSE).code
    answer = scene.sdk.checkout(course_id=COURSE, email=ADA, coupon_code=code)
    found = scene.scrape()
    assert found["enrollment_facts_total", "coupon_reserved"] == 1
    assert found["enrollments", "awaiting_payment"] == 1
    payments = scene.sdk.payments
    event = payments.pay(scene.sdk.enrollments.get(answer.enrollment_id).session_id)
    scene.lms.courses.clear()
    for _ in range(2):
        scene.sdk.handle_webhook(*payments.signed(event))
        scene.sdk.run_jobs()
    found = scene.scrape()
    assert (found["events_total", "queued"], found["events_total", "duplicate"]) == (
        1,
        1,
    )
    assert found["queue_depth", "events", "done"] == 1
    assert found["queue_depth", "jobs", "dead"] == 1
    assert found["jobs_total", "sync", "dead"] == 1
    assert found["enrollment_facts_total", "payment_confirmed"] == 1


def test_store_that_is_down_is_told_by_the_scrape(scene, monkeypatch):
    """The process's own numbers are still there."""

    def down(*_, **__):
        raise StorageUnavailableError("down")

    scene.enroll()
    scene.sdk.run_jobs()
    monkeypatch.setattr(scene.sdk.storage.jobs, "stats", down)
    found = scene.scrape()
    assert found["store_up",] == 0
    assert found["jobs_total", "sync", "done"] == 1


def test_scrape_is_served_on_loopback(scene):
    """``/metrics``, as a scraper asks for it."""
    port = scene.metrics.serve(0)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        assert b"frappe_enroll_store_up 1.0" in answer.read()


def test_measures_have_names_that_prometheus_takes(scene):
    """Each measure of the contract is registered, with a help text."""
    _, text = scene.metrics.render()
    for measure in MEASURES:
        assert re.fullmatch(r"[a-z_]+", measure.name)
        assert f"# HELP frappe_enroll_{measure.name} {measure.about}" in text.decode()


def test_labels_hold_nothing_personal(scene):
    """No address, code or key ever becomes a label."""
    answer = scene.enroll()
    scene.lms.is_down = True
    scene.sdk.run_jobs()
    _, text = scene.metrics.render()
    for private in (ADA, "GRANT-", answer.enrollment_id, "sync:"):
        assert private not in text.decode()


def test_log_of_a_job_has_stable_keys_and_nothing_personal(scene, caplog):
    """One line per end, which a machine can read."""
    caplog.set_level(logging.INFO)
    answer = scene.enroll()
    scene.sdk.run_jobs()
    lines = [json.loads(JSONFormatter().format(r)) for r in caplog.records]
    (line,) = [x for x in lines if x["event"] == "job ended"]
    wanted = {"job", "kind", "tries", "outcome", "result", "duration_s"}
    assert {"at", "level", "logger", "event"} | wanted == set(line)
    assert (line["kind"], line["outcome"], line["tries"]) == ("sync", "done", 1)
    text = json.dumps(lines)
    code = scene.sdk.enrollments.get(answer.enrollment_id).coupon_code
    for private in (ADA, code, answer.token):
        assert private not in text


def test_formatters_show_extras_and_tracebacks():
    """A traceback stays on its line; for people, extras follow the message."""
    try:
        raise ValueError("why")
    except ValueError:
        record = logging.LogRecord(
            "x", logging.ERROR, __file__, 1, "it %s", ("failed",), True
        )
        import sys  # noqa: PLC0415  only here

        record.exc_info = sys.exc_info()
    record.job = "job-1"
    line = JSONFormatter().format(record)
    assert "\n" not in line
    told = json.loads(line)
    assert (told["event"], told["job"], told["level"]) == (
        "it failed",
        "job-1",
        "error",
    )
    assert "ValueError: why" in told["exception"]
    first, *rest = TextFormatter().format(record).splitlines()
    assert first.endswith("ERROR x: it failed job=job-1")
    assert rest[-1] == "ValueError: why"
