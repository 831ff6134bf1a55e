# SPDX-License-Identifier: MIT
"""
Claims in batches: candidates by index, one bulk of conditional writes, read back.

WiredTiger keeps the entries of claimed jobs at the index's front for a while, and a
claim that begins there walks over all of them. So a claim begins where the last one
ended, and every few seconds, or when that finds too little, at the front.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

import attrs

from frappe_enroll_sdk.clock import SYSTEM
from frappe_enroll_sdk.ids import new_claim_token
from frappe_enroll_sdk.models import Job, JobState
from frappe_enroll_sdk.stores import queue

from .documents import Document
from .jobdocs import to_job, token_of


if TYPE_CHECKING:
    from .link import Run
    from .queuetable import QueueTable, Write

logger = logging.getLogger(__name__)

#: Seconds after which a claim looks at the index's front again.
_FRONT_EVERY_S = 2.0
#: How many choices of kinds have a mark; a worker asks for a handful.
_MOST_CHOICES = 64


@attrs.define
class _LowWater:
    """Where the last claim ended. Thread-safe."""

    at: datetime | None = None
    front_at: float = 0.0
    lock: threading.Lock = attrs.field(factory=threading.Lock)

    def bound(self) -> datetime | None:
        """Return where to begin; None = at the front."""
        with self.lock:
            if SYSTEM.monotonic() - self.front_at > _FRONT_EVERY_S:
                return None
            return self.at

    def reach(self, at: datetime, *, from_front: bool) -> None:
        """Take down where a claim ended."""
        with self.lock:
            self.at = at
            if from_front:
                self.front_at = SYSTEM.monotonic()

    def expect(self, at: datetime) -> None:
        """Go back for a job that falls due earlier."""
        with self.lock:
            if self.at is not None and at < self.at:
                self.at = at


class _LowWaters:
    """One mark for each choice of kinds that this process asks for. Thread-safe."""

    def __init__(self) -> None:
        self._marks: dict[str, _LowWater] = {}
        self._lock = threading.Lock()

    def of(self, kinds: Document) -> _LowWater:
        """Return the mark of a choice: a claim of some kinds walks past the others."""
        choice = repr(kinds)
        with self._lock:
            if choice not in self._marks and len(self._marks) >= _MOST_CHOICES:
                # Without a mark a claim begins at the front: slower once, never wrong.
                self._marks.clear()
            return self._marks.setdefault(choice, _LowWater())

    def expect(self, at: datetime) -> None:
        """Let every claim go back for a job that falls due earlier."""
        with self._lock:
            marks = [*self._marks.values()]
        for mark in marks:
            mark.expect(at)


class Claimer:
    """Claims of one collection. Thread-safe; the low-water marks are this process's."""

    def __init__(self, rows: QueueTable) -> None:
        self._rows = rows
        self._lows = _LowWaters()

    def expect(self, at: datetime) -> None:
        """Tell that a job falls due at this moment."""
        self._lows.expect(at)

    def claim(
        self,
        owner: str,
        now: datetime,
        lease_s: float,
        limit: int,
        kinds: Collection[str] | None,
        not_kinds: Collection[str],
    ) -> tuple[Job, ...]:
        """See `JobStore.claim`."""
        if limit <= 0 or (kinds is not None and not kinds):
            return ()
        wanted = _kinds_of(kinds, not_kinds)
        op, batch = SYSTEM.token_hex(8), new_claim_token()
        claims: dict[str, Job] = {}
        writes: list[Write] = []

        def act(run: Run) -> tuple[Job, ...]:
            # A second run sends the same writes: what the first one has got, nobody
            # else will work on; what it has not, this one gets, or learns why not.
            found_now = [] if writes else self._candidates(now, limit, wanted, run)
            for found in found_now:
                job = to_job(found)
                if job is None:
                    self._bury_undecodable(found, run)
                    continue
                token = token_of(batch, job.key)
                taken = queue.claimed(job, owner, token, now, lease_s)
                claims[job.key] = taken
                writes.append(self._rows.write_of(found, taken, op))
            if not writes:
                return ()
            if self._rows.send(writes, run):
                return tuple(claims.values())
            # By the token: an `enqueue` in between leaves it, and its own stamp.
            return tuple(self._rows.ours(claims, {"token": batch}, run).values())

        return self._rows.link.write(act)

    def _candidates(
        self, now: datetime, limit: int, kinds: Document, run: Run
    ) -> list[Document]:
        mark = self._lows.of(kinds)
        low = mark.bound()
        found = self._due(now, limit, kinds, low, run)
        if low is not None and len(found) < limit:
            low = None
            found = self._due(now, limit, kinds, None, run)
        if found:
            mark.reach(found[-1]["claim_at"], from_front=low is None)
        return found

    def _due(
        self,
        now: datetime,
        limit: int,
        kinds: Document,
        low: datetime | None,
        run: Run,
    ) -> list[Document]:
        span = {"$lte": now} if low is None else {"$gte": low, "$lte": now}
        cursor = self._rows.collection.find(
            {"claim_at": span, **kinds},
            sort=[("claim_at", 1)],
            limit=limit,
            hint="claimable",
            session=run.session,
        )
        return [*cursor]

    def _bury_undecodable(self, found: Document, run: Run) -> None:
        """Let a row that can't be decoded fail alone: the others go on."""
        logger.error("row can't be decoded", extra={"job": found["_id"]})
        self._rows.collection.update_one(
            {"_id": found["_id"], "rev": found.get("rev")},
            {
                "$set": {"state": str(JobState.DEAD)},
                "$unset": {"claim_at": "", "token": ""},
                "$inc": {"rev": 1},
            },
            session=run.session,
        )


def _kinds_of(kinds: Collection[str] | None, not_kinds: Collection[str]) -> Document:
    wanted: Document = {}
    if kinds is not None:
        wanted["$in"] = sorted(kinds)
    if not_kinds:
        wanted["$nin"] = sorted(not_kinds)
    return {"kind": wanted} if wanted else {}
