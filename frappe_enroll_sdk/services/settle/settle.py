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

from ...errors import (
    ConfigurationError,
    ConflictError,
    EnrollError,
    EnrollmentNotFoundError,
    TransientError,
    TransitionError,
)
from ...evolve import evolve
from ...models import (
    Actor,
    Enrollment,
    Fact,
    HistoryEntry,
    NewJob,
    Override,
    Seat,
    SlotTaken,
    Status,
)
from ...models.jobs import PAIR_KIND, SYNC_KIND
from ...states import ENTITLED, EXITS, is_allowed
from .. import audit
from ..alerts import owe_alert, raise_alert, tell_alert
from ..coupons.coupons import is_over
from .decide import decide
from .decide_slot import REFUND_BEGUN, TAKEN
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
    pair_key,
    plugin_job_key,
    sync_key,
    sync_payload,
)
from .gather import Gather
from .succession import has_succeeded


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...models import PaymentEvent
    from ..context import Context

logger = logging.getLogger(__name__)

#: By how much the sync of a paid enrollment comes before that of a free one.
_PAID_LEAD = timedelta(minutes=1)
#: Decisions within one settle; more means that two rules contradict each other.
_MAX_DECISIONS = 60


class Settle:
    """
    `settle` for one SDK. Thread-safe: it keeps nothing between calls.

    Safe to call for one enrollment from any number of threads and processes.
    """

    def __init__(
        self, context: Context, commission: Callable[[Enrollment], None]
    ) -> None:
        """
        Wire it.

        Args:
            context: The wiring.
            commission: Brings the affiliate's ledger to where an enrollment stands;
                harmless when repeated.
        """
        self._context, self._commission = context, commission
        self._gather = Gather(context, self._settle_holder, self._end)

    def run(
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
            action: What an operator does.
            attached: A payment that an operator attaches.
            check_money: Whether to list the refunds and disputes again.
            quiet: Whether to tell no plugin what is written now (an enrolment in the
                LMS that follows from it is not told either).

        Raises:
            EnrollmentNotFoundError: There is no such row.
            TransitionError: The operator's action does not fit the status.
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
        for _ in range(_MAX_DECISIONS):
            decision = decide(row, facts, self._context.settle_policy)
            if isinstance(decision, Need):
                facts = self._gather.get(decision.step, row, facts)
            elif isinstance(decision, Write):
                written = self._write(row, decision, quiet=quiet)
                if isinstance(written, SlotTaken):
                    facts = evolve(facts, looked=True, holder=written.holder)
                elif written is None:
                    row = self._read(enrollment_id)
                    now, created = self._context.now(), facts.created
                    facts = evolve(start, now=now, created=created)
                else:
                    row, facts = written, _after_write(decision, facts)
            elif isinstance(decision, Refuse):
                raise TransitionError(decision.why)
            else:
                row = self._finish(row, decision)
                for error in facts.failed.values():
                    # What could be seen has its effect; the rest stays owed.
                    raise error
                return row
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
        if not (row.effects_owed or row.due_at != keep.due_at or row.tries):
            return row
        self._context.storage.enrollments.clear_due(row.id, row.version, keep.due_at)
        return evolve(row, effects_owed=False, due_at=keep.due_at, tries=0)

    def _write(
        self, row: Enrollment, write: Write, *, quiet: bool
    ) -> Enrollment | SlotTaken | None:
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
        if isinstance(written, Enrollment):
            self._do_effects(written)
            self._observe(written, write)
        return written

    def _do_effects(self, row: Enrollment) -> None:
        owed = {
            EffectKind.SYNC: self.owe_sync,
            EffectKind.PAIR: self._owe_pair,
            EffectKind.SUCCEED: self._succeed,
            EffectKind.COMMISSION: self._commission,
            EffectKind.REDEEM: self._redeem_paid,
            EffectKind.RELEASE: self._release,
        }
        about: Mapping[EffectKind, Callable[[Enrollment, str], None]] = {
            EffectKind.PLUGIN_JOBS: self._owe_plugin_jobs,
            EffectKind.AUDIT: self._audit,
            EffectKind.ALERT: self._owe_alert,
        }
        for effect in effects_of(row):
            if effect.kind in about:
                about[effect.kind](row, effect.fact)
            else:
                owed[effect.kind](row)

    def _owe_alert(self, row: Enrollment, code: str) -> None:
        owe_alert(self._context, code, row.id, row.version, detail_of(row, code))

    def _release(self, row: Enrollment) -> None:
        self._context.storage.coupons.release(row.coupon_code or "", row.id)

    def _audit(self, row: Enrollment, action: str) -> None:
        """Write an operator's action into the audit trail, once."""
        last = row.history[-1]
        detail = {"moved_to": row.moved_to} if row.moved_to else {}
        audit.write(
            self._context,
            _actor_of(last),
            action,
            row.id,
            detail,
            entry_id=f"aud_{row.id}_{row.version}",
            at=last.at,
        )

    def _redeem_paid(self, row: Enrollment) -> None:
        code = row.coupon_code or ""
        if self._context.storage.coupons.redeem(code, row.id):
            if row.is_limited and is_over(self._context.storage, row.email, code):
                # Two attempts of one learner: what is paid is honoured.
                self._alert("coupon_over_limit", row)
            return
        # An accepted late payment, or one held beside another: its seat was given back.
        self._alert("coupon_gone", row)

    def _succeed(self, row: Enrollment) -> None:
        """Let the enrollment that takes this one's place have its payment."""
        attached = Attached(
            reason="reassigned",
            payment_id=row.payment_id,
            paid=row.paid,
            tax_minor=row.tax_minor,
        )
        by = _actor_of(row.history[-1])
        action = OperatorAction(
            override=Override.ACCEPTED, actor=by.name, reason=by.reason
        )
        heir = self._context.storage.enrollments.find(row.moved_to or "")
        if heir is not None and has_succeeded(heir):
            if heir.payment_id is None and row.payment_id and heir.status in EXITS:
                # A word has ended it before: the payment is nobody's, and not silent.
                self._alert("late_payment", heir)
                attached = evolve(attached, reason="late_payment")
                self.run(heir.id, attached=attached, check_money=True)
                return
            # What became of it since is its own: it may have moved on.
            self.run(heir.id, check_money=True)
            return
        self.run(row.moved_to or "", attached=attached, action=action, check_money=True)

    def owe_sync(self, row: Enrollment) -> None:
        """Let the LMS be brought to where the row's learner and course stand."""
        now = self._context.now()
        # Anybody may enroll any address by a public code: whoever has paid is first.
        lead = _PAID_LEAD if row.payment_id else timedelta()
        self._context.storage.jobs.enqueue(
            sync_key(row.email, row.course_id),
            SYNC_KIND,
            sync_payload(row),
            now - lead,
            now=now,
        )

    def _owe_pair(self, row: Enrollment) -> None:
        if not self._has_beside(row):
            return
        now = self._context.now()
        self._context.storage.jobs.enqueue(
            pair_key(row.email, row.course_id),
            PAIR_KIND,
            {"email": row.email, "course_id": row.course_id},
            now,
            now=now,
        )

    def _has_beside(self, row: Enrollment) -> bool:
        """
        Tell whether anything stands beside the slot that was taken or left.

        After the write: whoever opens an attempt later looks at the slot by itself.
        """
        if row.status is Status.ON_HOLD:
            return True
        store, of = self._context.storage.enrollments, (row.email, row.course_id)
        if row.status in ENTITLED and store.list_unpaid(*of, limit=1):
            return True
        return any(other.held_for in TAKEN for other in store.list_set_aside(*of))

    def _owe_plugin_jobs(self, row: Enrollment, fact: str) -> None:
        now = self._context.now()
        payload = {"enrollment_id": row.id, "fact": fact, "version": row.version}
        jobs = [
            NewJob(
                key=plugin_job_key(kind, row, fact),
                kind=kind,
                payload=payload,
                due_at=now,
            )
            for kind in self._context.plugins.job_kinds(fact)
        ]
        if jobs:
            self._context.storage.jobs.enqueue_many(jobs, now=now, once=True)

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
            self.run(blocker.holder, wish=Wish.EXPIRE)
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
            self.run(enrollment_id, wish=Wish.EXPIRE)
        except EnrollError as error:
            logger.warning(
                "end of another attempt unclear: it keeps its slot",
                extra={"enrollment_id": enrollment_id, "error_code": error.code},
            )


def _actor_of(entry: HistoryEntry) -> Actor:
    """Return who has written an operator's action."""
    return Actor(str(entry.detail.get("actor")), str(entry.detail.get("reason")))


def _after_write(write: Write, facts: Facts) -> Facts:
    """Keep what is known; from our own write after a reserve on, the seat is fenced."""
    return evolve(
        facts,
        fenced=facts.fenced or write.fact == "reserved",
        # What was said of the request before this one.
        create_unclear=False,
        # An action that ended an unpaid attempt has taken effect.
        action=None if write.fact.endswith(BY_OPERATOR) else facts.action,
        # What was released before an exit says nothing of a seat reserved meanwhile.
        released=None if write.to in EXITS else facts.released,
        # Nor who had the slot: it was written.
        holder=None,
        claim_settled=False,
        # Begun once; what comes of it the next look tells.
        wish=Wish.LOOK if write.fact == REFUND_BEGUN else facts.wish,
    )
