# SPDX-License-Identifier: MIT
"""
The facts of `settle`: each step is one call to a backend, and adds what it answers.

What the steps mean for an enrollment is decided elsewhere (``decide.py``).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import attrs

from ..errors import BackendRejectedError, PaymentsUnavailableError
from ..models import ExpireOutcome, Reservation, ReserveOutcome, SessionOrder
from .facts import Facts, Step
from .per_learner import has_enough
from .rebuilt import terms_of


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..models import Enrollment, Seat
    from .context import Context


class Steps:
    """Gets the facts that `decide` misses. Thread-safe: it keeps nothing."""

    def __init__(self, context: Context, end_holder: Callable[[Seat], None]) -> None:
        self._context, self._end_holder = context, end_holder
        self._steps: Mapping[Step, Callable[[Enrollment, Facts], Facts]] = {
            Step.RESERVE: self._reserve,
            Step.BIND: self._bind,
            Step.REDEEM: self._redeem,
            Step.RELEASE: self._release,
            Step.PREPARE: self._prepare,
            Step.CREATE: self._create,
            Step.RETRIEVE: self._retrieve,
            Step.EXPIRE: self._expire,
            Step.REFUNDS: self._refunds,
            Step.DISPUTES: self._disputes,
        }

    def __call__(self, step: Step, row: Enrollment, facts: Facts) -> Facts:
        """Make the step's call; return the facts with its answer."""
        return self._steps[step](row, facts)

    def _reserve(self, row: Enrollment, facts: Facts) -> Facts:
        context = self._context
        code = row.coupon_code or ""
        until = facts.now + timedelta(seconds=context.settings.reservation_s)
        reserve = context.storage.coupons.reserve
        reservation = reserve(code, row.id, facts.now, until)
        blocker = reservation.blocker
        if reservation.outcome is ReserveOutcome.HELD and blocker is not None:
            if self._may_take_over(blocker, facts):
                self._end_holder(blocker)
                reservation = reserve(code, row.id, facts.now, until)
        if row.is_limited and reservation.outcome is ReserveOutcome.RESERVED:
            # After the seat was taken: of two attempts at once one sees the other.
            if has_enough(context.storage, row.email, code, but=row.id):
                reservation = Reservation(outcome=ReserveOutcome.EXHAUSTED)
        return attrs.evolve(facts, reservation=reservation)

    def _may_take_over(self, blocker: Seat, facts: Facts) -> bool:
        age = (facts.now - blocker.reserved_at).total_seconds()
        return age >= self._context.settings.reservation_s

    def _bind(self, row: Enrollment, facts: Facts) -> Facts:
        bound = self._context.storage.coupons.bind(row.coupon_code or "", row.id)
        return attrs.evolve(facts, bound=bound)

    def _redeem(self, row: Enrollment, facts: Facts) -> Facts:
        redeemed = self._context.storage.coupons.redeem(row.coupon_code or "", row.id)
        return attrs.evolve(facts, redeemed=redeemed)

    def _release(self, row: Enrollment, facts: Facts) -> Facts:
        released = self._context.storage.coupons.release(row.coupon_code or "", row.id)
        return attrs.evolve(facts, released=released)

    def _prepare(self, row: Enrollment, facts: Facts) -> Facts:
        context = self._context
        extra = context.plugins.enrich_checkout(enrollment=row)
        order = SessionOrder(
            enrollment_id=row.id,
            amount=row.amount,
            terms=terms_of(row, context.settle_policy.tax_behavior),
            course_title=row.course_title,
            email=row.email,
            success_url=row.success_url or "",
            cancel_url=row.cancel_url or "",
            expires_at=facts.now + timedelta(seconds=context.settings.session_ttl_s),
            metadata=extra.metadata,
            parameters=extra.parameters,
        )
        request = context.payments.prepare_session(order)
        return attrs.evolve(facts, request=request)

    def _create(self, row: Enrollment, facts: Facts) -> Facts:
        # Prepared in this run = never sent before: a call that surely never arrived
        # (connection refused) leaves nothing behind and is rolled back at once.
        first = facts.request is not None
        try:
            session = self._context.payments.create_session(row.session_request or {})
        except BackendRejectedError as error:
            refused, cause = "payment_refused", str(error)
        except PaymentsUnavailableError as error:
            if error.unclear or not first:
                raise
            refused, cause = "payments_unavailable", str(error)
        else:
            return attrs.evolve(facts, session=session)
        return attrs.evolve(facts, create_refused=refused, create_cause=cause)

    def _retrieve(self, row: Enrollment, facts: Facts) -> Facts:
        session = self._context.payments.retrieve_session(row.session_id or "")
        return attrs.evolve(facts, session=session, expire=None)

    def _expire(self, row: Enrollment, facts: Facts) -> Facts:
        outcome: ExpireOutcome = self._context.payments.expire_session(
            row.session_id or ""
        )
        return attrs.evolve(facts, expire=outcome)

    def _refunds(self, row: Enrollment, facts: Facts) -> Facts:
        refunds = self._context.payments.list_refunds(row.payment_id or "")
        return attrs.evolve(facts, refunds=refunds)

    def _disputes(self, row: Enrollment, facts: Facts) -> Facts:
        disputes = self._context.payments.list_disputes(row.payment_id or "")
        return attrs.evolve(facts, disputes=disputes)
