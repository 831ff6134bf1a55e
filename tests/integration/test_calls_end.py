# SPDX-License-Identifier: MIT
"""Every call ends, whatever the other side does: each of its ways, to each client."""

from __future__ import annotations

import json
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from types import SimpleNamespace

import pytest
import stripe
from support.mailbox import self_signed
from support.misbehaving import BODIES, HTTP, REDIRECT, SMTP, TLS, TOO_MUCH, Peer
from support.realworld import COURSE, RealWorld
from support.servers import SERVERS, Server
from support.stripe_side import order_of, wait_for

from frappe_enroll_alerts.settings import AlertSettings
from frappe_enroll_alerts.webhook import Webhook
from frappe_enroll_lms.frappe import FrappeLMS
from frappe_enroll_mail.post import send
from frappe_enroll_mail.settings import MailSettings
from frappe_enroll_sdk import Settings
from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.deadline import in_time, within
from frappe_enroll_sdk.errors import (
    BackendRefusedError,
    LMSUnavailableError,
    PaymentsUnavailableError,
    TransientError,
)
from frappe_enroll_sdk.outcomes import Retry
from frappe_enroll_sdk.settings.options import Secret
from frappe_enroll_stripe.gateway import StripePayments
from frappe_enroll_wsgi._internal.ratelimits import Limits
from frappe_enroll_wsgi._internal.readiness import Readiness


#: What a call is given, and what it may take on a busy machine.
SHORT_S, BOUND_S = 0.5, 15
#: So long that only the size can have ended it.
LONG_S = 60
ADA = "ada@example.com"
pytestmark = pytest.mark.timeout(90)


def stripe_call(url, timeout_s):
    """Write: make a session."""
    gateway = StripePayments(
        "sk_test_x", ("whsec_x",), api_base=url, timeout_s=timeout_s
    )
    order = gateway.prepare_session(order_of(FakeClock()))
    gateway.create_session(order)


def lms_call(url, timeout_s):
    """Write: insert an enrolment."""
    lms = FrappeLMS(url, "key", "secret", timeout_s=timeout_s)
    lms.insert_enrollment(ADA, COURSE)


def alert_call(url, timeout_s):
    """Post an alert; the error is what its outcome stands for."""
    settings = AlertSettings(
        url=Secret(url), secrets=(Secret("s" * 16),), timeout_s=timeout_s
    )
    at = datetime(2026, 1, 1, tzinfo=UTC)
    job = SimpleNamespace(key="alert-1", updated_at=at)
    context = SimpleNamespace(
        job=job,
        fact="alert",
        at=at,
        code="x",
        subject="y",
        error=SimpleNamespace(at=at, code="x", try_number=1, cause=""),
        dead=SimpleNamespace(key="k", kind="sync"),
    )
    outcome = Webhook(settings)(context)
    assert isinstance(outcome, Retry)
    raise TransientError(outcome.cause, unclear=True)


CLIENTS = {"stripe": stripe_call, "lms": lms_call, "alerts": alert_call}


