# SPDX-License-Identifier: MIT
"""
Three designs of a multi-use coupon, on bare pymongo and a replica set of one.

A: numbered seats, a ticket on the coupon (what the plugin does). B: a counter on the
coupon, then a document of the holder; a death between the two loses a seat for good.
C: all holders in an array of the coupon. Majority and journaled; 64 clients (16 threads
in each of 4 processes) redeem one code at once; then single-use codes one by one.
``python tests/bench/coupon_designs.py [redemptions]``; run by ``nox -s bench``.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import threading
import time
from pathlib import Path

from pymongo import MongoClient, WriteConcern
from pymongo.errors import DuplicateKeyError


sys.path.insert(0, str(Path(__file__).parents[1]))
from support.mongod import ReplicaSet


PROCESSES, THREADS = 4, 16
SINGLES = 300
DURABLE = WriteConcern("majority", j=True)


class Seats:
    """A: a ticket that need not be durable, and the seat that is the truth."""

    def __init__(self, database) -> None:
        self.hint = database.get_collection("coupons", write_concern=WriteConcern(1))
        self.seats = database.get_collection("seats", write_concern=DURABLE)

    def setup(self) -> None:
        """Keep one holder off two seats."""
        self.seats.create_index([("code", 1), ("holder", 1)], unique=True)

    def redeem(self, code, holder, most) -> bool:
        """Draw a number; take its seat."""
        number = 0
        if most > 1:
            drawn = self.hint.find_one_and_update({"_id": code}, {"$inc": {"taken": 1}})
            number = drawn["taken"]
        if number >= most:
            return False
        seat = {"_id": f"{code}#{number:08d}", "code": code, "holder": holder}
        try:
            self.seats.insert_one(seat)
        except DuplicateKeyError:
            return False
        return True

    def taken(self, code) -> int:
        """Count the holders."""
        return self.seats.count_documents({"code": code})


class Counter(Seats):
    """B: the counter is the truth, and has to be as durable as the holder."""

    def __init__(self, database) -> None:
        super().__init__(database)
        self.coupons = database.get_collection("coupons", write_concern=DURABLE)

    def redeem(self, code, holder, most) -> bool:
        """Count, where there is something left; then write the holder."""
        where, change = {"_id": code, "taken": {"$lt": most}}, {"$inc": {"taken": 1}}
        if not self.coupons.update_one(where, change).matched_count:
            return False
        # A death here: counted, held by nobody, and nothing tells whose it was.
        self.seats.insert_one({"code": code, "holder": holder})
        return True


class Array(Counter):
    """C: one document has all its holders."""

    def redeem(self, code, holder, most) -> bool:
        """Push the holder where there is room and it is not there yet."""
        where = {"_id": code, "taken": {"$lt": most}, "holders": {"$ne": holder}}
        change = {"$inc": {"taken": 1}, "$push": {"holders": holder}}
        return self.coupons.update_one(where, change).matched_count == 1

    def taken(self, code) -> int:
        """Count the holders."""
        return len(self.coupons.find_one({"_id": code})["holders"])


DESIGNS = {"A seats": Seats, "B counter": Counter, "C array": Array}


def clients(uri, name, kind, number, most, barrier, answers) -> None:
    """Redeem until the code is exhausted, in many threads at once."""
    times: list[float] = []
    with MongoClient(uri) as client:
        design = DESIGNS[kind](client[name])

        def run(thread) -> None:
            tries = 0
            while True:
                began = time.perf_counter()
                holder = f"{number}-{thread}-{tries}"
                if not design.redeem("HOT", holder, most):
                    return
                times.append(time.perf_counter() - began)
                tries += 1

        client.admin.command("ping")
        threads = [threading.Thread(target=run, args=(n,)) for n in range(THREADS)]
        barrier.wait()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    answers.put(times)


def measure_hot(uri, name, kind, most) -> str:
    """Let all clients redeem one code; return the line of the table."""
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(PROCESSES + 1), context.Queue()
    children = [
        context.Process(
            target=clients, args=(uri, name, kind, n, most, barrier, answers)
        )
        for n in range(PROCESSES)
    ]
    for child in children:
        child.start()
    barrier.wait()
    began = time.perf_counter()
    times = [taken for _ in children for taken in answers.get()]
    lasted = time.perf_counter() - began
    for child in children:
        child.join()
    return _line(kind, f"one code, {PROCESSES * THREADS} clients", times, lasted)


def measure_singles(database, kind) -> str:
    """Redeem single-use codes one after another; return the line of the table."""
    design, times = DESIGNS[kind](database), []
    codes = [f"ONE-{number}" for number in range(SINGLES)]
    database.coupons.insert_many([_coupon(code) for code in codes])
    for code in codes:
        began = time.perf_counter()
        assert design.redeem(code, "holder", 1)
        times.append(time.perf_counter() - began)
        assert not design.redeem(code, "another", 1)
    return _line(kind, "single-use codes", times, sum(times))


def _coupon(code) -> dict:
    return {"_id": code, "taken": 0, "holders": []}


def _line(kind, what, times, lasted) -> str:
    cuts = statistics.quantiles(times, n=100)
    return (
        f"| {kind} | {what} | {len(times)} | {len(times) / lasted:.0f} "
        f"| {cuts[49] * 1000:.1f} | {cuts[98] * 1000:.1f} |"
    )


def main(most: int = 10_000) -> None:
    """Measure every design; print the table."""
    print("| Design | What | Redeemed | per s | p50 ms | p99 ms |\n|-|-|-|-|-|-|")
    with ReplicaSet(1) as servers, MongoClient(servers.uri) as client:
        for kind, design in DESIGNS.items():
            name = kind.partition(" ")[2]
            database = client[name]
            design(database).setup()
            database.coupons.insert_one(_coupon("HOT"))
            print(measure_hot(servers.uri, name, kind, most), flush=True)
            taken = design(database).taken("HOT")
            assert taken == most, f"{kind}: {taken} instead of {most}"
            print(measure_singles(database, kind), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
