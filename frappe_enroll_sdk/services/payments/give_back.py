# SPDX-License-Identifier: MIT
"""
Giving a second payment back by policy: one job per enrollment.

What the provider lists comes first. `refund_begun` is written before the call, and its
version is the idempotency key: whoever goes on after a crash asks under the same key,
and a new one is made only where the provider lists nothing ten minutes later (it keeps
a failure's answer for a day). Only what is left is given back, so that of two calls the
provider refuses one. Whatever is not plain waits for an operator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ...models import Enrollment, Job
from ...outcomes import Done, Outcome
from ...states import ENTITLED
from ..settle.beside import LEFT
from ..settle.decide_slot import REFUND_BEGUN, may_give_back
from ..settle.decision import Wish


if TYPE_CHECKING:
    from ..context import Context
    from ..settle.settle import Settle


class GiveBack:
    """Runs ``refund`` jobs. Thread-safe: it keeps nothing between calls."""

    def __init__(self, context: Context, settle: Settle) -> None:
        self._context, self._settle = context, settle

    def follow(self, job: Job) -> Outcome:
        """Give back what is left of a payment beside another one."""
        store, policy = self._context.storage.enrollments, self._context.settle_policy
        row = store.find(str((job.payload or {}).get("enrollment_id")))
        if row is None:
            return Done("gone")
        holder = store.find_holder(row.email, row.course_id)
        if holder is None or holder.status not in ENTITLED:
            # Its own payment may have the course now: that is the pair's job.
            return Done("slot_free")
        begun_at = row.refund_begun_at
        row = self._settle.run(row.id, wish=Wish.GIVE_BACK, check_money=True)
        if not may_give_back(row, policy):
            return Done(str(row.reason or row.status))
        if row.refund_begun_at in {None, begun_at} and self._is_answered(row):
            return Done(LEFT)
        self._refund(row)
        row = self._settle.run(row.id, check_money=True)
        return Done(str(row.reason or row.status))

    def _is_answered(self, row: Enrollment) -> bool:
        """Tell whether anything has come of a give-back that was begun before."""
        if row.refund_begun_at is None:
            return True
        return bool(self._context.payments.list_refunds(row.payment_id or ""))

    def _refund(self, row: Enrollment) -> None:
        begun = [entry for entry in row.history if entry.fact == REFUND_BEGUN]
        paid = row.paid or row.amount
        left = attrs.evolve(paid, amount_minor=paid.amount_minor - row.refunded_minor)
        self._context.payments.refund(
            row.payment_id or "",
            amount=left,
            idempotency_key=f"{row.id}:back:{begun[-1].version}",
        )
