# SPDX-License-Identifier: MIT
"""The fakes' patience: time-outs, effects that come later, errors that are kept."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.world import COURSE, PRICE
from unit.rows import NOW

from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.errors import LMSUnavailableError, PaymentsUnavailableError
from frappe_enroll_sdk.models import ExpireOutcome, SessionOrder, SessionTerms
from frappe_enroll_sdk.testing.faults import Slow
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.payments import FakePayments


ADA = "ada@example.com"


@pytest.fixture
def clock():
    """Return a clock that stands."""
    return FakeClock(NOW)


@pytest.fixture
def lms(clock):
    """Return an LMS with one course."""
    lms = FakeLMS(clock=clock)
    lms.add_course(COURSE, PRICE)
    return lms


@pytest.fixture
def payments(clock):
    """Return a provider."""
    return FakePayments(clock)


def request_of(payments, name="enr_1"):
    """Return a prepared create request."""
    order = SessionOrder(
        enrollment_id=name,
        amount=PRICE,
        terms=SessionTerms(course_id=COURSE),
        course_title="Python",
        email=ADA,
        success_url="",
        cancel_url="",
        expires_at=NOW + timedelta(hours=2),
    )
    return payments.prepare_session(order)


def test_slow_call_within_the_patience_is_answered(lms):
    """Only what takes longer than the caller waits is a time-out."""
    lms.faults.slow("insert_enrollment", Slow(14.0, 99.0))
    assert lms.insert_enrollment(ADA, COURSE).learner == ADA
    lms.faults.slow("insert_enrollment", Slow(14.0, 99.0))
    with pytest.raises(LMSUnavailableError) as caught:
        lms.insert_enrollment(ADA, COURSE, timeout_s=5)
    assert caught.value.unclear


def test_insert_that_timed_out_comes_when_it_comes(lms, clock):
    """A database that hangs inserts long after its caller has given up."""
    lms.faults.slow("insert_enrollment", Slow(60.0, 600.0))
    with pytest.raises(LMSUnavailableError):
        lms.insert_enrollment(ADA, COURSE)
    clock.advance(599)
    assert lms.find_enrollments(ADA, COURSE) == ()
    clock.advance(1)
    assert len(lms.find_enrollments(ADA, COURSE)) == 1
    assert lms.inserts == 1


def test_late_effect_that_is_refused_harms_nobody(lms, clock):
    """Nobody hears of the answer: no caller of another verb either."""
    lms.duplicates = "refused"
    lms.add_row(ADA, COURSE)
    lms.faults.slow("insert_enrollment", Slow(60.0))
    with pytest.raises(LMSUnavailableError):
        lms.insert_enrollment(ADA, COURSE)
    assert len(lms.find_enrollments(ADA, COURSE)) == 1


def test_slow_verbs_of_the_provider_act_later(payments, clock):
    """A create and an expire whose answers came too late have had their effect."""
    payments.faults.slow("create_session", Slow(60.0, 30.0))
    with pytest.raises(PaymentsUnavailableError) as caught:
        payments.create_session(request_of(payments))
    assert caught.value.unclear
    assert payments.sessions == {}
    clock.advance(30)
    session = payments.create_session(request_of(payments))
    assert [*payments.sessions] == [session.id]
    payments.faults.slow("expire_session", Slow(60.0))
    with pytest.raises(PaymentsUnavailableError):
        payments.expire_session(session.id)
    assert payments.expire_session(session.id) is ExpireOutcome.EXPIRED


@pytest.mark.parametrize("made", [False, True])
def test_500_on_create_is_kept_for_its_key(payments, clock, made):
    """The same key is answered the same for 24 hours, another one is not."""
    payments.fail_creates(made=made)
    for _ in range(3):
        with pytest.raises(PaymentsUnavailableError) as caught:
            payments.create_session(request_of(payments))
        assert caught.value.unclear
        clock.advance(60)
    assert len(payments.sessions) == made
    other = payments.create_session(request_of(payments, "enr_2"))
    assert other.enrollment_id == "enr_2"
