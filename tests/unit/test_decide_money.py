# SPDX-License-Identifier: MIT
"""What refunds, disputes, warnings and taxes make of a row, case by case."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest
from unit.rows import (
    NOW,
    PRICE,
    make_dispute,
    make_event,
    make_refund,
    make_row,
    make_session,
)

from frappe_enroll_sdk.models import (
    DisputeStatus,
    Fact,
    HistoryEntry,
    LMSStatus,
    Override,
    PaymentStatus,
    RefundStatus,
    SessionStatus,
    Status,
)
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.services.settle.decide import decide
from frappe_enroll_sdk.services.settle.decide_money import mismatch
from frappe_enroll_sdk.services.settle.decision import (
    Facts,
    Keep,
    LMSReport,
    Need,
    OperatorAction,
    Refuse,
    SettlePolicy,
    Step,
    Write,
)


D = DisputeStatus
PENDING = {"lms_status": LMSStatus.PENDING}
FLAGGED = make_event(Fact.FLAGGED)


def paid_row(status=Status.ENROLLED, **changes):
    """Return a row that was paid."""
    return make_row(status, **{"payment_id": "pi_1", "session_id": "cs_1"} | changes)


def ask(row, facts=None, **policy):
    """Decide once."""
    return decide(row, Facts(now=NOW, **facts or {}), SettlePolicy(**policy))


def listed(row, *money, **policy):
    """Decide over what the provider lists: refunds and disputes."""
    refunds = tuple(one for one in money if hasattr(one, "counts"))
    disputes = tuple(one for one in money if not hasattr(one, "counts"))
    facts = {"check_money": True, "refunds": refunds, "disputes": disputes}
    return ask(row, facts, **policy)


def taken(to, reason, fact, detail, **told):
    """Return the write that takes the right away."""
    return Write(
        to=to, fact=fact, changes=told | PENDING | {"reason": reason}, detail=detail
    )


def test_money_is_looked_at_on_news_only():
    """Without news, or without a payment, nothing is listed; then both are."""
    assert ask(paid_row()) == Keep()
    assert ask(paid_row(payment_id=None), {"check_money": True}) == Keep()
    assert ask(paid_row(), {"check_money": True}) == Need(Step.REFUNDS)
    half = {"check_money": True, "refunds": ()}
    assert ask(paid_row(), half) == Need(Step.DISPUTES)
    assert listed(paid_row()) == Keep()
    assert listed(paid_row(amount=Money(0, "usd"))) == Keep()


@pytest.mark.parametrize("words", [0, 1, 2])
def test_payment_that_was_told_late_is_looked_at_past_operators_words(words):
    """News of its refund may have come before it, and was nobody's."""
    entry = HistoryEntry(
        at=NOW, version=2, status=Status.CONFIRMED, fact="paid", op_id="op_1"
    )
    late = attrs.evolve(entry, detail={"late": True})
    word = attrs.evolve(entry, fact="revoked", detail={"actor": "op", "reason": "x"})
    row = paid_row(override=Override.REVOKED if words else None)
    assert ask(attrs.evolve(row, history=(late, *[word] * words))) == Need(Step.REFUNDS)
    looked = attrs.evolve(entry, fact="refunded")
    for history in ((entry,), (late, looked, *[word] * words)):
        assert ask(attrs.evolve(row, history=history)) != Need(Step.REFUNDS)


@pytest.mark.parametrize(
    ("policy", "to"), [("revoke", Status.REVOKED), ("suspend", Status.ON_HOLD)]
)
@pytest.mark.parametrize("status", [Status.CONFIRMED, Status.ENROLLED])
def test_full_refund_takes_the_right_away(policy, to, status):
    """The policy says where to; the sync does the rest."""
    expected = taken(
        to, "refunded", "refunded", {"refunded_minor": 4900}, refunded_minor=4900
    )
    got = listed(paid_row(status), make_refund(4900), refund_policy=policy)
    assert expected == got


def test_full_refund_is_only_noted_where_the_policy_keeps():
    """`keep`: the sum is written down, the right stays."""
    written = listed(paid_row(), make_refund(4900), refund_policy="keep")
    assert written.to is Status.ENROLLED
    assert written.changes == {"refunded_minor": 4900}


def test_partial_refunds_revoke_when_they_add_up():
    """Scenario 18: 40 % is noted, another 60 % revokes."""
    first, second = make_refund(1960), make_refund(2940)
    noted = listed(paid_row(), first)
    assert (noted.to, noted.changes) == (Status.ENROLLED, {"refunded_minor": 1960})
    row = paid_row(refunded_minor=1960)
    assert listed(row, first) == Keep()
    assert listed(row, first, second).to is Status.REVOKED
    one_cent_less = make_refund(2939)
    assert listed(row, first, one_cent_less).to is Status.ENROLLED


@pytest.mark.parametrize(
    ("refunded", "threshold", "to"),
    [
        (2449, 50, Status.ENROLLED),
        (2450, 50, Status.REVOKED),
        (4899, 100, Status.ENROLLED),
        (1, Decimal("0.02"), Status.REVOKED),
    ],
)
def test_threshold_says_from_which_share_a_refund_is_full(refunded, threshold, to):
    """Exact on both sides of the bound."""
    share = Decimal(threshold)
    answer = listed(paid_row(), make_refund(refunded), refund_threshold_percent=share)
    assert answer.to is to


