# SPDX-License-Identifier: MIT
"""Signs of life of workers and cron passes."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert

from frappe_enroll_sdk.codec import require_text
from frappe_enroll_sdk.models import WorkerSeen

from .schema import workers as table
from .times import of_doc, to_doc, to_ms


if TYPE_CHECKING:
    from .engine import Database


class SQLWorkers:
    """`WorkerStore` on SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def seen(self, worker: WorkerSeen) -> None:
        """See `WorkerStore.seen`."""
        require_text(name=worker.name)
        row = {
            "name": worker.name,
            "seen_at": to_ms(worker.seen_at),
            "doc": to_doc(worker),
        }
        written = insert(table).values(row)
        with self._database.write() as connection:
            connection.execute(
                written.on_conflict_do_update(
                    index_elements=["name"],
                    set_={name: written.excluded[name] for name in ("seen_at", "doc")},
                )
            )

    def list(self, *, limit: int = 50) -> tuple[WorkerSeen, ...]:
        """See `WorkerStore.list`."""
        newest = select(table.c.doc).order_by(
            table.c.seen_at.desc(), table.c.name.desc()
        )
        with self._database.read() as connection:
            docs = connection.execute(newest.limit(limit)).scalars().all()
        return tuple(of_doc(WorkerSeen, doc) for doc in docs)

    def drop(self, name: str) -> None:
        """See `WorkerStore.drop`."""
        require_text(name=name)
        with self._database.write() as connection:
            connection.execute(table.delete().where(table.c.name == name))

    def prune(self, before: datetime, limit: int) -> int:
        """See `WorkerStore.prune`."""
        old = select(table.c.name).where(table.c.seen_at < to_ms(before)).limit(limit)
        with self._database.write() as connection:
            done = connection.execute(table.delete().where(table.c.name.in_(old)))
            return done.rowcount
