# SPDX-License-Identifier: MIT
"""The servers and the proxy of docs/mounting.md, really run, as the page says."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import threading

import pytest
from support.proxied import Nginx, Served, commands
from support.size import with_the_first_python


pytestmark = with_the_first_python

KINDS = sorted(commands())


def test_page_has_every_server_over_both_sockets():
    """A recipe that is not run is no recipe."""
    assert set(KINDS) == {
        (name, kind)
        for name in ("gunicorn", "waitress", "uwsgi")
        for kind in ("tcp", "unix")
    }


@pytest.fixture
def front(tmp_path):
    """Return what puts nginx in front of a server; both are ended afterwards."""
    with contextlib.ExitStack() as stack:

        def put(name, kind, more="", **environ):
            served = Served(tmp_path, name, kind, **environ)
            stack.callback(served.close)
            nginx = Nginx(tmp_path, served, more)
            stack.callback(nginx.close)
            nginx.served = served
            return nginx

        yield put


JSON = {"Content-Type": "application/json"}


def order(number, size=0):
    """Return the body of a learner's checkout, of a size at least."""
    fields = {"course_id": "python-101", "email": f"l{number}@example.com"}
    return json.dumps(fields).ljust(size).encode()


def checkout(nginx, number, source, **headers):
    """Check out as a learner from an address."""
    headers = JSON | {name.replace("_", "-"): v for name, v in headers.items()}
    path = "/shop/enroll/checkout"
    return nginx.ask("POST", path, order(number), headers, source)[0].status


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_recipe_runs(front, name, kind):
    """Clients are told apart and can't make themselves up; prefix and mount join."""
    nginx = front(name, kind)
    many = [checkout(nginx, n, f"127.0.1.{n}") for n in range(1, 6)]
    assert many == [201] * 5
    forged = [
        checkout(
            nginx,
            10 + n,
            "127.0.2.1",
            X_Forwarded_For=f"198.51.100.{n}",
            Forwarded=f"for=198.51.100.{n}",
        )
        for n in range(4)
    ]
    assert forged == [201, 201, 429, 429]
    home, _ = nginx.ask("GET", "/shop/enroll/openapi.json")
    assert home.status == 200
    _, document = nginx.ask("GET", "/shop/enroll/openapi.json")
    assert json.loads(document)["servers"] == [{"url": "/shop/enroll"}]
    _, ready = nginx.ask("GET", "/shop/enroll/readyz")
    assert "proxy" not in json.loads(ready)["checks"]
    past, _ = nginx.ask("GET", "/shop/x/healthz", headers={"X-Forwarded-Prefix": "/x"})
    assert past.status == 404
    # waitress does not catch SIGTERM; the others end by themselves.
    assert nginx.served.close() == (-signal.SIGTERM if name == "waitress" else 0)


@pytest.mark.parametrize("name", ["gunicorn", "waitress", "uwsgi"])
def test_proxy_that_is_not_named_is_told(front, name):
    """In the log once, and on /readyz."""
    nginx = front(name, "tcp", FRAPPE_ENROLL_TRUSTED_PROXIES="192.0.2.1")
    for _ in range(3):
        _, ready = nginx.ask("GET", "/shop/enroll/readyz")
    assert json.loads(ready)["checks"]["proxy"] == "untrusted"
    log = nginx.served.log.read_text(encoding="utf-8")
    assert log.count("FRAPPE_ENROLL_TRUSTED_PROXIES does not name") == 1
    one = [checkout(nginx, n, f"127.0.1.{n}") for n in range(1, 4)]
    assert one == [201, 201, 429]


def in_pieces(body):
    """Yield a body in pieces: its length is not told."""
    for start in range(0, len(body), 8192):
        yield body[start : start + 8192]


_PASSING = "proxy_request_buffering off;\nproxy_http_version 1.1;"


@pytest.mark.parametrize(
    ("name", "more"),
    [
        *((name, "") for name in ("gunicorn", "waitress", "uwsgi")),
        # uWSGI joins no chunks: it wants a proxy that buffers.
        *((name, _PASSING) for name in ("gunicorn", "waitress")),
    ],
)
def test_body_in_chunks_arrives_whole_or_is_refused(front, name, more):
    """Through a proxy that buffers requests, and through one that does not."""
    nginx = front(name, "tcp", more)
    found = [
        nginx.ask(
            "POST",
            "/shop/enroll/checkout",
            in_pieces(order(number, size)),
            JSON | {"Transfer-Encoding": "chunked"},
            f"127.0.1.{number}",
            encode_chunked=True,
        )[0].status
        for number, size in ((1, 65_536), (2, 65_537))
    ]
    assert found == [201, 413]


def test_slow_client_behind_a_buffering_proxy_holds_nobody_up(front):
    """One thread, and a client that never ends its body: the next one is answered."""
    nginx = front("gunicorn", "tcp")
    body = order(1)
    slow = socket.create_connection(("127.0.0.1", nginx.port), 30)
    with contextlib.closing(slow):
        head = (
            "POST /shop/enroll/checkout HTTP/1.1\r\nHost: shop\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        slow.sendall(head.encode() + body[:10])
        answers = []
        threads = [
            threading.Thread(
                target=lambda n=n: answers.append(checkout(nginx, n, f"127.0.1.{n}"))
            )
            for n in range(2, 10)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert answers == [201] * 8
        slow.sendall(body[10:])
        assert slow.recv(64).startswith(b"HTTP/1.1 201")
