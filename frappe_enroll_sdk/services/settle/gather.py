# SPDX-License-Identifier: MIT
"""
Gathers the facts of `settle`: each step is one call to a backend, and adds its answer.

What the steps mean for an enrollment is decided elsewhere (``decide.py``).
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ...errors import (
    BackendGoneError,
    BackendRefusedError,
    BackendRejectedError,
    ConflictError,
    EnrollError,
    PaymentsUnavailableError,
    UnreadableAnswerError,
)
from ...evolve import evolve
from ...models import (
    ExpireOutcome,
    Reservation,
    ReserveOutcome,
    SessionOrder,
    SessionTerms,
)
from ...stores.bounds import is_ahead
from ..coupons.coupons import has_enough
from .decision import Facts, Lost, Step
from .lost import goes_without


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...models import Enrollment, Seat
    from ..context import Context


logger = logging.getLogger(__name__)

#: What keeps one list of the money from being had while the other one may be: a key
#: without the right to it, for instance. Raised once the other one has its effect.
_OF_ONE_LIST = (BackendRefusedError, BackendRejectedError, UnreadableAnswerError)


class Gather:
    """Gets the facts that `decide` misses. Thread-safe: it keeps nothing."""

    def __init__(
        self,
        context: Context,
        end_holder: Callable[[Seat], None],
        end: Callable[[str], None],
    ) -> None:
        self._context, self._end_holder, self._end = context, end_holder, end
        self._steps: Mapping[Step, Callable[[Enrollment, Facts], Facts]] = {
            Step.RESERVE: self._reserve,
            Step.BIND: self._bind,
            Step.REDEEM: self._redeem,
            Step.RELEASE: self._release,
            Step.PREPARE: self._prepare,
            Step.CREATE: self._create,
            Step.DISCARD: self._discard,
            Step.RETRIEVE: self._retrieve,
            Step.EXPIRE: self._expire,
            Step.REFUNDS: self._refunds,
            Step.DISPUTES: self._disputes,
            Step.HOLDER: self._holder,
            Step.SETTLE_CLAIM: self._settle_claim,
        }

    def get(self, step: Step, row: Enrollment, facts: Facts) -> Facts:
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
            if self._may_take_over(row, blocker, facts):
                self._end_holder(blocker)
                reservation = reserve(code, row.id, facts.now, until)
        if row.is_limited and reservation.outcome is ReserveOutcome.RESERVED:
            # After the seat was taken: of two attempts at once one sees the other.
            by = row.opened_by
            if has_enough(context.storage, row.email, code, opened_by=by, but=row.id):
                reservation = Reservation(outcome=ReserveOutcome.EXHAUSTED)
        return evolve(facts, reservation=reservation)

    def _may_take_over(self, row: Enrollment, blocker: Seat, facts: Facts) -> bool:
        age = (facts.now - blocker.reserved_at).total_seconds()
        # Reserved by a clock that ran ahead, nobody knows when: its holder is asked.
        ahead = is_ahead(blocker.reserved_at, facts.now)
        if ahead or age >= self._context.settings.reservation_s:
            return True
        # One's own lost attempt: who knows a code that is made for the address alone is
        # believed to have the address.
        coupon = self._context.storage.coupons.find(blocker.code, counted=False)
        other = self._context.storage.enrollments.find(blocker.holder)
        bound = coupon is not None and coupon.email == row.email
        return bound and other is not None and other.email == row.email

    def _bind(self, row: Enrollment, facts: Facts) -> Facts:
        bound = self._context.storage.coupons.bind(row.coupon_code or "", row.id)
        return evolve(facts, bound=bound)

    def _redeem(self, row: Enrollment, facts: Facts) -> Facts:
        redeemed = self._context.storage.coupons.redeem(row.coupon_code or "", row.id)
        return evolve(facts, redeemed=redeemed)

    def _release(self, row: Enrollment, facts: Facts) -> Facts:
        released = self._context.storage.coupons.release(row.coupon_code or "", row.id)
        return evolve(facts, released=released)

    def _prepare(self, row: Enrollment, facts: Facts) -> Facts:
        context = self._context
        extra = context.plugins.enrich_checkout(enrollment=row)
        wanted = SessionOrder(
            enrollment_id=row.id,
            try_number=row.session_try + (row.session_request is not None),
            amount=row.amount,
            terms=_terms_of(row, context.settle_policy.tax_behavior),
            course_title=row.course_title,
            email=row.email,
            success_url=row.success_url or "",
            cancel_url=row.cancel_url or "",
            expires_at=facts.now + timedelta(seconds=context.settings.session_ttl_s),
            metadata=extra.metadata,
            parameters=extra.parameters,
        )
        request = context.payments.prepare_session(wanted)
        return evolve(facts, request=request)

    def _create(self, row: Enrollment, facts: Facts) -> Facts:
        refused: str | None = None
        try:
            session = self._context.payments.create_session(row.session_request or {})
        except BackendRejectedError as error:
            refused, cause = "payment_refused", str(error)
        except PaymentsUnavailableError as error:
            # A call that never left this host says nothing about another key either.
            refused = None if error.unclear else "payments_unavailable"
            cause = str(error)
        except ConflictError as error:
            # The same key is being worked on: that one's answer is another's to store.
            cause = str(error)
        else:
            # What it is of, the row knows best.
            made = evolve(session, try_number=row.session_try)
            return evolve(facts, session=made, created=made)
        return evolve(
            facts,
            request=None,
            create_refused=refused,
            create_unclear=refused is None,
            create_cause=cause,
            create_waited_s=(self._context.now() - facts.now).total_seconds(),
        )

    def _discard(self, row: Enrollment, facts: Facts) -> Facts:
        """Expire a session that no row can store: nobody was given its URL."""
        session_id = facts.created.id if facts.created else ""
        try:
            self._context.payments.expire_session(session_id)
        except EnrollError as error:
            # It lapses by itself, and reconcile finds it before.
            logger.warning(
                "abandoned session could not be expired",
                extra={"enrollment_id": row.id, "error_code": error.code},
            )
        return evolve(facts, created=None)

    def _retrieve(self, row: Enrollment, facts: Facts) -> Facts:
        try:
            session = self._context.payments.retrieve_session(row.session_id or "")
        except Exception as error:  # noqa: BLE001  raised again, unless it is a fact
            return self._lose(row, facts, error)
        return evolve(facts, session=session)

    def _expire(self, row: Enrollment, facts: Facts) -> Facts:
        try:
            outcome = self._context.payments.expire_session(row.session_id or "")
        except Exception as error:  # noqa: BLE001  raised again, unless it is a fact
            return self._lose(row, facts, error)
        # Not open any more: the session that we hold is old news.
        over = outcome is ExpireOutcome.EXPIRED
        return evolve(facts, expire=outcome, session=facts.session if over else None)

    def _lose(self, row: Enrollment, facts: Facts, error: Exception) -> Facts:
        """Go on without the session; raises unless that is a fact by now."""
        if isinstance(error, BackendGoneError):
            return evolve(facts, session=None, lost=Lost.GONE)
        if not goes_without(row, facts, self._context.settle_policy):
            raise error
        return evolve(facts, session=None, lost=Lost.UNREADABLE)

    def _refunds(self, row: Enrollment, facts: Facts) -> Facts:
        find = self._context.payments.list_refunds
        return _listed(row, facts, Step.REFUNDS, find)

    def _disputes(self, row: Enrollment, facts: Facts) -> Facts:
        find = self._context.payments.list_disputes
        return _listed(row, facts, Step.DISPUTES, find)

    def _holder(self, row: Enrollment, facts: Facts) -> Facts:
        holder = self._context.storage.enrollments.find_holder(row.email, row.course_id)
        other = None if holder is None or holder.id == row.id else holder
        return evolve(facts, looked=True, holder=other)

    def _settle_claim(self, row: Enrollment, facts: Facts) -> Facts:
        if facts.holder is not None:
            self._end(facts.holder.id)
        return evolve(self._holder(row, facts), claim_settled=True)


def _listed(
    row: Enrollment, facts: Facts, step: Step, find: Callable[[str], Any]
) -> Facts:
    try:
        return evolve(facts, **{str(step): find(row.payment_id or "")})
    except BackendGoneError:
        return evolve(facts, payment_gone=True)
    except _OF_ONE_LIST as error:
        return evolve(facts, failed={**facts.failed, step: error})


def _terms_of(row: Enrollment, tax_behavior: str) -> SessionTerms:
    """
    Return what a session is to keep of its enrollment.

    Nothing personal: the session is made for the learner's address anyway. The code is
    kept as it is typed: whoever may read a session may give its money back, too.
    """
    return SessionTerms(
        course_id=row.course_id,
        discount_minor=row.discount.amount_minor,
        coupon_code=row.coupon_code,
        affiliate=row.affiliate,
        tax_behavior=tax_behavior,
    )
