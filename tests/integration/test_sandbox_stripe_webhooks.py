# SPDX-License-Identifier: MIT
"""The Stripe sandbox's deliveries, and a whole SDK over the real stripe package."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from support.stripe_side import (
    ADA,
    COURSE,
    SECRET,
    SESSIONS,
    TIMEOUT_S,
    browse,
    creations,
    new_gateway,
    opened,
)
from werkzeug.wrappers import Response

from frappe_enroll_sandbox import StripeSandbox
from frappe_enroll_sandbox.server import LoopbackServer
from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.errors import TransientError
from frappe_enroll_sdk.models import Fact, Status
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.testing.faults import Crash, CrashPlan
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sql.storage import SQLStorage


@pytest.fixture
def clock():
    """Return a clock that both sides share."""
    return FakeClock()


@pytest.fixture
def sandbox(clock):
    """Return a running sandbox."""
    with StripeSandbox(clock) as server:
        yield server


@pytest.fixture
def gateway(sandbox):
    """Return the plugin over the sandbox."""
    return new_gateway(sandbox)


class Endpoint(LoopbackServer):
    """A webhook endpoint that verifies, and answers what it is told."""

    def __init__(self, gateway, clock):
        super().__init__(self._receive)
        self.gateway, self.clock = gateway, clock
        self.answers = iter(())
        self.events = []
        self.statuses = []
        self.lock = threading.Lock()

    def _receive(self, request):
        body, headers = request.get_data(), request.headers
        event = self.gateway.parse_event(body, headers, now=self.clock.now())
        with self.lock:
            status = next(self.answers, 200)
            self.events.append(event)
            self.statuses.append(status)
        return Response(status=status)


@pytest.fixture
def endpoint(sandbox, gateway, clock):
    """Return an endpoint that gets the sandbox's events."""
    with Endpoint(gateway, clock) as server:
        sandbox.webhooks.add_endpoint(f"{server.url}/hook", SECRET)
        sandbox.webhooks.retry_s = 0.02
        yield server


class TestWebhooks:
    """Deliveries: signed, repeated until answered, doubled and shuffled on demand."""

    def test_delivery_is_signed(self, sandbox, gateway, clock, endpoint):
        """The endpoint verifies it with the plugin: what it says is the fact."""
        session = opened(gateway, clock)
        sandbox.account.pay(session.id)
        assert sandbox.webhooks.wait_idle()
        assert [(e.fact, e.session_id) for e in endpoint.events] == [
            (Fact.PAID, session.id)
        ]

    def test_delivery_is_repeated_until_it_is_answered(
        self, sandbox, gateway, clock, endpoint
    ):
        """500, 404, 503, then 200: four deliveries of one event."""
        endpoint.answers = iter([500, 404, 503])
        sandbox.account.pay(opened(gateway, clock).id)
        assert sandbox.webhooks.wait_idle()
        assert endpoint.statuses == [500, 404, 503, 200]
        assert len({event.id for event in endpoint.events}) == 1
        assert [d.status for d in sandbox.webhooks.log] == [500, 404, 503, 200]

    def test_delivery_is_given_up_in_the_end(self, sandbox, gateway, clock, endpoint):
        """Nobody listens: status 0, as often as was said."""
        endpoint.stop()
        sandbox.webhooks.max_tries = 3
        sandbox.account.pay(opened(gateway, clock).id)
        assert sandbox.webhooks.wait_idle()
        assert [d.status for d in sandbox.webhooks.log] == [0, 0, 0]

    def test_delivery_can_be_doubled(self, sandbox, gateway, clock, endpoint):
        """As many copies as are asked for."""
        sandbox.webhooks.copies = 5
        sandbox.account.pay(opened(gateway, clock).id)
        assert sandbox.webhooks.wait_idle()
        assert list(Counter(e.id for e in endpoint.events).values()) == [5]

    @pytest.mark.parametrize("order", ["as_is", "reversed", "shuffled"])
    def test_deliveries_can_be_held_and_reordered(
        self, sandbox, gateway, clock, endpoint, order
    ):
        """Nothing comes while they are held; then all, in the order that was asked."""
        sandbox.webhooks.held = True
        for number in range(6):
            sandbox.account.pay(opened(gateway, clock, number).id)
        assert (sandbox.webhooks.wait_idle(), endpoint.events) == (True, [])
        sandbox.webhooks.release(order=order, seed=1)
        assert sandbox.webhooks.wait_idle()
        happened = list(sandbox.account.events)
        came = [event.id for event in endpoint.events]
        assert sorted(happened) == sorted(came)
        wanted = {"as_is": happened, "reversed": happened[::-1]}
        assert came == wanted.get(order, came)
        assert (came == happened) is (order == "as_is")

    def test_held_deliveries_can_be_lost(self, sandbox, gateway, clock, endpoint):
        """An event that never comes."""
        sandbox.webhooks.held = True
        sandbox.account.pay(opened(gateway, clock).id)
        sandbox.webhooks.drop()
        sandbox.webhooks.release()
        assert (sandbox.webhooks.wait_idle(), endpoint.events) == (True, [])


