# SPDX-License-Identifier: MIT
"""
A worker's pass in a process of its own, stopped between its heartbeat and its insert.

``python -m support.suspended '<JSON>'``: `urls`, `settings`, `store` (name and where it
is), `clock` (a file that holds the offset of everybody's time), `stops` ("verb": before
the LMS is called, so that the answer is read; "send": when the request is about to be
sent, so that the call's time is over by then), and `killed` (whether it dies when the
insert has landed).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import requests

from frappe_enroll_lms.frappe import FrappeLMS
from frappe_enroll_sdk import EnrollSDK
from frappe_enroll_sdk.clock import OffsetClock
from frappe_enroll_sql.storage import SQLStorage

from .lms_side import wait_for
from .mongod import DIE_WITH_PARENT
from .victim import settings_of


class SharedClock(OffsetClock):
    """The host's time plus an offset that stands in a file for all processes."""

    def __init__(self, path: Path) -> None:
        super().__init__(float(path.read_text()) if path.exists() else 0.0)
        self._path = path
        self.advance(0)

    def now(self):
        """Return the time of all processes."""
        self._offset_s = float(self._path.read_text())
        return super().now()

    def advance(self, seconds):
        """Move everybody's time."""
        new = self._path.with_suffix(".new")
        new.write_text(str(self._offset_s + seconds))
        new.replace(self._path)
        return self.now()


@contextlib.contextmanager
def suspended_pass(task):
    """Start a pass and yield its process once it stands still before its insert."""
    path = os.pathsep.join(filter(None, sys.path))
    with subprocess.Popen(
        [
            *(sys.executable, "-I", "-S", "-c", DIE_WITH_PARENT),
            *(sys.executable, "-m", "support.suspended", json.dumps(task)),
        ],
        env=os.environ | {"PYTHONPATH": path},
    ) as process:
        try:
            wait_for(lambda: process.poll() is not None or is_stopped(process), 60)
            assert process.poll() is None, "it never came to its insert"
            yield process
        finally:
            process.kill()


def is_stopped(process) -> bool:
    """Tell whether the kernel has stopped a process."""
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"


def wake(process) -> None:
    """Let it go on, and wait until it has ended, one way or another."""
    process.send_signal(signal.SIGCONT)
    process.wait(60)


class _Sleeper(FrappeLMS):
    """The plugin, with its process stopped at the first insert."""

    def sleep_in(self, task) -> None:
        """Take the task."""
        self._stops, self._killed = task["stops"], task["killed"]

    def insert_enrollment(self, *args, **more):
        """Stop, insert, and die maybe."""
        if self._stops == "verb":
            os.kill(os.getpid(), signal.SIGSTOP)
            self._stops = ""
        row = super().insert_enrollment(*args, **more)
        if self._killed:
            os.kill(os.getpid(), signal.SIGKILL)
        return row


def _stop_at_send(*, killed: bool) -> None:
    """
    Stop before an insert's bytes leave; die once they were answered, maybe.

    In the last step before the kernel takes the body: whoever looks at the time that a
    call has left has looked by then.
    """
    sendall, inserting = socket.socket.sendall, []

    def leave(self, data, *flags):
        if self in inserting:
            os.kill(os.getpid(), signal.SIGSTOP)
        elif bytes(data).startswith(b"POST") and b"Enrollment" in bytes(data[:200]):
            inserting.append(self)
        return sendall(self, data, *flags)

    socket.socket.sendall = leave
    send = requests.adapters.HTTPAdapter.send

    def sent(self, request, *args, **more):
        try:
            return send(self, request, *args, **more)
        finally:
            if killed and inserting:
                os.kill(os.getpid(), signal.SIGKILL)

    requests.adapters.HTTPAdapter.send = sent


def _storage(kind, where):
    if kind == "sql":
        return SQLStorage(where)
    from frappe_enroll_mongo.storage import MongoStorage  # noqa: PLC0415  an extra

    return MongoStorage(*where)


def _main(task) -> None:
    if task["stops"] == "send":
        _stop_at_send(killed=task["killed"])
    settings = settings_of(task["urls"], "/nowhere.sqlite3", **task["settings"])
    clock = SharedClock(Path(task["clock"]))
    lms = _Sleeper.from_settings(settings, clock)
    lms.sleep_in(task)
    with EnrollSDK(
        settings, storage=_storage(*task["store"]), lms=lms, clock=clock, discover=True
    ) as sdk:
        sdk.run_jobs(limit=1000)


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
