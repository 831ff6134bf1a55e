# SPDX-License-Identifier: MIT
"""Lists and numbers of one queue, read by its indexes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from frappe_enroll_sdk.codec import cursor_of, parts_of
from frappe_enroll_sdk.models import Job, JobState, JobStats, Page

from .documents import Document
from .jobdocs import show_job
from .pages import after_of, milliseconds


if TYPE_CHECKING:
    from .queuetable import QueueTable

_HOUR = timedelta(hours=1)


def _find(rows: QueueTable, where: Document, **options: Any) -> list[Document]:
    table = rows.collection
    return rows.link.read(
        lambda run: [*table.find(where, session=run.session, **options)]
    )


def list_jobs(
    rows: QueueTable,
    state: JobState | None,
    kind: str | None,
    limit: int,
    cursor: str | None,
) -> Page[Job]:
    """Return one page: by `due_at` within a state, else newest first."""
    field, newest = ("created_at", True) if state is None else ("due_at", False)
    where: Document = {} if state is None else {"state": str(state)}
    if kind is not None:
        where["kind"] = kind
    where |= after_of(parts_of(cursor, (int, str)), field, newest=newest)
    way = -1 if newest else 1
    found = _find(rows, where, sort=[(field, way), ("_id", way)], limit=limit + 1)
    items = tuple(show_job(one) for one in found[:limit])
    if len(found) <= limit:
        return Page(items=items)
    last = found[limit - 1]
    return Page(
        items=items, next_cursor=cursor_of(milliseconds(last[field]), last["_id"])
    )


def stats_of(rows: QueueTable, now: datetime, cap: int) -> JobStats:
    """Return capped counts."""
    table, due = rows.collection, {"claim_at": {"$lte": now}}

    def count(where: Document) -> int:
        return rows.link.read(
            lambda run: table.count_documents(where, limit=cap, session=run.session)
        )

    oldest = _find(
        rows, due, projection={"claim_at": 1}, sort=[("claim_at", 1)], limit=1
    )
    done = {"state": str(JobState.DONE), "prune_at": {"$gt": now - _HOUR}}
    return JobStats(
        counts={state: count({"state": str(state)}) for state in JobState},
        due_now=count(due),
        oldest_due_at=oldest[0]["claim_at"] if oldest else None,
        done_last_hour=count(done),
        cap=cap,
    )


def dead_keys(rows: QueueTable, limit: int, kind: str | None) -> list[str]:
    """Return the keys of dead jobs, the oldest first."""
    if limit <= 0:
        return []
    where: Document = {"state": str(JobState.DEAD)}
    if kind is not None:
        where["kind"] = kind
    order = [("due_at", 1), ("_id", 1)]
    found = _find(rows, where, projection={"_id": 1}, sort=order, limit=limit)
    return [one["_id"] for one in found]


def old_keys(
    rows: QueueTable, before: datetime, limit: int
) -> tuple[list[str], Document]:
    """Return the keys of ended jobs that were last written before, and the filter."""
    old = {"prune_at": {"$lt": before}}
    if limit <= 0:
        return [], old
    found = _find(rows, old, projection={"_id": 1}, limit=limit)
    return [one["_id"] for one in found], old


def keys_of_kind(
    rows: QueueTable, kind: str, before: datetime, limit: int
) -> tuple[list[str], Document]:
    """Return the keys of a kind's rows that were created before, and the filter."""
    old = {"kind": kind, "created_at": {"$lt": before}}
    if limit <= 0:
        return [], old
    found = _find(rows, old, projection={"_id": 1}, limit=limit)
    return [one["_id"] for one in found], old
