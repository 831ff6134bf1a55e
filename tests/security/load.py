# SPDX-License-Identifier: MIT
"""
Honest learners beside strangers who send what once stopped a worker, under gunicorn.

Eight clients check out with a code, a pause in between, while two others send hostile
requests of each kind that ADR 0040 is about. Learners are measured with and without
the strangers, in turns, so that the machine's mood hits both. Prints one JSON line, and
ends with 1 where the honest p99 is more than three times the undisturbed one.

``python tests/security/load.py [HOSTILE REQUESTS]``
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Self

from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.payments import FakePayments


HERE, HOST = Path(__file__).parent, "127.0.0.1"
COURSE, CODE = "python-101", "GRANT-W7X8-5YJA-K9PE"
HONEST, HOSTILE, ROUNDS = 8, 2, 4
#: Seconds between two requests of an honest client.
PAUSE_S = 0.1
#: Seconds of a round without strangers; one with them takes as long as they do.
ROUND_S = 3.0
MOST = 3.0
JSON = {"Content-Type": "application/json"}


def _form(**fields) -> bytes:
    return json.dumps({"course_id": COURSE, "email": "a@example.com"} | fields).encode()


def _pieces():
    """Yield a body above the limit without telling its length."""
    for _ in range(40):
        yield b" " * 4096


#: Kind → method, path, body, headers, and the statuses that it may get.
KINDS = {
    "long text": ("POST", "/grants", _form(full_name="a" * 60_000), JSON, {400}),
    "long text, bad end": (
        *("POST", "/grants", _form(full_name="a" * 60_000 + "\x00"), JSON, {400}),
    ),
    "many names": (
        "POST",
        "/checkout",
        _form(**{f"k{n}": 1 for n in range(5_000)}),
        JSON,
        {400},
    ),
    "many answers": (
        "POST",
        "/grants",
        _form(answers={f"\x00{n}": [] for n in range(2_500)}),
        JSON,
        {400},
    ),
    "large body": ("POST", "/checkout", b" " * 1_000_000, JSON, {413}),
    "chunks without end": ("POST", "/checkout", _pieces, JSON, {413}),
    "deep JSON": ("POST", "/checkout", b"[" * 60_000, JSON, {400}),
    "long number": (
        *("POST", "/checkout", b'{"email":' + b"9" * 60_000 + b"}", JSON, {400}),
    ),
    "large exponent": (
        *("POST", "/grants", _form()[:-1] + b',"answers":{"n":1e-999999999}}'),
        *(JSON, {400}),
    ),
    "readyz while the LMS hangs": ("GET", "/readyz", None, {}, {200, 503}),
    "cron guess": (
        *("POST", "/cron/run", None, {"Authorization": "Bearer no"}, {401}),
    ),
    "admin guess": (
        *("GET", "/admin/api/stats", None, {"Authorization": "Bearer no"}, {401}),
    ),
    "sign-in guess": (
        "POST",
        "/admin/sign-in",
        b"token=fea_wrong",
        {
            "Sec-Fetch-Site": "same-origin",
            "Content-Type": "application/x-www-form-urlencoded",
        },
        {401},
    ),
}


class Served:
    """gunicorn over a store of its own; a context manager."""

    def __init__(self, folder: str) -> None:
        self._url = f"sqlite:///{folder}/load.sqlite3"
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.port = probe.getsockname()[1]

    def __enter__(self) -> Self:
        lms = FakeLMS()
        lms.add_course(COURSE, Money(4900, "usd"))
        settings = Settings(database_url=self._url, payments="fake")
        with EnrollSDK(settings, payments=FakePayments(), lms=lms) as sdk:
            sdk.setup()
            sdk.coupons.create(100, COURSE, code=CODE, max_redemptions=1_000_000)
        command = ["gunicorn", f"--bind={HOST}:{self.port}", "--workers=2"]
        command += ["--threads=4", "--keep-alive=60", "load_served:application"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=HERE,
            env=os.environ | {"LOAD_DATABASE": self._url},
            stderr=subprocess.DEVNULL,
        )
        ends = time.monotonic() + 30
        while True:
            try:
                self.ask("GET", "/healthz", None, {}, "127.0.0.1")
            except OSError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.1)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(40)

    def ask(self, method, path, body, headers, source) -> int:
        """Send one request from an address of loopback; return its status."""
        client = http.client.HTTPConnection(
            HOST, self.port, timeout=60, source_address=(source, 0)
        )
        # It may answer before it has read all of it; the answer is there to read.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.request(method, path, body, headers)
        try:
            answer = client.getresponse()
            answer.read()
        except ConnectionError:
            return 413
        finally:
            client.close()
        return answer.status


class Run:
    """One measurement."""

    def __init__(self, served: Served, requests: int) -> None:
        self._served = served
        kinds = itertools.islice(itertools.cycle(KINDS), requests)
        self._left, self._lock = list(kinds), threading.Lock()
        self._made, self._strange = itertools.count(), itertools.count()
        self.spans: dict[bool, list[float]] = {False: [], True: []}
        self.statuses: dict[str, Counter[int]] = defaultdict(Counter)
        self.failed: Counter[int] = Counter()

    def play(self, requests: int) -> None:
        """Play a round without strangers, and one with so many of their requests."""
        self._round([])
        mine, self._left = self._left[:requests], self._left[requests:]
        self._round(mine)

    def _round(self, hostile: list[str]) -> None:
        over, disturbed = threading.Event(), bool(hostile)
        clients = [
            threading.Thread(target=self._honest, args=(over, disturbed))
            for _ in range(HONEST)
        ]
        strangers = [
            threading.Thread(target=self._hostile, args=(hostile[n::HOSTILE],))
            for n in range(HOSTILE)
        ]
        for thread in clients + strangers:
            thread.start()
        for thread in strangers:
            thread.join()
        over.wait(0 if disturbed else ROUND_S)
        over.set()
        for thread in clients:
            thread.join()

    def _honest(self, over: threading.Event, disturbed: bool) -> None:
        while not over.wait(random.uniform(0, 2 * PAUSE_S)):
            with self._lock:
                number = next(self._made)
            email = f"learner{number:09}@example.com"
            fields = {"course_id": COURSE, "email": email, "coupon_code": CODE}
            body, source = json.dumps(fields).encode(), _address(1, number)
            began = time.perf_counter()
            status = self._served.ask("POST", "/checkout", body, JSON, source)
            span = time.perf_counter() - began
            with self._lock:
                self.spans[disturbed].append(span)
                self.failed[status] += status != 201

    def _hostile(self, kinds: list[str]) -> None:
        for kind in kinds:
            with self._lock:
                # Each from an address of its own, so that no limit spares the server.
                number = next(self._strange)
            method, path, body, headers, _ = KINDS[kind]
            data = body() if callable(body) else body
            status = self._served.ask(method, path, data, headers, _address(2, number))
            with self._lock:
                self.statuses[kind][status] += 1


def _address(second: int, number: int) -> str:
    """Return an address of loopback; an honest learner has one of his own."""
    return f"127.{second}.{number // 250 % 250}.{number % 250 + 1}"


def measure(requests: int) -> tuple[dict[str, object], Run]:
    """Play it; return what is to be told, and the run."""
    with tempfile.TemporaryDirectory() as folder, Served(folder) as served:
        warm = Run(served, 0)
        warm.play(0)
        run = Run(served, requests)
        run._made = warm._made
        share = -(-requests // ROUNDS)
        for _ in range(ROUNDS):
            run.play(share)
    told: dict[str, object] = {"hostile requests": requests}
    p99 = {}
    for disturbed, name in ((False, "undisturbed"), (True, "disturbed")):
        cuts = statistics.quantiles(run.spans[disturbed], n=100)
        p99[disturbed] = cuts[98]
        told[name] = {
            "requests": len(run.spans[disturbed]),
            "p50_ms": round(cuts[49] * 1000, 1),
            "p99_ms": round(cuts[98] * 1000, 1),
        }
    told["ratio"] = round(p99[True] / p99[False], 2)
    return told, run


def wrong(run: Run) -> dict[str, list[int]]:
    """Return the kinds that got what they should not; no limit may have spared it."""
    found = {kind: {*run.statuses[kind]} - KINDS[kind][4] for kind in KINDS}
    found["honest"] = {status for status, count in run.failed.items() if count}
    return {kind: sorted(statuses) for kind, statuses in found.items() if statuses}


def main() -> int:
    """Print the ratio; return the exit code."""
    told, run = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
    print(json.dumps(told | {"wrong": wrong(run)}))
    return int(bool(wrong(run)) or float(str(told["ratio"])) > MOST)


if __name__ == "__main__":
    sys.exit(main())
