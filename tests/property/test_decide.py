# SPDX-License-Identifier: MIT
"""P5 and the table, over every combination of row, facts and policy that is drawn."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from support.size import times
from unit.rows import (
    CODE,
    NOTHING,
    NOW,
    PRICE,
    later,
    make_event,
    make_refund,
    make_row,
    make_session,
)

from frappe_enroll_sdk.models import (
    ExpireOutcome,
    Fact,
    LMSStatus,
    Override,
    PaymentStatus,
    RefundStatus,
    ReleaseOutcome,
    Reservation,
    ReserveOutcome,
    Seat,
    SeatState,
    SessionStatus,
    Status,
)
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.services.settle.decide import decide, mismatch
from frappe_enroll_sdk.services.settle.decision import (
    Facts,
    LMSReport,
    Lost,
    OperatorAction,
    SettlePolicy,
    Step,
    Wish,
    Write,
)
from frappe_enroll_sdk.services.settle.lost import is_past
from frappe_enroll_sdk.states import EXITS, UNPAID, is_allowed


maybe = st.none() | st.booleans()
sessions = st.builds(
    make_session,
    st.sampled_from(SessionStatus),
    st.sampled_from(PaymentStatus),
    id=st.sampled_from(["cs_1", "cs_2"]),
    amount=st.sampled_from([PRICE, PRICE, Money(1, "usd"), Money(4900, "eur"), None]),
    livemode=st.booleans(),
    payment_failed=st.booleans(),
    payment_id=st.just("pi_1"),
)
seats = st.sampled_from(
    [None]
    + [
        Seat(code=CODE, holder="enr_1", state=state, reserved_at=NOW, until=NOW)
        for state in SeatState
    ]
)
rows = st.builds(
    make_row,
    st.sampled_from(Status),
    amount=st.sampled_from([PRICE, NOTHING]),
    coupon_code=st.sampled_from([None, CODE]),
    session_request=st.sampled_from([None, {"amount": 4900}]),
    session_id=st.sampled_from([None, "cs_1"]),
    session_try=st.integers(1, 3),
    session_livemode=st.sampled_from([None, False, True]),
    session_expires_at=st.sampled_from([None, later(-300_000), later(-4000), NOW]),
    gone_at=st.sampled_from([None, later(-4000), NOW]),
    seat_lapsed=st.booleans(),
    tries=st.sampled_from([0, 6]),
    payment_id=st.sampled_from([None, "pi_1"]),
    override=st.none() | st.sampled_from(Override),
    reason=st.sampled_from([None, "refunded", "operator", "processing"]),
    refunded_minor=st.sampled_from([0, 1960, 4900]),
    effects_owed=st.booleans(),
)
facts = st.builds(
    Facts,
    now=st.just(NOW),
    wish=st.sampled_from(Wish),
    event=st.none()
    | st.builds(make_event, st.sampled_from(Fact), st.none() | sessions),
    lms=st.none()
    | st.builds(
        LMSReport,
        status=st.sampled_from(LMSStatus),
        name=st.sampled_from([None, "row1"]),
    ),
    action=st.none()
    | st.builds(
        OperatorAction,
        override=st.sampled_from(Override),
        actor=st.just("op"),
        reason=st.just("why"),
    ),
    check_money=st.booleans(),
    reservation=st.none()
    | st.builds(Reservation, outcome=st.sampled_from(ReserveOutcome), seat=seats),
    fenced=st.booleans(),
    bound=maybe,
    redeemed=maybe,
    released=st.none() | st.sampled_from(ReleaseOutcome),
    request=st.sampled_from([None, {"amount": 4900}]),
    session=st.none() | sessions,
    lost=st.none() | st.sampled_from(Lost),
    created=st.none() | sessions,
    create_refused=st.sampled_from([None, "payment_refused"]),
    create_unclear=st.booleans(),
    create_waited_s=st.sampled_from([0.0, 20.0]),
    expire=st.none() | st.sampled_from(ExpireOutcome),
    refunds=st.none()
    | st.lists(
        st.builds(
            make_refund, st.sampled_from([1960, 2940]), st.sampled_from(RefundStatus)
        ),
        max_size=3,
    ).map(tuple),
)
policies = st.builds(
    SettlePolicy,
    livemode=st.booleans(),
    refund_policy=st.sampled_from(["keep", "suspend", "revoke"]),
)
many = settings(max_examples=times(1000, 50_000), deadline=None)


def paid_by(row, facts, policy):
    """Tell whether a verified payment of this order is among the facts."""
    told = [facts.session, facts.event.session if facts.event else None]
    return any(
        session is not None and session.paid and mismatch(row, session, policy) is None
        for session in told
    )


def has_reason(row, facts, policy):
    """Tell whether there is a reason to be confirmed (P5)."""
    seat = facts.reservation.seat if facts.reservation else None
    redeemed = (
        facts.redeemed
        or facts.released is ReleaseOutcome.REDEEMED
        or (seat is not None and seat.state is SeatState.REDEEMED)
    )
    reasons = {
        Status.PENDING: redeemed if row.coupon_code else row.amount == NOTHING,
        Status.AWAITING_PAYMENT: paid_by(row, facts, policy)
        or (row.amount == NOTHING and facts.released is ReleaseOutcome.REDEEMED),
        Status.ON_HOLD: row.reason == "refunded",
        Status.REVOKED: row.reason == "refunded",
    } | dict.fromkeys(
        EXITS, row.amount == NOTHING and facts.released is ReleaseOutcome.REDEEMED
    )
    words = {Override.ACCEPTED, Override.REINSTATED}
    ordered = facts.action is not None and facts.action.override in words
    return ordered or reasons.get(row.status, False)


@many
@given(rows, facts, policies)
def test_every_write_is_in_the_table(row, facts, policy):
    """Whatever is known, no write leaves the table; paid never becomes unpaid."""
    answer = decide(row, facts, policy)
    if isinstance(answer, Write):
        assert is_allowed(row.status, answer.to)
        assert answer.to not in UNPAID or row.status in UNPAID


@many
@given(rows, facts, policies)
def test_nobody_is_confirmed_without_a_reason(row, facts, policy):
    """P5: a verified payment, a redeemed coupon, a free course, an operator's word."""
    answer = decide(row, facts, policy)
    if isinstance(answer, Write) and answer.to is Status.CONFIRMED is not row.status:
        assert has_reason(row, facts, policy)


