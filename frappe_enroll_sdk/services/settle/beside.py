# SPDX-License-Identifier: MIT
"""
What a slot owes to the rows beside it: one job per learner and course.

Whoever takes the slot, leaves it, or is held for it only enqueues the job: the provider
may be down, and a thousand strangers may have opened attempts. It lists after the slot
was written, and an attempt looks at the slot after it was opened: none is overlooked.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from ...errors import ConfigurationError, EnrollError, TransientError
from ...models import Enrollment, Job
from ...models.jobs import REFUND_KIND
from ...outcomes import Done, Outcome, Snooze
from ...states import ENTITLED
from .decide_slot import may_give_back, may_promote, was_freed_by_money
from .decision import Wish
from .effects import refund_key


if TYPE_CHECKING:
    from ..context import Context
    from .settle import Settle

logger = logging.getLogger(__name__)

#: How such a job ends where only an operator may go on: a refund has failed, say.
LEFT = "left_to_an_operator"
#: Attempts that are ended at once; the others lapse by their own end.
_MOST_ENDED = 20
#: Between two payments of a pair that go back without a word.
_REFUND_EVERY = timedelta(days=1)


class Beside:
    """Runs ``pair`` jobs. Thread-safe: it keeps nothing between calls."""

    def __init__(self, context: Context, settle: Settle) -> None:
        self._context, self._settle = context, settle

    def follow(self, job: Job) -> Outcome:
        """Promote a held payment, give back by policy, end the attempts beside."""
        said = job.payload or {}
        email, course_id = said.get("email"), said.get("course_id")
        if not email or not course_id:
            return Done("erased")
        self._promote(email, course_id)
        holder = self._context.storage.enrollments.find_holder(email, course_id)
        if holder is None or holder.status not in ENTITLED:
            return Done("free")
        wait = self._give_back(email, course_id)
        self._end_attempts(email, course_id)
        return Done("tidy") if wait is None else Snooze(wait.total_seconds())

    def _promote(self, email: str, course_id: str) -> None:
        """Let a held payment have a slot that money has freed."""
        store = self._context.storage.enrollments
        aside = store.list_set_aside(email, course_id)
        able = [row for row in aside if may_promote(row)]
        if not able or store.find_holder(email, course_id) is not None:
            return
        if not was_freed_by_money(aside):
            return
        for row in able:
            settled = self._settle.run(row.id, wish=Wish.PROMOTE, check_money=True)
            if settled.status in ENTITLED:
                return

    def _give_back(self, email: str, course_id: str) -> timedelta | None:
        """Owe one payment's way back; return when the next one may be owed."""
        aside = self._context.storage.enrollments.list_set_aside(email, course_id)
        policy = self._context.settle_policy
        able = [row for row in aside if may_give_back(row, policy)]
        able = [row for row in able if row.refund_begun_at is None]
        able = [row for row in able if not self._is_left(row)]
        if not able:
            return None
        now = self._context.now()
        begun = [row.refund_begun_at for row in aside if row.refund_begun_at]
        if begun and now < max(begun) + _REFUND_EVERY:
            return max(begun) + _REFUND_EVERY - now
        self._context.storage.jobs.enqueue(
            refund_key(able[0]),
            REFUND_KIND,
            {"enrollment_id": able[0].id},
            now,
            now=now,
        )
        return _REFUND_EVERY if able[1:] else None

    def _is_left(self, row: Enrollment) -> bool:
        """Tell whether the provider's list has left the payment to an operator."""
        job = self._context.storage.jobs.find(refund_key(row))
        return job is not None and job.outcome == LEFT

    def _end_attempts(self, email: str, course_id: str) -> None:
        store = self._context.storage.enrollments
        for row in store.list_unpaid(email, course_id, limit=_MOST_ENDED):
            if row.holds_slot:
                continue
            try:
                self._settle.run(row.id, wish=Wish.EXPIRE)
            except (TransientError, ConfigurationError):
                raise
            except EnrollError as error:
                # It lapses by its own end.
                extra = {"enrollment_id": row.id, "error_code": error.code}
                logger.warning("attempt beside the slot not ended", extra=extra)
