# SPDX-License-Identifier: MIT
"""What the bare drivers can do: the limit that the stores are measured against."""

from __future__ import annotations

import secrets
import sqlite3
import time
from typing import Any


BATCH = 20


def _rate(count: int, began: float) -> float:
    return count / (time.perf_counter() - began)


def _sqlite(open_store: Any) -> sqlite3.Connection:
    path = open_store.args[0].removeprefix("sqlite:///") + "-bare"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "CREATE TABLE jobs (id INTEGER PRIMARY KEY, status TEXT, run_at REAL, "
        "token TEXT, payload TEXT)"
    )
    connection.execute("CREATE INDEX due ON jobs (run_at) WHERE status = 'pending'")
    return connection


def _fill_sqlite(connection: sqlite3.Connection, count: int) -> None:
    rows = [("pending", 0.0, '{"n": 1}')] * count
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT INTO jobs (status, run_at, payload) VALUES (?, ?, ?)", rows
    )
    connection.execute("COMMIT")


_CLAIM = (
    "UPDATE jobs SET status = 'running', token = ? WHERE id IN (SELECT id FROM jobs "
    "WHERE status = 'pending' AND run_at <= 1 ORDER BY run_at LIMIT ?) RETURNING id"
)
_END = "UPDATE jobs SET status = 'done' WHERE id = ? AND token = ?"


def _drain_sqlite(connection: sqlite3.Connection, batch: int) -> None:
    while True:
        token = secrets.token_hex(8)
        ids = connection.execute(_CLAIM, (token, batch)).fetchall()
        if not ids:
            return
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_END, [(id_, token) for (id_,) in ids])
        connection.execute("COMMIT")


def sqlite_drain(open_store: Any, jobs: int, singles: int, *, batch: int) -> float:
    """Claim by UPDATE … RETURNING, end by UPDATE; synchronous FULL."""
    count = singles if batch == 1 else jobs
    connection = _sqlite(open_store)
    _fill_sqlite(connection, count)
    began = time.perf_counter()
    _drain_sqlite(connection, batch)
    found = _rate(count, began)
    connection.close()
    return found


def sqlite_enqueue(open_store: Any, _jobs: int, singles: int) -> float:
    """One transaction per row."""
    connection = _sqlite(open_store)
    began = time.perf_counter()
    for _ in range(singles):
        connection.execute("INSERT INTO jobs (status, run_at) VALUES ('pending', 0)")
    found = _rate(singles, began)
    connection.close()
    return found


def _mongo(open_store: Any) -> tuple[Any, Any]:
    from pymongo import MongoClient, WriteConcern  # noqa: PLC0415  an extra

    uri, database = open_store.args
    client: Any = MongoClient(uri)
    durable = WriteConcern("majority", j=True)
    jobs = client[database].get_collection("bare", write_concern=durable)
    jobs.create_index([("status", 1), ("run_at", 1)])
    return client, jobs


def mongo_drain(open_store: Any, jobs: int, singles: int, *, batch: int) -> float:
    """Claim by find_one_and_update (or find and update_many), end by update."""
    client, rows = _mongo(open_store)
    count = singles if batch == 1 else jobs
    rows.insert_many([{"status": "pending", "run_at": n} for n in range(count)])
    began = time.perf_counter()
    (_drain_mongo_one_by_one if batch == 1 else _drain_mongo_in_batches)(rows)
    found = _rate(count, began)
    client.close()
    return found


def _drain_mongo_one_by_one(rows: Any) -> None:
    due = {"status": "pending", "run_at": {"$lte": 1e12}}
    while True:
        token = secrets.token_hex(8)
        taken = {"$set": {"status": "running", "token": token}}
        row = rows.find_one_and_update(due, taken, sort=[("run_at", 1)])
        if row is None:
            return
        mine = {"_id": row["_id"], "token": token}
        rows.update_one(mine, {"$set": {"status": "done"}})


def _drain_mongo_in_batches(rows: Any) -> None:
    due = {"status": "pending", "run_at": {"$lte": 1e12}}
    while True:
        token = secrets.token_hex(8)
        found = rows.find(due, {"_id": 1}).sort("run_at", 1).limit(BATCH)
        ids = [row["_id"] for row in found]
        if not ids:
            return
        taken = {"$set": {"status": "running", "token": token}}
        rows.update_many({"_id": {"$in": ids}, "status": "pending"}, taken)
        mine = [row["_id"] for row in rows.find({"token": token}, {"_id": 1})]
        done = {"$set": {"status": "done", "token": None}}
        rows.update_many({"_id": {"$in": mine}, "token": token}, done)


def mongo_enqueue(open_store: Any, _jobs: int, singles: int) -> float:
    """One insert_one per job."""
    client, rows = _mongo(open_store)
    began = time.perf_counter()
    for number in range(singles):
        rows.insert_one({"status": "pending", "run_at": number})
    found = _rate(singles, began)
    client.close()
    return found


def _batches(drain: Any, batch: int) -> Any:
    return lambda *arguments: drain(*arguments, batch=batch)


BARE: dict[str, dict[str, Any]] = {
    "sql": {
        "enqueue 1x1": sqlite_enqueue,
        "drain 1x1": _batches(sqlite_drain, 1),
        "drain in batches of 20": _batches(sqlite_drain, BATCH),
    },
    "mongo": {
        "enqueue 1x1": mongo_enqueue,
        "drain 1x1": _batches(mongo_drain, 1),
        "drain in batches of 20": _batches(mongo_drain, BATCH),
    },
}
