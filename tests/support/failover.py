# SPDX-License-Identifier: MIT
"""
Processes that check out, take webhooks and run jobs while their database dies.

Each writes down what it was told (an acknowledgement is a promise) and whom it failed;
nothing but an error of ours may come out of the SDK.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import queue
import random
import threading
import time
import traceback
from datetime import UTC, datetime
from typing import Any

import attrs

from frappe_enroll_lms.frappe import FrappeLMS
from frappe_enroll_mongo.storage import MongoStorage
from frappe_enroll_sandbox import sign
from frappe_enroll_sdk import EnrollSDK
from frappe_enroll_sdk.clock import OffsetClock
from frappe_enroll_sdk.errors import EnrollError
from frappe_enroll_sdk.models import JobState, Status
from frappe_enroll_sdk.settings.options import Secret
from frappe_enroll_stripe.gateway import StripePayments
from support.realworld import COURSE, SECRET, RealWorld
from support.victim import settings_of


PROCESSES = 8
SEATS = 12
_LONG_S = 120


@attrs.frozen(kw_only=True)
class Task:
    """What a worker process is given."""

    number: int
    urls: dict[str, str]
    settings: dict[str, Any]
    codes: tuple[str, ...]


def settings_for(uri: str, database: str) -> dict[str, Any]:
    """Return the settings of a world on MongoDB; impatient, for the test's sake."""
    return {
        "mongodb_uri": Secret(uri + "&timeoutMS=3000"),
        "mongodb_database": database,
        "lease_s": 5.0,
        "frappe_lms_timeout_s": 2.0,
        "inline_s": 1.0,
        "lms_rate_per_s": 0.0,
        "retry_schedule_s": (1.0,) * 30,
        "gate_closed_s": 0.5,
    }


def work(task: Task, stop, events, payments, told) -> None:
    """Work until told to stop; tell each acknowledgement, and what must not be."""
    settings = settings_of(task.urls, "unused", **task.settings)
    clock = OffsetClock()
    sdk = EnrollSDK(
        settings,
        storage=MongoStorage.from_settings(settings, clock),
        payments=StripePayments.from_settings(settings, clock),
        lms=FrappeLMS.from_settings(settings, clock),
        clock=clock,
        discover=False,
    )
    worker = _Worker(sdk, task, events, payments, told)
    acts = (worker.check_out, worker.take_webhook, worker.take_webhook, worker.run_jobs)
    turn = 0
    while not stop.is_set():
        try:
            acts[turn % len(acts)]()
        except EnrollError as error:
            told.put(("error", task.number, error.code, time.monotonic()))
            time.sleep(0.05)
        except Exception:  # noqa: BLE001  told to the test, which fails
            told.put(("bug", task.number, traceback.format_exc(), time.monotonic()))
        turn += 1
    sdk.close()
    told.put(("end", task.number, "", time.monotonic()))


class _Worker:
    """The acts of one process."""

    def __init__(self, sdk, task, events, payments, told) -> None:
        self._sdk, self._task = sdk, task
        self._events, self._payments, self._told = events, payments, told
        self._learners = 0

    def _tell(self, kind: str, what: Any) -> None:
        self._told.put((kind, self._task.number, what, time.monotonic()))

    def check_out(self) -> None:
        """Let a new learner pay, or use a code that others want too."""
        self._learners += 1
        code = random.choice((None, None, *self._task.codes))
        answer = self._sdk.checkout(
            course_id=COURSE,
            email=f"l{self._task.number}-{self._learners}@example.com",
            coupon_code=code,
        )
        self._tell("checkout", (answer.enrollment_id, answer.token, answer.status))
        row = self._sdk.enrollments.get(answer.enrollment_id)
        if answer.payment_url is not None:
            self._payments.put(row.session_id)

    def take_webhook(self) -> None:
        """Take an event; one that is not acknowledged is delivered again."""
        try:
            event = self._events.get(timeout=0.05)
        except queue.Empty:
            return
        body = json.dumps(event).encode()
        header = sign(body, SECRET, int(datetime.now(UTC).timestamp()))
        try:
            self._sdk.handle_webhook(body, {"Stripe-Signature": header})
        except BaseException:
            self._events.put(event)
            raise
        self._tell("webhook", event["id"])

    def run_jobs(self) -> None:
        """Run a pass."""
        if self._sdk.run_jobs(limit=20, time_budget_s=1).claimed:
            self._tell("jobs", None)


