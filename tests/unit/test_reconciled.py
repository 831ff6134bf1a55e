# SPDX-License-Identifier: MIT
"""Where provider, enrollments and LMS differ: every difference, and what is none."""

from __future__ import annotations

import attrs
import pytest
from unit.rows import (
    NOTHING,
    NOW,
    later,
    make_dispute,
    make_refund,
    make_row,
    make_session,
)

from frappe_enroll_sdk.models import (
    DisputeStatus,
    LMSEnrollment,
    Override,
    PaymentStatus,
    RefundStatus,
    SessionStatus,
    Status,
)
from frappe_enroll_sdk.policies import SettlePolicy
from frappe_enroll_sdk.services.operators.differences import (
    Difference,
    Repair,
    Seen,
    compare,
)


POLICY = SettlePolicy()
PAID = make_session(SessionStatus.COMPLETE, PaymentStatus.PAID, payment_id="pi_1")
OPEN = make_session(expires_at=later(1800))
ENDED = make_session(SessionStatus.EXPIRED)
UNDERWAY = make_session(SessionStatus.COMPLETE, expires_at=later(1800))
OURS = LMSEnrollment(name="LE-1", learner="ada@example.com", course_id="python-101")
OTHER = attrs.evolve(OURS, name="LE-2")


def found(row, seen):
    """Return what `compare` finds, as pairs of difference and repair."""
    findings = compare(row, seen, POLICY)
    assert {one.enrollment_id for one in findings} <= {row.id}
    assert all(one.cause and one.after is None for one in findings)
    return [(one.difference, one.repair) for one in findings]


def seen_of(session=PAID, lms=(OURS,), refunds=(), disputes=(), **more):
    """Return what is seen of a paid enrollment that is well, but for what is named."""
    return Seen(
        now=more.pop("now", NOW),
        session=session,
        refunds=refunds,
        disputes=disputes,
        lms_rows=lms,
        **more,
    )


def enrolled(**changes):
    """Return a row that is enrolled, with its row in the LMS."""
    fields = {"payment_id": "pi_1", "lms_enrollment_id": "LE-1", "lms_row_ours": True}
    return make_row(**{"status": Status.ENROLLED} | fields | changes)


UNPAID_ROWS = [
    *(Status.PENDING, Status.AWAITING_PAYMENT),
    *(Status.EXPIRED, Status.CANCELLED, Status.FAILED),
]


@pytest.mark.parametrize("status", UNPAID_ROWS, ids=str)
def test_paid_session_of_an_unconfirmed_row_is_paid_not_confirmed(status):
    """Whatever the row waits for or ended with; an operator's word ends it."""
    row = make_row(status, session_id="cs_1")
    wanted = [(Difference.PAID_NOT_CONFIRMED, Repair.SETTLE)]
    assert found(row, seen_of(lms=None)) == wanted
    dismissed = attrs.evolve(row, override=Override.DISMISSED)
    assert found(dismissed, seen_of(lms=None)) == []


@pytest.mark.parametrize(
    ("session", "after_s", "differs"),
    [
        (OPEN, 1859, False),
        (OPEN, 1860, True),
        (attrs.evolve(ENDED, expires_at=later(0)), 60, True),
        (UNDERWAY, 99_999, False),
        (None, 99_999, False),
    ],
    ids=["within_margin", "past_margin", "ended_unseen", "underway", "no_session"],
)
def test_session_past_its_end_is_told_after_the_margin(session, after_s, differs):
    """A delayed payment is under way for days, and no difference."""
    row = make_row(Status.AWAITING_PAYMENT, session_id="cs_1")
    seen = seen_of(session, lms=None, now=later(after_s))
    wanted = [(Difference.SESSION_OPEN_PAST_EXPIRY, Repair.EXPIRE)]
    assert found(row, seen) == (wanted if differs else [])


@pytest.mark.parametrize(
    ("status", "lms", "wanted"),
    [
        (Status.CONFIRMED, (), Difference.CONFIRMED_NOT_ENROLLED),
        (Status.CONFIRMED, (OURS,), Difference.CONFIRMED_NOT_ENROLLED),
        (Status.ENROLLED, (), Difference.CONFIRMED_NOT_ENROLLED),
        (Status.ENROLLED, (OURS, OTHER), Difference.LMS_DUPLICATES),
        (Status.CONFIRMED, (OURS, OTHER), Difference.LMS_DUPLICATES),
        (Status.ENROLLED, (OURS,), None),
        (Status.ENROLLED, None, None),
    ],
)
def test_entitled_row_wants_exactly_one_lms_row(status, lms, wanted):
    """None, two, or one that we do not know of: a sync is owed; not asked: nothing."""
    expected = [] if wanted is None else [(wanted, Repair.SYNC)]
    assert found(enrolled(status=status), seen_of(lms=lms)) == expected


