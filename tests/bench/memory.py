# SPDX-License-Identifier: MIT
"""
What a worker holds over many jobs: memory, threads, sockets, file descriptors.

One process: a plugin's jobs that do nothing, and one enrolment over HTTP (settle, sync,
the LMS sandbox in a process of its own) for each twenty of them, enqueued in slices
while the worker runs. Prints a sample per slice; ends with 1 when the last quarter
needs more than the second: over 5 MB, a thread, or more than one connection of the
store's pool, which opens them as its threads meet. Run by ``nox -s bench``.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path


sys.path.insert(0, str(Path(__file__).parents[1]))
from support.killing import owed
from support.mongod import DIE_WITH_PARENT
from support.stores import STORES, shared_store

from frappe_enroll_lms.frappe import FrappeLMS
from frappe_enroll_sdk import EnrollSDK, Settings, hookimpl
from frappe_enroll_sdk.clock import SystemClock
from frappe_enroll_sdk.models import JobState, NewJob, Status
from frappe_enroll_sdk.outcomes import Done
from frappe_enroll_sdk.testing.conformance.records import enrollment
from frappe_enroll_sdk.testing.payments import FakePayments


#: A connection to SQLite is two descriptors, its file and the log.
_MAX_GROWTH = {"rss_mb": 5.0, "threads": 0, "sockets": 1, "descriptors": 2}
_MB = 1024 * 1024
#: Jobs that do nothing for each enrolment.
_JOBS_PER_SYNC = 20
_BULK = 1000


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
    held = list(map(_target, Path("/proc/self/fd").iterdir()))
    return {
        "rss_mb": round(pages * os.sysconf("SC_PAGE_SIZE") / _MB, 1),
        "threads": threading.active_count(),
        "sockets": sum(name.startswith("socket:") for name in held),
        "descriptors": len(held),
    }


def _target(descriptor: Path) -> str:
    # The one that lists the folder is gone by now.
    with contextlib.suppress(FileNotFoundError):
        return str(descriptor.readlink())
    return ""


@contextlib.contextmanager
def sandbox():
    """Yield an LMS of a process of its own."""
    command = [
        *(sys.executable, "-I", "-S", "-c", DIE_WITH_PARENT),
        *(sys.executable, "-m", "frappe_enroll_sandbox"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        told = json.loads(process.stdout.readline())
        names = ("FRAPPE_LMS_URL", "FRAPPE_LMS_API_KEY", "FRAPPE_LMS_API_SECRET")
        yield FrappeLMS(*(told[name] for name in names))
        process.terminate()


def run_slice(sdk: EnrollSDK, first: int, count: int) -> None:
    """Enqueue jobs and enrolments, and wait until they are done."""
    now = sdk.clock.now()
    payload = {"enrollment_id": "enr_0001", "fact": "enrolled"}
    syncs = range(first // _JOBS_PER_SYNC, (first + count) // _JOBS_PER_SYNC)
    for start in range(first, first + count, _BULK):
        orders = [
            NewJob(key=f"job-{n:07d}", kind="nothing", payload=payload, due_at=now)
            for n in range(start, min(start + _BULK, first + count))
        ]
        sdk.storage.jobs.enqueue_many(orders, now=now)
    for number in syncs:
        sdk.storage.enrollments.open(owed(number, now))
    while not _at_rest(sdk):
        time.sleep(0.1)


def _at_rest(sdk: EnrollSDK) -> bool:
    """Tell whether nothing is owed; counting what is done would take ever longer."""
    now, store = sdk.clock.now(), sdk.storage
    jobs = store.jobs.stats(now, cap=1).counts
    rows = store.enrollments.stats(now, cap=1).counts
    owed_now = jobs[JobState.DUE], jobs[JobState.RUNNING], rows[Status.CONFIRMED]
    return owed_now == (0, 0, 0)


def check(sdk: EnrollSDK, jobs: int) -> None:
    """Check that all of it was done."""
    now, syncs = sdk.clock.now(), jobs // _JOBS_PER_SYNC
    done = sdk.storage.jobs.stats(now, cap=jobs * 2).counts[JobState.DONE]
    rows = sdk.storage.enrollments.stats(now, cap=jobs).counts[Status.ENROLLED]
    assert (done, rows) == (jobs + syncs, syncs)


@contextlib.contextmanager
def working(open_store, lms):
    """Yield an SDK whose worker runs in a thread."""
    clock, storage = SystemClock(), open_store()
    storage.setup()
    sdk = EnrollSDK(
        Settings(lms_rate_per_s=0, keep_jobs_days=3650),
        storage=storage,
        payments=FakePayments(clock),
        lms=lms,
        clock=clock,
        plugins=[Nothing()],
        discover=False,
    )
    with sdk:
        sdk.storage.enrollments.open(enrollment(1, due_at=None))
        worker = sdk.worker(8)
        thread = threading.Thread(target=worker.run)
        thread.start()
        yield sdk
        worker.stop()
        thread.join()


def is_flat(samples) -> bool:
    """Tell whether the last quarter holds no more than the second one."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    return all(
        max(s[name] for s in late) - max(s[name] for s in early) <= most
        for name, most in _MAX_GROWTH.items()
    )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--slices", type=int, default=20)
    parser.add_argument("--store", choices=STORES, default="sql")
    options = parser.parse_args()
    size, samples, began = options.jobs // options.slices, [], time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        shared_store(options.store, folder) as (_, open_store),
        sandbox() as lms,
        working(open_store, lms) as sdk,
    ):
        for number in range(options.slices):
            run_slice(sdk, number * size, size)
            told = {"jobs": (number + 1) * size} | sample()
            told["seconds"] = round(time.monotonic() - began)
            samples.append(told)
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
        check(sdk, size * options.slices)
    sys.exit(not is_flat(samples))


if __name__ == "__main__":
    main()
