# SPDX-License-Identifier: MIT
"""
Checkouts and webhooks per second under gunicorn, beside a bare Flask view.

The bare view makes as many write transactions as the surface's request does, of rows of
the same size, with the driver alone (sqlite3: WAL, synchronous FULL, BEGIN IMMEDIATE).
Both are asked in turns, so that the machine's mood hits both. Prints JSON lines.
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

from sqlalchemy import event as sqlalchemy_event

from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.models import Fact, PaymentEvent
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.payments import FakePayments


ROUNDS, SECONDS, CLIENTS = 3, 4.0, 8
COURSE = "python-101"
HOST = "127.0.0.1"

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
    database_url=os.environ["BENCH_DATABASE"], inline_s=0, rate_limits="off",
    payments="fake", public_url="http://127.0.0.1:1",
)
application = create_app(
    EnrollSDK(settings, payments=payments, lms=lms, discover=True)
)
"""
BARE = """
import os, sqlite3, threading, uuid
from flask import Flask, request

app = application = Flask(__name__)
local = threading.local()
DOC = "x" * 1500

def connection():
    if not hasattr(local, "found"):
        file = os.environ["BENCH_FILE"]
        local.found = sqlite3.connect(file, timeout=30, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            local.found.execute(f"PRAGMA {pragma}")
    return local.found

@app.post("/<int:writes>")
def write(writes):
    found, name = connection(), uuid.uuid4().hex
    request.get_json()
    for number in range(writes):
        found.execute("BEGIN IMMEDIATE")
        found.execute("INSERT INTO rows VALUES (?, ?)", (f"{name}{number}", DOC))
        found.execute("COMMIT")
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

    def client(number: int) -> None:
        connection = http.client.HTTPConnection(HOST, port, timeout=60)
        while time.monotonic() < ends:
            path, body, headers = make(number)
            began = time.perf_counter()
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read()
            spans.append(time.perf_counter() - began)
            if answer.status not in (200, 201):
                errors.append(answer.status)
        connection.close()

    threads = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
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


def writes_of(sdk: EnrollSDK, run) -> int:
    """Return how many write transactions one request makes."""
    engine = sdk.storage._database.engine()

    seen: list[str] = []

    def listener(*seen_of: object) -> None:
        seen.append(str(seen_of[2]))

    sqlalchemy_event.listen(engine, "before_cursor_execute", listener)
    run()
    sqlalchemy_event.remove(engine, "before_cursor_execute", listener)
    return sum(statement == "BEGIN IMMEDIATE" for statement in seen)


def main() -> None:
    """Run and print."""
    lms, payments = FakeLMS(), FakePayments()
    lms.add_course(COURSE, Money(4900, "usd"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = f"sqlite:///{folder / 'enroll.sqlite3'}"
        settings = Settings(
            database_url=database,
            inline_s=0,
            rate_limits="off",
            payments="fake",
            public_url="http://127.0.0.1:1",
        )
        sdk = EnrollSDK(settings, payments=payments, lms=lms)
        sdk.setup()
        code = sdk.coupons.create(100, COURSE, max_redemptions=1_000_000).code
        made = iter(range(10**9))
        lock = threading.Lock()

        def email() -> str:
            with lock:
                return f"learner{next(made)}@example.com"

        def checkout(_: int) -> tuple[str, bytes, dict[str, str]]:
            fields = {"course_id": COURSE, "email": email(), "coupon_code": code}
            return "/checkout", json.dumps(fields).encode(), JSON

        def webhook(_: int) -> tuple[str, bytes, dict[str, str]]:
            with lock:
                name = f"evt_{next(made)}"
            event = PaymentEvent(
                id=name,
                type="checkout.session.completed",
                created_at=payments.clock.now(),
                livemode=payments.livemode,
                fact=Fact.PAID,
                session_id=f"cs_{name}",
            )
            body, headers = payments.signed(event)
            return "/webhooks/fake", body, JSON | dict(headers)

        def grant() -> None:
            sdk.checkout(course_id=COURSE, email=email(), coupon_code=code)

        def deliver() -> None:
            _, body, headers = webhook(0)
            sdk.handle_webhook(body, headers)

        writes = {
            "checkout": writes_of(sdk, grant),
            "webhook": writes_of(sdk, deliver),
        }
        requests = {"checkout": checkout, "webhook": webhook}
        connection = sqlite3.connect(folder / "bare.sqlite3")
        connection.execute("CREATE TABLE rows (id TEXT PRIMARY KEY, doc TEXT)")
        connection.close()
        ours = Server(folder, "served", SERVED, BENCH_DATABASE=database)
        bare = Server(folder, "bare", BARE, BENCH_FILE=str(folder / "bare.sqlite3"))
        time.sleep(4)
        try:
            for what, make in requests.items():
                _compare(what, make, writes[what], ours, bare)
        finally:
            ours.stop()
            bare.stop()
            sdk.close()


JSON = {"Content-Type": "application/json"}


def _compare(what: str, make, writes: int, ours: Server, bare: Server) -> None:
    _, body, _ = make(0)
    rounds: dict[str, list[dict]] = {"ours": [], "bare": []}
    for _ in range(ROUNDS):
        rounds["ours"].append(load(ours.port, make))
        rounds["bare"].append(load(bare.port, lambda _: (f"/{writes}", body, JSON)))
    told = {
        name: {
            key: round(statistics.median(r[key] for r in found), 1) for key in found[0]
        }
        for name, found in rounds.items()
    }
    ratio = told["ours"]["per_s"] / told["bare"]["per_s"]
    line = {"what": what, "write_transactions": writes, "ratio": round(ratio, 2)}
    print(json.dumps(line | told))


if __name__ == "__main__":
    main()
