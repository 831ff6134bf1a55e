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

from ...errors import (
    ConfigurationError,
    ConflictError,
    EnrollError,
    EnrollmentNotFoundError,
    TransientError,
    TransitionError,
)
from ...models import AuditEntry, Enrollment, Fact, HistoryEntry, Override, Seat
from ...states import EXITS, is_allowed
from ..affiliates.affiliates import Affiliates
from ..alerts import owe_alert, raise_alert, tell_alert
from .decide import decide
from .decision import (
    Attached,
    Facts,
    Keep,
    LMSReport,
    Need,
    OperatorAction,
    Refuse,
    Wish,
    Write,
)
from .effects import (
    BY_OPERATOR,
    EffectKind,
    alerts_of,
    detail_of,
    effects_of,
    hooks_of,
    is_quiet,
    plugin_job_key,
    sync_key,
)
from .gather import Steps
from .succession import has_succeeded


if TYPE_CHECKING:
    from ...models import PaymentEvent
    from ..context import Context

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
        self._affiliates = Affiliates(context)
        self._get = Steps(context, self._settle_holder, self._end)

    def __call__(
        self,
        enrollment_id: str,
        *,
        opened: Enrollment | None = None,
        wish: Wish = Wish.LOOK,
        event: PaymentEvent | None = None,
        lms: LMSReport | None = None,
        action: OperatorAction | None = None,
        attached: Attached | None = None,
        check_money: bool = False,
        quiet: bool = False,
    ) -> Enrollment:
        """
        Bring one enrollment to where the facts say that it is, and return it.

        Args:
            enrollment_id: Which.
            opened: The row, by whoever has just written its first version.
            wish: Why.
            event: A signed event that names it.
            lms: What a sync found.
            action: An operator's word.
            attached: A payment that an operator attaches.
            check_money: Whether to list the refunds and disputes again.
            quiet: Whether to tell no plugin what is written now (an enrolment in the
                LMS that follows from it is not told either).

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
            action=action,
            attached=attached,
            check_money=check_money or news,
            quiet=quiet,
        )
        row, facts = opened or self._read(enrollment_id), start
        for _ in range(_MOST_DECISIONS):
            decision = decide(row, facts, self._context.settle_policy)
            if isinstance(decision, Need):
                facts = self._get(decision.step, row, facts)
            elif isinstance(decision, Write):
                written = self._write(row, decision, quiet=quiet)
                if written is None:
                    row = self._read(enrollment_id)
                    now, created = self._context.now(), facts.created
                    facts = attrs.evolve(start, now=now, created=created)
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

    def _write(
        self, row: Enrollment, write: Write, *, quiet: bool
    ) -> Enrollment | None:
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
            detail={**write.detail, "quiet": True} if quiet else write.detail,
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
            elif effect.kind is EffectKind.SUCCEED:
                self._succeed(row)
            elif effect.kind is EffectKind.AUDIT:
                self._audit(row, effect.fact)
            elif effect.kind is EffectKind.COMMISSION:
                self._affiliates.follow(row)
            elif effect.kind is EffectKind.ALERT:
                detail = detail_of(row, effect.fact)
                owe_alert(self._context, effect.fact, row.id, row.version, detail)
            elif row.coupon_code is not None:
                if effect.kind is EffectKind.REDEEM:
                    self._redeem_paid(row, row.coupon_code)
                else:
                    coupons.release(row.coupon_code, row.id)

    def _audit(self, row: Enrollment, action: str) -> None:
        """Write an operator's word into the audit trail, once."""
        last = row.history[-1]
        self._context.storage.audit.append(
            AuditEntry(
                id=f"aud_{row.id}_{row.version}",
                at=last.at,
                actor=str(last.detail.get("actor")),
                action=action,
                subject=row.id,
                reason=str(last.detail.get("reason")),
                detail={"moved_to": row.moved_to} if row.moved_to else {},
            )
        )

    def _redeem_paid(self, row: Enrollment, code: str) -> None:
        if self._context.storage.coupons.redeem(code, row.id):
            return
        # Only an accepted late payment gets here: its seat was given back before.
        self._alert("coupon_gone", row)

    def _succeed(self, row: Enrollment) -> None:
        """Let the enrollment that takes this one's place have its payment."""
        said = row.history[-1].detail
        attached = Attached(
            reason="reassigned",
            payment_id=row.payment_id,
            paid=row.paid,
            tax_minor=row.tax_minor,
        )
        action = OperatorAction(
            override=Override.ACCEPTED,
            actor=str(said.get("actor")),
            reason=str(said.get("reason")),
        )
        heir = self._context.storage.enrollments.find(row.moved_to or "")
        if heir is not None and has_succeeded(heir):
            if heir.payment_id is None and row.payment_id and heir.status in EXITS:
                # A word has ended it before: the payment is nobody's, and not silent.
                self._alert("late_payment", heir)
                attached = attrs.evolve(attached, reason="late_payment")
                self(heir.id, attached=attached, check_money=True)
                return
            # What became of it since is its own: it may have moved on.
            self(heir.id, check_money=True)
            return
        self(row.moved_to or "", attached=attached, action=action, check_money=True)

    def owe_sync(self, row: Enrollment) -> None:
        """Let the LMS be brought to where the row's learner and course stand."""
        self._owe_sync(row)

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
        for hook in () if is_quiet(row) else hooks_of(row, write.fact):
            self._context.plugins.notify(hook, enrollment=row)
        for code in alerts_of(row):
            # The plugins' jobs are owed with the other effects.
            tell_alert(self._context, code, row.id, detail_of(row, code))

    def _alert(self, code: str, row: Enrollment) -> None:
        raise_alert(self._context, code, row.id, row.version)

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

    def _end(self, enrollment_id: str) -> None:
        """Ask that an attempt ends; whatever is unclear keeps its slot."""
        try:
            self(enrollment_id, wish=Wish.EXPIRE)
        except EnrollError as error:
            logger.warning(
                "end of another attempt unclear: it keeps its slot",
                extra={"enrollment_id": enrollment_id, "error_code": error.code},
            )


def _after_write(write: Write, facts: Facts) -> Facts:
    """Keep what is known; from our own write after a reserve on, the seat is fenced."""
    return attrs.evolve(
        facts,
        fenced=facts.fenced or write.fact == "reserved",
        # What was said of the request before this one.
        create_unclear=False,
        # A word that ended an unpaid attempt has taken effect.
        action=None if write.fact.endswith(BY_OPERATOR) else facts.action,
        # What was released before an exit says nothing of a seat reserved meanwhile.
        released=None if write.to in EXITS else facts.released,
        # Nor what stood in the way before a write of the row that it may give back.
        rivals=None,
        rivals_ended=False,
    )