class TestWholeSDK:
    """Checkout over the real package and the embedded store."""

    @pytest.fixture
    def new_sdk(self, sandbox, gateway, clock, tmp_path):
        """Return what starts a process over the same store, provider and LMS."""
        lms = FakeLMS()
        lms.add_course(COURSE, Money(4900, "usd"))
        storage = SQLStorage(f"sqlite:///{tmp_path / 'store.sqlite3'}")
        storage.setup()
        settings = Settings(public_url="http://127.0.0.1:5000", retry_jitter=0)

        def start(plan=None, payments=gateway):
            payments = plan.tap(payments, "payments") if plan else payments
            sdk = EnrollSDK(
                settings,
                storage=storage,
                payments=payments,
                lms=lms,
                clock=clock,
                discover=False,
            )
            sdk.fake_lms = lms
            return sdk

        yield start
        storage.close()

    @pytest.mark.parametrize("kind", ["commit_then_timeout", "hang", "reset"])
    def test_timed_out_creation_leaves_one_page_that_takes_money(
        self, sandbox, clock, new_sdk, kind
    ):
        """Scenario 5: the answer is lost; nobody is given the first one's URL."""
        sandbox.fail_next(f"POST {SESSIONS}$", kind)
        sdk = new_sdk(payments=new_gateway(sandbox, timeout_s=TIMEOUT_S))
        try:
            answer = sdk.checkout(course_id=COURSE, email=ADA)
        except TransientError:
            sandbox.heal()
            answer = sdk.checkout(course_id=COURSE, email=ADA)
        assert answer.status is Status.AWAITING_PAYMENT
        row = sdk.enrollments.get(answer.enrollment_id)
        keys = [request.idempotency_key for request in creations(sandbox)]
        assert len(set(keys)) == len(keys) >= 2
        clock.advance(200)
        page = sdk.admin.reconcile(repair=True)
        while page.next_cursor is not None:
            page = sdk.admin.reconcile(repair=True, cursor=page.next_cursor)
        statuses = {name: s["status"] for name, s in sandbox.account.sessions.items()}
        assert statuses.pop(row.session_id) == "open"
        assert set(statuses.values()) <= {"expired"}

    def test_killed_after_creation_finds_the_same_session(
        self, sandbox, clock, new_sdk
    ):
        """Scenario 4: dead before the session id was saved; the replay is the same."""
        counted = CrashPlan()
        new_sdk(counted).checkout(course_id=COURSE, email="first@example.com")
        k = 1 + counted.calls.index("payments.create_session")
        with pytest.raises(Crash):
            new_sdk(CrashPlan(k, lost_answer=True)).checkout(
                course_id=COURSE, email=ADA
            )
        clock.advance(600)
        answer = new_sdk().checkout(course_id=COURSE, email=ADA)
        *_, died, replayed = creations(sandbox)
        assert (died.body, died.idempotency_key) == (
            replayed.body,
            replayed.idempotency_key,
        )
        assert len(sandbox.account.sessions) == 2
        session = list(sandbox.account.sessions.values())[-1]
        assert answer.payment_url == session["url"]

    def test_shuffled_copies_have_one_effect(self, sandbox, clock, new_sdk):
        """Scenario 9: every event ten times, in disorder: one row each."""
        sdk = new_sdk()

        def receive(request):
            sdk.handle_webhook(request.get_data(), request.headers)
            return Response(status=200)

        sandbox.webhooks.copies, sandbox.webhooks.held = 5, True
        with LoopbackServer(receive) as server:
            for _ in range(2):
                sandbox.webhooks.add_endpoint(server.url, SECRET)
            for number in range(4):
                answer = sdk.checkout(course_id=COURSE, email=f"l{number}@example.com")
                browse(answer.payment_url, press="pay")
            sandbox.webhooks.release(order="shuffled")
            assert sandbox.webhooks.wait_idle(30)
        assert {d.status for d in sandbox.webhooks.log} == {200}
        assert len(sandbox.webhooks.log) == 4 * 2 * 5
        sdk.run_jobs()
        rows = sdk.enrollments.list().items
        assert [row.status for row in rows] == [Status.ENROLLED] * 4
        assert sdk.fake_lms.inserts == 4
