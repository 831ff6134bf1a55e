# SPDX-License-Identifier: MIT
"""
The one place that decides what becomes of an enrollment: pure, no I/O, no clock.

`settle` calls `decide` until it answers `Keep`: a `Need` is fetched by one call and
decided again, a `Write` is one compare-and-set and decided again.

Three rules carry the coupon's promises:

* Between a reserve and the bind or redeem that follows it the row is written once
  ("reserved"). So a rollback that released before our reserve has either written the
  exit already (our write loses, and the unbound seat lapses by itself) or loses its own
  write and looks again. Without that write a slow checkout could redeem for a row that
  has ended.
* Where money is asked for, the exit is written first and its effect releases: a slow
  rollback that loses its write has taken no seat from a row that went on. (Nothing but
  a confirmed row redeems such a seat, so there is nothing to ask before.)
* A full grant is the other way round: redeem is the point of no return, so its exit
  releases first, and one that answers "redeemed" is completed instead. After the write
  it is asked once more: of three callers one may have redeemed a seat that another had
  reserved again meanwhile.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ...models import (
    CheckoutSession,
    Enrollment,
    ExpireOutcome,
    Fact,
    LMSStatus,
    Override,
    PaymentEvent,
    ReleaseOutcome,
    ReserveOutcome,
    SeatState,
    SessionStatus,
    Status,
)
from ...states import ENTITLED, EXITS, UNPAID
from . import lost
from .decide_money import (
    LATE,
    REBUILT,
    decide_money,
    is_held,
    mismatch,
    next_look,
    payment_changes,
)
from .decide_slot import TAKEN, decide_slot, hold, rivals_of
from .decision import (
    Decision,
    Facts,
    Keep,
    LMSReport,
    Lost,
    Need,
    OperatorAction,
    Refuse,
    SettlePolicy,
    Step,
    Wish,
    Write,
)


#: Wishes that end what is not paid.
_ENDINGS = frozenset({Wish.CANCEL, Wish.EXPIRE, Wish.END})

#: Age of a payment's event within which nobody can have given the money back.
_PROMPT = timedelta(seconds=10)


def decide(row: Enrollment, facts: Facts, policy: SettlePolicy) -> Decision:
    """Answer what to do next with this row, given what is known."""
    if facts.created is not None and not lost.can_store(row, facts.created):
        return Need(Step.DISCARD)
    told = _decide_attached(row, facts) or _decide_action(row, facts)
    if told is not None:
        return told
    if row.status is Status.PENDING:
        return _decide_pending(row, facts, policy)
    if row.status is Status.AWAITING_PAYMENT:
        return _decide_awaiting(row, facts, policy)
    if row.status in EXITS:
        return _decide_exit(row, facts, policy)
    decision = (
        decide_money(row, facts, policy)
        or decide_slot(row, facts)
        or _decide_lms(row, facts)
    )
    return Keep(next_look(row, facts, policy)) if decision == Keep() else decision


def _decide_attached(row: Enrollment, facts: Facts) -> Decision | None:
    """Hold a row for a payment that an operator says is its own."""
    attached = facts.attached
    if attached is None:
        return None
    if row.moved_to is not None:
        # The right is another row's: its money would be followed there.
        return None
    forgot = attached.session_id is not None and row.session_id is None
    fresh = row.status is Status.PENDING and (forgot or row.session_request is None)
    other = row.status is Status.REVOKED and row.payment_id != attached.payment_id
    if not (fresh or other or row.status in EXITS):
        return None
    changes = {
        "payment_id": attached.payment_id,
        "paid": attached.paid,
        "tax_minor": attached.tax_minor,
        "held_for": attached.reason,
        "reason": attached.reason,
    }
    if not forgot:
        return Write(to=Status.ON_HOLD, fact="payment_attached", changes=changes)
    changes["session_id"] = attached.session_id
    rebuilt = attached.reason == REBUILT
    if rebuilt:
        # It waits for its money, not for an operator.
        changes["held_for"] = None
    fact = "rebuilt" if rebuilt else "payment_attached"
    # A step on the way: what it leads to is told.
    detail = {"quiet": rebuilt}
    return Write(to=Status.ON_HOLD, fact=fact, changes=changes, detail=detail)


_TO = {
    Override.REVOKED: Status.REVOKED,
    Override.REINSTATED: Status.CONFIRMED,
    Override.ACCEPTED: Status.CONFIRMED,
    Override.DISMISSED: Status.CANCELLED,
}


def _may_be(row: Enrollment, override: Override) -> bool:
    """
    Tell whether an operator's word may be said of the row as it stands.

    What waits for an operator is accepted or dismissed; what the money suspended is
    reinstated or revoked, like what it has revoked.
    """
    if override in {Override.ACCEPTED, Override.DISMISSED}:
        return is_held(row)
    suspended = row.status is Status.ON_HOLD and not is_held(row)
    if override is Override.REVOKED:
        return row.status in ENTITLED or suspended
    return (row.status is Status.REVOKED and row.moved_to is None) or suspended


def _decide_action(row: Enrollment, facts: Facts) -> Decision | None:
    action = facts.action
    if action is None:
        return None
    if action.override is Override.REVOKED and row.status in UNPAID:
        # There is no right to take away: the attempt is ended, its session first.
        return None
    if not _may_be(row, action.override):
        if row.override is action.override:
            return None
        return Refuse(f"an enrollment that is {row.status} can't be {action.override}")
    to = _TO[action.override]
    rivals = rivals_of(row, facts) if to in ENTITLED else ()
    if isinstance(rivals, Need):
        return rivals
    if rivals:
        return _decide_taken(row, facts, action, rivals)
    changes: dict[str, object] = {
        "override": action.override,
        "reason": None if to in ENTITLED else "operator",
        "held_for": None,
        "lms_status": LMSStatus.PENDING,
    }
    fact = f"{action.override}_by_operator"
    if action.moved_to is not None:
        changes |= {"moved_to": action.moved_to, "reason": "reassigned"}
        fact = "reassigned_by_operator"
    detail = {"actor": action.actor, "reason": action.reason}
    return Write(to=to, fact=fact, changes=changes, detail=detail)


def _decide_taken(
    row: Enrollment,
    facts: Facts,
    action: OperatorAction,
    rivals: tuple[Enrollment, ...],
) -> Decision | None:
    """Refuse a word that would entitle the learner twice; hold money that is here."""
    if facts.attached is None:
        other = rivals[0]
        return Refuse(
            f"can't be {action.override}: the learner has {other.id}, "
            f"which is {other.status}"
        )
    return None if row.held_for in TAKEN else hold(row, rivals)


def _decide_pending(row: Enrollment, facts: Facts, policy: SettlePolicy) -> Decision:
    if row.session_request is not None:
        return _decide_requested(row, facts, policy)
    if facts.wish is Wish.LOOK:
        return Keep(row.due_at)
    if facts.wish is not Wish.ADVANCE:
        return _leave(row, facts)
    if row.coupon_code is None:
        return _advance_without_coupon(row, facts, policy)
    return _advance_with_coupon(row, facts, policy)


def _advance_without_coupon(
    row: Enrollment, facts: Facts, policy: SettlePolicy
) -> Decision:
    if row.amount.amount_minor == 0:
        return Write(to=Status.CONFIRMED, fact="free")
    return _request_session(facts, policy)


def _advance_with_coupon(
    row: Enrollment, facts: Facts, policy: SettlePolicy
) -> Decision:
    if facts.reservation is None:
        return Need(Step.RESERVE)
    seat = facts.reservation.seat
    if facts.reservation.outcome is not ReserveOutcome.RESERVED or seat is None:
        outcome = facts.reservation.outcome
        return _fail(row, facts, "coupon_unavailable", outcome=str(outcome))
    if seat.state is SeatState.REDEEMED:
        return Write(to=Status.CONFIRMED, fact="coupon_redeemed")
    if not facts.fenced:
        return Write(to=Status.PENDING, fact="reserved")
    return _use_seat(row, facts, policy)


def _use_seat(row: Enrollment, facts: Facts, policy: SettlePolicy) -> Decision:
    if row.amount.amount_minor == 0:
        if facts.redeemed is None:
            return Need(Step.REDEEM)
        if facts.redeemed:
            return Write(to=Status.CONFIRMED, fact="coupon_redeemed")
        return _fail(row, facts, "coupon_unavailable", outcome="lost")
    if facts.bound is None:
        return Need(Step.BIND)
    if not facts.bound:
        return _fail(row, facts, "coupon_unavailable", outcome="lost")
    return _request_session(facts, policy)


def _request_session(facts: Facts, policy: SettlePolicy) -> Decision:
    if facts.request is None:
        return Need(Step.PREPARE)
    return Write(
        to=Status.PENDING,
        fact="session_requested",
        changes={
            "session_request": facts.request,
            "tax_behavior": policy.tax_behavior,
        },
    )


def _decide_requested(row: Enrollment, facts: Facts, policy: SettlePolicy) -> Decision:
    """
    Settle a row whose create request may have been sent.

    Only for a learner who waits is it sent (again). In all other cases the row ends:
    whatever session there is, nobody was given its URL.
    """
    if facts.session is not None:
        return _store_session(facts.session, policy)
    if facts.wish is Wish.LOOK:
        return Keep(row.due_at)
    if facts.wish is not Wish.ADVANCE:
        return _leave(row, facts)
    if facts.create_refused is not None:
        return _fail(row, facts, facts.create_refused, cause=facts.create_cause)
    if facts.create_unclear:
        return _abandon(row, facts, policy)
    return Need(Step.CREATE)


def _abandon(row: Enrollment, facts: Facts, policy: SettlePolicy) -> Decision:
    """Begin anew under a new key: the old one may answer the same for a day."""
    tired = facts.create_waited_s >= policy.create_patience_s
    if tired or row.session_try >= policy.create_keys:
        return _fail(row, facts, "payments_unavailable", cause=facts.create_cause)
    if facts.request is None:
        return Need(Step.PREPARE)
    return Write(
        to=Status.PENDING,
        fact="create_abandoned",
        changes={
            "session_request": facts.request,
            "session_try": row.session_try + 1,
            "tax_behavior": policy.tax_behavior,
        },
        detail={"cause": facts.create_cause},
    )


def _store_session(session: CheckoutSession, policy: SettlePolicy) -> Write:
    return Write(
        to=Status.AWAITING_PAYMENT,
        fact="session_created",
        changes={
            "session_id": session.id,
            "payment_url": session.url,
            "session_expires_at": session.expires_at,
            "session_account": policy.account,
            "session_livemode": session.livemode,
        },
    )


def _decide_awaiting(row: Enrollment, facts: Facts, policy: SettlePolicy) -> Decision:
    session = _signed_session(row, facts) or facts.session
    if session is None:
        return _decide_lost(row, facts, policy) if facts.lost else Need(Step.RETRIEVE)
    if facts.session is not None and row.gone_at is not None:
        return Write(to=row.status, fact="session_found", changes={"gone_at": None})
    if session.paid:
        return _paid(row, facts, session, policy)
    if session.status is SessionStatus.OPEN:
        return _decide_open_session(row, facts, session, policy)
    if session.status is SessionStatus.EXPIRED:
        return _leave(row, facts)
    if session.payment_failed:
        return _fail(row, facts, "payment_failed")
    if facts.wish is Wish.END:
        return _leave(row, facts)
    if row.reason != lost.PROCESSING:
        return Write(
            to=row.status,
            fact="payment_processing",
            changes={"reason": lost.PROCESSING},
        )
    return Keep(_later(facts, policy.processing_look_s))


def _decide_lost(row: Enrollment, facts: Facts, policy: SettlePolicy) -> Decision:
    """Settle a row whose session the provider does not tell of."""
    event = facts.event
    if event is not None and event.session is not None and _is_about(row, event):
        # Both are final, and signed.
        if event.fact is Fact.EXPIRED:
            return _leave(row, facts)
        if event.fact is Fact.FAILED:
            return _fail(row, facts, "payment_failed")
    if lost.may_end(row, facts, policy):
        return _leave(row, facts)
    if facts.lost is Lost.GONE and row.gone_at is None:
        gone = {"gone_at": facts.now}
        return Write(to=row.status, fact="session_gone", changes=gone)
    seated = row.coupon_code is not None and not row.seat_lapsed
    if seated and lost.is_given_up(row, facts, policy):
        return Write(to=row.status, fact="seat_lapsed", changes={"seat_lapsed": True})
    return Keep(_later(facts, policy.gone_look_s))


def _decide_open_session(
    row: Enrollment, facts: Facts, session: CheckoutSession, policy: SettlePolicy
) -> Decision:
    if facts.wish in _ENDINGS:
        if facts.expire is None:
            return Need(Step.EXPIRE)
        if facts.expire is ExpireOutcome.EXPIRED or facts.wish is Wish.END:
            return _leave(row, facts)
        # Refused, and looked at again since: it is open all the same. Once is enough.
    if lost.is_past(row, facts.now, policy.silent_s):
        return _leave(row, facts)
    margin = policy.session_margin_s
    ends_at = session.expires_at or row.session_expires_at or facts.now
    return Keep(max(ends_at + timedelta(seconds=margin), _later(facts, margin)))


def _signed_session(row: Enrollment, facts: Facts) -> CheckoutSession | None:
    """Return the session of a signed event that is itself the payment fact."""
    event = facts.event
    if event is None or event.fact is not Fact.PAID or not _is_about(row, event):
        return None
    return event.session


def _is_about(row: Enrollment, event: PaymentEvent) -> bool:
    return event.session is not None and event.session.id == row.session_id


def _paid(
    row: Enrollment, facts: Facts, session: CheckoutSession, policy: SettlePolicy
) -> Decision:
    changes = payment_changes(session) | {"reason": None}
    wrong = mismatch(row, session, policy)
    if wrong is not None:
        return _hold(facts, "paid_mismatch", changes, wrong)
    if row.seat_lapsed:
        return _hold(facts, "paid_late", changes, "late_payment")
    detail = _event_of(facts)
    return Write(to=Status.CONFIRMED, fact="paid", changes=changes, detail=detail)


def _hold(facts: Facts, fact: str, changes: dict[str, Any], reason: str) -> Write:
    """Keep money that fits no order for an operator's word."""
    changes = changes | {"reason": reason, "held_for": reason}
    detail = _event_of(facts)
    return Write(to=Status.ON_HOLD, fact=fact, changes=changes, detail=detail)


