# SPDX-License-Identifier: MIT
"""What becomes of a row that is paid, ended or held, case by case."""

from __future__ import annotations

import attrs
import pytest
from unit.rows import (
    CODE,
    NOTHING,
    NOW,
    PRICE,
    make_event,
    make_row,
    make_session,
)

from frappe_enroll_sdk.models import (
    LMSStatus,
    Override,
    PaymentStatus,
    ReleaseOutcome,
    SessionStatus,
    Status,
)
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.services.settle.decide import decide
from frappe_enroll_sdk.services.settle.decide_money import REBUILT
from frappe_enroll_sdk.services.settle.decision import (
    Attached,
    Facts,
    Keep,
    LMSReport,
    Need,
    OperatorAction,
    Refuse,
    SettlePolicy,
    Step,
    Wish,
    Write,
)
from frappe_enroll_sdk.states import EXITS, UNPAID


PAID = make_session(SessionStatus.COMPLETE, PaymentStatus.PAID, payment_id="pi_1")
EXPIRED = make_session(SessionStatus.EXPIRED)
ACTS = (Wish.ADVANCE, Wish.CANCEL, Wish.EXPIRE)
LATE = Write(
    to=Status.ON_HOLD,
    fact="paid_late",
    changes={
        "payment_id": "pi_1",
        "paid": PRICE,
        "tax_minor": 0,
        "reason": "late_payment",
        "held_for": "late_payment",
    },
)


def ask(row, policy="revoke", **facts):
    """Decide once."""
    return decide(row, Facts(now=NOW, **facts), SettlePolicy(refund_policy=policy))


@pytest.fixture(params=sorted(EXITS), ids=str)
def exit_row(request):
    """Return a row in each of the exits, whose session is known."""
    return make_row(request.param, session_id="cs_1", coupon_code=CODE)


@pytest.mark.parametrize("wish", list(Wish))
def test_exit_without_session_stays(exit_row, wish):
    """Nobody can have paid."""
    row = attrs.evolve(exit_row, session_id=None, coupon_code=None)
    assert ask(row, wish=wish) == Keep()


@pytest.mark.parametrize("wish", ACTS)
def test_exit_that_somebody_acts_on_gives_its_seat_back(exit_row, wish):
    """A checkout that lost to the exit may have left a seat behind."""
    assert ask(exit_row, wish=wish) == Need(Step.RELEASE)
    assert ask(exit_row, wish=wish, released=ReleaseOutcome.RELEASED) == Keep()


@pytest.mark.parametrize("wish", list(Wish))
def test_ended_full_grant_whose_coupon_was_redeemed_is_completed(exit_row, wish):
    """What its exit owes asks once more; redeemed is the point of no return."""
    row = attrs.evolve(exit_row, amount=NOTHING, session_id=None, effects_owed=True)
    assert ask(row, wish=wish) == Need(Step.RELEASE)
    assert ask(row, wish=wish, released=ReleaseOutcome.NOT_HELD) == Keep()
    redeemed = ask(row, wish=wish, released=ReleaseOutcome.REDEEMED)
    assert redeemed == Write(to=Status.CONFIRMED, fact="coupon_redeemed")


def test_ended_partial_grant_is_not_revived_by_its_coupon(exit_row):
    """A part of the price is no payment."""
    released = ReleaseOutcome.REDEEMED
    assert ask(exit_row, wish=Wish.CANCEL, released=released) == Keep()


def test_exit_is_looked_at_on_a_hint_only(exit_row):
    """A hint asks the provider; time and the learner's acts do not."""
    assert ask(exit_row) == Need(Step.RETRIEVE)
    assert ask(exit_row, wish=Wish.DUE) == Keep()
    uncouponed = attrs.evolve(exit_row, coupon_code=None)
    for wish in ACTS:
        assert ask(uncouponed, wish=wish) == Keep()


def test_exit_that_is_not_paid_stays(exit_row):
    """Scenario 15: an expired or open session changes nothing."""
    assert ask(exit_row, session=EXPIRED) == Keep()
    assert ask(exit_row, session=make_session()) == Keep()


def test_exit_that_is_paid_is_held(exit_row):
    """Scenario 6: money that came late is neither lost nor followed blindly."""
    assert ask(exit_row, session=PAID) == LATE
    told = attrs.evolve(LATE, detail={"event_id": "evt_1"})
    assert ask(exit_row, event=make_event(session=PAID)) == told


def test_exit_that_is_paid_wrongly_says_so(exit_row):
    """The reason of the hold names what does not fit."""
    odd = attrs.evolve(PAID, amount=Money(1, "usd"))
    held = ask(exit_row, session=odd)
    assert (held.to, held.changes["reason"]) == (Status.ON_HOLD, "amount_mismatch")


def test_dismissed_payment_stays_dismissed(exit_row):
    """An operator's word stands above every further delivery."""
    row = attrs.evolve(exit_row, override=Override.DISMISSED)
    assert ask(row, session=PAID) == Keep()
    assert ask(row, wish=Wish.CANCEL) == Keep()


def paid_row(status=Status.ENROLLED, **changes):
    """Return a row that was paid."""
    return make_row(status, **{"payment_id": "pi_1", "session_id": "cs_1"} | changes)


