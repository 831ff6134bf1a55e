# SPDX-License-Identifier: MIT
"""What `decide` is given and what it answers: plain records, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum, auto
from typing import Any

import attrs

from ...models import (
    CheckoutSession,
    Dispute,
    Enrollment,
    ExpireOutcome,
    LMSStatus,
    Override,
    PaymentEvent,
    Refund,
    ReleaseOutcome,
    Reservation,
    Status,
)
from ...money import Money
from ...outcomes import Done


#: History facts that a payment event brings.
BROUGHT = frozenset({"paid", "paid_mismatch", "paid_late", "paid_twice"})


class Wish(StrEnum):
    """Why `settle` is called."""

    #: A hint (webhook, return page, reconcile): look, change what the facts change.
    LOOK = auto()
    #: The time that the row itself had set has come; nobody waits for an answer.
    DUE = auto()
    #: The learner is in the checkout and waits.
    ADVANCE = auto()
    #: The learner gives up.
    CANCEL = auto()
    #: Somebody else waits for the coupon, or has the slot.
    EXPIRE = auto()
    #: Whoever opened the attempt has begun anew with other terms: its end is owed.
    REPLACE = auto()
    #: The slot is free again, and a payment that was held for it may have it.
    PROMOTE = auto()
    #: A payment beside another one is to go back, by policy.
    GIVE_BACK = auto()
    #: An operator ends an attempt that nobody has paid, whatever the provider says.
    END = auto()


class Lost(StrEnum):
    """Why the provider does not tell of a session that it has made for us."""

    #: It does not know it: another account or mode.
    GONE = auto()
    #: It has failed, or refused us, for longer than anybody waits.
    UNREADABLE = auto()


class Step(StrEnum):
    """A fact that `decide` misses; `settle` gets it by one call."""

    RESERVE = auto()
    BIND = auto()
    REDEEM = auto()
    RELEASE = auto()
    PREPARE = auto()
    CREATE = auto()
    DISCARD = auto()
    RETRIEVE = auto()
    EXPIRE = auto()
    REFUNDS = auto()
    DISPUTES = auto()
    HOLDER = auto()
    SETTLE_CLAIM = auto()


@attrs.frozen(kw_only=True)
class LMSReport:
    """
    What the sync of a learner and course found.

    Attributes:
        status: How far the LMS follows.
        name: The LMS's row, or None when there is none.
        ours: Whether we inserted that row.
        progress: Progress of a row that was removed, to be restored later.
        left: Why a row is there although nobody is entitled; "" = none is.
    """

    status: LMSStatus
    name: str | None = None
    ours: bool = False
    progress: float | None = None
    left: str = ""


@attrs.frozen(kw_only=True)
class OperatorAction:
    """
    What an operator does about an enrollment.

    Attributes:
        override: What.
        actor: Who.
        reason: Why.
        moved_to: With a revocation: the enrollment that takes its place.
    """

    override: Override
    actor: str
    reason: str
    moved_to: str | None = None


@attrs.frozen(kw_only=True)
class Attached:
    """
    A payment that an operator says belongs to the enrollment.

    Attributes:
        reason: Why it had to be said; what the row is held for.
        session_id: The session that the row has forgotten, or None.
        payment_id: The payment, or None (nothing was paid).
        paid: What was charged, or None.
        tax_minor: Minor units of it that were taxes.
    """

    reason: str
    session_id: str | None = None
    payment_id: str | None = None
    paid: Money | None = None
    tax_minor: int = 0


@attrs.frozen(kw_only=True, slots=False)  # (see ``evolve.py``)
class Facts:
    """
    All that is known while one `settle` runs.

    None means: not asked for yet.

    Attributes:
        now: The store's time.
        wish: Why settle was called.
        event: A signed payment event that names this enrollment.
        lms: What a sync found.
        action: What an operator does.
        attached: A payment that an operator attaches.
        check_money: Whether refunds and disputes are to be listed again.
        quiet: Whether what is written now is told to nobody (no plugin's job or hook).
        reservation: Answer of reserve.
        fenced: Whether this run wrote the row after its reserve (see ``decide``).
        bound: Answer of bind.
        redeemed: Answer of redeem.
        released: Answer of release.
        request: The prepared create request.
        session: The session as the provider tells it now.
        lost: Why it does not tell of it, or None.
        created: The session that this run's create was answered with.
        create_refused: "payment_refused" (for good) or "payments_unavailable" (the
            call never left this host), or None.
        create_unclear: Whether a session may exist although the create failed.
        create_cause: Either in words.
        create_waited_s: Seconds since the run began when the create failed.
        expire: Answer of expire; the session that was known then is forgotten with it
            unless it has expired.
        refunds: All refunds of the payment.
        disputes: All disputes of the payment.
        looked: Whether the slot of the learner and course was looked at.
        holder: The other row that has it, or None.
        claim_settled: Whether one that had only claimed it was asked to end.
        payment_gone: Whether the provider does not know the payment.
        failed: Which lists of the money can't be had now, and why: the other one takes
            effect all the same.
    """

    now: datetime
    wish: Wish = Wish.LOOK
    event: PaymentEvent | None = None
    lms: LMSReport | None = None
    action: OperatorAction | None = None
    attached: Attached | None = None
    check_money: bool = False
    quiet: bool = False
    reservation: Reservation | None = None
    fenced: bool = False
    bound: bool | None = None
    redeemed: bool | None = None
    released: ReleaseOutcome | None = None
    request: Mapping[str, Any] | None = None
    session: CheckoutSession | None = None
    lost: Lost | None = None
    created: CheckoutSession | None = None
    create_refused: str | None = None
    create_unclear: bool = False
    create_cause: str = ""
    create_waited_s: float = 0.0
    expire: ExpireOutcome | None = None
    refunds: tuple[Refund, ...] | None = None
    disputes: tuple[Dispute, ...] | None = None
    looked: bool = False
    holder: Enrollment | None = None
    claim_settled: bool = False
    payment_gone: bool = False
    failed: Mapping[Step, Exception] = attrs.field(factory=dict)


@attrs.frozen
class Need:
    """`decide` misses a fact."""

    step: Step


@attrs.frozen(kw_only=True)
class Write:
    """
    One write of the row.

    Attributes:
        to: Status after it.
        fact: The history's word for it.
        changes: Fields by name.
        detail: The history's detail.
    """

    to: Status
    fact: str
    changes: Mapping[str, Any] = attrs.field(factory=dict)
    detail: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Keep:
    """Nothing to change; `due_at` = when the next look is owed (None = never)."""

    due_at: datetime | None = None


@attrs.frozen
class Refuse:
    """The operator's action does not fit the row's status."""

    why: str


Decision = Need | Write | Keep | Refuse


@attrs.frozen
class Settled(Done):
    """
    The work is done, and these enrollments were settled by it.

    Attributes:
        enrollments: As they stand now: whoever asked reads none again.
    """

    enrollments: tuple[Enrollment, ...] = ()
