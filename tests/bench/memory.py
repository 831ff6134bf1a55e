# SPDX-License-Identifier: MIT
"""
A worker's memory, threads and file descriptors over many jobs.

One process, a SQLite file, jobs of a plugin that do nothing, enqueued in slices while
the worker runs. Prints a sample per slice; ends with 1 when the last quarter needs more
than the second by over 5 MB, or more threads or descriptors.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

from frappe_enroll_sdk import EnrollSDK, Settings, hookimpl
from frappe_enroll_sdk.clock import SystemClock
from frappe_enroll_sdk.models import JobOrder, JobState
from frappe_enroll_sdk.outcomes import Done
from frappe_enroll_sdk.testing.conformance.records import enrollment
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.payments import FakePayments
from frappe_enroll_sql.storage import SQLStorage


_MOST_GROWTH_MB = 5.0
_MB = 1024 * 1024


class Nothing:
    """A plugin whose jobs do nothing."""

    @hookimpl
    def register_jobs(self, register) -> None:
        """Handle jobs of kind ``nothing``."""
        register("nothing", lambda _: Done())


def sample() -> dict[str, float]:
    """Return what this process holds."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "rss_mb": round(pages * os.sysconf("SC_PAGE_SIZE") / _MB, 1),
        "threads": threading.active_count(),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
    }


def run_slice(sdk: EnrollSDK, first: int, count: int) -> None:
    """Enqueue jobs and wait until they are done."""
    now = sdk.clock.now()
    payload = {"enrollment_id": "enr_0001", "fact": "enrolled"}
    orders = [
        JobOrder(key=f"job-{n:07d}", kind="nothing", payload=payload, due_at=now)
        for n in range(first, first + count)
    ]
    sdk.storage.jobs.enqueue_many(orders, now=now)
    cap = first + count + 1
    while (
        sdk.storage.jobs.stats(sdk.clock.now(), cap=cap).counts[JobState.DONE]
        < first + count
    ):
        time.sleep(0.1)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--slices", type=int, default=20)
    options = parser.parse_args()
    clock, samples = SystemClock(), []
    with tempfile.TemporaryDirectory(dir=".") as folder:
        sdk = EnrollSDK(
            Settings(),
            storage=SQLStorage(f"sqlite:///{Path(folder).absolute()}/store.sqlite3"),
            payments=FakePayments(clock),
            lms=FakeLMS(),
            clock=clock,
            plugins=[Nothing()],
            discover=False,
        )
        sdk.setup()
        sdk.storage.enrollments.open(enrollment(1, due_at=None))
        worker = sdk.worker(8)
        thread = threading.Thread(target=worker.run)
        thread.start()
        size, began = options.jobs // options.slices, time.monotonic()
        for number in range(options.slices):
            run_slice(sdk, number * size, size)
            told = {"jobs": (number + 1) * size} | sample()
            told["seconds"] = round(time.monotonic() - began)
            samples.append(told)
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
        worker.stop()
        thread.join()
        sdk.close()
    quarter = options.slices // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    growth = max(s["rss_mb"] for s in late) - max(s["rss_mb"] for s in early)
    flat = all(
        max(s[name] for s in late) <= max(s[name] for s in early)
        for name in ("threads", "descriptors")
    )
    sys.exit(growth > _MOST_GROWTH_MB or not flat)


if __name__ == "__main__":
    main()