def _event_of(facts: Facts) -> dict[str, Any]:
    """
    Name the event that brought a payment: further ones of it are duplicates.

    ``late`` says that news of a refund may have come before, and was nobody's.
    """
    event = facts.event
    if event is None:
        return {} if facts.wish is Wish.LOOK else {LATE: True}
    late = {LATE: True} if facts.now - event.created_at > _PROMPT else {}
    return {"event_id": event.id, **late}


def _decide_exit(row: Enrollment, facts: Facts, policy: SettlePolicy) -> Decision:
    """Look at a row that has ended: only a payment that came late revives it."""
    if row.override is Override.DISMISSED:
        return Keep()
    someone_acts = facts.wish in _ENDINGS or facts.wish is Wish.ADVANCE
    full_grant = row.coupon_code is not None and row.amount.amount_minor == 0
    asks = someone_acts or (full_grant and row.effects_owed)
    if asks and row.coupon_code is not None and facts.released is None:
        # A checkout that lost to this exit may have left a seat behind.
        return Need(Step.RELEASE)
    if full_grant and facts.released is ReleaseOutcome.REDEEMED:
        rivals = rivals_of(row, facts)
        if isinstance(rivals, Need):
            return rivals
        if rivals:
            return hold(row, rivals)
        return Write(to=Status.CONFIRMED, fact="coupon_redeemed")
    if row.session_id is None or someone_acts or facts.wish is Wish.DUE:
        return Keep()
    session = _signed_session(row, facts) or facts.session
    if session is None:
        return Keep() if facts.lost else Need(Step.RETRIEVE)
    if not session.paid:
        return Keep()
    reason = mismatch(row, session, policy) or "late_payment"
    return _hold(facts, "paid_late", payment_changes(session), reason)