class Crowd:
    """The processes over one world; a context manager."""

    def __init__(self, world: RealWorld, settings: dict[str, Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self._world = world
        self._stop = context.Event()
        self._events, self._payments = context.Queue(), context.Queue()
        self._told = context.Queue()
        create = world.sdk.coupons.create
        self.codes = (
            create(100, COURSE, max_redemptions=SEATS).code,
            create(50, COURSE, max_redemptions=SEATS).code,
            create(100, COURSE).code,
        )
        world.stripe.account.on_event = self._events.put
        self.stories: list[tuple[str, int, Any, float]] = []
        self._processes = [
            context.Process(
                target=work,
                args=(
                    Task(
                        number=number,
                        urls=world.urls,
                        settings=settings,
                        codes=self.codes,
                    ),
                    self._stop,
                    self._events,
                    self._payments,
                    self._told,
                ),
            )
            for number in range(PROCESSES)
        ]
        self._threads = [
            threading.Thread(target=act, daemon=True)
            for act in (self._pay, self._listen)
        ]

    def __enter__(self):
        for process in self._processes:
            process.start()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def _pay(self) -> None:
        """Let everybody pay who was sent to the payment page."""
        while (session_id := self._payments.get()) is not None:
            with contextlib.suppress(Exception):
                # Paid before, or expired meanwhile: the page says so.
                self._world.stripe.account.pay(session_id)

    def _listen(self) -> None:
        while (story := self._told.get()) is not None:
            self.stories.append(story)

    def count(self, kind: str) -> int:
        """Return how many stories of a kind there are."""
        return sum(story[0] == kind for story in list(self.stories))

    def wait_for(self, more: int) -> None:
        """Wait until every process has been acknowledged `more` times from now on."""
        since = time.monotonic()
        ends = since + _LONG_S
        while time.monotonic() < ends:
            heard = [0] * PROCESSES
            for kind, number, _, at in list(self.stories):
                heard[number] += at > since and kind in {"checkout", "webhook"}
            if min(heard) >= more:
                return
            time.sleep(0.05)
        raise AssertionError(f"not everybody works again: {heard}")

    def stop(self) -> None:
        """Stop the processes and hear them out."""
        if self._stop.is_set():
            return
        self._stop.set()
        ends = time.monotonic() + _LONG_S
        while self.count("end") < PROCESSES and time.monotonic() < ends:
            time.sleep(0.05)
        for process in self._processes:
            process.join(5)
            if process.is_alive():
                process.kill()
        self._payments.put(None)
        self._told.put(None)
        for thread in self._threads:
            thread.join(_LONG_S)

    def deliver_the_rest(self) -> None:
        """Deliver what was not acknowledged, as Stripe does for days."""
        while True:
            try:
                event = self._events.get(timeout=0.2)
            except queue.Empty:
                return
            self._world.deliver(event)

    def check(self) -> None:
        """Check that every acknowledgement holds, and that nothing was done twice."""
        world, sdk = self._world, self._world.sdk
        bugs = [story for story in self.stories if story[0] == "bug"]
        assert not bugs, bugs[0][2]
        self.deliver_the_rest()
        world.let_time_pass()
        world.check()
        for kind, _, what, _ in self.stories:
            if kind == "checkout":
                _check_checkout(sdk, *what)
            elif kind == "webhook":
                assert sdk.storage.events.find(what).state is JobState.DONE
        for code in self.codes:
            coupon = sdk.coupons.get(code)
            assert coupon.redeemed <= coupon.max_redemptions
        for row in world.rows():
            facts = [entry.fact for entry in row.history]
            for once in ("paid", "coupon_redeemed", "enrolled"):
                assert facts.count(once) <= 1, facts


def _check_checkout(sdk, enrollment_id: str, token: str | None, status: str) -> None:
    row = sdk.enrollments.get(enrollment_id)
    if token is not None:
        assert sdk.enrollments.get_with_token(enrollment_id, token).id == row.id
    if status in (Status.CONFIRMED, Status.ENROLLED):
        assert row.status is Status.ENROLLED, row.history
