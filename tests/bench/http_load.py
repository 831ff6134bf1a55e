# SPDX-License-Identifier: MIT
"""
Checkouts and webhooks per second under gunicorn, beside a bare Flask view.

The bare view makes as many writes as the surface's request does, of rows of the same
size, with the driver alone (sqlite3: WAL, synchronous FULL, BEGIN IMMEDIATE; pymongo on
a replica set of one: majority, journaled). Both are asked in turns, so that the
machine's mood hits both. Prints JSON lines.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pymongo.monitoring
from pymongo.monitoring import CommandListener
from sqlalchemy import Engine
from sqlalchemy import event as sqlalchemy_event


sys.path.insert(0, str(Path(__file__).parents[1]))
from support.mongod import ReplicaSet

from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.models import Fact, PaymentEvent
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.payments import FakePayments


ROUNDS, SECONDS, CLIENTS = 5, 4.0, 8
COURSE = "python-101"
HOST = "127.0.0.1"
JSON = {"Content-Type": "application/json"}

Request = tuple[str, bytes, dict[str, str]]

SERVED = """
import os
from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.payments import FakePayments
from frappe_enroll_wsgi import create_app

lms, payments = FakeLMS(), FakePayments()
lms.add_course("python-101", Money(4900, "usd"))
settings = Settings(
    inline_s=0, rate_limits="off", payments="fake", public_url="http://127.0.0.1:1",
    **{os.environ["BENCH_NAME"]: os.environ["BENCH_DATABASE"]},
)
application = create_app(
    EnrollSDK(settings, payments=payments, lms=lms, discover=True)
)
"""
BARE = """
import os, sqlite3, threading, uuid
from flask import Flask, request
from pymongo import MongoClient, WriteConcern

application = Flask(__name__)
local = threading.local()
DOC = "x" * 1500

def connect():
    if os.environ["BENCH_NAME"] == "mongodb_uri":
        table = MongoClient(os.environ["BENCH_DATABASE"]).bare.get_collection(
            "rows", write_concern=WriteConcern("majority", j=True)
        )
        return lambda name: table.insert_one({"_id": name, "doc": DOC})
    found = sqlite3.connect(os.environ["BENCH_FILE"], timeout=30, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        found.execute(f"PRAGMA {pragma}")

    def insert(name):
        found.execute("BEGIN IMMEDIATE")
        found.execute("INSERT INTO rows VALUES (?, ?)", (name, DOC))
        found.execute("COMMIT")

    return insert

@application.post("/<int:writes>")
def write(writes):
    if not hasattr(local, "insert"):
        local.insert = connect()
    name = uuid.uuid4().hex
    request.get_json()
    for number in range(writes):
        local.insert(f"{name}{number}")
    return {"id": name}, 201
"""


class Server:
    """gunicorn with one of the two applications."""

    def __init__(self, folder: Path, name: str, text: str, **environ: str) -> None:
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.port = probe.getsockname()[1]
        command = ["gunicorn", f"--bind={HOST}:{self.port}", "--workers=2"]
        command += ["--threads=4", "--keep-alive=60", f"{name}:application"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env=os.environ | environ,
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


class Writes(CommandListener):
    """Counts the writes of this process, on both drivers."""

    def __init__(self) -> None:
        self.count = 0
        pymongo.monitoring.register(self)
        sqlalchemy_event.listen(Engine, "before_cursor_execute", self.executing)

    def executing(self, *seen: object) -> None:
        """Count the transactions that write."""
        self.count += seen[2] == "BEGIN IMMEDIATE"

    def started(self, event) -> None:
        """Count the commands that write."""
        self.count += event.command_name in {"insert", "update", "findAndModify"}

    def succeeded(self, event) -> None:
        """Nothing to do."""

    def failed(self, event) -> None:
        """Nothing to do."""

    def of(self, run) -> int:
        """Return how many writes one call makes."""
        self.count = 0
        run()
        return self.count


class Requests:
    """What clients ask for, and what the same costs in writes."""

    def __init__(self, sdk: EnrollSDK, payments: FakePayments) -> None:
        self._sdk, self._payments = sdk, payments
        self._code = sdk.coupons.create(100, COURSE, max_redemptions=1_000_000).code
        self._made, self._lock = iter(range(10**9)), threading.Lock()

    def _new(self) -> int:
        with self._lock:
            return next(self._made)

    def checkout(self) -> Request:
        """A grant in full, by another learner each time."""
        email = f"learner{self._new()}@example.com"
        fields = {"course_id": COURSE, "email": email, "coupon_code": self._code}
        return "/checkout", json.dumps(fields).encode(), JSON

    def webhook(self) -> Request:
        """A signed event of a session that nobody knows."""
        name = f"evt_{self._new()}"
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

    def writes(self, counter: Writes) -> dict[str, int]:
        """Return the writes of each kind of request."""
        _, grant, _ = self.checkout()
        _, body, headers = self.webhook()
        return {
            "checkout": counter.of(lambda: self._sdk.checkout(**json.loads(grant))),
            "webhook": counter.of(lambda: self._sdk.handle_webhook(body, headers)),
        }


def compare_on(store: str, name: str, address: str, folder: Path, counter) -> None:
    """Put both servers on one store; ask them in turns; print."""
    lms, payments = FakeLMS(), FakePayments()
    lms.add_course(COURSE, Money(4900, "usd"))
    settings = Settings(
        inline_s=0,
        rate_limits="off",
        payments="fake",
        public_url="http://127.0.0.1:1",
        **{name: address},
    )
    sdk = EnrollSDK(settings, payments=payments, lms=lms)
    sdk.setup()
    requests = Requests(sdk, payments)
    writes = requests.writes(counter)
    bare_file = folder / "bare.sqlite3"
    connection = sqlite3.connect(bare_file)
    connection.execute("CREATE TABLE rows (id TEXT PRIMARY KEY, doc TEXT)")
    connection.close()
    environ = {
        "BENCH_NAME": name,
        "BENCH_DATABASE": address,
        "BENCH_FILE": str(bare_file),
    }
    ours = Server(folder, "served", SERVED, **environ)
    bare = Server(folder, "bare", BARE, **environ)
    time.sleep(4)
    try:
        for what in writes:
            make = getattr(requests, what)
            _compare(f"{what} on {store}", make, writes[what], ours, bare)
    finally:
        ours.stop()
        bare.stop()
        sdk.close()


def main() -> None:
    """Run and print."""
    counter = Writes()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        address = f"sqlite:///{folder / 'enroll.sqlite3'}"
        compare_on("SQLite", "database_url", address, folder, counter)
    with tempfile.TemporaryDirectory() as name, ReplicaSet(1) as replica_set:
        address = replica_set.uri
        compare_on("MongoDB", "mongodb_uri", address, Path(name), counter)


def _compare(what: str, make, writes: int, ours: Server, bare: Server) -> None:
    _, body, _ = make()
    rounds: dict[str, list[dict]] = {"ours": [], "bare": []}
    for _ in range(ROUNDS):
        rounds["ours"].append(load(ours.port, make))
        rounds["bare"].append(load(bare.port, lambda: (f"/{writes}", body, JSON)))
    told = {
        name: {
            key: round(statistics.median(r[key] for r in found), 1) for key in found[0]
        }
        for name, found in rounds.items()
    }
    ratio = told["ours"]["per_s"] / told["bare"]["per_s"]
    line = {"what": what, "writes": writes, "ratio": round(ratio, 2)}
    print(json.dumps(line | told))


if __name__ == "__main__":
    main()
