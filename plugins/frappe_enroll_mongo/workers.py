# SPDX-License-Identifier: MIT
"""Signs of life of workers and cron passes."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from frappe_enroll_sdk.codec import require_text
from frappe_enroll_sdk.models import WorkerSeen

from .documents import Document, of_document, to_document
from .schema import WORKERS


if TYPE_CHECKING:
    from pymongo.collection import Collection

    from .link import Link, Run


class MongoWorkers:
    """`WorkerStore` on MongoDB."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @property
    def _table(self) -> Collection[Document]:
        return self._link.collection(WORKERS)

    def seen(self, worker: WorkerSeen) -> None:
        """See `WorkerStore.seen`."""
        require_text(name=worker.name)
        document = to_document(worker)
        document = {"_id": document.pop("name"), **document}
        name, table = {"_id": worker.name}, self._table
        self._link.write(
            lambda run: table.replace_one(
                name, document, upsert=True, session=run.session
            )
        )

    def list(self, *, limit: int = 50) -> tuple[WorkerSeen, ...]:
        """See `WorkerStore.list`."""
        if limit <= 0:
            return ()
        order, table = [("seen_at", -1), ("_id", -1)], self._table
        found = self._link.read(
            lambda run: [*table.find({}, sort=order, limit=limit, session=run.session)]
        )
        return tuple(
            of_document(WorkerSeen, {**one, "name": one["_id"]}) for one in found
        )

    def drop(self, name: str) -> None:
        """See `WorkerStore.drop`."""
        require_text(name=name)
        table = self._table
        self._link.write(
            lambda run: table.delete_one({"_id": name}, session=run.session)
        )

    def prune(self, before: datetime, limit: int) -> int:
        """See `WorkerStore.prune`."""
        if limit <= 0:
            return 0
        old, table = {"seen_at": {"$lt": before}}, self._table

        def act(run: Run) -> int:
            found = table.find(old, {"_id": 1}, limit=limit, session=run.session)
            where = {"_id": {"$in": [one["_id"] for one in found]}, **old}
            return table.delete_many(where, session=run.session).deleted_count

        return self._link.write(act)