@pytest.mark.parametrize(
    ("policy", "to"),
    [("keep", "enrolled"), ("suspend", "on_hold"), ("revoke", "revoked")],
)
def test_smaller_refund_follows_its_own_setting(policy, to):
    """Below the threshold another setting holds."""
    answer = listed(paid_row(), make_refund(1), partial_refund_policy=policy)
    assert answer.to is Status(to)


def test_refund_is_a_share_of_what_was_paid():
    """With taxes on top, giving back the net price alone is not all."""
    row = paid_row(paid=Money(5831, "usd"), tax_minor=931)
    assert listed(row, make_refund(4900)).to is Status.ENROLLED
    assert listed(row, make_refund(5831)).to is Status.REVOKED
    assert row.paid_net == PRICE


@pytest.mark.parametrize("status", list(RefundStatus))
def test_refunds_count_unless_they_failed(status):
    """Money that is going back counts as gone."""
    counts = status not in {RefundStatus.FAILED, RefundStatus.CANCELED}
    answer = listed(paid_row(), make_refund(4900, status))
    assert counts == (answer != Keep())


def test_refund_in_another_currency_is_not_ours():
    """Units of two currencies are never added up."""
    foreign = attrs.evolve(make_refund(4900), amount=Money(4900, "eur"))
    assert listed(paid_row(), foreign) == Keep()


@pytest.mark.parametrize("override", [None, Override.ACCEPTED])
@pytest.mark.parametrize("status", [Status.REVOKED, Status.ON_HOLD])
def test_refund_that_fails_reinstates(status, override):
    """Scenario 19: the money stays, so the right comes back, once."""
    row = paid_row(status, reason="refunded", refunded_minor=4900, override=override)
    answer = listed(row, make_refund(4900, RefundStatus.FAILED))
    assert (answer.to, answer.fact) == (Status.CONFIRMED, "refund_failed")
    assert answer.changes == {"refunded_minor": 0, "reason": None} | PENDING
    again = paid_row(Status.CONFIRMED)
    assert listed(again, make_refund(4900, RefundStatus.FAILED)) == Keep()


def test_refund_that_fails_reinstates_nothing_but_its_own_revocation():
    """What an operator revoked, or a mismatch held, stays so."""
    failed = make_refund(4900, RefundStatus.FAILED)
    by_word = paid_row(
        Status.REVOKED, reason="operator", override=Override.REVOKED, refunded_minor=0
    )
    assert listed(by_word, failed) == Keep()
    held = paid_row(Status.ON_HOLD, reason="late_payment", held_for="late_payment")
    assert listed(held, failed) == Keep()


def test_held_payment_that_was_given_back_waits_again_if_that_fails():
    """P5: what never fitted its order is not confirmed by the failure of a refund."""
    held = paid_row(Status.ON_HOLD, reason="late_payment", held_for="late_payment")
    gone = listed(held, make_refund(4900), refund_policy="keep")
    assert (gone.to, gone.changes["reason"]) == (Status.REVOKED, "refunded")
    back = attrs.evolve(held, status=Status.REVOKED, **gone.changes)
    answer = listed(back, make_refund(4900, RefundStatus.FAILED))
    assert (answer.to, answer.changes["reason"]) == (Status.ON_HOLD, "late_payment")


def test_refund_of_a_reinstated_row_is_noted_only():
    """The operator has decided with the money in view."""
    row = paid_row(override=Override.REINSTATED)
    answer = listed(row, make_refund(4900))
    assert (answer.to, answer.changes) == (Status.ENROLLED, {"refunded_minor": 4900})


@pytest.mark.parametrize("policy", ["revoke", "suspend"])
def test_full_refund_of_a_revoked_row_keeps_it_revoked(policy):
    """A refund never gives a revoked row a hold to be accepted from."""
    row = paid_row(Status.REVOKED, override=Override.REVOKED, reason="operator")
    answer = listed(row, make_refund(4900), refund_policy=policy)
    assert (answer.to, answer.changes) == (Status.REVOKED, {"refunded_minor": 4900})


def test_money_comes_before_the_lms():
    """Scenario 17: a sync that ran beside a refund does not enroll."""
    report = LMSReport(status=LMSStatus.SYNCED, name="row1", ours=True)
    money = {"check_money": True, "refunds": (make_refund(4900),), "disputes": ()}
    answer = ask(paid_row(Status.CONFIRMED), money | {"lms": report})
    assert answer.to is Status.REVOKED


