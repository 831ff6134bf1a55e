# SPDX-License-Identifier: MIT
"""
What the look at the file costs: SQLite's reads and writes with and without it.

``python tests/bench/sqlfile.py [folder]``; the two are played in turns, so that what
else the host does meets both.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

from frappe_enroll_sql.file import OpenFile
from frappe_enroll_sql.storage import SQLStorage


NOW = datetime(2026, 1, 5, tzinfo=UTC)
ROUNDS, CALLS = 30, 200


def seconds(act) -> float:
    """Return seconds per call."""
    began = time.perf_counter()
    for n in range(CALLS):
        act(n)
    return (time.perf_counter() - began) / CALLS


def look_at_nothing(*_):
    """Stand in for a look."""


def main() -> None:
    """Print microseconds per call without and with the look, and their ratio."""
    folder = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(dir=folder) as name:
        storage = SQLStorage(f"sqlite:///{Path(name) / 'bench.sqlite3'}")
        storage.setup()
        acts = {
            "write": lambda n: storage.jobs.enqueue(f"j{n}", "k", {}, NOW, now=NOW),
            "read": lambda n: storage.jobs.find(f"j{n}"),
        }
        for what, act in acts.items():
            took = {False: [], True: []}
            for n in range(ROUNDS * 2):
                looks = bool(n % 2)
                if looks:
                    took[looks].append(seconds(act))
                    continue
                with (
                    patch.object(OpenFile, "require_same", look_at_nothing),
                    patch.object(OpenFile, "require_schema", look_at_nothing),
                ):
                    took[looks].append(seconds(act))
            without, with_it = (statistics.median(took[k]) * 1e6 for k in took)
            print(f"{what}: {without:.0f} µs, with the look {with_it:.0f} µs, ", end="")
            print(f"ratio {with_it / without:.3f}")
        storage.close()


if __name__ == "__main__":
    main()
