# SPDX-License-Identifier: MIT
"""The cache of courses: how long a price is fresh, and how long it will do."""

from __future__ import annotations

import pytest

from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.clock import FakeClock
from frappe_enroll_sdk.errors import CourseNotFoundError, LMSUnavailableError
from frappe_enroll_sdk.money import Money
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sdk.testing.payments import FakePayments


COURSE = "python-101"
TTL_S, STALE_S = 300, 3600


@pytest.fixture
def lms():
    """Return an LMS with one course."""
    lms = FakeLMS()
    lms.add_course(COURSE, Money(4900, "usd"))
    return lms


@pytest.fixture
def sdk(lms):
    """Return an SDK whose catalogue is fresh for 5 minutes and does for an hour."""
    clock = FakeClock()
    return EnrollSDK(
        Settings(course_ttl_s=TTL_S, course_stale_s=STALE_S),
        storage=MemoryStorage(clock),
        payments=FakePayments(clock),
        lms=lms,
        clock=clock,
        discover=False,
    )


def price(sdk):
    """Return what the course costs, as a checkout is told."""
    return sdk.catalogue.get(COURSE).price.amount_minor


def test_price_is_fresh_for_a_while(sdk, lms):
    """Within `course_ttl_s` the LMS is not asked; after it, it is."""
    assert price(sdk) == 4900
    lms.add_course(COURSE, Money(5900, "usd"))
    sdk.clock.advance(TTL_S)
    assert price(sdk) == 4900
    sdk.clock.advance(1)
    assert price(sdk) == 5900


def test_stale_price_does_during_an_outage_up_to_its_bound(sdk, lms):
    """Not a second longer, and never once the LMS answers again."""
    assert price(sdk) == 4900
    lms.is_down = True
    sdk.clock.advance(STALE_S)
    assert price(sdk) == 4900
    sdk.clock.advance(1)
    with pytest.raises(LMSUnavailableError):
        price(sdk)
    lms.is_down = False
    lms.add_course(COURSE, Money(5900, "usd"))
    assert price(sdk) == 5900


def test_course_that_is_gone_is_not_sold_from_the_cache(sdk, lms):
    """Unpublished or deleted is an answer, not an outage."""
    assert price(sdk) == 4900
    lms.courses.clear()
    sdk.clock.advance(TTL_S + 1)
    with pytest.raises(CourseNotFoundError):
        price(sdk)
