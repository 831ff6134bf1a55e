# SPDX-License-Identifier: MIT
"""
The MongoDB store's speed beside the bare driver that does the same writes.

Every command that the store sends is written down and sent again by the bare driver, to
a database that has been through the same: the same round trips, filters, documents,
concerns, time limits and client options, without our code. Rounds are interleaved;
medians and their ratio are printed. Ends with 1 when a goal is missed. Run by ``nox -s
bench``; ``--quick`` takes a tenth.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import sys
import threading
import time
from collections import deque
from datetime import UTC, timedelta
from decimal import Decimal
from pathlib import Path

from bson.codec_options import CodecOptions
from pymongo import MongoClient, WriteConcern
from pymongo.errors import DuplicateKeyError
from pymongo.monitoring import CommandListener
from pymongo.read_concern import ReadConcern


sys.path.insert(0, str(Path(__file__).parents[1]))
from support.mongod import ReplicaSet

from frappe_enroll_mongo.link import TIMEOUT_MS
from frappe_enroll_mongo.storage import MongoStorage
from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.clock import SystemClock
from frappe_enroll_sdk.models import Coupon
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.payments import FakePayments


CLOCK = SystemClock()
ROUNDS, CLAIMS = 7, 60
#: Each round of one and of eight threads has codes of its own; one more warms up.
SLOTS = 2 * (ROUNDS + 1)
COURSE = "python-101"
#: What belongs to a session of ours, not to the command.
_OURS = ("lsid", "$clusterTime", "$db", "txnNumber", "$readPreference", "apiVersion")


class Recorder(CommandListener):
    """Writes down the commands of each thread while it is told to. Thread-safe."""

    def __init__(self) -> None:
        self.commands: deque[dict] = deque()
        self.is_on = False

    def started(self, event) -> None:
        """Take a command down."""
        if self.is_on and event.command_name not in ("hello", "endSessions"):
            command = {k: v for k, v in event.command.items() if k not in _OURS}
            self.commands.append(command)

    def succeeded(self, event) -> None:
        """Nothing to do."""

    def failed(self, event) -> None:
        """Nothing to do: a duplicate key is an answer."""

    def take(self) -> list[dict]:
        """Return what was written down since the last call."""
        taken = list(self.commands)
        self.commands.clear()
        return taken


class Pair:
    """The store on one database, the bare driver on its twin."""

    def __init__(self, uri: str, name: str) -> None:
        self.recorder, self._name = Recorder(), name
        listened = functools.partial(MongoClient, event_listeners=[self.recorder])
        self.storage = MongoStorage(uri, name, client_factory=listened)
        self.storage.setup()
        twin = MongoStorage(uri, f"{name}_bare")
        twin.setup()
        twin.close()
        # Listened to as well, so that writing down costs both the same.
        twins = Recorder()
        twins.is_on = True
        self.client = MongoClient(
            uri, timeoutMS=TIMEOUT_MS, retryWrites=True, event_listeners=[twins]
        )
        self.bare = self.client[f"{name}_bare"]
        self.payments, self.lms = FakePayments(), FakeLMS()
        self.lms.add_course(COURSE, Money(4900, "usd"))

    def fill(self, count: int) -> None:
        """Put the same coupons into both databases."""
        made = Coupon(code="C", percent_off=Decimal(100), created_at=CLOCK.now())
        self.storage.coupons.create(made)
        ours = self.client[self._name].coupons
        sample = ours.find_one({"_id": "C"})
        for first in range(0, count, 10_000):
            some = range(first, min(first + 10_000, count))
            documents = [sample | {"_id": f"C-{number:07d}"} for number in some]
            ours.insert_many(documents, ordered=False)
            self.bare.coupons.insert_many(documents, ordered=False)

    def replay(self, commands: list[dict], threads: int = 1) -> float:
        """Make the same calls by the bare driver; return the seconds that it took."""
        calls = [call_of(self.bare, command) for command in commands]
        shares = [calls[n::threads] for n in range(threads)]
        refused = []

        def make(share) -> None:
            for call in share:
                try:
                    call()
                except DuplicateKeyError as error:
                    refused.append(error)

        seconds = timed(lambda n: make(shares[n]), threads)
        assert len(refused) <= len(commands) / 100, refused[:3]
        return seconds


def call_of(database, command: dict):
    """Return the driver's call that sends this command."""
    name = next(iter(command))
    table = database.get_collection(
        command[name],
        codec_options=CodecOptions(tz_aware=True, tzinfo=UTC),
        write_concern=WriteConcern("majority", j=True),
        read_concern=ReadConcern("majority"),
    )
    if name == "insert":
        documents = command["documents"]
        if len(documents) == 1:
            return functools.partial(table.insert_one, documents[0])
        return functools.partial(table.insert_many, documents)
    if name == "update":
        (update,) = command["updates"]
        change = update["u"]
        verb = table.update_many if update.get("multi") else table.update_one
        if not next(iter(change)).startswith("$"):
            verb = table.replace_one
        return functools.partial(verb, update["q"], change)
    if name == "findAndModify":
        return functools.partial(
            table.find_one_and_update,
            command["query"],
            command["update"],
            sort=[*command["sort"].items()] if "sort" in command else None,
            return_document=bool(command.get("new")),
            hint=command.get("hint"),
        )
    if name == "aggregate":
        counted = functools.partial(table.aggregate, command["pipeline"])
        return lambda: [*counted()]
    assert name == "find", f"the bare driver does not know how to {name}"
    find = functools.partial(
        table.find,
        command["filter"],
        command.get("projection"),
        sort=[*command["sort"].items()] if "sort" in command else None,
        limit=command.get("limit", 0),
        batch_size=command.get("batchSize", 0),
        hint=command.get("hint"),
    )
    return lambda: [*find()]