def _decide_lms(row: Enrollment, facts: Facts) -> Decision:
    """Take over what a sync found."""
    report = facts.lms
    if report is None:
        return Keep()
    if row.status is Status.CONFIRMED and report.status is LMSStatus.SYNCED:
        if report.name is None:
            # The sync ran before this row was confirmed; its job is owed again.
            return Keep()
        return Write(to=Status.ENROLLED, fact="enrolled", changes=_lms_changes(report))
    if report.status is not LMSStatus.SYNCED:
        return _lms_trouble(row, report)
    changes = _lms_changes(report)
    if row.status is Status.ENROLLED and report.name is None:
        return Keep()
    if all(getattr(row, name) == value for name, value in changes.items()):
        return Keep()
    return Write(to=row.status, fact="lms_synced", changes=changes)


def _lms_changes(report: LMSReport) -> dict[str, object]:
    return {
        "lms_status": report.status,
        "lms_enrollment_id": report.name,
        "lms_row_ours": report.ours,
        "lms_progress": report.progress,
    }


def _lms_trouble(row: Enrollment, report: LMSReport) -> Decision:
    if report.status is row.lms_status:
        return Keep()
    return Write(
        to=row.status,
        fact=f"lms_{report.status}",
        changes={"lms_status": report.status},
    )


