# SPDX-License-Identifier: MIT
"""The ledger's writer: commissions follow their enrollments, and mature."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from ...errors import ConflictError
from ...mailbox import mailbox_of
from ...models import Enrollment, LedgerRow, RowKind
from ...models.jobs import COMMISSION_KIND
from ...outcomes import Done, Outcome, Snooze
from ...stores.ledger import Stamp, chained, commission_row, matured_row


if TYPE_CHECKING:
    from ...models import Job
    from ..context import Context

#: How often an append may lose its place; each loss means another row was written.
MAX_RACES = 500


class Commissions:
    """Writes the ledgers of one SDK. Thread-safe."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def follow(self, row: Enrollment) -> None:
        """Bring the ledger in line with the enrollment: a keyed effect of settle."""
        if row.affiliate is None:
            return
        store = self._context.storage.affiliates
        affiliate = store.find(row.affiliate)
        if affiliate is None:
            return
        own = mailbox_of(affiliate.email) == mailbox_of(row.email)

        def make(_last: LedgerRow | None) -> LedgerRow | None:
            known = store.rows_of(affiliate.code, row.id)
            return commission_row(affiliate, row, known, self._stamp(), own=own)

        self.append(affiliate.code, make)
        self._owe_maturing(affiliate.code, row.id)

    def _owe_maturing(self, code: str, enrollment_id: str) -> None:
        now, store = self._context.now(), self._context.storage
        for row in store.affiliates.rows_of(code, enrollment_id):
            if row.kind is RowKind.EARNED and row.matures_at is not None:
                store.jobs.enqueue(
                    f"{COMMISSION_KIND}:{code}:{enrollment_id}:{row.version}",
                    COMMISSION_KIND,
                    {
                        "affiliate": code,
                        "enrollment_id": enrollment_id,
                        "version": row.version,
                    },
                    row.matures_at,
                    now=now,
                    once=True,
                )

    def mature(self, job: Job) -> Outcome:
        """Make the commission that a job names available once it has matured."""
        payload = job.payload or {}
        code, enrollment_id = str(payload["affiliate"]), str(payload["enrollment_id"])
        store = self._context.storage.affiliates

        def find() -> tuple[LedgerRow, ...]:
            return store.rows_of(code, enrollment_id)

        earned = next(
            (
                row
                for row in find()
                if row.kind is RowKind.EARNED and row.version == payload["version"]
            ),
            None,
        )
        if earned is None or earned.matures_at is None:
            return Done("nothing")
        wait_s = (earned.matures_at - self._context.now()).total_seconds()
        if wait_s > 0:
            return Snooze(wait_s)
        self.append(code, lambda _last: matured_row(earned, find(), self._stamp()))
        return Done("matured")

    def _stamp(self) -> Stamp:
        hold = timedelta(days=self._context.settings.commission_hold_days)
        return Stamp(
            now=self._context.now(), op_id=self._context.new_op_id(), hold=hold
        )

    def append(
        self, code: str, make: Callable[[LedgerRow | None], LedgerRow | None]
    ) -> LedgerRow | None:
        """
        Append the row that `make` returns for the last one; retry if the place is lost.

        `make` runs after the last row was read: any row written since has taken the
        place, so that the append fails.
        """
        store = self._context.storage.affiliates
        for _ in range(MAX_RACES):
            last = store.last(code)
            row = make(last)
            if row is None:
                return None
            stands = store.append(chained(last, row))
            if stands is not None:
                return stands
        raise ConflictError("the ledger keeps growing; try again")
