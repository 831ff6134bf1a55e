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
    """Opens forgotten enrollments of one SDK. Thread-safe, and safe to repeat."""

    def __init__(self, context: Context, settle: Settle) -> None:
        self._context, self._settle = context, settle

    def run(self, session: CheckoutSession) -> tuple[Enrollment, tuple[str, ...]]:
        """
        Give a paid session its enrollment back; return it, and what to look at.

        It entitles only after refunds and disputes were listed. The payment is honoured
        even where its coupon has no seat left: that is said. Where the learner has the
        course by another enrollment it is held (`paid_twice`).

        Args:
            session: Paid, ours, of no enrollment's; `is_enough` of it, or the
                enrollment that it names is there.

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
        """Return the enrollment; who has the slot meanwhile, settle finds out."""
        store, now = self._context.storage.enrollments, self._context.now()
        row = store.find(session.enrollment_id or "")
        if row is None:
            op_id = self._context.new_op_id()
            row = row_of(session, op_id, now, self._context.grace)
            row = store.open(row).enrollment
        return row

    def _take_seat(self, row: Enrollment) -> tuple[str, ...]:
        """Redeem a seat for it, now or, of a code that has ended, as of its time."""
        if row.coupon_code is None:
            return ()
        coupons, now = self._context.storage.coupons, self._context.now()
        until = now + timedelta(seconds=self._context.settings.reservation_s)
        for moment in (now, row.created_at):
            seat = coupons.reserve(row.coupon_code, row.id, moment, until)
            if seat.outcome is ReserveOutcome.RESERVED:
                # What it was reserved for is paid: whatever dies now, it stays.
                coupons.redeem(row.coupon_code, row.id)
                return ()
        return ("its coupon has no seat left: it is honoured over the limit",)

    def _look_for_affiliate(self, row: Enrollment) -> tuple[str, ...]:
        if row.affiliate is None:
            return ()
        if self._context.storage.affiliates.find(row.affiliate) is not None:
            return ()
        return ("its affiliate is not registered here: no commission is written",)

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
        return (f"the LMS has {names}, and nobody knows who made it: look there",)

    def wake_events(self, session_ids: Collection[str]) -> int:
        """
        Let quarantined events of these sessions be looked at again; return how many.

        They came while nobody knew what they were about.
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
