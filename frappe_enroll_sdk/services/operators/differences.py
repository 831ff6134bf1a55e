# SPDX-License-Identifier: MIT
"""Where provider, enrollments and LMS differ, and why: pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

import attrs

from ...evolve import evolve
from ...models import (
    CheckoutSession,
    Dispute,
    Enrollment,
    LMSEnrollment,
    Override,
    Refund,
    SessionStatus,
    Status,
)
from ...policies import SettlePolicy
from ...states import ENTITLED, EXITS, UNPAID
from ..settle.decide_money import standing_of, sums_of
from ..settle.decide_slot import TAKEN
from ..settle.lost import can_store
from .rebuilt import is_enough


class Difference(StrEnum):
    """What two of the three sides disagree about."""

    PAID_NOT_CONFIRMED = "paid_not_confirmed"
    CONFIRMED_NOT_ENROLLED = "confirmed_not_enrolled"
    ENROLLED_NOT_PAID = "enrolled_not_paid"
    REFUNDED_STILL_ENROLLED = "refunded_still_enrolled"
    MONEY_NOT_APPLIED = "money_not_applied"
    SESSION_OPEN_PAST_EXPIRY = "session_open_past_expiry"
    SESSION_GONE = "session_gone"
    ORPHAN_SESSION = "orphan_session"
    LMS_DUPLICATES = "lms_duplicates"
    LMS_WITHOUT_ENROLLMENT = "lms_without_enrollment"
    PAID_WITHOUT_ENROLLMENT = "paid_without_enrollment"
    PAID_TWICE = "paid_twice"
    UNREADABLE = "unreadable"


class Repair(StrEnum):
    """
    How a difference is repaired.

    All are done by settle or the sync, except "discard": a session that no row can
    store is expired at the provider.
    """

    NONE = "none"
    REBUILD = "rebuild"
    SETTLE = "settle"
    EXPIRE = "expire"
    MONEY = "money"
    SYNC = "sync"
    DISCARD = "discard"


@attrs.frozen(kw_only=True)
class Finding:
    """
    One difference.

    Attributes:
        difference: The kind of difference.
        subject: Id of the enrollment, session or LMS row.
        cause: Explanation for an operator; nothing personal.
        enrollment_id: The enrollment, or None.
        repair: How to repair it.
        after: The enrollment's status after a repair, or None (not repaired).
    """

    difference: Difference
    subject: str
    cause: str
    enrollment_id: str | None = None
    repair: Repair = Repair.NONE
    after: str | None = None


@attrs.frozen(kw_only=True)
class Report:
    """
    One page of a reconciliation.

    Attributes:
        findings: The differences.
        checked: Numbers of records compared, by name.
        next_cursor: Continues with the next page, or None at the end.
    """

    findings: tuple[Finding, ...]
    checked: Mapping[str, int]
    next_cursor: str | None = None


@attrs.frozen(kw_only=True)
class Seen:
    """
    What provider and LMS know of one enrollment; None = not asked.

    Attributes:
        now: The store's time.
        session: The stored session.
        gone: Whether the provider does not know the stored session.
        refunds: Refunds of the payment.
        disputes: Disputes of the payment.
        lms_rows: The LMS's rows of the learner and course.
        other_entitled: Other enrollments that entitle the learner to the same row.
        ours: Those of the LMS's rows that are ours by the evidence.
        unreadable: What could not be read, and why; the rest is compared.
    """

    now: datetime
    session: CheckoutSession | None = None
    gone: bool = False
    refunds: tuple[Refund, ...] | None = None
    disputes: tuple[Dispute, ...] | None = None
    lms_rows: tuple[LMSEnrollment, ...] | None = None
    other_entitled: tuple[str, ...] = ()
    ours: frozenset[str] = frozenset()
    unreadable: tuple[str, ...] = ()


def compare(row: Enrollment, seen: Seen, policy: SettlePolicy) -> list[Finding]:
    """Return the differences between the three sides about an enrollment."""
    found = [
        _payment(row, seen, policy),
        _twice(row, seen),
        _money(row, seen, policy),
        _lms(row, seen),
        *(unreadable(row.id, cause, row.id) for cause in seen.unreadable),
    ]
    return [finding for finding in found if finding is not None]


def unreadable(subject: str, cause: str, enrollment_id: str | None = None) -> Finding:
    """Return the finding that something can't be read; an operator has to look."""
    return Finding(
        difference=Difference.UNREADABLE,
        subject=subject,
        cause=cause,
        enrollment_id=enrollment_id,
    )


def _finding(
    row: Enrollment, difference: Difference, cause: str, repair: Repair
) -> Finding:
    return Finding(
        difference=difference,
        subject=row.id,
        cause=cause,
        enrollment_id=row.id,
        repair=repair,
    )


def _payment(row: Enrollment, seen: Seen, policy: SettlePolicy) -> Finding | None:
    session = seen.session
    if seen.gone:
        return _gone(row, policy)
    paid = session is not None and session.paid
    if row.status in UNPAID | EXITS:
        if paid and row.override is not Override.DISMISSED:
            cause = f"the session is paid, the enrollment is {row.status}"
            return _finding(row, Difference.PAID_NOT_CONFIRMED, cause, Repair.SETTLE)
        return _lapsed(row, seen, policy)
    by_word = row.override in {Override.ACCEPTED, Override.REINSTATED}
    unseen = session is None and seen.unreadable
    if row.status in ENTITLED and row.amount and not (by_word or paid or unseen):
        state = "is not paid" if session is not None else "is not known"
        cause = f"{row.amount} are due, the session {state}, and no operator said so"
        return _finding(row, Difference.ENROLLED_NOT_PAID, cause, Repair.NONE)
    return None


