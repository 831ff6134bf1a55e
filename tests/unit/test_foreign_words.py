# SPDX-License-Identifier: MIT
"""Words that nobody knows yet: their text is kept, and they decide nothing."""

from __future__ import annotations

import copy
from datetime import UTC, datetime

import attrs
import pytest
from unit.rows import NOW, make_dispute, make_refund, make_row, make_session

from frappe_enroll_sdk.codec import dump, load
from frappe_enroll_sdk.errors import BackendRefusedError
from frappe_enroll_sdk.interfaces.tables import Row
from frappe_enroll_sdk.models import (
    DisputeStatus,
    Enrollment,
    PaymentStatus,
    RefundStatus,
    SessionStatus,
    Status,
)
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.policies import SettlePolicy
from frappe_enroll_sdk.services.settle.decide import decide
from frappe_enroll_sdk.services.settle.decision import Facts, Keep, Step, Write
from frappe_enroll_sdk.services.settle.effects import alerts_of, detail_of
from frappe_enroll_sdk.stores.enrollments import CODEC
from frappe_enroll_stripe.records import dispute_of, refund_of


WORDS = ["some_new_word", "Ünbekannt", "won_twice"]
GONE = {"status": Status.REVOKED, "reason": "refunded", "refunded_minor": 4900}
HELD = {"status": Status.ON_HOLD, "reason": "disputed", "dispute": DisputeStatus.LOST}


def paid(status=Status.ENROLLED, **changes):
    """Return a row that was paid."""
    fields = {"payment_id": "pi_1", "session_id": "cs_1"} | changes
    return make_row(status, **fields)


def reread(row, *without):
    """Return an enrollment as the tables give it back; `without` these cells."""
    cells = {k: v for k, v in CODEC.cells_of(row).items() if k not in without}
    return CODEC.record_of(Row(row.id, 1, "op", cells))


def settled(row, *, refunds=(), disputes=(), **more):
    """Decide until nothing changes; return the row and the facts that were written."""
    facts = Facts(now=NOW, check_money=True, refunds=refunds, disputes=disputes, **more)
    said = []
    for _ in range(9):
        decision = decide(row, facts, SettlePolicy())
        if not isinstance(decision, Write):
            return row, said
        said.append(decision.fact)
        entry = attrs.evolve(
            row.history[-1], fact=decision.fact, detail=decision.detail
        )
        row = attrs.evolve(
            row,
            status=decision.to,
            history=(*row.history, entry),
            **decision.changes,
        )
    raise AssertionError(said)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize(
    "kind", [SessionStatus, PaymentStatus, RefundStatus, DisputeStatus]
)
def test_text_is_kept_whatever_way_it_goes(kind, word):
    """Compared, hashed and copied."""
    unknown = kind(word)
    assert (unknown, str(unknown), unknown.is_known) == (word, word, False)
    assert {unknown: 1}[kind(word)] == 1
    assert copy.deepcopy(unknown) == unknown
    assert word not in [str(known) for known in kind]
    assert all(known.is_known for known in kind)


@pytest.mark.parametrize("value", ["", "x" * 65, None, 5, ["won"]])
def test_what_is_no_word_is_refused(value):
    """Text of a sane length only: the rest is no word at all."""
    with pytest.raises(ValueError, match="is not a valid"):
        DisputeStatus(value)


@pytest.mark.parametrize("word", WORDS)
def test_stored_row_with_a_newer_versions_word_is_read(word):
    """After a roll-back of the software it reads what the newer one wrote."""
    row = paid(Status.ON_HOLD, reason="disputed", dispute=DisputeStatus(word))
    assert load(Enrollment, dump(row)) == row
    assert reread(row) == row
    after, said = settled(row)
    assert (after.status, said) == (Status.CONFIRMED, ["dispute_gone"])
    assert decide(row, Facts(now=NOW), SettlePolicy()) == Keep()


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize(
    "before", [{"status": Status.ENROLLED}, GONE, HELD], ids=["has", "gone", "held"]
)
def test_unknown_word_of_a_refund_changes_no_right(before, word):
    """Not entitled less, not entitled more, told once."""
    row = paid(**before)
    disputes = (make_dispute(DisputeStatus.LOST),) if row.dispute else ()
    refunds = (make_refund(4900, RefundStatus(word)),)
    after, said = settled(row, refunds=refunds, disputes=disputes)
    wanted = Status.REVOKED if row.dispute else row.status
    assert (after.status, after.refunded_minor) == (wanted, row.refunded_minor)
    assert said[0] == "money_unknown"
    again, more = settled(after, refunds=refunds, disputes=disputes)
    assert (again.status, more) == (after.status, [])


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize(
    ("status", "reason", "dispute"),
    [
        (Status.ENROLLED, None, None),
        (Status.ON_HOLD, "disputed", DisputeStatus.UNDER_REVIEW),
        (Status.REVOKED, "dispute_lost", DisputeStatus.LOST),
    ],
)
def test_unknown_word_of_a_dispute_changes_no_right(status, reason, dispute, word):
    """A word after "lost" may be an appeal or the end: what was known stands."""
    row = paid(status, reason=reason, dispute=dispute)
    after, said = settled(row, disputes=(make_dispute(DisputeStatus(word)),))
    assert (after.status, after.dispute) == (status, dispute)
    assert said == ["money_unknown"]