def _leave(row: Enrollment, facts: Facts) -> Decision:
    """End a row that was never paid."""
    action = facts.action
    if action is not None:
        said = {"actor": action.actor, "reason": action.reason}
        fact = f"{action.override}_by_operator"
        return _exit(row, facts, Status.CANCELLED, "operator", said, fact=fact)
    to = Status.CANCELLED if facts.wish is Wish.CANCEL else Status.EXPIRED
    return _exit(row, facts, to, str(to), {})


def _fail(row: Enrollment, facts: Facts, reason: str, **detail: str) -> Decision:
    return _exit(row, facts, Status.FAILED, reason, detail)


def _exit(
    row: Enrollment,
    facts: Facts,
    to: Status,
    reason: str,
    detail: dict[str, str],
    *,
    fact: str | None = None,
) -> Decision:
    if row.coupon_code is not None and row.amount.amount_minor == 0:
        if facts.released is None:
            return Need(Step.RELEASE)
        if facts.released is ReleaseOutcome.REDEEMED:
            return Write(to=Status.CONFIRMED, fact="coupon_redeemed")
    return Write(to=to, fact=fact or reason, changes={"reason": reason}, detail=detail)


def _later(facts: Facts, seconds: float) -> datetime:
    return facts.now + timedelta(seconds=seconds)