def _twice(row: Enrollment, seen: Seen) -> Finding | None:
    """Return the finding of a second payment by one learner for one course."""
    paid = seen.session.payment_id if seen.session and seen.session.paid else None
    if paid and row.payment_id not in (None, paid):
        cause = f"its session was paid by {paid}, and it has {row.payment_id}"
        return _finding(row, Difference.PAID_TWICE, cause, Repair.NONE)
    if row.status is Status.ON_HOLD and row.held_for in TAKEN:
        other = next(
            (e.detail["other"] for e in row.history[::-1] if "other" in e.detail), None
        )
        cause = f"held: the learner has {other}; give it back, accept it or dismiss it"
        return _finding(row, Difference.PAID_TWICE, cause, Repair.NONE)
    return None


def _gone(row: Enrollment, policy: SettlePolicy) -> Finding | None:
    """Return the finding of an unknown session, unless the enrollment has ended."""
    if row.status in EXITS | {Status.REVOKED}:
        return None
    made = (row.session_account, row.session_livemode)
    known = bool(row.session_account and policy.account)
    moved = known and made != (policy.account, policy.livemode)
    why = "it was made under another account or mode" if moved else "is the key right?"
    cause = f"the provider does not know session {row.session_id}: {why}"
    repair = Repair.SETTLE if row.status in UNPAID else Repair.NONE
    return _finding(row, Difference.SESSION_GONE, cause, repair)


def _forgotten(session: CheckoutSession, row: Enrollment | None) -> Finding:
    """
    Return the finding of a paid session that no row stores.

    Its URL was handed out only after it was stored, so the store has lost it.
    """
    lost = row is not None and row.session_id is None
    gone = row is None and is_enough(session)
    difference = Difference.PAID_WITHOUT_ENROLLMENT
    cause = "paid, carries our mark, and no enrollment stores it"
    return Finding(
        difference=Difference.PAID_NOT_CONFIRMED if lost else difference,
        subject=session.id,
        cause=f"{cause}: was a backup restored?" if gone else cause,
        enrollment_id=session.enrollment_id if row or gone else None,
        repair=Repair.REBUILD if lost or gone else Repair.NONE,
    )


def orphan(session: CheckoutSession, row: Enrollment | None) -> Finding | None:
    """
    Return what is wrong with a session that has our mark but that no row stores.

    Args:
        session: The session as the provider lists it.
        row: The enrollment that it names, read afterwards, or None.
    """
    if session.paid:
        return _forgotten(session, row)
    if session.status is not SessionStatus.OPEN:
        return None
    if row is None:
        cause = "open, carries our mark, and names no enrollment of this store"
    elif can_store(row, session):
        return None
    else:
        cause = f"open, of try {session.try_number}; no enrollment can store it"
    return Finding(
        difference=Difference.ORPHAN_SESSION,
        subject=session.id,
        cause=cause,
        enrollment_id=row.id if row else None,
        repair=Repair.DISCARD if row else Repair.NONE,
    )


def _lapsed(row: Enrollment, seen: Seen, policy: SettlePolicy) -> Finding | None:
    session = seen.session
    if row.status is not Status.AWAITING_PAYMENT or session is None:
        return None
    if session.status is SessionStatus.COMPLETE:
        return None
    ends_at = session.expires_at or row.session_expires_at or seen.now
    if seen.now < ends_at + timedelta(seconds=policy.session_margin_s):
        return None
    cause = f"the session should have ended at {ends_at.isoformat()}: {session.status}"
    return _finding(row, Difference.SESSION_OPEN_PAST_EXPIRY, cause, Repair.EXPIRE)


def _money(row: Enrollment, seen: Seen, policy: SettlePolicy) -> Finding | None:
    if row.status in UNPAID | EXITS or (seen.refunds, seen.disputes) == (None, None):
        return None
    money = sums_of(row, seen.refunds, seen.disputes)
    new = evolve(row, **money)
    to, reason = standing_of(new, policy)
    if to is row.status and money == {name: getattr(row, name) for name in money}:
        return None
    cause = (
        f"given back: {new.refunded_minor} (known: {row.refunded_minor}), "
        f"dispute: {new.dispute or 'none'} (known: {row.dispute or 'none'})"
    )
    lost = row.status in ENTITLED and to not in ENTITLED
    if lost:
        cause = f"{reason}, and still {row.status}: {cause}"
    kind = Difference.REFUNDED_STILL_ENROLLED if lost else Difference.MONEY_NOT_APPLIED
    return _finding(row, kind, cause, Repair.MONEY)


def _lms(row: Enrollment, seen: Seen) -> Finding | None:
    rows = seen.lms_rows
    if rows is None:
        return None
    names = ", ".join(sorted(one.name for one in rows))
    if row.status in ENTITLED:
        if not rows:
            cause = f"the LMS has no row (its job: {row.lms_status})"
        elif len(rows) > 1:
            ours = ", ".join(sorted(seen.ours)) or "none"
            cause = f"the LMS has {len(rows)} rows: {names} (of ours: {ours})"
            return _finding(row, Difference.LMS_DUPLICATES, cause, Repair.SYNC)
        elif row.status is Status.CONFIRMED:
            cause = f"the LMS has {names}, the enrollment does not know it"
        else:
            return None
        return _finding(row, Difference.CONFIRMED_NOT_ENROLLED, cause, Repair.SYNC)
    if not seen.ours or seen.other_entitled:
        return None
    ours = ", ".join(sorted(seen.ours))
    cause = f"the enrollment is {row.status}, the LMS still has {ours}"
    return _finding(row, Difference.REFUNDED_STILL_ENROLLED, cause, Repair.SYNC)
