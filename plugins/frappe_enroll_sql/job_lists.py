# SPDX-License-Identifier: MIT
"""Lists and numbers of one queue's table, read by its indexes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, select, tuple_

from frappe_enroll_sdk.codec import cursor_of, parts_of
from frappe_enroll_sdk.models import Job, JobState, JobStats, Page

from .engine import capped_count
from .job_rows import decode, undecodable
from .times import maybe_moment, to_ms


_HOUR = timedelta(hours=1)


def list_jobs(
    connection: Connection,
    table: Table,
    state: JobState | None,
    kind: str | None,
    limit: int,
    cursor: str | None,
) -> Page[Job]:
    """Return one page: by `due_at` within a state, else newest first."""
    order = table.c.created_at if state is None else table.c.due_at
    after = parts_of(cursor, (int, str))
    place = tuple_(order, table.c.key)
    query = select(table).limit(limit + 1)
    if state is None:
        query = query.order_by(order.desc(), table.c.key.desc())
    else:
        query = query.where(table.c.state == str(state))
        query = query.order_by(order, table.c.key)
    if after is not None:
        here = tuple_(*after)
        query = query.where(place < here if state is None else place > here)
    if kind is not None:
        query = query.where(table.c.kind == kind)
    rows = connection.execute(query).all()
    items = tuple(decode(row) or undecodable(row) for row in rows[:limit])
    if len(rows) <= limit:
        return Page(items=items)
    last = rows[limit - 1]
    return Page(items=items, next_cursor=cursor_of(getattr(last, order.name), last.key))


def stats_of(connection: Connection, table: Table, now: datetime, cap: int) -> JobStats:
    """Return capped counts."""

    def count(*where: ColumnElement[bool]) -> int:
        return capped_count(connection, table.c.key, cap, *where)

    due = table.c.claim_at <= to_ms(now)
    oldest = select(table.c.claim_at).where(due).order_by(table.c.claim_at).limit(1)
    done = _unpruned(table, [JobState.DONE])
    return JobStats(
        counts={state: count(table.c.state == str(state)) for state in JobState},
        due_now=count(due),
        oldest_due_at=maybe_moment(connection.execute(oldest).scalar()),
        done_last_hour=count(*done, table.c.updated_at > to_ms(now - _HOUR)),
        cap=cap,
    )


def old_keys(
    table: Table, ends: Collection[JobState], before: datetime, limit: int
) -> Select[Any]:
    """Return the query for the keys of ended rows that were last written before."""
    old = table.c.updated_at < to_ms(before)
    return select(table.c.key).where(*_unpruned(table, ends), old).limit(limit)


def _unpruned(
    table: Table, states: Collection[JobState]
) -> tuple[ColumnElement[bool], ...]:
    return (table.c.state.in_([str(state) for state in states]), table.c.pruned == 0)
