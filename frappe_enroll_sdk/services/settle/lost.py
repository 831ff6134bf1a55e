# SPDX-License-Identifier: MIT
"""
Sessions that no row can store, and sessions that the provider does not tell of: pure.

Nobody can pay a session whose URL was never handed out, and a URL is handed out only
from a row that was read after it had stored the session. So a session that a row can't
store any more may be expired, whoever finds it.

A provider that does not know a session which it has made answers for another account
or mode. That may be a wrong key of ten minutes or a new account for good, and nothing
tells these apart but time: nobody pays past the session's end. A payment that was under
way then (a delayed method) may still arrive, so that one waits for a word.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from ...models import CheckoutSession, Enrollment, Status
from ...policies import SettlePolicy
from .decision import Facts, Lost, Wish


#: Reason of an attempt whose payment is under way.
PROCESSING = "processing"
#: How long a session lives at the most where nobody has told (Stripe, `expires_at`).
_LONGEST = timedelta(days=1)


def can_store(row: Enrollment, session: CheckoutSession) -> bool:
    """
    Tell whether the row stores the session, or may still come to do so.

    Only of a row that was read after the session was made: a later try, or any status
    but pending, is never taken back.
    """
    if row.session_id == session.id:
        return True
    return row.status is Status.PENDING and row.session_try <= session.try_number


def was_abandoned(row: Enrollment, session: CheckoutSession) -> bool:
    """Tell whether the session is by its mark one of the row's that it gave up."""
    if row.session_request is None or session.enrollment_id != row.id:
        return False
    latest = row.session_try if row.session_id is None else row.session_try - 1
    return session.try_number <= latest


def ends_at(row: Enrollment) -> datetime:
    """Return when the row's session is over, whoever tells of it."""
    return row.session_expires_at or row.created_at + _LONGEST


def is_past(row: Enrollment, now: datetime, margin_s: float) -> bool:
    """Tell whether the row's session is over by so many seconds."""
    return now >= ends_at(row) + timedelta(seconds=margin_s)


def goes_without(row: Enrollment, facts: Facts, policy: SettlePolicy) -> bool:
    """Tell whether a provider that fails is not waited for any more."""
    if row.status is not Status.AWAITING_PAYMENT:
        return False
    if facts.wish is Wish.END:
        return is_past(row, facts.now, policy.gone_margin_s)
    # It has failed again and again since, not once after a pause of ours.
    tired = row.tries >= policy.silent_tries
    return tired and is_past(row, facts.now, policy.silent_s)


def is_given_up(row: Enrollment, facts: Facts, policy: SettlePolicy) -> bool:
    """Tell whether the clock of a lost session has run out: its seat is free."""
    if facts.lost is Lost.UNREADABLE:
        return True
    if row.gone_at is None or not is_past(row, facts.now, policy.gone_margin_s):
        return False
    # A key that is put right in between is seen, and the clock begins anew.
    return facts.now >= row.gone_at + timedelta(seconds=policy.gone_margin_s)


def may_end(row: Enrollment, facts: Facts, policy: SettlePolicy) -> bool:
    """Tell whether an attempt whose session is lost ends now."""
    if facts.wish is Wish.END:
        return True
    is_test = row.session_livemode is False and policy.livemode
    if facts.lost is Lost.GONE and is_test:
        return True
    return row.reason != PROCESSING and is_given_up(row, facts, policy)