SYNCED = LMSReport(status=LMSStatus.SYNCED, name="row1", ours=True)
GOT = {
    "lms_status": LMSStatus.SYNCED,
    "lms_enrollment_id": "row1",
    "lms_row_ours": True,
    "lms_progress": None,
}
REMOVED = LMSReport(status=LMSStatus.SYNCED, name=None, progress=40.0)
RETRYING = LMSReport(status=LMSStatus.RETRYING)


@pytest.mark.parametrize(
    ("status", "report", "expected"),
    [
        (Status.CONFIRMED, None, Keep()),
        (Status.CONFIRMED, SYNCED, Write(to="enrolled", fact="enrolled", changes=GOT)),
        (Status.CONFIRMED, attrs.evolve(SYNCED, name=None), Keep()),
        (
            Status.CONFIRMED,
            RETRYING,
            Write(
                to="confirmed", fact="lms_retrying", changes={"lms_status": "retrying"}
            ),
        ),
        (
            Status.CONFIRMED,
            LMSReport(status=LMSStatus.DEAD),
            Write(to="confirmed", fact="lms_dead", changes={"lms_status": "dead"}),
        ),
        (Status.CONFIRMED, LMSReport(status=LMSStatus.PENDING), Keep()),
        (
            Status.ENROLLED,
            SYNCED,
            Write(to="enrolled", fact="lms_synced", changes=GOT),
        ),
        (Status.ENROLLED, attrs.evolve(SYNCED, name=None), Keep()),
        (
            Status.REVOKED,
            REMOVED,
            Write(
                to="revoked",
                fact="lms_synced",
                changes=GOT
                | {
                    "lms_enrollment_id": None,
                    "lms_row_ours": False,
                    "lms_progress": 40.0,
                },
            ),
        ),
    ],
)
def test_sync_is_reflected(status, report, expected):
    """What a sync found is taken over, and enrolls only with a row in hand."""
    assert expected == ask(paid_row(status), lms=report)


def test_sync_that_found_nothing_new_writes_nothing():
    """The same report twice is one write."""
    assert ask(paid_row(**GOT), lms=SYNCED) == Keep()


ALLOWED = {
    Override.REVOKED: {Status.CONFIRMED: "revoked", Status.ENROLLED: "revoked"},
    Override.REINSTATED: {Status.REVOKED: "confirmed"},
    Override.ACCEPTED: {Status.ON_HOLD: "confirmed"},
    Override.DISMISSED: {Status.ON_HOLD: "cancelled"},
}


@pytest.mark.parametrize("override", list(Override))
@pytest.mark.parametrize("status", list(Status))
def test_order_is_obeyed_where_it_may_be_said(override, status):
    """An operator's word fits some statuses and is refused for all others."""
    action = OperatorAction(override=override, actor="op", reason="why")
    answer = ask(paid_row(status), action=action)
    to = ALLOWED[override].get(status)
    if override is Override.REVOKED and status in UNPAID:
        # There is no right to take away: the attempt is ended, its session first.
        assert not isinstance(answer, Refuse)
        return
    if to is None:
        assert answer == Refuse(f"an enrollment that is {status} can't be {override}")
        return
    assert answer == Write(
        to=Status(to),
        fact=f"{override}_by_operator",
        changes={
            "override": override,
            "held_for": None,
            "reason": None if to == "confirmed" else "operator",
            "lms_status": LMSStatus.PENDING,
        },
        detail={"actor": "op", "reason": "why"},
    )


def test_order_that_was_obeyed_is_not_written_twice():
    """A repeated word changes nothing."""
    row = paid_row(Status.REVOKED, override=Override.REVOKED)
    action = OperatorAction(override=Override.REVOKED, actor="op", reason="why")
    assert ask(row, action=action) == Keep()


@pytest.mark.parametrize("requested", [None, {"params": {}}])
@pytest.mark.parametrize("status", [Status.PENDING, *sorted(EXITS)], ids=str)
def test_forgotten_session_is_written_down_before_its_money_is_looked_at(
    status, requested
):
    """Asked for again it might be another one: what is paid and ours is taken over."""
    row = make_row(status, session_request=requested)
    attached = Attached(reason=REBUILT, session_id="cs_1", payment_id="pi_1")
    write = ask(row, attached=attached, check_money=True)
    assert (write.to, write.fact) == (Status.ON_HOLD, "rebuilt")
    written = attrs.evolve(row, status=write.to, **write.changes)
    assert (written.session_id, written.held_for) == ("cs_1", None)
    # Whoever looks next, for whatever reason, asks for the money first.
    assert ask(written) == Need(Step.REFUNDS)
    assert ask(written, refunds=()) == Need(Step.DISPUTES)
    assert ask(written, refunds=(), disputes=()).to is Status.CONFIRMED


def test_forgotten_session_never_replaces_a_known_one():
    """A row that stores a session has forgotten none."""
    row = make_row(Status.PENDING, session_id="cs_2", session_request={"params": {}})
    attached = Attached(reason=REBUILT, session_id="cs_1", payment_id="pi_1")
    decision = ask(row, attached=attached)
    assert not isinstance(decision, Write) or decision.to is not Status.ON_HOLD
