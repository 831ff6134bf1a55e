# SPDX-License-Identifier: MIT
"""
The one loop that changes an enrollment.

Read the row → read the facts that `decide` asks for → one compare-and-set → the
effects → `clear_due`. Whoever calls only *names* an enrollment; a lost race starts
over, and a process may die between any two calls: the row's `due_at` brings `settle`
back.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import attrs

from ..errors import (
    BackendRejectedError,
    ConfigurationError,
    ConflictError,
    EnrollmentNotFoundError,
    PaymentsUnavailableError,
    TransientError,
    TransitionError,
)
from ..models import (
    Enrollment,
    ExpireOutcome,
    Fact,
    HistoryEntry,
    ReserveOutcome,
    Seat,
    SessionOrder,
    Status,
)
from ..states import EXITS, is_allowed
from .decide import decide
from .effects import EffectKind, effects_of, hooks_of, plugin_job_key, sync_key
from .facts import Facts, Keep, LMSReport, Need, Order, Refuse, Step, Wish, Write


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..models import PaymentEvent
    from .context import Context

logger = logging.getLogger(__name__)

#: Decisions within one settle; more means that two rules contradict each other.
_MOST_DECISIONS = 60


class Settle:
    """
    `settle` for one SDK. Thread-safe: it keeps nothing between calls.

    Safe to call for one enrollment from any number of threads and processes.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
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
        }

    def __call__(
        self,
        enrollment_id: str,
        *,
        wish: Wish = Wish.LOOK,
        event: PaymentEvent | None = None,
        lms: LMSReport | None = None,
        order: Order | None = None,
        check_money: bool = False,
    ) -> Enrollment:
        """
        Bring one enrollment to where the facts say that it is, and return it.

        Args:
            enrollment_id: Which.
            wish: Why.
            event: A signed event that names it.
            lms: What a sync found.
            order: An operator's word.
            check_money: Whether to list the refunds again.

        Raises:
            EnrollmentNotFoundError: There is no such row.
            TransitionError: The operator's word does not fit the status.
            ConflictError: The row keeps changing under our hands.
            TransientError: A backend failed; the row stays owed.
        """
        news = event is not None and event.fact in {Fact.REFUNDED, Fact.DISPUTED}
        start = Facts(
            now=self._context.now(),
            wish=wish,
            event=event,
            lms=lms,
            order=order,
            check_money=check_money or news,
        )
        row, facts = self._read(enrollment_id), start
        for _ in range(_MOST_DECISIONS):
            decision = decide(row, facts, self._context.settle_policy)
            if isinstance(decision, Need):
                facts = self._steps[decision.step](row, facts)
            elif isinstance(decision, Write):
                written = self._write(row, decision)
                if written is None:
                    row = self._read(enrollment_id)
                    facts = attrs.evolve(start, now=self._context.now())
                else:
                    row, facts = written, _after_write(decision, facts)
            elif isinstance(decision, Refuse):
                raise TransitionError(decision.why)
            else:
                return self._finish(row, decision)
        message = f"{enrollment_id} keeps changing"
        raise ConflictError(message)

    def _read(self, enrollment_id: str) -> Enrollment:
        row = self._context.storage.enrollments.find(enrollment_id)
        if row is None:
            raise EnrollmentNotFoundError(field="enrollment_id")
        if row.effects_owed:
            # Whoever wrote this version may have died before it did them.
            self._do_effects(row)
        return row

    def _finish(self, row: Enrollment, keep: Keep) -> Enrollment:
        if row.effects_owed or row.due_at != keep.due_at or row.tries:
            self._context.storage.enrollments.clear_due(
                row.id, row.version, keep.due_at
            )
        return attrs.evolve(row, effects_owed=False, due_at=keep.due_at, tries=0)

    def _write(self, row: Enrollment, write: Write) -> Enrollment | None:
        if not is_allowed(row.status, write.to):  # a bug in decide, never a race
            message = f"{row.status} → {write.to} is not in the table"
            raise AssertionError(message)
        context = self._context
        now = context.now()
        entry = HistoryEntry(
            at=now,
            version=row.version + 1,
            status=write.to,
            fact=write.fact,
            op_id=context.new_op_id(),
            detail=write.detail,
        )
        due_at = now + timedelta(seconds=context.settle_policy.grace_s)
        written = context.storage.enrollments.transition(
            row.id, row.version, write.to, entry, due_at, write.changes
        )
        if written is not None:
            self._do_effects(written)
            self._observe(written, write)
        return written

    def _do_effects(self, row: Enrollment) -> None:
        coupons = self._context.storage.coupons
        for effect in effects_of(row):
            if effect.kind is EffectKind.SYNC:
                self._owe_sync(row)
            elif effect.kind is EffectKind.PLUGIN_JOBS:
                self._owe_plugin_jobs(row, effect.fact)
            elif row.coupon_code is not None:
                if effect.kind is EffectKind.REDEEM:
                    self._redeem_paid(row, row.coupon_code)
                else:
                    coupons.release(row.coupon_code, row.id)

    def _redeem_paid(self, row: Enrollment, code: str) -> None:
        if self._context.storage.coupons.redeem(code, row.id):
            return
        # Only an accepted late payment gets here: its seat was given back before.
        self._alert("coupon_gone", row)

    def _owe_sync(self, row: Enrollment) -> None:
        now = self._context.now()
        self._context.storage.jobs.enqueue(
            sync_key(row.email, row.course_id),
            "sync",
            {
                "email": row.email,
                "learner": row.learner,
                "course_id": row.course_id,
                "full_name": row.full_name,
            },
            now,
            now=now,
        )

    def _owe_plugin_jobs(self, row: Enrollment, fact: str) -> None:
        now = self._context.now()
        for kind in self._context.plugins.job_kinds(fact):
            self._context.storage.jobs.enqueue(
                plugin_job_key(kind, row, fact),
                kind,
                {"enrollment_id": row.id, "fact": fact, "version": row.version},
                now,
                now=now,
                once=True,
            )

    def _observe(self, row: Enrollment, write: Write) -> None:
        """Tell the plugins, at most once: only the writer of a version gets here."""
        for hook in hooks_of(row, write.fact):
            self._context.plugins.notify(hook, enrollment=row)
        if write.to is Status.ON_HOLD and write.fact.startswith("paid"):
            self._alert(row.reason or "on_hold", row)

    def _alert(self, code: str, row: Enrollment) -> None:
        self._context.plugins.notify("on_alert", code=code, subject=row.id)

    def _reserve(self, row: Enrollment, facts: Facts) -> Facts:
        context = self._context
        code = row.coupon_code or ""
        until = facts.now + timedelta(seconds=context.settings.reservation_s)
        reserve = context.storage.coupons.reserve
        reservation = reserve(code, row.id, facts.now, until)
        blocker = reservation.blocker
        if reservation.outcome is ReserveOutcome.HELD and blocker is not None:
            if self._may_take_over(blocker, facts):
                self._settle_holder(blocker)
                reservation = reserve(code, row.id, facts.now, until)
        return attrs.evolve(facts, reservation=reservation)

    def _may_take_over(self, blocker: Seat, facts: Facts) -> bool:
        age = (facts.now - blocker.reserved_at).total_seconds()
        return age >= self._context.settings.reservation_s

    def _settle_holder(self, blocker: Seat) -> None:
        """Ask that the holder's session ends; whatever is unclear keeps its seat."""
        try:
            self(blocker.holder, wish=Wish.EXPIRE)
        except EnrollmentNotFoundError:
            self._context.storage.coupons.release(blocker.code, blocker.holder)
        except (TransientError, ConflictError, ConfigurationError) as error:
            logger.warning(
                "takeover unclear: the holder keeps its seat",
                extra={"enrollment_id": blocker.holder, "error_code": error.code},
            )

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
            course_id=row.course_id,
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


def _after_write(write: Write, facts: Facts) -> Facts:
    """Keep what is known; from our own write after a reserve on, the seat is fenced."""
    return attrs.evolve(
        facts,
        fenced=facts.fenced or write.fact == "reserved",
        # What was released before an exit says nothing of a seat reserved meanwhile.
        released=None if write.to in EXITS else facts.released,
    )
