# SPDX-License-Identifier: MIT
"""
Checkouts and webhooks per second under gunicorn, beside a bare Flask view.

The bare view (``http_bare.py``) makes the very writes that one such request of ours has
made, under fresh names, on a store of the same tables and indexes, with the driver
alone; it reads and decides nothing. Both are asked in turns, so that the
machine's mood hits both. Prints JSON lines of medians; the ratio is that of pairs.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path


sys.path.insert(0, str(Path(__file__).parents[1]))
from recorded import Writes, save
from support.mongod import ReplicaSet

from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.models import Fact, PaymentEvent
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.payments import FakePayments


HERE = Path(__file__).parent
ROUNDS, SECONDS, CLIENTS = 7, 4.0, 8
COURSE, CODE = "python-101", "GRANT-W7X8-5YJA-K9PE"
SERVERS = ("ours", "bare")
HOST = "127.0.0.1"
JSON = {"Content-Type": "application/json"}

Request = tuple[str, bytes, dict[str, str]]


class Server:
    """gunicorn with one of the two applications, named by its module here."""

    def __init__(self, name: str, store: dict[str, str], **environ: str) -> None:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.port = probe.getsockname()[1]
        command = ["gunicorn", f"--bind={HOST}:{self.port}", "--workers=2"]
        command += ["--threads=4", "--keep-alive=60", f"{name}:application"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=HERE,
            env=os.environ | environ | {"BENCH_STORE": json.dumps(store)},
            stderr=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(40)


def load(port: int, make) -> dict:
    """Ask for some seconds by some clients; return rate, latencies and errors."""
    ends, spans, errors = time.monotonic() + SECONDS, [], []

    def client() -> None:
        connection = http.client.HTTPConnection(HOST, port, timeout=60)
        while time.monotonic() < ends:
            path, body, headers = make()
            began = time.perf_counter()
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read()
            spans.append(time.perf_counter() - began)
            if answer.status not in (200, 201):
                errors.append(answer.status)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cuts = statistics.quantiles(spans, n=100)
    return {
        "per_s": len(spans) / SECONDS,
        "p50_ms": cuts[49] * 1000,
        "p99_ms": cuts[98] * 1000,
        "errors": len(errors),
    }


class Requests:
    """What clients ask for, and what is written for it."""

    def __init__(self, sdk: EnrollSDK, payments: FakePayments) -> None:
        self._sdk, self._payments = sdk, payments
        self._made, self._lock = iter(range(10**9)), threading.Lock()

    def _new(self) -> int:
        with self._lock:
            return next(self._made)

    def checkout(self) -> Request:
        """A grant in full, by another learner each time."""
        email = f"learner{self._new():09}@example.com"
        fields = {"course_id": COURSE, "email": email, "coupon_code": CODE}
        return "/checkout", json.dumps(fields).encode(), JSON

    def webhook(self) -> Request:
        """A signed event of a session that nobody knows."""
        name = f"evt_{self._new():09}"
        event = PaymentEvent(
            id=name,
            type="checkout.session.completed",
            created_at=self._payments.clock.now(),
            livemode=self._payments.livemode,
            fact=Fact.PAID,
            session_id=f"cs_{name}",
        )
        body, headers = self._payments.signed(event)
        return "/webhooks/fake", body, JSON | dict(headers)

    def writes(self, recorder: Writes) -> dict[str, list[list]]:
        """Return the writes of each kind of request."""
        _, grant, _ = self.checkout()
        _, body, headers = self.webhook()
        return {
            "checkout": recorder.of(lambda: self._sdk.checkout(**json.loads(grant))),
            "webhook": recorder.of(lambda: self._sdk.handle_webhook(body, headers)),
        }


def open_on(**store: str) -> tuple[EnrollSDK, FakePayments]:
    """Make a store with one coupon."""
    lms, payments = FakeLMS(), FakePayments()
    lms.add_course(COURSE, Money(4900, "usd"))
    settings = Settings(
        inline_s=0,
        rate_limits="off",
        payments="fake",
        public_url="http://127.0.0.1:1",
        **store,
    )
    sdk = EnrollSDK(settings, payments=payments, lms=lms)
    sdk.setup()
    sdk.coupons.create(100, COURSE, code=CODE, max_redemptions=1_000_000)
    return sdk, payments


def compare_on(store: str, ours: dict, bare: dict, recorder: Writes) -> None:
    """Put each server on a store of its own; ask them in turns; print."""
    sdk, payments = open_on(**ours)
    open_on(**bare)[0].close()
    requests = Requests(sdk, payments)
    with tempfile.TemporaryDirectory() as folder:
        writes = requests.writes(recorder)
        for what, made in writes.items():
            save(Path(folder) / f"{what}.pickle", made)
        servers = {
            "ours": Server("http_served", ours),
            "bare": Server("http_bare", bare, BENCH_RECORDINGS=folder),
        }
        time.sleep(4)
        try:
            for what, made in writes.items():
                _compare(f"{what} on {store}", requests, what, len(made), servers)
        finally:
            for server in servers.values():
                server.stop()
            sdk.close()


def main() -> None:
    """Run and print."""
    recorder = Writes()
    with tempfile.TemporaryDirectory() as folder:
        ours, bare = (
            {"database_url": f"sqlite:///{folder}/{name}.sqlite3"} for name in SERVERS
        )
        compare_on("SQLite", ours, bare, recorder)
    with ReplicaSet(1) as replica_set:
        ours, bare = (
            {"mongodb_uri": replica_set.uri, "mongodb_database": name}
            for name in SERVERS
        )
        compare_on("MongoDB", ours, bare, recorder)


def _compare(
    title: str, requests: Requests, what: str, writes: int, servers: dict[str, Server]
) -> None:
    make = getattr(requests, what)
    _, body, _ = make()
    asked = {"ours": make, "bare": lambda: (f"/{what}", body, JSON)}
    rounds: dict[str, list[dict]] = {name: [] for name in asked}
    for _ in range(ROUNDS):
        for name, ask in asked.items():
            rounds[name].append(load(servers[name].port, ask))
    told = {
        name: {
            key: round(statistics.median(r[key] for r in found), 1) for key in found[0]
        }
        for name, found in rounds.items()
    }
    # Of neighbours in time: what the machine does meanwhile hits both.
    pairs = zip(rounds["ours"], rounds["bare"], strict=True)
    ratio = statistics.median(ours["per_s"] / bare["per_s"] for ours, bare in pairs)
    line = {"what": title, "writes": writes, "ratio": round(ratio, 2)}
    print(json.dumps(line | told))


if __name__ == "__main__":
    main()
