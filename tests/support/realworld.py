# SPDX-License-Identifier: MIT
"""Both sandboxes on loopback, a SQLite file, and processes that may be killed."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path

from frappe_enroll_sandbox import LMSSandbox, StripeSandbox, sign
from frappe_enroll_sdk import EnrollSDK
from frappe_enroll_sdk.clock import OffsetClock
from frappe_enroll_sdk.models import Status
from frappe_enroll_sdk.states import ENTITLED
from support.victim import load, settings_of


COURSE = "python-101"
SECRET = "whsec_test_secret"
_VICTIM = Path(__file__).with_name("victim.py")


class RealWorld:
    """The real packages over real protocols; a context manager."""

    def __init__(self, folder, plugins=(), **settings) -> None:
        self.clock = OffsetClock()
        self.stripe, self.lms = StripeSandbox(self.clock), LMSSandbox(self.clock)
        self.database = str(folder / "world.sqlite3")
        self._settings, self._plugins = settings, tuple(plugins)
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        self._stack.enter_context(self.stripe)
        self._stack.enter_context(self.lms)
        self.lms.site.add_course(COURSE, 49.0, "USD", title="Python 101")
        self.sdk = self.new_sdk()
        self.sdk.setup()
        return self

    def __exit__(self, *_) -> None:
        self.sdk.close()
        self._stack.close()

    @property
    def urls(self):
        """Where the sandboxes are."""
        return {"stripe": self.stripe.url, "lms": self.lms.url}

    def new_sdk(self) -> EnrollSDK:
        """Return an SDK of this process."""
        settings = settings_of(self.urls, self.database, **self._settings)
        return EnrollSDK(
            settings, clock=self.clock, plugins=_loaded(self._plugins), discover=True
        )

    def task(self, *do, **more):
        """Return what a process is to do."""
        return {
            "urls": self.urls,
            "database": self.database,
            "offset_s": self.clock.offset_s,
            "settings": self._settings,
            "plugins": self._plugins,
            "do": do,
        } | more

    def start(self, *do, **more) -> subprocess.Popen:
        """Start a process."""
        task = json.dumps(self.task(*do, **more))
        return subprocess.Popen(
            [sys.executable, str(_VICTIM), task],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start_together(self, tasks):
        """Run a process for each list of verbs, all at once; return what they print."""
        processes = [self.start(*do, wait=True) for do in tasks]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        return [finish(process) for process in processes]

    def run(self, *do, **more):
        """Run a process to its end; return what it printed."""
        return finish(self.start(*do, **more))

    def kill_at(self, when, verb, *do, number=1, **more) -> None:
        """Run a process that is killed at a call; it must die there."""
        process = self.start(*do, die=[when, verb, number], **more)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, (process.returncode, out)

    def checkout(self, email="ada@example.com", code=None, **more):
        """Return the task of a checkout."""
        fields = {"course_id": COURSE, "email": email} | more
        return ("checkout", fields | ({"coupon_code": code} if code else {}))

    def webhook(self, event):
        """Return the task of a delivery."""
        body = json.dumps(event).encode()
        header = sign(body, SECRET, int(self.clock.now().timestamp()))
        return (
            "webhook",
            {"body": body.decode(), "headers": {"Stripe-Signature": header}},
        )

    def deliver(self, event, sdk=None):
        """Deliver an event in this process."""
        _, delivery = self.webhook(event)
        sdk = sdk or self.sdk
        return sdk.handle_webhook(delivery["body"].encode(), delivery["headers"])

    def pay(self, enrollment_id):
        """Let the learner pay; return the event."""
        row = self.sdk.enrollments.get(enrollment_id)
        return self.stripe.account.pay(row.session_id)

    def let_time_pass(self, *seconds) -> None:
        """Let only time and cron go on."""
        for wait_s in seconds or (130, 130, 300, 1000, 4000, 8000):
            self.clock.advance(wait_s)
            while self.sdk.run_jobs(limit=1000).claimed:
                pass

    def rows(self):
        """Return all enrollments, over all pages."""
        page = self.sdk.enrollments.list(limit=1000)
        rows = [*page.items]
        while page.next_cursor is not None:
            page = self.sdk.enrollments.list(limit=1000, cursor=page.next_cursor)
            rows += page.items
        return tuple(rows)

    def check(self) -> None:
        """Check what must hold over all three sides at rest."""
        rows = self.rows()
        for row in rows:
            there = len(self.lms.site.enrollments(row.learner, row.course_id))
            entitled = sum(
                r.status in ENTITLED
                for r in rows
                if (r.learner, r.course_id) == (row.learner, row.course_id)
            )
            assert there == entitled, (row.status, row.history)
            assert row.status not in (Status.PENDING, Status.AWAITING_PAYMENT)
            assert row.status is not Status.CONFIRMED
        for coupon in self.sdk.coupons.list(limit=1000).items:
            users = [r for r in rows if r.coupon_code == coupon.code]
            redeemed = sum(r.status is Status.ENROLLED for r in users)
            assert (coupon.reserved, coupon.redeemed) == (0, redeemed)
        paid = [s for s in self.stripe.account.sessions.values() if _is_paid(s)]
        by_session = {row.session_id: row for row in rows}
        for session in paid:
            row = by_session[session["id"]]
            assert row.status in (Status.ENROLLED, Status.ON_HOLD), row.history


def _is_paid(session) -> bool:
    return session["payment_status"] == "paid"


def _loaded(plugins):
    return [load(name) for name in plugins]


def finish(process):
    """Wait for a process that must end well; return what it printed."""
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, process.returncode
    return json.loads(out)
