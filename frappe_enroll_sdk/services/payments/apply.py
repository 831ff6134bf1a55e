# SPDX-License-Identifier: MIT
"""
What a stored payment event does: name an enrollment, and settle it.

An event is a hint; what holds is what the provider says when settle asks it. Only a
signed event about the stored session is a payment fact by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ...codec import load
from ...errors import (
    BackendGoneError,
    EnrollmentNotFoundError,
    TransitionError,
    UnreadableAnswerError,
)
from ...models import Actor, Enrollment, Fact, Override, PaymentEvent
from ...models.learners import is_erased
from ...outcomes import Done, Outcome
from ...states import ENTITLED, UNPAID
from ...stores.slot import PAID_TWICE
from .. import audit
from ..alerts import raise_alert
from ..settle.decide_money import is_held
from ..settle.decision import BROUGHT, Attached, OperatorAction, Settled, Wish
from ..settle.lost import was_abandoned
from ..settle.succession import FOLLOWING, heir_of


if TYPE_CHECKING:
    from ...interfaces import EnrollmentStore
    from ..context import Context
    from ..jobs.claim import Claim
    from ..settle.settle import Settle

logger = logging.getLogger(__name__)

#: Why an event is held that nobody can read: a newer version may.
UNREADABLE = "unreadable"


class Events:
    """Gives a stored payment event its effect. Thread-safe."""

    def __init__(self, context: Context, settle: Settle) -> None:
        self._context, self._settle = context, settle

    def run(self, claim: Claim) -> Outcome:
        """
        Settle what a claimed event names.

        How it is stored says more: ``quiet`` tells no plugin, ``action`` is what an
        operator does about a quarantined event.

        Returns:
            Done with "processed", "duplicate", "ignored", "quarantined" (and why),
            "accepted" or "dismissed"; with the enrollment, where it was settled.
        """
        stored = claim.job.payload or {}
        event = load(PaymentEvent, stored.get("event"))
        action = stored.get("action")
        if action is not None:
            return self._obey(event, action)
        if event.thin and event.fact is not None and event.session_id is None:
            # It names an object; what that has to do with a payment is in the snapshot,
            # if there is one.
            with suppress(BackendGoneError):
                event = self._context.payments.retrieve_event(event.id)
        if event.livemode is not self._context.payments.livemode:
            return self._odd(event, "mode_mismatch")
        if event.account is not None:
            return self._odd(event, "account_mismatch")
        if event.fact is Fact.NOTED:
            return self._note(
                event, find_known(self._context.storage.enrollments, event)
            )
        return self._settle_named(event, quiet=bool(stored.get("quiet")))

    def _settle_named(self, event: PaymentEvent, *, quiet: bool) -> Outcome:
        row = self.find(event)
        if row is None:
            # Other products on the same account; ours only by its mark.
            ours = event.is_ours
            return self._odd(event, "unknown_enrollment") if ours else Done("ignored")
        if event.session_id is not None and row.session_id != event.session_id:
            if event.payment_id is not None and event.payment_id == row.payment_id:
                # An operator has accepted it, by this event or another copy of it.
                return Done("duplicate")
            if event.session is not None and was_abandoned(row, event.session):
                return self._odd(event, "abandoned_session")
            return self._odd(event, "foreign_session")
        return self._follow_named(event, self._follow(event, row), quiet=quiet)

    def _follow_named(
        self, event: PaymentEvent, row: Enrollment, *, quiet: bool
    ) -> Outcome:
        if event.fact is Fact.FLAGGED:
            self._note(event, row)
            raise_alert(self._context, "fraud_warning", row.id, event.id)
        try:
            row = self._settle.run(row.id, event=event, quiet=quiet)
        except UnreadableAnswerError as error:
            logger.warning(
                "payment event held: it can't be read, nor what it is about",
                extra={"enrollment_id": row.id, "cause": str(error)},
            )
            return self._hold(event, UNREADABLE, row.id)
        processed = Settled("processed", enrollments=(row,))
        if event.fact is not Fact.PAID:
            return processed
        if _pays_again(row, event):
            return self._odd(event, PAID_TWICE, row.id)
        if _was_brought_before(row, event):
            return Done("duplicate")
        if is_held(row):
            return Done("quarantined", row.held_for or "on_hold")
        return processed

    def _odd(
        self, event: PaymentEvent, reason: str, other: str | None = None
    ) -> Outcome:
        """Alert on an unmatched payment; ignore other unmatched events."""
        if event.fact is not Fact.PAID:
            return Done("ignored")
        return self._hold(event, reason, other)

    def _hold(
        self, event: PaymentEvent, reason: str, other: str | None = None
    ) -> Outcome:
        detail = {"other": other} if other else None
        raise_alert(self._context, reason, event.id, "", detail)
        return Done("quarantined", reason)

    def _note(self, event: PaymentEvent, row: Enrollment | None) -> Outcome:
        """Write it into the audit trail, once; it changes nothing."""
        if row is None:
            return Done("ignored")
        audit.write(
            self._context,
            Actor(self._context.settings.payments, ""),
            event.type,
            row.id,
            event.detail,
            entry_id=event.id,
            at=event.created_at,
        )
        return Settled("processed", enrollments=(row,))

    def _obey(self, event: PaymentEvent, action: Mapping[str, Any]) -> Outcome:
        """Do what an operator wants of an event that fits nothing."""
        name = action.get("enrollment_id")
        if name is None:
            return Done("dismissed")
        row = self._settle.run(str(name), wish=Wish.EXPIRE)
        if row.status in UNPAID and row.gone_at is not None:
            # Nobody can be asked whether a payment of its own is under way.
            row = self._settle.run(row.id, wish=Wish.END)
        held_for = str(action.get("held_for"))
        if row.status in ENTITLED and row.payment_id == event.payment_id:
            return Settled("accepted", enrollments=(row,))
        if row.status in ENTITLED or (
            is_held(row) and row.payment_id != event.payment_id
        ):
            # It has a payment of its own: this one is to be given back, by a word.
            return self._odd(event, held_for)
        find_holder = self._context.storage.enrollments.find_holder
        holder = find_holder(row.email, row.course_id)
        if holder is not None and holder.id != row.id and holder.status in ENTITLED:
            # The learner has the course already.
            return self._odd(event, held_for, holder.id)
        session = event.session
        attached = Attached(
            reason=held_for,
            payment_id=event.payment_id,
            paid=session.amount if session else None,
            tax_minor=session.tax_minor if session else 0,
        )
        accept = OperatorAction(
            override=Override.ACCEPTED,
            actor=str(action.get("actor")),
            reason=str(action.get("reason")),
        )
        try:
            row = self._settle.run(row.id, attached=attached, action=accept)
        except TransitionError as error:
            # Its own payment is under way, say: nothing was accepted.
            logger.warning(
                "accepted payment does not fit its enrollment",
                extra={"enrollment_id": row.id, "cause": str(error)},
            )
            return self._odd(event, held_for)
        return Settled("accepted", enrollments=(row,))

    def find(self, event: PaymentEvent) -> Enrollment | None:
        """Return the enrollment that an event names, by our own rows only."""
        store = self._context.storage.enrollments
        session_id, payment_id = event.session_id, event.payment_id
        if session_id is None and payment_id is not None:
            row = store.find_by_payment(payment_id)
            if row is not None:
                return row
        # A dispute, say, that names its charge and no payment.
        about = payment_id or (event.object_id if event.fact in FOLLOWING else None)
        if session_id is None and about is not None:
            session = self._context.payments.find_session(about)
            if session is None:
                return None
            session_id = session.id
            row = store.find_by_payment(session.payment_id or "")
            if row is not None:
                return row
        if session_id is None:
            return None
        return store.find_by_session(session_id) or self._find_by_mark(event)

    def _follow(self, event: PaymentEvent, row: Enrollment) -> Enrollment:
        """Return whose news it is: the payment may have gone over to another row."""
        if event.fact not in FOLLOWING:
            return row
        return heir_of(row, self._context.storage.enrollments.find, self._settle.run)

    def _find_by_mark(self, event: PaymentEvent) -> Enrollment | None:
        """Look by the metadata's id: a hint, the stored session must match later."""
        if event.enrollment_id is None:
            return None
        return self._context.storage.enrollments.find(event.enrollment_id)

    def accept(self, event: PaymentEvent, enrollment_id: str | None) -> str:
        """
        Return the enrollment that an accepted event is to go to.

        Raises:
            EnrollmentNotFoundError: Neither the event nor the operator names one.
            TransitionError: Its learner was erased, or it was reassigned.
        """
        name = enrollment_id or event.enrollment_id
        row = self._context.storage.enrollments.find(name) if name else None
        if row is None:
            raise EnrollmentNotFoundError(
                "the event names no enrollment: name one, or dismiss it",
                field="enrollment_id",
            )
        if is_erased(row.email):
            raise TransitionError(f"{row.id}: its learner was erased")
        heir = heir_of(row, self._context.storage.enrollments.find)
        if heir.id != row.id:
            raise TransitionError(f"{row.id}: was reassigned, name {heir.id} instead")
        return row.id


def _pays_again(row: Enrollment, event: PaymentEvent) -> bool:
    """Tell whether a row's own session was paid while it has another payment."""
    paid = event.payment_id or (event.session.payment_id if event.session else None)
    return None not in (paid, row.payment_id) and paid != row.payment_id


def _was_brought_before(row: Enrollment, event: PaymentEvent) -> bool:
    """Tell whether another event has brought this payment (the business key)."""
    events = (e.detail.get("event_id") for e in row.history if e.fact in BROUGHT)
    first = next((name for name in events if name is not None), None)
    return first is not None and first != event.id


def find_known(store: EnrollmentStore, event: PaymentEvent) -> Enrollment | None:
    """Return the enrollment that an event names, without asking the provider."""
    for name, find in (
        (event.session_id, store.find_by_session),
        (event.payment_id, store.find_by_payment),
        (event.enrollment_id, store.find),
    ):
        row = find(name) if name is not None else None
        if row is not None:
            return heir_of(row, store.find) if event.fact in FOLLOWING else row
    return None
