# SPDX-License-Identifier: MIT
"""What `decide` is given and what it answers: plain records, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
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


#: History facts that a payment event brings.
BROUGHT = frozenset({"paid", "paid_mismatch", "paid_late"})


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
    #: Somebody else waits for the coupon, or the learner began anew with other terms.
    EXPIRE = auto()
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
    RIVALS = auto()
    END_RIVALS = auto()


@attrs.frozen(kw_only=True)
class LMSReport:
    """
    What the sync of a learner and course found.

    Attributes:
        status: How far the LMS follows.
        name: The LMS's row, or None when there is none.
        ours: Whether we inserted that row.
        progress: Progress of a row that was removed, to be restored later.
    """

    status: LMSStatus
    name: str | None = None
    ours: bool = False
    progress: float | None = None


@attrs.frozen(kw_only=True)
class OperatorAction:
    """
    An operator's word.

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


@attrs.frozen(kw_only=True)
class Facts:
    """
    All that is known while one `settle` runs.

    None means: not asked for yet.

    Attributes:
        now: The store's time.
        wish: Why settle was called.
        event: A signed payment event that names this enrollment.
        lms: What a sync found.
        action: An operator's word.
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
        rivals: Other rows that hold the slot of the learner and course.
        rivals_ended: Whether those that nobody has paid were asked to end.
        payment_gone: Whether the provider does not know the payment.
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
    rivals: tuple[Enrollment, ...] | None = None
    rivals_ended: bool = False
    payment_gone: bool = False


@attrs.frozen(kw_only=True)
class SettlePolicy:
    """
    The settings that `decide` follows.

    Attributes:
        livemode: Whether the provider's credentials move real money.
        account: Mark of the account that they belong to; "" = unknown.
        refund_policy: "keep", "suspend" or "revoke" after a full refund.
        refund_threshold_percent: Share given back from which a refund counts as full.
        partial_refund_policy: The same after a smaller one.
        dispute_policy: The same while a dispute is open (an inquiry is none).
        dispute_lost_policy: The same after a dispute that was lost.
        fraud_policy: "keep" or "suspend" (wait for an operator) after a fraud warning
            or a review.
        tax_behavior: Whether prices hold the taxes: "inclusive" or "exclusive".
        grace_s: Seconds after which a row that nobody advances is rolled back.
        session_margin_s: Seconds past a session's end before it is looked at.
        processing_look_s: Seconds between looks at a delayed payment.
        create_keys: Idempotency keys that one attempt may use up.
        create_patience_s: Seconds after which an unclear create is not tried again for
            a learner who waits.
        gone_margin_s: Seconds for which the provider has to go on not knowing a
            session, past the session's end and since that was first seen.
        gone_look_s: Seconds between looks at one that it does not tell of.
        gone_looks_s: Seconds after which a payment that it does not know is not looked
            for any more.
        silent_s: Seconds past a session's end after which whatever fails is as good as
            an answer: no webhook of it comes any more either.
        silent_tries: Looks that have to fail before that.
    """

    livemode: bool = False
    account: str = ""
    refund_policy: str = "revoke"
    refund_threshold_percent: Decimal = Decimal(100)
    partial_refund_policy: str = "keep"
    dispute_policy: str = "suspend"
    dispute_lost_policy: str = "revoke"
    fraud_policy: str = "keep"
    tax_behavior: str = "inclusive"
    grace_s: float = 120.0
    session_margin_s: float = 60.0
    processing_look_s: float = 3600.0
    create_keys: int = 3
    create_patience_s: float = 10.0
    gone_margin_s: float = 3600.0
    gone_look_s: float = 600.0
    gone_looks_s: float = 86_400.0
    silent_s: float = 3 * 86_400.0
    silent_tries: int = 5


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
    """The operator's word does not fit the row's status."""

    why: str


Decision = Need | Write | Keep | Refuse
