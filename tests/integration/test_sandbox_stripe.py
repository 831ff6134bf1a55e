# SPDX-License-Identifier: MIT
"""The Stripe sandbox keeps Stripe's rules; the real stripe package talks to it."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe
from support.stripe_side import (
    PATIENCE_S,
    SESSIONS,
    TIMEOUT_S,
    browse,
    creations,
    new_gateway,
    opened,
    order_of,
    wait_for,
)

from frappe_enroll_sandbox import LMSSandbox, StripeSandbox
from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.errors import (
    BackendRefusedError,
    BackendRejectedError,
    ConflictError,
    PaymentsUnavailableError,
    ThrottledError,
)
from frappe_enroll_sdk.models import ExpireOutcome
from frappe_enroll_sdk.money import Money
from frappe_enroll_stripe.gateway import API_VERSION


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


class TestRequests:
    """What goes over the wire."""

    def test_stored_request_is_replayed_byte_for_byte(self, sandbox, gateway, clock):
        """From another process, out of JSON, an hour later: the same raw bytes."""
        order = order_of(
            clock, course_title="Prüfung: 50 % & mehr <b>", metadata={"b": "2"}
        )
        request = gateway.prepare_session(order)
        first = gateway.create_session(request)
        clock.advance(3600)
        again = new_gateway(sandbox).create_session(json.loads(json.dumps(request)))
        sent = creations(sandbox)
        assert (len(sent), first.id) == (2, again.id)
        assert sent[0].body == sent[1].body
        assert sent[0].idempotency_key == sent[1].idempotency_key == "enr_0001"
        assert len(sandbox.account.sessions) == 1

    def test_api_version_is_pinned(self, sandbox, gateway, clock):
        """Whatever the account's default is, our reading fits the answer."""
        opened(gateway, clock)
        assert sandbox.requests[0].headers["Stripe-Version"] == API_VERSION

    def test_no_secret_and_no_address_in_urls(self, sandbox, gateway, clock):
        """URLs are logged everywhere."""
        session = opened(gateway, clock)
        gateway.retrieve_session(session.id)
        for request in sandbox.requests:
            assert sandbox.secret_key not in request.path
            assert "ada" not in request.path

    def test_client_does_not_retry_by_itself(self, sandbox, gateway, clock):
        """The core replays the stored request; nothing else repeats a call."""
        sandbox.fail_next("POST", "status", status=500, times=None)
        with pytest.raises(PaymentsUnavailableError):
            opened(gateway, clock)
        assert len(creations(sandbox)) == 1


class TestSessions:
    """Stripe's rules of checkout sessions."""

    @pytest.mark.parametrize(
        ("life_s", "is_good"),
        [(1799, False), (1800, True), (86_400, True), (86_401, False)],
    )
    def test_life_is_counted_from_the_call(self, gateway, clock, life_s, is_good):
        """30 minutes at least, 24 hours at most."""
        if is_good:
            assert opened(gateway, clock, life_s=life_s).url
            return
        with pytest.raises(BackendRejectedError) as caught:
            opened(gateway, clock, life_s=life_s)
        assert caught.value.field == "expires_at"

    def test_request_that_waited_too_long_is_refused(self, gateway, clock):
        """31 minutes when it was prepared are 29 at the time of the call."""
        request = gateway.prepare_session(order_of(clock, life_s=1860))
        clock.advance(120)
        with pytest.raises(BackendRejectedError):
            gateway.create_session(request)

    def test_replay_is_answered_when_too_little_life_is_left(self, gateway, clock):
        """What was made is not made again, so no rule is applied again."""
        request = gateway.prepare_session(order_of(clock, life_s=1860))
        session = gateway.create_session(request)
        clock.advance(120)
        assert session.id == gateway.create_session(request).id

    def test_amount_below_the_minimum_is_refused(self, gateway, clock):
        """Stripe's minimum charge, 0.50 USD."""
        with pytest.raises(BackendRejectedError):
            opened(gateway, clock, amount=Money(49, "usd"))
        assert opened(gateway, clock, 2, amount=Money(50, "usd")).url

    @pytest.mark.parametrize("end", ["paid", "unpaid", "expired"])
    def test_only_an_open_session_can_be_expired(self, sandbox, gateway, clock, end):
        """One and the same refusal for paid, complete and expired; a look tells."""
        session = opened(gateway, clock)
        if end == "expired":
            gateway.expire_session(session.id)
        else:
            sandbox.account.pay(session.id, delayed=end == "unpaid")
        with pytest.raises(stripe.InvalidRequestError, match="status in"):
            gateway._client.v1.checkout.sessions.expire(session.id)
        wanted = ExpireOutcome.EXPIRED if end == "expired" else ExpireOutcome.NOT_OPEN
        assert gateway.expire_session(session.id) is wanted

    def test_complete_is_not_paid(self, sandbox, gateway, clock):
        """A delayed method: complete, unpaid, the payment is processing."""
        session = opened(gateway, clock)
        event = sandbox.account.pay(session.id, delayed=True)
        inner = event["data"]["object"]
        assert (inner["status"], inner["payment_status"]) == ("complete", "unpaid")
        payment = sandbox.account.payments[inner["payment_intent"]]
        assert payment["status"] == "processing"
        assert gateway.retrieve_session(session.id).paid is False

    def test_lapsed_session_tells_so_by_an_event(self, sandbox, gateway, clock):
        """Once, when its time has come."""
        session = opened(gateway, clock)
        clock.advance(7200)
        for _ in range(2):
            assert gateway.retrieve_session(session.id).status == "expired"
        kinds = [event["type"] for event in sandbox.account.events.values()]
        assert kinds == ["checkout.session.expired"]


