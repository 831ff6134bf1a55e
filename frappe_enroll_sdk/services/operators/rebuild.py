# SPDX-License-Identifier: MIT
"""
Enrollments that the store has forgotten, opened anew from their paid sessions.

After a backup was restored, the provider knows of payments that the store does not. A
session's URL is handed out only once the session is stored: so a paid session that
carries our mark, and that its enrollment does not know, was stored before and was lost.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING

from ...errors import ConfigurationError, TransientError, TransitionError
from ...models import CheckoutSession, Enrollment, JobState, ReserveOutcome, walk
from ...states import ENTITLED
from ..payments.webhook import event_of
from ..settle.decide_money import REBUILT, mismatch
from ..settle.decision import Attached
from .quarantine import ODD_REASONS
from .rebuilt import row_of


if TYPE_CHECKING:
    from ..context import Context
    from ..settle.settle import Settle

_PAGE, _MAX_EVENTS = 200, 2000


class Rebuild:
    """Reopens lost enrollments of one SDK. Thread-safe, and safe to repeat."""

    def __init__(self, context: Context, settle: Settle) -> None:
        self._context, self._settle = context, settle

    def run(self, session: CheckoutSession) -> tuple[Enrollment, tuple[str, ...]]:
        """
        Restore a paid session's enrollment; return it, and what needs attention.

        It entitles only after refunds and disputes were listed. The payment is honoured
        even if its coupon has no seat left, which is reported. If the learner has the
        course through another enrollment, it is held (`paid_twice`).

        Args:
            session: Paid, ours, and stored by no enrollment; either `is_enough` is true
                of it, or the enrollment that it names exists.

        Raises:
            TransitionError: The enrollment has changed meanwhile.
        """
        row = self._open(session)
        notes = (*self._take_seat(row), *self._look_for_affiliate(row))
        wrong = mismatch(row, session, self._context.settle_policy)
        attached = Attached(
            reason=wrong or REBUILT,
            session_id=session.id,
            payment_id=session.payment_id,
            paid=session.amount,
            tax_minor=session.tax_minor,
        )
        row = self._settle.run(row.id, attached=attached, check_money=True)
        if row.session_id != session.id:
            raise TransitionError(f"{row.id} has changed meanwhile and is {row.status}")
        return row, (*notes, *self._look_at_lms(row))

    def _open(self, session: CheckoutSession) -> Enrollment:
        """Return the enrollment; settle finds out who holds the slot by now."""
        store, now = self._context.storage.enrollments, self._context.now()
        row = store.find(session.enrollment_id or "")
        if row is None:
            op_id = self._context.new_op_id()
            row = row_of(session, op_id, now, self._context.grace)
            row = store.open(row).enrollment
        return row

    def _take_seat(self, row: Enrollment) -> tuple[str, ...]:
        """Redeem a seat for it, now or (for an expired code) as of its validity."""
        if row.coupon_code is None:
            return ()
        coupons, now = self._context.storage.coupons, self._context.now()
        until = now + timedelta(seconds=self._context.settings.reservation_s)
        for moment in (now, row.created_at):
            seat = coupons.reserve(row.coupon_code, row.id, moment, until)
            if seat.outcome is ReserveOutcome.RESERVED:
                # The course has been paid: the seat stays, whatever happens now.
                coupons.redeem(row.coupon_code, row.id)
                return ()
        return ("its coupon has no seat left: it is honoured beyond the limit",)

    def _look_for_affiliate(self, row: Enrollment) -> tuple[str, ...]:
        if row.affiliate is None:
            return ()
        if self._context.storage.affiliates.find(row.affiliate) is not None:
            return ()
        return ("its affiliate is not registered here: no commission is recorded",)

    def _look_at_lms(self, row: Enrollment) -> tuple[str, ...]:
        """Say what the LMS holds of somebody whom no enrollment entitles any more."""
        find_holder = self._context.storage.enrollments.find_holder
        holder = find_holder(row.email, row.course_id)
        if holder is not None and holder.status in ENTITLED:
            return ()
        try:
            rows = self._context.lms.find_enrollments(row.learner, row.course_id)
        except (TransientError, ConfigurationError) as error:
            return (f"the LMS can't be asked for its rows ({error.code})",)
        if not rows:
            return ()
        names = ", ".join(one.name for one in rows)
        return (f"the LMS has {names}, and it is unknown who created it: look there",)

    def wake_events(self, session_ids: Collection[str]) -> int:
        """
        Have quarantined events of these sessions looked at again; return how many.

        They arrived while their enrollments were missing.
        """
        store, now = self._context.storage.events, self._context.now()
        listed = walk(
            lambda cursor: store.list(
                state=JobState.QUARANTINED, limit=_PAGE, cursor=cursor
            )
        )
        woken = 0
        for job in itertools.islice(listed, _MAX_EVENTS):
            event = event_of(job) if job.outcome in ODD_REASONS else None
            if event is not None and event.session_id in session_ids:
                store.enqueue(job.key, job.kind, job.payload or {}, now, now=now)
                woken += 1
        return woken
