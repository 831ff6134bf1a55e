# SPDX-License-Identifier: MIT
"""
The least that can be served: a Flask view that makes recorded writes again.

With the bare driver: sqlite3 (WAL, synchronous FULL, foreign keys, one BEGIN IMMEDIATE
per write that was one) or pymongo (majority, journaled).
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from pathlib import Path
from types import SimpleNamespace

from flask import Flask, request
from pymongo import MongoClient, WriteConcern
from recorded import Recording


application = Flask(__name__)
local, process = threading.local(), SimpleNamespace()
RECORDED = {
    path.stem: Recording.load(path)
    for path in Path(os.environ["BENCH_RECORDINGS"]).glob("*.pickle")
}
STORE = json.loads(os.environ["BENCH_STORE"])


def _on_sqlite(transactions):
    if not hasattr(local, "connection"):
        path = STORE["database_url"].removeprefix("sqlite:///")
        local.connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            local.connection.execute(f"PRAGMA {pragma}")
    for statements in transactions:
        local.connection.execute("BEGIN IMMEDIATE")
        for statement, values in statements:
            row = [json.dumps(v) if isinstance(v, dict) else v for v in values]
            local.connection.execute(statement, row)
        local.connection.execute("COMMIT")


def _on_mongo(transactions):
    if not hasattr(process, "database"):
        client = MongoClient(STORE["mongodb_uri"])
        process.database = client[STORE["mongodb_database"]]
    for (command,) in transactions:
        _command(command)


def _command(command):
    """Make a write by the driver's method for it, with its retries."""
    verb, name = next(iter(command.items()))
    concern = WriteConcern(**command.get("writeConcern", {}))
    table = process.database.get_collection(name, write_concern=concern)
    if verb == "insert":
        table.insert_one(*command["documents"])
    elif verb == "update":
        (update,) = command["updates"]
        table.update_one(update["q"], update["u"])
    else:
        table.find_one_and_update(
            command["query"],
            command["update"],
            command.get("fields"),
            return_document=bool(command.get("new")),
        )


@application.post("/<what>")
def write(what):
    """Make the writes of one request."""
    request.get_json()
    name, transactions = RECORDED[what].fresh()
    (_on_mongo if "mongodb_uri" in STORE else _on_sqlite)(transactions)
    return {"id": name}, 201