def timed(act, threads: int = 1) -> float:
    """Run `act` with each thread's number; return the seconds until all are done."""
    if threads == 1:
        began = time.perf_counter()
        act(0)
        return time.perf_counter() - began
    workers = [threading.Thread(target=act, args=(n,)) for n in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.perf_counter() - began


def reserve(pair: Pair, coupons: int, threads: int, slot: int):
    """Reserve codes all over the collection; return both times and the round trips."""
    apart = coupons // (SLOTS * CLAIMS)
    codes = [f"C-{(n * SLOTS + slot) * apart:07d}" for n in range(CLAIMS)]
    count = CLAIMS
    now = CLOCK.now()
    until = now + timedelta(minutes=15)

    def act(thread: int) -> None:
        for number in range(thread, count, threads):
            holder = f"enr_{slot}_{number}"
            pair.storage.coupons.reserve(codes[number], holder, now, until)

    pair.recorder.is_on = True
    ours = timed(act, threads)
    pair.recorder.is_on = False
    commands = pair.recorder.take()
    return ours, pair.replay(commands, threads), len(commands)


def webhooks(pair: Pair, count: int, done: int):
    """Take `count` paid events of rows that await payment, through the whole SDK."""
    settings = Settings(public_url="http://127.0.0.1:5000", inline_s=3.0)
    sdk = EnrollSDK(
        settings,
        storage=pair.storage,
        payments=pair.payments,
        lms=pair.lms,
        discover=False,
    )
    pair.recorder.is_on = True
    deliveries = []
    for number in range(count):
        email = f"l{done}-{number}@example.com"
        row_id = sdk.checkout(course_id=COURSE, email=email).enrollment_id
        session_id = sdk.enrollments.get(row_id).session_id
        deliveries.append(pair.payments.signed(pair.payments.pay(session_id)))
    pair.replay(pair.recorder.take())

    def act(_: int) -> None:
        for delivery in deliveries:
            sdk.handle_webhook(*delivery)

    ours = timed(act)
    pair.recorder.is_on = False
    commands = pair.recorder.take()
    return ours, pair.replay(commands), len(commands)


def measure(run, count: int) -> dict[str, float]:
    """Run rounds; return medians."""
    run(0)
    rounds = [run(number + 1) for number in range(ROUNDS)]
    ours = statistics.median(count / seconds for seconds, _, _ in rounds)
    bare = statistics.median(count / seconds for _, seconds, _ in rounds)
    ratios = [theirs / mine for mine, theirs, _ in rounds]
    return {
        "per_s": ours,
        "bare_per_s": bare,
        "ratio": statistics.median(ratios),
        "round_trips": statistics.median(sent / count for _, _, sent in rounds),
    }


def run_all(uri: str, quick: bool) -> dict[str, dict[str, float]]:
    """Measure everything."""
    few, many = 1_000, 100_000 if quick else 1_000_000
    results = {}
    for coupons in (few, many):
        pair = Pair(uri, f"bench_{coupons}")
        pair.fill(coupons)
        for number, threads in enumerate((1, 8)):
            first = number * (ROUNDS + 1)
            results[f"reserve, {coupons:,} coupons, {threads} thread(s)"] = measure(
                lambda n, c=coupons, t=threads, p=pair, f=first: reserve(
                    p, c, t, f + n
                ),
                CLAIMS,
            )
    count = 20 if quick else 100
    pair = Pair(uri, "bench_webhook")
    results["webhook, whole path"] = measure(lambda n: webhooks(pair, count, n), count)
    return results


def missed(results: dict[str, dict[str, float]]) -> list[str]:
    """Name the goals that were missed."""
    found = [
        f"{name}: {row['ratio']:.2f} of the bare driver's rate, not 0.85"
        for name, row in results.items()
        if row["ratio"] < 0.85
    ]
    singles = [row for name, row in results.items() if "1 thread" in name]
    slower = singles[0]["per_s"] / singles[1]["per_s"]
    if slower > 1.2:
        found.append(f"a million coupons take {slower:.2f} times as long, not 1.2")
    return found


def main() -> int:
    """Print the table, or JSON; return 1 when a goal is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with ReplicaSet(1) as replica_set:
        results = run_all(replica_set.uri, given.quick)
    problems = missed(results)
    if given.json:
        print(json.dumps({"results": results, "missed": problems}))
    else:
        print(f"{'':42} {'per s':>9} {'bare':>9} {'ratio':>6} {'trips':>6}")
        for name, row in results.items():
            numbers = (row["per_s"], row["bare_per_s"], row["ratio"])
            print(
                f"{name:42} {numbers[0]:9,.0f} {numbers[1]:9,.0f} {numbers[2]:6.2f} "
                f"{row['round_trips']:6.1f}"
            )
        for problem in problems:
            print(f"missed: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