def test_alert_tells_the_words():
    """Which object, and what the provider calls it."""
    word = DisputeStatus("half_won")
    after, _ = settled(paid(), disputes=(make_dispute(word),))
    assert alerts_of(after) == ("money_unknown",)
    assert "half_won" in detail_of(after, "money_unknown")["words"]


def test_known_money_beside_an_unknown_word_takes_effect():
    """What can be read in full takes the right; the rest is told."""
    refunds = (make_refund(4900), make_refund(100, RefundStatus("odd")))
    after, said = settled(paid(), refunds=refunds)
    assert (after.status, after.refunded_minor) == (Status.REVOKED, 4900)
    assert said == ["money_unknown", "refunded"]


@pytest.mark.parametrize(
    "told",
    [
        {"status": "complete", "payment_status": "partially_paid"},
        {"status": "archived", "payment_status": "paid"},
        {"status": "paused", "payment_status": "in_escrow"},
    ],
)
def test_unknown_word_of_a_session_pays_nothing_and_ends_nothing(told):
    """It waits like a payment under way; told once per word."""
    session = make_session(
        SessionStatus(told["status"]), PaymentStatus(told["payment_status"])
    )
    assert not session.paid
    row = make_row(Status.AWAITING_PAYMENT, session_id="cs_1")
    facts = Facts(now=NOW, session=session)
    first = decide(row, facts, SettlePolicy())
    assert (first.fact, first.to) == ("session_unknown", row.status)
    entry = attrs.evolve(row.history[-1], fact=first.fact, detail=first.detail)
    later = attrs.evolve(row, history=(*row.history, entry))
    second = decide(later, facts, SettlePolicy())
    assert (second.fact, second.to) == ("payment_processing", row.status)


class TestUnreadableParts:
    """Objects of the money's with parts that can't be read."""

    @pytest.mark.parametrize(
        "spoilt",
        [
            {"currency": None},
            {"amount": "4900"},
            {"amount": 49.5},
            {"currency": "usdt"},
        ],
    )
    def test_refund_without_an_amount_is_in_doubt(self, spoilt):
        """It is listed, told, and changes nothing by itself."""
        told = {"id": "re_1", "amount": 4900, "currency": "usd", "status": "succeeded"}
        refund = refund_of(told | spoilt)
        assert (refund.amount, refund.is_clear, refund.counts) == (None, False, True)
        after, said = settled(paid(), refunds=(refund,))
        assert (after.status, said) == (Status.ENROLLED, ["money_unknown"])

    def test_refund_without_a_status_is_given_back(self):
        """Null is one of Stripe's statuses: a full one takes the right."""
        refund = refund_of(
            {"id": "re_1", "amount": 4900, "currency": "usd", "status": None}
        )
        after, _ = settled(paid(), refunds=(refund,))
        assert after.status is Status.REVOKED

    @pytest.mark.parametrize("status", [5, ["lost"], None, "x" * 99])
    def test_dispute_whose_status_is_no_word_is_in_doubt(self, status):
        """Even a type that nobody expects stops nothing."""
        dispute = dispute_of({"id": "dp_1", "status": status})
        assert (dispute.status, dispute.amount) == ("unreadable", None)
        after, said = settled(paid(), disputes=(dispute,))
        assert (after.status, said) == (Status.ENROLLED, ["money_unknown"])

    def test_moment_out_of_range_is_no_reason(self):
        """When it was made decides nothing."""
        refund = refund_of({"id": "re_1", "created": 10**18, "status": "pending"})
        assert refund.created_at == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("failed", [Step.REFUNDS, Step.DISPUTES])
def test_half_of_the_money_may_take_a_right_and_gives_none(failed):
    """A key without the right to one list."""
    lists = {
        "refunds": (make_refund(4900),),
        "disputes": (make_dispute(DisputeStatus.LOST),),
    }
    nothing = {"refunds": (), "disputes": ()}
    missing = {failed.value: None}
    error = {"failed": {failed: BackendRefusedError("403")}}
    after, _ = settled(paid(), **lists | missing | error)
    assert after.status is Status.REVOKED
    for row in (paid(**GONE), paid(**HELD)):
        still, _ = settled(row, **nothing | missing | error)
        assert still.status not in {Status.CONFIRMED, Status.ENROLLED}


@pytest.mark.parametrize(
    ("currency", "exponent", "text"),
    [("dem", None, "19.99 DEM"), ("hrk", 2, "19.99 HRK"), ("xxo", 3, "1.999 XXO")],
)
def test_money_of_a_currency_that_is_gone_is_shown(currency, exponent, text):
    """Stored before the exponent was remembered, or with it; in both forms."""
    stored = {"amount_minor": 1999, "currency": currency}
    if exponent is not None:
        stored["exponent"] = exponent
    price = load(Money, stored)
    row = paid(price=price, amount=price, discount=price - price)
    for money in (load(Money, stored), reread(row).price):
        assert str(money) == text
        assert str(money + Money(0, currency)) == text
        assert load(Money, dump(money)).exponent == exponent
    assert load(Enrollment, dump(row)) == row
    assert str(reread(row, "price_exponent").price).endswith(currency.upper())
