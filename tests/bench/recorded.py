# SPDX-License-Identifier: MIT
"""The writes of one call, recorded on the real drivers, to be made again."""

from __future__ import annotations

import json
import pickle
import re
import uuid
from pathlib import Path

import pymongo.monitoring
from pymongo.monitoring import CommandListener
from sqlalchemy import Engine
from sqlalchemy import event as sqlalchemy_event


WRITES = {"insert", "update", "findAndModify"}
#: What the driver adds to a command by itself.
SESSION = {"lsid", "$db", "txnNumber", "$clusterTime"}
#: What is new in each request: enrollments, learners, jobs, events, a code's seats.
NAMES = re.compile(rb"enr_[0-9a-f]{32}|learner\d{9}|[0-9a-f]{40}|evt_\d{9}|(?<=#)\d{8}")


class Writes(CommandListener):
    """
    Records the writes of this process, on both drivers.

    Attributes:
        made: One list for each write: a transaction's statements with their values, or
            the one command.
    """

    def __init__(self) -> None:
        self.made: list[list] = []
        self._open: list[tuple] = []
        pymongo.monitoring.register(self)
        sqlalchemy_event.listen(Engine, "before_cursor_execute", self.executing)
        sqlalchemy_event.listen(Engine, "commit", self.committed)

    def executing(self, *seen: object) -> None:
        """Keep a statement that writes."""
        _, _, statement, values, _, many = seen
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            rows = values if many else [values]
            self._open += [(statement, [_decoded(v) for v in row]) for row in rows]

    def committed(self, _: object) -> None:
        """Keep a transaction that has written."""
        if self._open:
            self.made.append(self._open)
        self._open = []

    def started(self, event) -> None:
        """Keep a command that writes."""
        if event.command_name in WRITES:
            kept = {k: v for k, v in event.command.items() if k not in SESSION}
            self.made.append([kept])

    def succeeded(self, event) -> None:
        """Nothing to do."""

    def failed(self, event) -> None:
        """Nothing to do."""

    def of(self, run) -> list[list]:
        """Return the writes that one call makes."""
        self.made = []
        run()
        return self.made


def _decoded(value: object) -> object:
    """Return what JSON text holds: whoever makes the write again has to encode it."""
    is_json = isinstance(value, str) and value.startswith("{")
    return json.loads(value) if is_json else value


def save(path: Path, writes: list[list]) -> None:
    """Keep recorded writes."""
    path.write_bytes(pickle.dumps(writes))


class Recording:
    """Recorded writes, to be had again under fresh names."""

    def __init__(self, blob: bytes) -> None:
        self._blob, self._names = blob, sorted(set(NAMES.findall(blob)))

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Read what was saved."""
        return cls(path.read_bytes())

    def fresh(self) -> tuple[str, list[list]]:
        """Return a name, and the writes with names of the same lengths (as pickled)."""
        blob, name = self._blob, ""
        for old in self._names:
            name = (uuid.uuid4().hex + uuid.uuid4().hex)[: len(old)]
            blob = blob.replace(old, name.encode())
        return name, pickle.loads(blob)  # noqa: S301  our own, of this run