class TestIdempotency:
    """Stripe's rules of idempotent requests."""

    def test_same_key_with_other_parameters_is_an_error(self, sandbox, gateway, clock):
        """400, type idempotency_error; the first answer stays."""
        session = opened(gateway, clock)
        with pytest.raises(BackendRejectedError) as caught:
            opened(gateway, clock, amount=Money(4800, "usd"))
        assert isinstance(caught.value.__cause__, stripe.IdempotencyError)
        assert session.id == opened(gateway, clock).id

    def test_key_in_use_is_a_conflict(self, sandbox, clock):
        """Two at once: one works, the other is told to wait, then gets its answer."""
        gateway = new_gateway(sandbox)
        request = gateway.prepare_session(order_of(clock))
        with ThreadPoolExecutor(1) as pool:
            with sandbox.account.lock:
                slow = pool.submit(gateway.create_session, request)
                wait_for(lambda: sandbox._answers)
                with pytest.raises(ConflictError):
                    new_gateway(sandbox).create_session(request)
            session = slow.result(10)
        assert session.id == gateway.create_session(request).id
        assert len(sandbox.account.sessions) == 1

    def test_many_at_once_make_one_session(self, sandbox, clock):
        """Whoever comes second gets a conflict or the same session."""
        gateway = new_gateway(sandbox)
        request = gateway.prepare_session(order_of(clock))

        def create(_):
            try:
                return gateway.create_session(request).id
            except ConflictError:
                return None

        with ThreadPoolExecutor(8) as pool:
            found = set(pool.map(create, range(16))) - {None}
        assert found == set(sandbox.account.sessions)
        assert len(found) == 1

    def test_server_error_is_replayed_too(self, sandbox, gateway, clock):
        """Stripe keeps the 500 under the key: the outcome stays unclear."""
        sandbox.fail_next(f"POST {SESSIONS}$", "commit_then_500")
        for _ in range(2):
            with pytest.raises(PaymentsUnavailableError) as caught:
                opened(gateway, clock)
            assert caught.value.unclear

    @pytest.mark.parametrize("kind", ["status", "commit_then_500"])
    def test_server_error_is_kept_for_a_day(self, sandbox, gateway, clock, kind):
        """The same key answers it again, whatever has been mended; then it is free."""
        sandbox.fail_next(f"POST {SESSIONS}$", kind)
        request = gateway.prepare_session(order_of(clock))
        for seconds in (0, 60, 23 * 3600):
            clock.advance(seconds)
            with pytest.raises(PaymentsUnavailableError):
                gateway.create_session(request)
        assert opened(gateway, clock, try_number=2).url
        clock.advance(3600)
        # Other parameters under the same key: it is a new one.
        assert opened(gateway, clock).url

    def test_refusal_leaves_the_key_free(self, gateway, clock):
        """What was refused before it ran may be sent right under the same key."""
        with pytest.raises(BackendRejectedError):
            opened(gateway, clock, life_s=60)
        assert opened(gateway, clock).url