@many
@given(rows, facts, policies)
def test_only_a_confirmed_row_with_a_row_in_the_lms_is_enrolled(row, facts, policy):
    """The LMS's own word, never ours."""
    answer = decide(row, facts, policy)
    if isinstance(answer, Write) and answer.to is Status.ENROLLED is not row.status:
        assert row.status is Status.CONFIRMED
        assert facts.lms.name is not None


@many
@given(rows, facts, policies)
def test_no_seat_is_freed_while_a_payment_may_come(row, facts, policy):
    """A row ends, or frees, only once the session is known to be over or never was."""
    answer = decide(row, facts, policy)
    exits = isinstance(answer, Write) and answer.to in EXITS
    if not exits and getattr(answer, "step", None) is not Step.RELEASE:
        return
    if row.status is Status.AWAITING_PAYMENT:
        session = facts.session
        event = facts.event
        if event and event.session and event.fact is Fact.PAID:
            session = event.session if event.session.id == row.session_id else session
        if session is None:
            assert facts.lost is not None
            ended_by = facts.wish is Wish.END or (row.reason != "processing")
            told = event and event.fact in {Fact.EXPIRED, Fact.FAILED}
            # Nobody pays a test session with money.
            is_test = row.session_livemode is False and policy.livemode
            assert told or ended_by or (is_test and facts.lost is Lost.GONE)
            return
        assert not session.paid
        over = session.status is SessionStatus.EXPIRED or session.payment_failed
        over = over or facts.expire is ExpireOutcome.EXPIRED
        # The provider calls it open days after its end: nobody pays it any more.
        over = over or is_past(row, facts.now, policy.silent_s)
        assert over or facts.wish is Wish.END
    elif row.status is Status.PENDING and row.session_request is not None:
        # Nobody was given a URL: whoever does not wait for one ends it.
        waits = facts.wish is Wish.ADVANCE
        assert not waits or facts.create_refused or facts.create_unclear
