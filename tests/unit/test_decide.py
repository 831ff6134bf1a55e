# SPDX-License-Identifier: MIT
"""What becomes of an enrollment that nobody has paid for yet, case by case."""

from __future__ import annotations

import attrs
import pytest
from unit.rows import (
    CODE,
    NOTHING,
    NOW,
    PRICE,
    later,
    make_event,
    make_row,
    make_session,
)

from frappe_enroll_sdk.models import (
    ExpireOutcome,
    Fact,
    PaymentStatus,
    ReleaseOutcome,
    Reservation,
    ReserveOutcome,
    Seat,
    SeatState,
    SessionStatus,
    Status,
)
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.policies import SettlePolicy
from frappe_enroll_sdk.services.settle.decide import decide, mismatch
from frappe_enroll_sdk.services.settle.decision import (
    Facts,
    Keep,
    Need,
    Step,
    Wish,
    Write,
)


POLICY = SettlePolicy()
OPEN, OPEN_LOOK = make_session(expires_at=later(7200)), Keep(later(7260))
COMPLETE, EXPIRED = SessionStatus.COMPLETE, SessionStatus.EXPIRED
PAID = make_session(COMPLETE, PaymentStatus.PAID, payment_id="pi_1")
UNPAID = make_session(COMPLETE, payment_id="pi_1")
REQUEST = {"amount": 4900}


def pending(**changes):
    """Return a row that nobody has advanced."""
    return make_row(**{"due_at": later(120)} | changes)


def granted(amount=NOTHING, **changes):
    """Return a pending row with a coupon."""
    return pending(coupon_code=CODE, amount=amount, **changes)


def awaiting(**changes):
    """Return a row whose session is stored."""
    more = {"session_id": "cs_1", "session_request": REQUEST}
    return make_row(Status.AWAITING_PAYMENT, **more | changes)


def seat(state, outcome=ReserveOutcome.RESERVED):
    """Return the answer of reserve."""
    if state is None:
        return Reservation(outcome=outcome)
    mine = Seat(code=CODE, holder="enr_1", state=state, reserved_at=NOW, until=NOW)
    return Reservation(outcome=outcome, seat=mine)


HELD, BOUND, REDEEMED = (
    seat(state) for state in (SeatState.HELD, SeatState.BOUND, SeatState.REDEEMED)
)
ADVANCE = {"wish": Wish.ADVANCE, "looked": True}
FENCED = ADVANCE | {"reservation": HELD, "fenced": True}


def ended(to, reason, **detail):
    """Return the write of an end."""
    return Write(to=to, fact=reason, changes={"reason": reason}, detail=detail)


def unavailable(outcome):
    """Return the write of a checkout that lost its coupon."""
    return ended(Status.FAILED, "coupon_unavailable", outcome=outcome)


REDEEMED_WRITE = Write(to=Status.CONFIRMED, fact="coupon_redeemed")
GOT = {"payment_id": "pi_1", "paid": PRICE, "tax_minor": 0}
PAID_WRITE = Write(to=Status.CONFIRMED, fact="paid", changes=GOT | {"reason": None})
LATE_WRITE = attrs.evolve(PAID_WRITE, detail={"late": True})
TOLD_WRITE = attrs.evolve(PAID_WRITE, detail={"event_id": "evt_1"})
REQUESTED = Write(
    to=Status.PENDING,
    fact="session_requested",
    changes={"session_request": REQUEST, "tax_behavior": "inclusive"},
)


def held_for(reason, **forged):
    """Return the write that holds a payment that fits nothing."""
    changes = GOT | {"paid": forged.get("amount", PRICE)}
    changes |= {"reason": reason, "held_for": reason}
    return Write(to=Status.ON_HOLD, fact="paid_mismatch", changes=changes)


def case(name, row, facts, expected):
    """Return one row of a table."""
    return pytest.param(row, facts, expected, id=name)