@pytest.mark.parametrize(
    ("status", "to", "reason"),
    [
        (D.WARNING_NEEDS_RESPONSE, Status.ENROLLED, None),
        (D.WARNING_UNDER_REVIEW, Status.ENROLLED, None),
        (D.WARNING_CLOSED, Status.ENROLLED, None),
        (D.NEEDS_RESPONSE, Status.ON_HOLD, "disputed"),
        (D.UNDER_REVIEW, Status.ON_HOLD, "disputed"),
        (D.WON, Status.ENROLLED, None),
        (D.LOST, Status.REVOKED, "dispute_lost"),
        (D.PREVENTED, Status.REVOKED, "refunded"),
    ],
)
def test_dispute_is_followed(status, to, reason):
    """Scenario 20: an inquiry never revokes; open suspends, lost revokes."""
    answer = listed(paid_row(), make_dispute(status))
    assert (answer.to, answer.changes.get("reason")) == (to, reason)
    assert answer.changes["dispute"] is status
    assert answer.detail["dispute"] == str(status)


@pytest.mark.parametrize("status", [D.WON, D.WARNING_CLOSED])
@pytest.mark.parametrize("before", [Status.ON_HOLD, Status.REVOKED])
def test_dispute_that_ends_well_reinstates(before, status):
    """The money came back: so does the right."""
    row = paid_row(before, reason="disputed", dispute=D.NEEDS_RESPONSE)
    answer = listed(row, make_dispute(status))
    assert (answer.to, answer.changes["reason"]) == (Status.CONFIRMED, None)


@pytest.mark.parametrize("action", ["keep", "suspend", "revoke"])
@pytest.mark.parametrize(
    ("status", "setting"),
    [(D.NEEDS_RESPONSE, "dispute_policy"), (D.LOST, "dispute_lost_policy")],
)
def test_disputes_follow_their_settings(status, setting, action):
    """Open and lost have a setting each."""
    to = {"keep": "enrolled", "suspend": "on_hold", "revoke": "revoked"}[action]
    answer = listed(paid_row(), make_dispute(status), **{setting: action})
    assert answer.to is Status(to)


def test_gravest_of_all_money_decides():
    """A won dispute beside a lost one, a part given back beside an open one."""
    won, lost = make_dispute(D.WON), make_dispute(D.LOST)
    assert listed(paid_row(), won, lost).to is Status.REVOKED
    opened = make_dispute(D.NEEDS_RESPONSE)
    assert listed(paid_row(), make_refund(4900), opened).changes["reason"] == "refunded"
    assert listed(paid_row(), make_refund(1), opened).changes["reason"] == "disputed"


def test_known_money_takes_effect_without_another_look():
    """What is written down holds: an accepted payment that is disputed is suspended."""
    row = paid_row(Status.CONFIRMED, override=Override.ACCEPTED, dispute=D.UNDER_REVIEW)
    answer = ask(row)
    assert (answer.to, answer.changes["reason"]) == (Status.ON_HOLD, "disputed")


def test_fraud_warning_holds_only_where_the_setting_asks_for_it():
    """`suspend` waits for an operator; any word of theirs stands above the warning."""
    assert ask(paid_row(), {"event": FLAGGED}) == Keep()
    held = ask(paid_row(), {"event": FLAGGED}, fraud_policy="suspend")
    assert (held.to, held.fact) == (Status.ON_HOLD, "fraud_warning")
    assert held.changes["held_for"] == held.changes["reason"] == "fraud_warning"
    for override in (Override.ACCEPTED, Override.REINSTATED):
        row = paid_row(override=override)
        assert ask(row, {"event": FLAGGED}, fraud_policy="suspend") == Keep()


def test_what_the_money_suspended_is_reinstated_not_accepted():
    """Accept and dismiss are for payments that fit nothing."""
    row = paid_row(Status.ON_HOLD, reason="disputed", dispute=D.NEEDS_RESPONSE)

    def say(override):
        action = OperatorAction(override=override, actor="op", reason="why")
        return ask(row, {"action": action})

    assert isinstance(say(Override.ACCEPTED), Refuse)
    assert isinstance(say(Override.DISMISSED), Refuse)
    assert say(Override.REINSTATED).to is Status.CONFIRMED
    assert say(Override.REVOKED).to is Status.REVOKED


def test_reassigned_row_is_not_reinstated():
    """Its right has gone over to another row: two would be entitled."""
    row = paid_row(Status.REVOKED, override=Override.REVOKED, moved_to="enr_2")
    action = OperatorAction(override=Override.REINSTATED, actor="op", reason="why")
    assert isinstance(ask(row, {"action": action}), Refuse)


PAID = make_session(SessionStatus.COMPLETE, PaymentStatus.PAID)


@pytest.mark.parametrize(
    ("behavior", "total", "tax", "wrong"),
    [
        ("inclusive", 4900, 0, None),
        ("inclusive", 4900, 782, None),
        ("inclusive", 5831, 931, "amount_mismatch"),
        ("exclusive", 5831, 931, None),
        ("exclusive", 4900, 0, None),
        ("exclusive", 4900, 782, "amount_mismatch"),
    ],
)
def test_taxes_are_compared_as_the_order_was_made(behavior, total, tax, wrong):
    """Exclusive: the total less its taxes; inclusive: the total."""
    row = make_row(Status.AWAITING_PAYMENT, tax_behavior=behavior)
    session = attrs.evolve(PAID, amount=Money(total, "usd"), tax_minor=tax)
    assert mismatch(row, session, SettlePolicy()) == wrong
