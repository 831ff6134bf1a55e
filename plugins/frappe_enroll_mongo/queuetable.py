# SPDX-License-Identifier: MIT
"""
One queue's collection: conditional writes on `rev`.

A job is read, changed by ``queue.py``, and written where its `rev` is still the one
that was read. `op` stamps each write, so that a verb whose acknowledgement was lost
finds its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import attrs
from pymongo import UpdateMany, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from frappe_enroll_sdk.clock import SYSTEM
from frappe_enroll_sdk.errors import ConflictError
from frappe_enroll_sdk.models import Job, JobState

from .documents import Document, difference
from .failures import only_duplicates
from .jobdocs import of_job, show_job, to_job


if TYPE_CHECKING:
    from pymongo.collection import Collection as Table

    from .link import Link, Run

#: What becomes of a job; None = it is left as it is.
Change = Callable[[Job], Job | None]

#: How often a verb may lose its race for one job; each loss is another's success.
_MOST_RACES = 100


@attrs.frozen(kw_only=True)
class Write:
    """
    One conditional write.

    Attributes:
        key: The job's.
        rev: The job's, as it was read.
        update: What is written where it still stands.
    """

    key: str
    rev: int
    update: Document


def grouped(writes: Sequence[Write]) -> list[UpdateOne | UpdateMany]:
    """
    Return the operations for conditional writes; equal ones go as one.

    A batch of fresh jobs is claimed, and ended, by equal updates: the server is spared
    nineteen of twenty statements, and each document is still written on its own `rev`.
    """
    groups: dict[tuple[int, str], list[Write]] = {}
    for write in writes:
        groups.setdefault((write.rev, repr(write.update)), []).append(write)
    operations: list[UpdateOne | UpdateMany] = []
    for (rev, _), group in groups.items():
        if len(group) == 1:
            where: Document = {"_id": group[0].key, "rev": rev}
            operations.append(UpdateOne(where, group[0].update))
        else:
            where = {"_id": {"$in": [write.key for write in group]}, "rev": rev}
            operations.append(UpdateMany(where, group[0].update))
    return operations


class QueueTable:
    """
    Conditional writes on one queue's collection. Thread-safe.

    Args:
        link: The connection.
        name: The collection's name.
        ends: States whose old rows are pruned.
    """

    def __init__(self, link: Link, name: str, ends: Collection[JobState]) -> None:
        self.link, self._name, self._ends = link, name, ends

    @property
    def collection(self) -> Table[Document]:
        """The collection, its durability pinned."""
        return self.link.collection(self._name)

    def announce(self, jobs: Collection[Job], now: datetime) -> None:
        """Wake this process's watches if any of these has fallen due."""
        if any(job.state is JobState.DUE and job.due_at <= now for job in jobs):
            self.link.news.announce()

    def write_of(self, found: Document, after: Job, op: str) -> Write:
        """Return the conditional write that makes `after` of a found document."""
        wanted = of_job(after, self._ends) | {"rev": found["rev"] + 1, "op": op}
        update = difference(found, wanted)
        return Write(key=found["_id"], rev=found["rev"], update=update)

    def send(self, writes: Sequence[Write], run: Run) -> bool:
        """Send conditional writes at once; tell whether all of them were done."""
        if len(writes) == 1:
            (only,) = writes
            where = {"_id": only.key, "rev": only.rev}
            one = self.collection.update_one(where, only.update, session=run.session)
            return one.matched_count == 1
        done = self.collection.bulk_write(
            grouped(writes), ordered=False, session=run.session
        )
        return done.matched_count == len(writes)

    def ours(
        self, jobs: Mapping[str, Job], stamp: Mapping[str, str], run: Run
    ) -> dict[str, Job]:
        """Return those that carry our stamp: others were faster for the rest."""
        mine = {"_id": {"$in": [*jobs]}, **stamp}
        found = self.collection.find(mine, {"_id": 1}, session=run.session)
        names = {one["_id"] for one in found}
        return {key: job for key, job in jobs.items() if key in names}

    def change(self, changes: Mapping[str, Change]) -> dict[str, Job]:
        """Write what each change makes of its job; return what was written."""
        op = SYSTEM.token_hex(8)
        return self.link.write(lambda run: self._change(changes, op, run))

    def _change(
        self, changes: Mapping[str, Change], op: str, run: Run
    ) -> dict[str, Job]:
        left, written = dict(changes), dict[str, Job]()
        for _ in range(_MOST_RACES):
            before = self._read([*left], run)
            wanted: dict[str, Job] = {}
            writes: list[Write] = []
            for found in before:
                job, key = to_job(found), found["_id"]
                if job is None:
                    # A damaged row is kept as it is for whoever repairs it.
                    continue
                if found.get("op") == op:
                    written[key] = job
                    continue
                after = left[key](job)
                if after is not None:
                    wanted[key] = after
                    writes.append(self.write_of(found, after, op))
            if not writes:
                return written
            if self.send(writes, run):
                return written | wanted
            written |= self.ours(wanted, {"op": op}, run)
            left = {key: changes[key] for key in wanted if key not in written}
        raise ConflictError(f"jobs keep changing: {', '.join(left)}")

    def _read(self, keys: list[str], run: Run) -> list[Document]:
        if not keys:
            return []
        where = {"_id": keys[0]} if len(keys) == 1 else {"_id": {"$in": keys}}
        return [*self.collection.find(where, session=run.session)]

    def put(
        self, jobs: Mapping[str, Job], again: Mapping[str, Callable[[Job], Job]]
    ) -> tuple[dict[str, Job], frozenset[str]]:
        """
        Write new jobs, or what `again` makes of known ones.

        A known one is always written, if only its stamp: that it is known was learned
        from an index that may be ahead of what is durable.

        Returns:
            The jobs that now stand, and the keys that were new.
        """
        op = SYSTEM.token_hex(8)

        def act(run: Run) -> tuple[dict[str, Job], frozenset[str]]:
            stand, new, left = dict(jobs), set[str](), set(jobs)
            for _ in range(_MOST_RACES):
                known = self._insert([jobs[key] for key in left], op, run)
                stands = self._known({key: again[key] for key in known}, op, run)
                stand |= stands
                new |= left - known
                if run.again:
                    # What the first run has inserted and this one has found untouched.
                    new |= {key for key in known if stands.get(key) == jobs[key]}
                # Pruned just now, or rolled back with the primary that knew it.
                left = known - stands.keys()
                if not left:
                    return stand, frozenset(new)
            raise ConflictError(f"jobs keep coming and going: {', '.join(left)}")

        return self.link.write(act)

    def _known(self, again: Mapping[str, Change], op: str, run: Run) -> dict[str, Job]:
        """Write what `again` makes of known jobs; return those that still stand."""
        stands = self._change(again, op, run) if again else {}
        for found in self._read([key for key in again if key not in stands], run):
            if to_job(found) is None:
                stands[found["_id"]] = show_job(found)
        return stands

    def _insert(self, jobs: Sequence[Job], op: str, run: Run) -> set[str]:
        """Insert what is not known yet; return the keys that are."""
        documents = [of_job(job, self._ends) | {"rev": 1, "op": op} for job in jobs]
        table = self.collection
        try:
            if len(documents) == 1:
                table.insert_one(documents[0], session=run.session)
            else:
                table.insert_many(documents, ordered=False, session=run.session)
        except DuplicateKeyError:
            return {documents[0]["_id"]}
        except BulkWriteError as error:
            if not only_duplicates(error):
                raise
            problems = (error.details or {})["writeErrors"]
            return {documents[problem["index"]]["_id"] for problem in problems}
        return set()