@contextmanager
def ends_within(seconds):
    """Check that the block ends long before what it deals with does."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


#: The receiver of alerts has answered with its status: its body stays unread.
READ = [
    (client, way)
    for client in CLIENTS
    for way in HTTP
    if client != "alerts" or way not in BODIES
]


@pytest.mark.parametrize(("client", "way"), READ)
def test_call_ends_while_the_peer_goes_on(client, way):
    """One time for all of it; it may have acted: unclear. The connection is closed."""
    with Peer(HTTP[way]) as peer:
        with ends_within(BOUND_S), pytest.raises(TransientError) as caught:
            CLIENTS[client](peer.url(), SHORT_S)
        assert caught.value.unclear
        assert "no whole answer within 0.5 s" in str(caught.value)
        assert peer.left.wait(BOUND_S), "the connection was kept"
        assert peer.accepted == 1


@pytest.mark.parametrize("way", TLS)
@pytest.mark.parametrize("client", CLIENTS)
def test_handshake_without_end_ends(client, way):
    """Over https; nothing was asked yet, so it is clear that nothing happened."""
    with Peer(TLS[way]) as peer:
        with ends_within(BOUND_S), pytest.raises(TransientError) as caught:
            CLIENTS[client](peer.url("https"), SHORT_S)
        assert peer.left.wait(BOUND_S)
        # An outcome of a job has no such word.
        assert client == "alerts" or not caught.value.unclear


@pytest.fixture
def trusted(tmp_path, monkeypatch):
    """Return the context of a server whose certificate both clients trust."""
    context, certificate = self_signed(tmp_path)
    monkeypatch.setattr(stripe, "ca_bundle_path", str(certificate))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    return context


@pytest.mark.parametrize("way", ["a header that drips", "a body that drips"])
@pytest.mark.parametrize("client", ["stripe", "lms"])
def test_call_over_tls_ends_too(client, way, trusted):
    """What drips may be encrypted."""
    with Peer(HTTP[way], tls=trusted) as peer:
        with ends_within(BOUND_S), pytest.raises(TransientError) as caught:
            CLIENTS[client](peer.url("https"), SHORT_S)
        assert caught.value.unclear
        assert "no whole answer within 0.5 s" in str(caught.value)
        assert peer.left.wait(BOUND_S)


@pytest.mark.parametrize("client", ["stripe", "lms"])
def test_certificate_is_verified(client, tmp_path):
    """A server that nobody vouches for hears nothing of the request."""
    context, _ = self_signed(tmp_path)
    asked = []

    def way(_, link):
        asked.append(link.recv(1 << 16))

    with Peer(way, tls=context) as peer:
        with pytest.raises(TransientError, match="SSLError") as caught:
            CLIENTS[client](peer.url("https"), BOUND_S)
        assert not caught.value.unclear
    assert not asked


def test_connections_are_kept_and_lead_through_the_proxy(monkeypatch):
    """Two calls, one connection; HTTP_PROXY is honoured by both clients, as before."""
    asked = []

    def way(_, link):
        while request := link.recv(1 << 16):
            asked.append(request.split(b"\r\n", 1)[0].decode())
            body = b'{"object": "list", "data": [], "has_more": false, "url": "/"}'
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            link.sendall(head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    with Peer(way) as peer:
        monkeypatch.setenv("HTTP_PROXY", peer.url())
        monkeypatch.setenv("http_proxy", peer.url())
        monkeypatch.setenv("NO_PROXY", "")
        gateway = StripePayments("sk_test_x", api_base="http://stripe.invalid")
        lms = FrappeLMS("http://lms.invalid", "key", "secret")
        for _ in range(2):
            gateway.ping()
            lms.ping()
        assert peer.accepted == 2
    assert [line.split("?")[0] for line in asked] == [
        "GET http://stripe.invalid/v1/checkout/sessions",
        "GET http://lms.invalid/api/resource/LMS%20Enrollment",
    ] * 2


def test_tunnel_through_a_proxy_that_drips_ends(monkeypatch):
    """The answer to CONNECT is within the time like everything else."""
    with Peer(HTTP["a header that drips"]) as peer:
        monkeypatch.setenv("HTTPS_PROXY", peer.url())
        monkeypatch.setenv("https_proxy", peer.url())
        monkeypatch.setenv("NO_PROXY", "")
        for client in ("stripe", "lms"):
            with ends_within(BOUND_S), pytest.raises(TransientError):
                CLIENTS[client]("https://far.invalid", SHORT_S)
        assert peer.accepted == 2


@pytest.mark.parametrize("way", TOO_MUCH)
@pytest.mark.parametrize("client", ["stripe", "lms"])
def test_answer_that_is_too_large_is_not_kept(client, way):
    """It ends by its size, in words, and memory stays bounded."""
    tracemalloc.start()
    try:
        with (
            Peer(TOO_MUCH[way]) as peer,
            ends_within(LONG_S),
            pytest.raises(TransientError) as caught,
        ):
            CLIENTS[client](peer.url(), LONG_S)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "more than 20000000 bytes" in str(caught.value)
    assert isinstance(caught.value, (LMSUnavailableError, PaymentsUnavailableError))
    # What came in, its copy, and what the peer in this process has at hand.
    assert peak < 200_000_000


@pytest.mark.parametrize("way", [*BODIES, *TOO_MUCH])
def test_body_of_a_receiver_of_alerts_is_not_read(way):
    """Its status is all that counts."""
    with Peer((HTTP | TOO_MUCH)[way]) as peer, ends_within(BOUND_S):
        with pytest.raises(AssertionError, match="Done"):
            alert_call(peer.url(), LONG_S)
        assert peer.left.wait(BOUND_S)


@pytest.mark.parametrize("client", CLIENTS)
def test_redirect_is_followed_nowhere(client):
    """A loop is one answer: settings lead elsewhere."""
    with Peer(REDIRECT) as peer, ends_within(BOUND_S):
        with pytest.raises((BackendRefusedError, TransientError)) as caught:
            CLIENTS[client](peer.url(), LONG_S)
        assert "redirect" in str(caught.value)
        assert peer.accepted == 1


@pytest.mark.parametrize("way", SMTP)
def test_mail_dialogue_ends(way):
    """The whole of it within the time: greeting, TLS, answers, or by its size."""
    does, security = SMTP[way]
    message = EmailMessage()
    message["From"], message["To"] = "a@example.com", ADA
    with Peer(does) as peer, ends_within(BOUND_S):
        settings = MailSettings(
            host="127.0.0.1", port=peer.port, security=security, timeout_s=1.0
        )
        outcome = send(message, settings)
        assert isinstance(outcome, Retry)
        flooded = "without end" in way
        words = "more than 1000000 bytes" if flooded else "no whole answer within 1 s"
        assert words in outcome.cause
        assert peer.left.wait(BOUND_S)


def test_limits_are_counted_in_memory_while_redis_hangs():
    """A store of the limits that is silent costs a second, not the request."""
    pytest.importorskip("redis")
    with Peer(HTTP["silence"]) as peer, ends_within(BOUND_S):
        uri = f"redis://127.0.0.1:{peer.port}/0"
        limits = Limits(Settings(rate_limit_storage=uri))
        window = limits.hit_address(next(iter(limits.quotas)), "192.0.2.1")
        assert window.left == window.quota - 1


def test_readyz_gives_a_provider_that_drips_two_seconds(world):
    """Whatever its own time-out is; the one that asks tells what came of it."""
    with Peer(HTTP["a body that drips"]) as peer, ends_within(BOUND_S):
        world.sdk.payments = StripePayments(
            "sk_test_x", api_base=peer.url(), timeout_s=LONG_S
        )
        world.sdk._wire()
        checks = Readiness(world.sdk).checks()
    assert checks == {"storage": "ok", "payments": "degraded", "lms": "ok"}


def test_name_that_is_never_looked_up_ends():
    """The resolver has no time-out of its own: nobody waits for it."""
    never = threading.Event()
    with ends_within(BOUND_S), pytest.raises(TimeoutError), within(0.2) as call:
        in_time(lambda: never.wait(BOUND_S * 2))
    assert call.is_over
    never.set()


def test_inner_time_never_outlasts_the_outer_one():
    """A verb of many calls has one time."""
    with within(0.1), within(LONG_S) as inner:
        time.sleep(0.15)
        with pytest.raises(TimeoutError):
            inner.left_s()


def listing(page):
    """Return a way of serving: every request is answered by `page(number)`."""
    served = []

    def way(peer, link):
        asked = b""
        while b"\r\n\r\n" not in asked:
            asked += link.recv(1 << 16)
        served.append(asked)
        body = json.dumps(page(len(served))).encode()
        link.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )

    return way, served


def refund(number):
    """Return one as Stripe lists it."""
    return {
        "id": f"re_{number}",
        "object": "refund",
        "amount": 100,
        "currency": "usd",
        "status": "succeeded",
        "payment_intent": "pi_1",
        "created": 1_700_000_000,
    }


def stripe_page(rows):
    """Return a page that says there is more."""
    return {"object": "list", "data": rows, "has_more": True, "url": "/v1/refunds"}


PAGES = {
    "more for ever": (lambda n: stripe_page([refund(n)]), "never ends"),
    "a page that repeats": (lambda _: stripe_page([refund(1)]), "lists a row twice"),
    "two pages in turn": (lambda n: stripe_page([refund(n % 2)]), "lists a row twice"),
    "more of nothing": (lambda _: stripe_page([]), "never ends"),
}


@pytest.mark.parametrize("way", PAGES)
def test_list_of_refunds_without_end_is_an_error(way):
    """Never an endless loop, and never a part of it: the sum would be wrong."""
    page, words = PAGES[way]
    serve, served = listing(page)
    with Peer(serve) as peer:
        gateway = StripePayments("sk_test_x", api_base=peer.url(), timeout_s=LONG_S)
        with pytest.raises(PaymentsUnavailableError, match=words):
            gateway.list_refunds("pi_1")
    assert len(served) <= 100


@pytest.mark.parametrize("verb", ["list_sessions", "list_events"])
def test_page_without_a_way_on_is_an_error(verb):
    """There is said to be more, and nothing to go on from: not the end of the list."""
    serve, _ = listing(lambda _: stripe_page([]))
    since = datetime(2026, 1, 1, tzinfo=UTC)
    with Peer(serve) as peer:
        gateway = StripePayments("sk_test_x", api_base=peer.url(), timeout_s=LONG_S)
        with pytest.raises(PaymentsUnavailableError, match="never ends"):
            getattr(gateway, verb)(since=since)


def test_lms_page_that_repeats_is_an_error():
    """A site that does not take the filter would be walked through for ever."""
    rows = [{"name": f"row-{n}", "member": ADA, "course": COURSE} for n in range(3)]
    serve, _ = listing(lambda _: {"data": rows})
    with Peer(serve) as peer:
        lms = FrappeLMS(peer.url(), "key", "secret", timeout_s=LONG_S)
        cursor = lms.list_enrollments(limit=2).next_cursor
        with pytest.raises(LMSUnavailableError, match="repeats a page"):
            lms.list_enrollments(limit=2, cursor=cursor)


@pytest.fixture
def world(tmp_path):
    """Return both sandboxes and a SQLite file."""
    with RealWorld(tmp_path) as world:
        yield world


def test_healthz_answers_while_stripe_drips(world, tmp_path, monkeypatch):
    """Two threads, eight learners, a Stripe that drips: one thread stays free."""
    monkeypatch.setitem(
        SERVERS, "two threads", ["gunicorn", "--workers=1", "--threads=2"]
    )
    deadline_s = 16
    with Peer(HTTP["a body that drips"]) as peer:
        urls = {"stripe": peer.url(), "lms": world.lms.url}
        server = Server(
            tmp_path,
            urls,
            "two threads",
            DATABASE_URL=f"sqlite:///{world.database}",
            FRAPPE_ENROLL_STRIPE_TIMEOUT_S=str(deadline_s),
        )
        try:
            with ThreadPoolExecutor(8) as pool:
                fields = [
                    {"course_id": COURSE, "email": f"l{n}@example.com"}
                    for n in range(8)
                ]
                answers = [pool.submit(server.call, "/checkout", f) for f in fields]
                assert peer.used.wait(20)
                for _ in range(5):
                    with ends_within(deadline_s / 2):
                        assert server.call("/healthz")[0] == 200
                    with ends_within(deadline_s / 2):
                        assert server.call("/readyz")[0] == 200
                assert not all(answer.done() for answer in answers)
                assert {answer.result(120)[0] for answer in answers} == {503}
        finally:
            server.stop()


def test_slot_of_a_worker_comes_back(tmp_path):
    """One thread, two learners, an LMS that drips for the first: the second gets in."""
    with (
        RealWorld(tmp_path, inline_s=0) as world,
        Peer(HTTP["headers that drip"]) as peer,
    ):
        sdk = world.sdk
        for email in (ADA, "bea@example.com"):
            code = sdk.coupons.create(100, COURSE).code
            sdk.checkout(course_id=COURSE, email=email, coupon_code=code)
        drips = FrappeLMS(peer.url(), "key", "secret", timeout_s=SHORT_S)
        works = sdk.lms.find_user
        sdk.lms.find_user = lambda email, **named: (
            drips if email == ADA else SimpleNamespace(find_user=works)
        ).find_user(email, **named | {"timeout_s": SHORT_S if email == ADA else None})
        worker = sdk.worker(1)
        thread = threading.Thread(target=worker.run)
        thread.start()
        statuses = lambda: [row.status for row in world.rows()]  # noqa: E731  read twice
        wait_for(lambda: peer.accepted and "enrolled" in statuses(), 60)
        worker.stop()
        thread.join(60)
        assert not thread.is_alive()
        assert sorted(statuses()) == ["confirmed", "enrolled"]