class TestFaults:
    """Each fault gives one of our errors, and tells whether it may have worked."""

    @pytest.mark.parametrize(
        ("kind", "more", "error", "unclear"),
        [
            ("reset", {}, PaymentsUnavailableError, True),
            ("hang", {}, PaymentsUnavailableError, True),
            ("commit_then_timeout", {}, PaymentsUnavailableError, True),
            ("status", {"status": 500}, PaymentsUnavailableError, True),
            ("status", {"status": 503}, PaymentsUnavailableError, True),
            ("status", {"status": 401}, BackendRefusedError, None),
            ("status", {"status": 403}, BackendRefusedError, None),
            ("status", {"status": 402}, BackendRejectedError, None),
            ("status", {"status": 409}, ConflictError, None),
            ("status", {"status": 429}, ThrottledError, False),
        ],
    )
    def test_fault_gives_its_error(self, sandbox, clock, kind, more, error, unclear):
        """Within the time-out, typed; afterwards all is well."""
        hangs = kind in {"hang", "commit_then_timeout"}
        timeout_s = TIMEOUT_S if hangs else PATIENCE_S
        gateway = new_gateway(sandbox, timeout_s=timeout_s)
        sandbox.fail_next("POST", kind, **more)
        began = time.monotonic()
        with pytest.raises(error) as caught:
            opened(gateway, clock)
        # The server would hang for a minute.
        assert time.monotonic() - began < PATIENCE_S
        assert getattr(caught.value, "unclear", None) is unclear
        sandbox.heal()
        # A 500 is kept under its key for a day.
        kept = more.get("status") == 500
        number = 2 if kept else 1
        assert opened(new_gateway(sandbox), clock, try_number=number).url

    def test_retry_after_is_told(self, sandbox, gateway):
        """429 with Retry-After."""
        headers = {"Retry-After": "7"}
        sandbox.fail_next("GET", "status", status=429, headers=headers)
        with pytest.raises(ThrottledError) as caught:
            gateway.ping()
        assert caught.value.retry_after_s == 7

    def test_closed_port_has_carried_nothing(self, sandbox, gateway, clock):
        """Refused before anything was sent: not unclear."""
        sandbox.stop()
        with pytest.raises(PaymentsUnavailableError) as caught:
            opened(gateway, clock)
        assert caught.value.unclear is False

    def test_wrong_key_names_the_setting(self, sandbox):
        """401: the operator is told which variable."""
        with pytest.raises(BackendRefusedError) as caught:
            new_gateway(sandbox, secret_key="sk_test_other").ping()
        assert caught.value.field == "STRIPE_SECRET_KEY"
        assert "sk_test_other" not in str(caught.value)

    def test_latency_is_waited_for(self, sandbox, gateway):
        """Slow is not down."""
        fault = sandbox.fail_next("GET", "latency", seconds=0.1)
        began = time.monotonic()
        gateway.ping()
        assert fault.seen == 1
        assert time.monotonic() - began >= 0.1


class TestPage:
    """The hosted payment page, as a browser sees it."""

    @pytest.mark.parametrize(
        ("button", "status", "leads_to", "events"),
        [
            ("pay", "complete", "/done?session={id}", ["checkout.session.completed"]),
            (
                "delayed",
                "complete",
                "/done?session={id}",
                ["checkout.session.completed"],
            ),
            ("decline", "open", "/pay/{id}", ["payment_intent.payment_failed"]),
            ("cancel", "open", "/back", []),
        ],
    )
    def test_button_does_what_it_says(
        self, sandbox, gateway, clock, button, status, leads_to, events
    ):
        """Pay, pay later, decline, cancel: where it leads and what happened."""
        session = opened(gateway, clock)
        answer, _, location = browse(session.url, press=button)
        assert (answer, location.endswith(leads_to.format(id=session.id))) == (
            303,
            True,
        )
        assert gateway.retrieve_session(session.id).status == status
        assert [e["type"] for e in sandbox.account.events.values()] == events

    def test_declined_card_can_be_tried_again(self, gateway, clock):
        """The session stays open: the next try pays."""
        session = opened(gateway, clock)
        browse(session.url, press="decline")
        browse(session.url, press="pay")
        assert gateway.retrieve_session(session.id).paid

    def test_page_shows_what_is_paid_and_runs_nothing(self, gateway, clock):
        """Title and amount, escaped."""
        session = opened(gateway, clock, course_title="<script>alert(1)</script>")
        status, page, _ = browse(session.url)
        assert status == 200
        assert "&lt;script&gt;" in page
        assert "<script>" not in page
        assert "4900 USD" in page

    def test_page_of_an_ended_session_has_no_buttons(self, sandbox, gateway, clock):
        """Paid once, never twice."""
        session = opened(gateway, clock)
        url = session.url
        browse(url, press="pay")
        assert "<button" not in browse(url)[1]
        assert browse(url, press="pay")[0] == 400
        assert len(sandbox.account.payments) == 1

    def test_unknown_page_is_not_found(self, sandbox):
        """No session, no page."""
        assert browse(f"{sandbox.url}/pay/cs_none")[0] == 404


@pytest.mark.parametrize("sandbox", [StripeSandbox, LMSSandbox])
def test_fault_that_there_is_not_is_refused(sandbox):
    """A misspelt kind would quietly be another fault."""
    with pytest.raises(ValueError, match="hnag"):
        sandbox().fail_next("POST", "hnag")