PENDING_CASES = [
    case("a look changes nothing", pending(), {}, Keep(later(120))),
    case("due", pending(), {"wish": Wish.DUE}, ended(Status.EXPIRED, "expired")),
    case("replaced", pending(), {"wish": Wish.EXPIRE}, ended("expired", "expired")),
    case("given up", pending(), {"wish": Wish.CANCEL}, ended("cancelled", "cancelled")),
    case(
        "a full grant's end releases first",
        granted(),
        {"wish": Wish.DUE},
        Need(Step.RELEASE),
    ),
    case(
        "released, then expired",
        granted(),
        {"wish": Wish.DUE, "released": ReleaseOutcome.RELEASED},
        ended(Status.EXPIRED, "expired"),
    ),
    case(
        "where money is asked for, the end is written first",
        granted(PRICE),
        {"wish": Wish.DUE},
        ended(Status.EXPIRED, "expired"),
    ),
    case(
        "had no seat, then cancelled",
        granted(),
        {"wish": Wish.CANCEL, "released": ReleaseOutcome.NOT_HELD},
        ended(Status.CANCELLED, "cancelled"),
    ),
    case(
        "a redeemed grant is past the point of no return",
        granted(),
        {"wish": Wish.CANCEL, "released": ReleaseOutcome.REDEEMED},
        REDEEMED_WRITE,
    ),
    case(
        "a redeemed part of a price is not a payment",
        granted(PRICE),
        {"wish": Wish.CANCEL, "released": ReleaseOutcome.REDEEMED},
        ended(Status.CANCELLED, "cancelled"),
    ),
    case("free", pending(amount=NOTHING), ADVANCE, Write(to="confirmed", fact="free")),
    case("priced", pending(), ADVANCE, Need(Step.PREPARE)),
    case("prepared", pending(), ADVANCE | {"request": REQUEST}, REQUESTED),
    case("coupon first", granted(), ADVANCE, Need(Step.RESERVE)),
    case(
        "reserved is written before it is used",
        granted(PRICE),
        ADVANCE | {"reservation": HELD},
        Write(to=Status.PENDING, fact="reserved"),
    ),
    case(
        "a code that leaves nothing to pay claims the slot in that write",
        granted(),
        ADVANCE | {"reservation": HELD},
        Write(to=Status.PENDING, fact="reserved", changes={"claims_slot": True}),
    ),
    case(
        "a bound seat is fenced too",
        granted(PRICE),
        ADVANCE | {"reservation": BOUND},
        Write(to=Status.PENDING, fact="reserved"),
    ),
    case(
        "redeemed by an earlier run",
        granted(),
        ADVANCE | {"reservation": REDEEMED},
        REDEEMED_WRITE,
    ),
    case("a full grant redeems", granted(), FENCED, Need(Step.REDEEM)),
    case("redeemed", granted(), FENCED | {"redeemed": True}, REDEEMED_WRITE),
    case(
        "a lost seat is released",
        granted(),
        FENCED | {"redeemed": False},
        Need(Step.RELEASE),
    ),
    case(
        "a lost seat fails",
        granted(),
        FENCED | {"redeemed": False, "released": ReleaseOutcome.NOT_HELD},
        unavailable("lost"),
    ),
    case("a partial grant binds first", granted(PRICE), FENCED, Need(Step.BIND)),
    case(
        "bound, then prepared",
        granted(PRICE),
        FENCED | {"bound": True},
        Need(Step.PREPARE),
    ),
    case(
        "bound and prepared",
        granted(PRICE),
        FENCED | {"bound": True, "request": REQUEST},
        REQUESTED,
    ),
    case(
        "not bound",
        granted(PRICE),
        FENCED | {"bound": False},
        unavailable("lost"),
    ),
    *(
        case(
            f"the code is {outcome}",
            granted(),
            ADVANCE
            | {
                "reservation": seat(None, outcome),
                "released": ReleaseOutcome.NOT_HELD,
            },
            unavailable(outcome),
        )
        for outcome in (ReserveOutcome.HELD, ReserveOutcome.EXHAUSTED)
    ),
    case(
        "a code that is held releases first",
        granted(),
        ADVANCE | {"reservation": seat(None, ReserveOutcome.HELD)},
        Need(Step.RELEASE),
    ),
]
ASKED = pending(session_request=REQUEST)
UNCLEAR = ADVANCE | {"create_unclear": True, "create_cause": "500"}
NO_SESSION = ended(Status.FAILED, "payments_unavailable", cause="500")
REQUESTED_CASES = [
    case("advance sends the request", ASKED, ADVANCE, Need(Step.CREATE)),
    case("a look sends nothing", ASKED, {}, Keep(later(120))),
    *(
        case(
            f"{wish}: nobody waits, and nobody was given the session's URL",
            ASKED,
            {"wish": wish},
            ended(Status.EXPIRED, "expired"),
        )
        for wish in (Wish.DUE, Wish.EXPIRE, Wish.END)
    ),
    case(
        "given up",
        ASKED,
        {"wish": Wish.CANCEL},
        ended(Status.CANCELLED, "cancelled"),
    ),
    case("an unclear create asks for another", ASKED, UNCLEAR, Need(Step.PREPARE)),
    case(
        "an unclear create is abandoned by one write",
        ASKED,
        UNCLEAR | {"request": {"amount": 4901}},
        Write(
            to=Status.PENDING,
            fact="create_abandoned",
            changes={
                "session_request": {"amount": 4901},
                "session_try": 2,
                "tax_behavior": "inclusive",
            },
            detail={"cause": "500"},
        ),
    ),
    case(
        "the third key is the last",
        pending(session_request=REQUEST, session_try=3),
        UNCLEAR,
        NO_SESSION,
    ),
    case(
        "nobody waits for three time-outs",
        ASKED,
        UNCLEAR | {"create_waited_s": 10.0},
        NO_SESSION,
    ),
    case(
        "created",
        ASKED,
        {"session": make_session(url="http://pay", expires_at=later(7200))},
        Write(
            to=Status.AWAITING_PAYMENT,
            fact="session_created",
            changes={
                "session_id": "cs_1",
                "payment_url": "http://pay",
                "session_expires_at": later(7200),
                "session_account": "",
                "session_livemode": False,
            },
        ),
    ),
    case(
        "created for a row that has gone on to another try",
        pending(session_request=REQUEST, session_try=2),
        ADVANCE | {"created": make_session()},
        Need(Step.DISCARD),
    ),
    case(
        "created for a row that has ended",
        make_row(Status.EXPIRED, session_request=REQUEST),
        ADVANCE | {"created": make_session()},
        Need(Step.DISCARD),
    ),
    case(
        "created for a row that has stored another one",
        awaiting(session_id="cs_2", session_try=2),
        ADVANCE | {"created": make_session(), "session": OPEN},
        Need(Step.DISCARD),
    ),
    case(
        "created for a row that another run has stored the same one in",
        awaiting(),
        ADVANCE | {"created": make_session(), "session": OPEN},
        OPEN_LOOK,
    ),
    case(
        "created for a row that may still store it",
        ASKED,
        ADVANCE | {"created": make_session()},
        Need(Step.CREATE),
    ),
    case(
        "refused by the provider",
        ASKED,
        ADVANCE
        | {"create_refused": "payment_refused", "create_cause": "no such currency"},
        ended(Status.FAILED, "payment_refused", cause="no such currency"),
    ),
    case(
        "refused, with a seat",
        granted(PRICE, session_request=REQUEST),
        ADVANCE | {"create_refused": "payments_unavailable"},
        ended(Status.FAILED, "payments_unavailable", cause=""),
    ),
]
#: Wishes for which the provider is asked.
ASKING = [wish for wish in Wish if wish is not Wish.REPLACE]
AWAITING_CASES = [
    *(
        case(f"{wish} retrieves", awaiting(), {"wish": wish}, Need(Step.RETRIEVE))
        for wish in ASKING
    ),
    case(
        "beside a new one of its owner's its end is owed, and nobody is asked",
        awaiting(),
        {"wish": Wish.REPLACE},
        Write(to="awaiting_payment", fact="replaced", changes={"reason": "replaced"}),
    ),
    case("owed once", awaiting(reason="replaced"), {"wish": Wish.REPLACE}, Keep(NOW)),
    case(
        "a payment under way is not replaced",
        awaiting(reason="processing", due_at=later(9)),
        {"wish": Wish.REPLACE},
        Keep(later(9)),
    ),
    case(
        "what is replaced is ended by its next look",
        awaiting(reason="replaced"),
        {"wish": Wish.DUE, "session": OPEN},
        Need(Step.EXPIRE),
    ),
    *(
        case(
            f"{wish}: paid",
            awaiting(),
            {"wish": wish, "session": PAID},
            PAID_WRITE if wish is Wish.LOOK else LATE_WRITE,
        )
        for wish in ASKING
    ),
    case(
        "a signed event is the fact",
        awaiting(),
        {"event": make_event(session=PAID)},
        TOLD_WRITE,
    ),
    case(
        "a signed event beats an older look",
        awaiting(),
        {"event": make_event(session=PAID), "session": OPEN},
        TOLD_WRITE,
    ),
    case(
        "an event of another session is a hint",
        awaiting(session_id="cs_2"),
        {"event": make_event(session=PAID)},
        Need(Step.RETRIEVE),
    ),
    *(
        case(
            f"an event of {fact} is a hint",
            awaiting(),
            {"event": make_event(fact, session=PAID)},
            Need(Step.RETRIEVE),
        )
        for fact in Fact
        if fact is not Fact.PAID
    ),
    case(
        "an event without a session is a hint",
        awaiting(),
        {"event": make_event()},
        Need(Step.RETRIEVE),
    ),
    case(
        "completed but unpaid is processing",
        awaiting(),
        {"event": make_event(session=UNPAID)},
        Write(
            to=Status.AWAITING_PAYMENT,
            fact="payment_processing",
            changes={"reason": "processing"},
        ),
    ),
    case(
        "processing is looked at by the hour",
        awaiting(reason="processing"),
        {"session": UNPAID},
        Keep(later(3600)),
    ),
    case(
        "a delayed payment failed",
        awaiting(reason="processing"),
        {"session": make_session(COMPLETE, payment_failed=True)},
        ended(Status.FAILED, "payment_failed"),
    ),
    *(
        case(f"{wish}: open", awaiting(), {"wish": wish, "session": OPEN}, OPEN_LOOK)
        for wish in (Wish.LOOK, Wish.DUE, Wish.ADVANCE)
    ),
    case(
        "open past its end is looked at soon",
        awaiting(),
        {"session": make_session(expires_at=later(-600))},
        Keep(later(60)),
    ),
    case(
        "open without any end is looked at soon",
        awaiting(),
        {"session": make_session()},
        Keep(later(60)),
    ),
    case(
        "the stored end counts where none is told",
        awaiting(session_expires_at=later(300)),
        {"session": make_session()},
        Keep(later(360)),
    ),
    *(
        case(
            f"{wish} expires the session",
            awaiting(),
            {"wish": wish, "session": OPEN},
            Need(Step.EXPIRE),
        )
        for wish in (Wish.CANCEL, Wish.EXPIRE, Wish.END)
    ),
    *(
        case(
            f"not open any more: {wish} looks again",
            awaiting(),
            {"wish": wish, "expire": ExpireOutcome.NOT_OPEN},
            Need(Step.RETRIEVE),
        )
        for wish in (Wish.CANCEL, Wish.EXPIRE, Wish.END)
    ),
    *(
        case(
            f"refused and open all the same: {wish} asks once",
            awaiting(),
            {"wish": wish, "session": OPEN, "expire": ExpireOutcome.NOT_OPEN},
            OPEN_LOOK,
        )
        for wish in (Wish.CANCEL, Wish.EXPIRE)
    ),
    case(
        "refused and open all the same: an operator's word ends it",
        awaiting(),
        {"wish": Wish.END, "session": OPEN, "expire": ExpireOutcome.NOT_OPEN},
        ended(Status.EXPIRED, "expired"),
    ),
    case(
        "open for days past its end is over",
        awaiting(session_expires_at=later(-3 * 86_400)),
        {"session": OPEN},
        ended(Status.EXPIRED, "expired"),
    ),
    case(
        "an operator's word ends a delayed payment",
        awaiting(reason="processing"),
        {"session": UNPAID, "wish": Wish.END},
        ended(Status.EXPIRED, "expired"),
    ),
    case(
        "expired for the learner",
        awaiting(),
        {"wish": Wish.CANCEL, "session": OPEN, "expire": ExpireOutcome.EXPIRED},
        ended(Status.CANCELLED, "cancelled"),
    ),
    case(
        "expired for another",
        awaiting(coupon_code=CODE),
        {
            "wish": Wish.EXPIRE,
            "session": OPEN,
            "expire": ExpireOutcome.EXPIRED,
        },
        ended(Status.EXPIRED, "expired"),
    ),
    case(
        "no seat is freed before the session has expired",
        awaiting(coupon_code=CODE),
        {"wish": Wish.EXPIRE, "session": OPEN},
        Need(Step.EXPIRE),
    ),
    case(
        "a lapsed session ends the row",
        awaiting(),
        {"session": make_session(EXPIRED)},
        ended(Status.EXPIRED, "expired"),
    ),
    *(
        case(
            f"paid, but {reason} of {forged}",
            awaiting(),
            {"session": attrs.evolve(PAID, **forged)},
            held_for(reason, **forged),
        )
        for reason, forged in (
            ("mode_mismatch", {"livemode": True}),
            ("mode_mismatch", {"livemode": True, "amount": Money(1, "eur")}),
            ("amount_mismatch", {"amount": Money(1, "usd")}),
            ("amount_mismatch", {"amount": Money(4901, "usd")}),
            ("currency_mismatch", {"amount": Money(4900, "eur")}),
            ("currency_mismatch", {"amount": None}),
        )
    ),
]


@pytest.mark.parametrize(
    ("row", "facts", "expected"), PENDING_CASES + REQUESTED_CASES + AWAITING_CASES
)
def test_decide_answers_for_an_unpaid_row(row, facts, expected):
    """Each combination of row and facts has one answer."""
    assert expected == decide(row, Facts(now=NOW, **facts), POLICY)


def test_mismatch_follows_the_mode_of_the_credentials():
    """A live session fits a live store, and a test session no longer does."""
    live = SettlePolicy(livemode=True)
    real = make_session(COMPLETE, PaymentStatus.PAID, livemode=True)
    assert mismatch(awaiting(), real, live) is None
    assert mismatch(awaiting(), PAID, live) == "mode_mismatch"