@pytest.mark.parametrize("status", [Status.CONFIRMED, Status.ENROLLED], ids=str)
@pytest.mark.parametrize("session", [OPEN, ENDED, UNDERWAY, None])
def test_entitled_row_without_a_payment_is_reported_only(session, status):
    """Nobody is thrown out by a comparison: an operator has to look."""
    row = enrolled(status=status)
    told = found(row, seen_of(session))
    assert (Difference.ENROLLED_NOT_PAID, Repair.NONE) in told


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": NOTHING},
        {"override": Override.ACCEPTED},
        {"override": Override.REINSTATED},
    ],
    ids=["free", "accepted", "reinstated"],
)
def test_entitled_row_that_needs_no_payment_is_well(changes):
    """A grant of all, and an operator's word."""
    assert found(enrolled(**changes), seen_of(None)) == []


@pytest.mark.parametrize(
    ("money", "wanted"),
    [
        ({"refunds": (make_refund(4900),)}, Difference.REFUNDED_STILL_ENROLLED),
        ({"disputes": (make_dispute(),)}, Difference.REFUNDED_STILL_ENROLLED),
        (
            {"disputes": (make_dispute(DisputeStatus.LOST),)},
            Difference.REFUNDED_STILL_ENROLLED,
        ),
        ({"refunds": (make_refund(100),)}, Difference.MONEY_NOT_APPLIED),
        (
            {"disputes": (make_dispute(DisputeStatus.WARNING_CLOSED),)},
            Difference.MONEY_NOT_APPLIED,
        ),
        ({"refunds": (make_refund(4900, RefundStatus.FAILED),)}, None),
    ],
    ids=["all_back", "disputed", "lost", "part_back", "inquiry", "failed"],
)
def test_money_that_the_row_does_not_know_is_told(money, wanted):
    """What takes the right away is graver than what is only not written down."""
    expected = [] if wanted is None else [(wanted, Repair.MONEY)]
    assert found(enrolled(), seen_of(**money)) == expected


def test_money_of_a_row_that_is_not_entitled_is_told_as_such():
    """Suspended already, and now the dispute is lost: nobody is still enrolled."""
    changes = {"dispute": DisputeStatus.NEEDS_RESPONSE, "reason": "disputed"}
    row = enrolled(status=Status.ON_HOLD, **changes)
    seen = seen_of(disputes=(make_dispute(DisputeStatus.LOST),), lms=())
    assert found(row, seen) == [(Difference.MONEY_NOT_APPLIED, Repair.MONEY)]


def test_money_that_came_back_is_told():
    """A refund that failed at last: the row is still revoked for it."""
    changes = {"refunded_minor": 4900, "reason": "refunded", "lms_row_ours": False}
    row = enrolled(status=Status.REVOKED, **changes)
    assert found(row, seen_of(refunds=(make_refund(4900),), lms=())) == []
    failed = (make_refund(4900, RefundStatus.FAILED),)
    told = found(row, seen_of(refunds=failed, lms=()))
    assert told == [(Difference.MONEY_NOT_APPLIED, Repair.MONEY)]


@pytest.mark.parametrize(
    ("changes", "lms", "other", "differs"),
    [
        ({}, (OURS,), (), True),
        ({}, (OURS, OTHER), (), True),
        ({}, (), (), False),
        ({}, (OTHER,), (), False),
        ({"lms_row_ours": False}, (OURS,), (), False),
        ({}, (OURS,), ("enr_2",), False),
    ],
    ids=["left", "left_among", "gone", "anothers", "was_there_before", "other_right"],
)
def test_lms_row_of_a_revoked_enrollment_is_told(changes, lms, other, differs):
    """Only the row that we made, and only where nothing else entitles to it."""
    money = {"refunded_minor": 4900, "reason": "refunded"}
    row = enrolled(status=Status.REVOKED, **money | changes)
    ours = frozenset({OURS.name} & {one.name for one in lms} if not changes else ())
    seen = seen_of(
        refunds=(make_refund(4900),), lms=lms, other_entitled=other, ours=ours
    )
    wanted = [(Difference.REFUNDED_STILL_ENROLLED, Repair.SYNC)]
    assert found(row, seen) == (wanted if differs else [])


def test_row_that_is_well_has_no_difference():
    """Paid, enrolled, one row: nothing on any side."""
    assert found(enrolled(), seen_of()) == []
    assert found(make_row(Status.EXPIRED), seen_of(ENDED, lms=None)) == []
    assert found(make_row(Status.AWAITING_PAYMENT), seen_of(OPEN, lms=None)) == []
