# SPDX-License-Identifier: MIT
"""
What a stored payment event does: name an enrollment, and settle it.

An event is a hint; what holds is what the provider says when settle asks it. Only a
signed event about the stored session is a payment fact by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...errors import EnrollmentNotFoundError, TransitionError
from ...models import AuditEntry, Enrollment, Fact, Override, PaymentEvent
from ...outcomes import Done, Outcome
from ...states import ENTITLED, UNPAID
from ..alerts import raise_alert
from ..operators.privacy import is_erased
from ..settle.decide_money import is_held
from ..settle.decide_slot import PAID_TWICE
from ..settle.decision import BROUGHT, Attached, OperatorAction, Wish
from ..settle.lost import was_abandoned
from ..settle.succession import FOLLOWING, heir_of


if TYPE_CHECKING:
    from ..context import Context
    from ..settle.settle import Settle

logger = logging.getLogger(__name__)


class EventHandler:
    """Gives a stored payment event its effect. Thread-safe."""

    def __init__(self, context: Context, settle: Settle) -> None:
        self._context, self._settle = context, settle

    def __call__(
        self, event: PaymentEvent, payload: Mapping[str, Any] | None = None
    ) -> Outcome:
        """
        Settle what the event names.

        Args:
            event: A verified event.
            payload: How it is stored: ``quiet`` tells no plugin, ``said`` is an
                operator's word on a quarantined event.

        Returns:
            Done with "processed", "duplicate", "ignored", "quarantined" (and why),
            "accepted" or "dismissed".
        """
        stored = payload or {}
        said = stored.get("said")
        if said is not None:
            return self._obey(event, said)
        if event.thin and event.fact is not None and event.session_id is None:
            # It names an object; what that has to do with a payment is in the snapshot.
            event = self._context.payments.retrieve_event(event.id)
        if event.livemode is not self._context.payments.livemode:
            return self._odd(event, "mode_mismatch")
        if event.account is not None:
            return self._odd(event, "account_mismatch")
        if event.fact is Fact.NOTED:
            return self._note(event, self.find_known(event))
        return self._settle_named(event, quiet=bool(stored.get("quiet")))

    def _settle_named(self, event: PaymentEvent, *, quiet: bool) -> Outcome:
        row = self.find(event)
        if row is None:
            # Other products on the same account; ours only by its mark.
            ours = event.session is not None and event.session.ours
            return self._odd(event, "unknown_enrollment") if ours else Done("ignored")
        if event.session_id is not None and row.session_id != event.session_id:
            if event.payment_id is not None and event.payment_id == row.payment_id:
                # An operator has accepted it, by this event or another copy of it.
                return Done("duplicate")
            if event.session is not None and was_abandoned(row, event.session):
                return self._odd(event, "abandoned_session")
            return self._odd(event, "foreign_session")
        row = self._follow(event, row)
        if event.fact is Fact.FLAGGED:
            self._note(event, row)
            raise_alert(self._context, "fraud_warning", row.id, event.id)
        row = self._settle(row.id, event=event, quiet=quiet)
        if event.fact is not Fact.PAID:
            return Done("processed")
        if _pays_again(row, event):
            return self._odd(event, PAID_TWICE, row.id)
        if _was_brought_before(row, event):
            return Done("duplicate")
        if is_held(row):
            return Done("quarantined", row.held_for or "on_hold")
        return Done("processed")

    def _odd(
        self, event: PaymentEvent, reason: str, other: str | None = None
    ) -> Outcome:
        """A payment that fits nothing is never silent; other news of it is nothing."""
        if event.fact is not Fact.PAID:
            return Done("ignored")
        detail = {"other": other} if other else None
        raise_alert(self._context, reason, event.id, "", detail)
        return Done("quarantined", reason)

    def _note(self, event: PaymentEvent, row: Enrollment | None) -> Outcome:
        """Write it into the audit trail, once; it changes nothing."""
        if row is None:
            return Done("ignored")
        self._context.storage.audit.append(
            AuditEntry(
                id=event.id,
                at=event.created_at,
                actor=self._context.settings.payments,
                action=event.type,
                subject=row.id,
                detail=event.detail,
            )
        )
        return Done("processed")

    def _obey(self, event: PaymentEvent, said: Mapping[str, Any]) -> Outcome:
        """Do what an operator says of an event that fits nothing."""
        name, actor = said.get("enrollment_id"), str(said.get("actor"))
        if name is None:
            return Done("dismissed")
        row = self._settle(str(name), wish=Wish.EXPIRE)
        if row.status in UNPAID and row.gone_at is not None:
            # Nobody can be asked whether a payment of its own is under way.
            row = self._settle(row.id, wish=Wish.END)
        held_for = str(said.get("held_for"))
        if row.status in ENTITLED and row.payment_id == event.payment_id:
            return Done("accepted")
        if row.status in ENTITLED or (
            is_held(row) and row.payment_id != event.payment_id
        ):
            # It has a payment of its own: this one is to be given back, by a word.
            return self._odd(event, held_for)
        live = self._context.storage.enrollments.find_live(row.email, row.course_id)
        if live is not None and live.id != row.id and live.status not in UNPAID:
            # The learner has the course already.
            return self._odd(event, held_for, live.id)
        session = event.session
        attached = Attached(
            reason=held_for,
            payment_id=event.payment_id,
            paid=session.amount if session else None,
            tax_minor=session.tax_minor if session else 0,
        )
        action = OperatorAction(
            override=Override.ACCEPTED, actor=actor, reason=str(said.get("reason"))
        )
        try:
            self._settle(row.id, attached=attached, action=action)
        except TransitionError as error:
            # Its own payment is under way, say: the word did not take.
            logger.warning(
                "accepted payment does not fit its enrollment",
                extra={"enrollment_id": row.id, "cause": str(error)},
            )
            return self._odd(event, held_for)
        return Done("accepted")

    def find(self, event: PaymentEvent) -> Enrollment | None:
        """Return the enrollment that an event names, by our own rows only."""
        store = self._context.storage.enrollments
        session_id = event.session_id
        if session_id is None and event.payment_id is not None:
            row = store.find_by_payment(event.payment_id)
            if row is not None:
                return row
            session = self._context.payments.find_session(event.payment_id)
            session_id = session.id if session else None
        if session_id is None:
            return None
        return store.find_by_session(session_id) or self._find_by_mark(event)

    def _follow(self, event: PaymentEvent, row: Enrollment) -> Enrollment:
        """Return whose news it is: the payment may have gone over to another row."""
        if event.fact not in FOLLOWING:
            return row
        return heir_of(row, self._context.storage.enrollments.find, self._settle)

    def find_known(self, event: PaymentEvent) -> Enrollment | None:
        """Return the enrollment that an event names, without asking the provider."""
        store = self._context.storage.enrollments
        for name, find in (
            (event.session_id, store.find_by_session),
            (event.payment_id, store.find_by_payment),
            (event.enrollment_id, store.find),
        ):
            row = find(name) if name is not None else None
            if row is not None:
                return heir_of(row, store.find) if event.fact in FOLLOWING else row
        return None

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
    told = (e.detail.get("event_id") for e in row.history if e.fact in BROUGHT)
    first = next((name for name in told if name is not None), None)
    return first is not None and first != event.id
