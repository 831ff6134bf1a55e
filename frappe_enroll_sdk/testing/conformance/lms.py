# SPDX-License-Identifier: MIT
"""
`LMSConformance`: what every LMS backend has to keep.

A backend's author writes an empty subclass and one fixture::

    from frappe_enroll_sdk.testing.conformance import LMSConformance


    class TestMyLMS(LMSConformance):
        @pytest.fixture
        def lms_driver(self):
            return MyDriver()

The fixture gives an `LMSDriver`: the backend, and the other side of it (whoever makes
courses, looks into the database, pulls the plug). Each test wants a new one with
nothing in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from ...errors import (
    BackendRejectedError,
    CourseNotFoundError,
    LMSUnavailableError,
    RejectedError,
)
from ...interfaces import LMS
from ...models import Course, LMSEnrollment
from ...money import Money


class LMSDriver(Protocol):
    """A backend and control over its server."""

    @property
    def lms(self) -> LMS:
        """The backend under test."""
        ...

    @property
    def capabilities(self) -> Collection[str]:
        """Optional capabilities of the driver: ``"stall"``."""
        ...

    def add_course(
        self, name: str, *, price: Money | None = None, published: bool = True
    ) -> None:
        """Add a course to the catalogue."""
        ...

    def rows(self, learner: str, course_id: str) -> Sequence[str]:
        """Return the names of the rows that the LMS actually has for the pair."""
        ...

    def go_down(self) -> None:
        """Make the LMS unreachable."""
        ...

    def come_back(self) -> None:
        """Make it reachable again, unchanged."""
        ...

    def stall(self) -> None:
        """Make every call from now on wait for ever; needs the capability."""
        ...


COURSE, OTHER = "python-101", "sql-201"
ADA, BOB = "ada@example.com", "bob@example.com"
PRICE = Money(4999, "usd")
_TIMEOUT_S = 0.3


class _Base:
    @pytest.fixture
    def driver(self, lms_driver: LMSDriver) -> LMSDriver:
        """Provide the driver, with two courses."""
        lms_driver.add_course(COURSE, price=PRICE)
        lms_driver.add_course(OTHER)
        return lms_driver

    @pytest.fixture
    def lms(self, driver: LMSDriver) -> LMS:
        """Provide the backend under test, with two learners."""
        for email in (ADA, BOB):
            driver.lms.create_user(email, "Some Body")
        return driver.lms


def names(rows: Sequence[LMSEnrollment]) -> list[str]:
    """Return the rows' names."""
    return [row.name for row in rows]


class CatalogueChecks(_Base):
    """Courses and users, under the LMS's own spelling."""

    def test_ping_answers(self, lms):
        """With valid credentials and a working LMS, nothing is raised."""
        lms.ping()
        lms.ping(timeout_s=5)

    def test_course_comes_under_its_own_spelling(self, lms):
        """Whatever the case of the requested name; the price is exact."""
        for spelling in (COURSE, COURSE.upper(), COURSE.title()):
            course = lms.get_course(spelling)
            assert (course.id, course.price, course.published) == (COURSE, PRICE, True)
            assert course.title

    def test_course_that_is_not_sold_has_no_price(self, lms):
        """None, not zero."""
        assert lms.get_course(OTHER).price is None

    @pytest.mark.parametrize(
        "name", ["no-such-course", "", ".", "..", "../User", "a/b?c=d#e", "100%", "ü"]
    )
    def test_unknown_course_is_not_found(self, lms, name):
        """Also for names with a meaning in URLs."""
        with pytest.raises(CourseNotFoundError):
            lms.get_course(name)

    def test_unpublished_course_is_not_found(self, driver, lms):
        """A course that learners may not see counts as missing."""
        driver.add_course("draft-303", published=False)
        with pytest.raises(CourseNotFoundError):
            lms.get_course("draft-303")

    def test_catalogue_is_listed_by_name_over_pages(self, driver, lms):
        """Pages of two: each published course once, in order."""
        for number in (3, 1, 2):
            driver.add_course(f"art-{number}")
        driver.add_course("art-0", published=False)
        found: list[Course] = []
        page = lms.list_courses(limit=2)
        while page.next_cursor is not None and len(found) < 99:
            found += page.items
            page = lms.list_courses(limit=2, cursor=page.next_cursor)
        found += page.items
        wanted = ["art-1", "art-2", "art-3", COURSE, OTHER]
        assert wanted == [course.id for course in found]
        assert [course.price for course in found if course.price] == [PRICE]

    @pytest.mark.parametrize("email", ["nobody@example.com", "", "..", "a/b@c?d"])
    def test_unknown_user_is_none(self, lms, email):
        """No error: the caller creates it."""
        assert lms.find_user(email) is None

    def test_user_is_found_in_any_case(self, lms):
        """Under the LMS's own spelling of the name."""
        for spelling in (ADA, "Ada@Example.COM", f" {ADA} "):
            user = lms.find_user(spelling)
            assert user is not None
            assert (user.name, user.email, user.enabled) == (ADA, ADA, True)

    @pytest.mark.parametrize("full_name", [None, "", "Cher", "Ada King Lovelace", "Ü"])
    def test_user_is_created_once(self, lms, full_name):
        """Creating it again, in another case or under another name, returns it."""
        made = lms.create_user("New@Example.com", full_name)
        again = lms.create_user("new@example.com", "Other Name")
        assert made.name == again.name == "new@example.com"
        assert again == lms.find_user("new@example.com")


class RowChecks(_Base):
    """Enrolments: inserted, found, deleted; never mixed up."""

    def test_no_rows_are_an_empty_list(self, lms):
        """Neither an unknown course nor an unknown learner is an error here."""
        for learner, course in ((ADA, COURSE), (ADA, "none"), ("x@y.example", COURSE)):
            assert lms.find_enrollments(learner, course) == ()

    def test_inserted_row_is_visible(self, driver, lms):
        """What insert returns is what find shows and the LMS has."""
        row = lms.insert_enrollment(ADA, COURSE)
        assert (row.learner, row.course_id, row.removable) == (ADA, COURSE, True)
        assert (row,) == lms.find_enrollments(ADA, COURSE)
        assert row.untouched
        assert row.modified_by == lms.whoami() == lms.whoami(timeout_s=5)
        assert [row.name] == list(driver.rows(ADA, COURSE))

    def test_row_takes_the_lms_spelling(self, driver, lms):
        """Another case in the learner or course means the same row."""
        row = lms.insert_enrollment(ADA.upper(), COURSE.upper())
        assert (row.learner, row.course_id) == (ADA, COURSE)
        assert names(lms.find_enrollments(ADA.title(), COURSE.title())) == [row.name]
        assert [row.name] == list(driver.rows(ADA, COURSE))

    def test_only_rows_of_the_pair_are_found(self, lms):
        """Not the learner's other course, not the course's other learner."""
        row = lms.insert_enrollment(ADA, COURSE)
        lms.insert_enrollment(ADA, OTHER)
        lms.insert_enrollment(BOB, COURSE)
        assert [row.name] == names(lms.find_enrollments(ADA, COURSE))

    def test_all_rows_are_listed_over_pages(self, lms):
        """Pages of one: every row of the site once."""
        made = {
            lms.insert_enrollment(who, course).name
            for who in (ADA, BOB)
            for course in (COURSE, OTHER)
        }
        found: list[LMSEnrollment] = []
        page = lms.list_enrollments(limit=1)
        while page.next_cursor is not None and len(found) < 99:
            found += page.items
            page = lms.list_enrollments(limit=1, cursor=page.next_cursor)
        found += page.items
        assert sorted(made) == names(found)
        assert {(row.learner, row.course_id) for row in found} == {
            (who, course) for who in (ADA, BOB) for course in (COURSE, OTHER)
        }

    def test_rows_are_listed_since_a_moment(self, lms):
        """A new row is listed since an hour ago, but not since tomorrow."""
        row = lms.insert_enrollment(ADA, COURSE)
        created = datetime.fromisoformat(row.creation)
        now = created if created.tzinfo else created.replace(tzinfo=UTC)
        for since, wanted in ((-1, [row.name]), (48, [])):
            page = lms.list_enrollments(since=now + timedelta(hours=since))
            assert names(page.items) == wanted

    def test_second_insert_makes_a_row_or_is_refused(self, driver, lms):
        """Both exist in the field; the answer says which. Rows come oldest first."""
        made = [lms.insert_enrollment(ADA, COURSE).name]
        for _ in range(3):
            try:
                made.append(lms.insert_enrollment(ADA, COURSE).name)
            except BackendRejectedError:
                continue
        assert made == names(lms.find_enrollments(ADA, COURSE))
        assert sorted(made) == sorted(driver.rows(ADA, COURSE))
        assert len(set(made)) == len(made)

    def test_progress_is_kept(self, lms):
        """A learner who returns continues where they left off."""
        lms.insert_enrollment(ADA, COURSE, progress=40)
        (row,) = lms.find_enrollments(ADA, COURSE)
        assert row.progress == pytest.approx(40)

    def test_unknown_course_is_refused_for_good(self, driver, lms):
        """No retry helps; no row is made."""
        with pytest.raises(RejectedError):
            lms.insert_enrollment(ADA, "no-such-course")
        assert list(driver.rows(ADA, "no-such-course")) == []

    def test_deleted_row_is_gone(self, driver, lms):
        """True once, then False; the neighbour stays."""
        row, other = (lms.insert_enrollment(who, COURSE) for who in (ADA, BOB))
        assert lms.delete_enrollment(row.name) is True
        assert lms.delete_enrollment(row.name) is False
        assert lms.delete_enrollment("none") is False
        assert lms.find_enrollments(ADA, COURSE) == ()
        assert [other.name] == list(driver.rows(BOB, COURSE))

    def test_deleted_row_can_be_made_again(self, lms):
        """Reinstating is a new row."""
        lms.delete_enrollment(lms.insert_enrollment(ADA, COURSE).name)
        row = lms.insert_enrollment(ADA, COURSE)
        assert [row.name] == names(lms.find_enrollments(ADA, COURSE))

    def test_threads_do_not_mix_up_their_answers(self, lms):
        """
        One backend serves many threads: each gets its own answers.

        The users exist before. The interface does not promise that many can be created
        at once (a real Frappe deadlocks); the core creates two at a time.
        """
        emails = [f"learner{number}@example.com" for number in range(8)]
        for email in emails:
            lms.create_user(email, "Some Body")

        def enroll(email: str) -> str:
            user = lms.find_user(email.upper())
            lms.insert_enrollment(user.name, COURSE)
            (row,) = lms.find_enrollments(user.name, COURSE)
            lms.close()
            return str(row.learner)

        with ThreadPoolExecutor(4) as pool:
            assert emails == list(pool.map(enroll, emails))

    def test_closed_backend_opens_again(self, lms):
        """Closing ends connections, not the backend."""
        lms.close()
        lms.ping()
        lms.close()


_CALLS: dict[str, Callable[[LMS, float], object]] = {
    "ping": lambda lms, s: lms.ping(timeout_s=s),
    "whoami": lambda lms, s: lms.whoami(timeout_s=s),
    "get_course": lambda lms, s: lms.get_course(COURSE, timeout_s=s),
    "find_user": lambda lms, s: lms.find_user(ADA, timeout_s=s),
    "create_user": lambda lms, s: lms.create_user("n@example.com", "N", timeout_s=s),
    "find": lambda lms, s: lms.find_enrollments(ADA, COURSE, timeout_s=s),
    "insert": lambda lms, s: lms.insert_enrollment(ADA, COURSE, timeout_s=s),
    "delete": lambda lms, s: lms.delete_enrollment("none", timeout_s=s),
}


class OutageChecks(_Base):
    """Outages: typed, bounded in time, and over when they are over."""

    @pytest.mark.parametrize("call", _CALLS.values(), ids=_CALLS)
    def test_down_is_unavailable(self, driver, lms, call):
        """Every verb raises the same error; a driver's own errors never escape."""
        driver.go_down()
        with pytest.raises(LMSUnavailableError):
            call(lms, 5)

    def test_listing_courses_while_down_is_unavailable(self, driver, lms):
        """The same for the verb without a time-out."""
        driver.go_down()
        with pytest.raises(LMSUnavailableError):
            lms.list_courses()

    def test_it_works_again_after_an_outage(self, driver, lms):
        """Nothing was written meanwhile, and everything works."""
        driver.go_down()
        with pytest.raises(LMSUnavailableError):
            lms.insert_enrollment(ADA, COURSE)
        driver.come_back()
        assert lms.find_enrollments(ADA, COURSE) == ()
        row = lms.insert_enrollment(ADA, COURSE)
        assert [row.name] == list(driver.rows(ADA, COURSE))

    @pytest.mark.parametrize("call", _CALLS.values(), ids=_CALLS)
    def test_call_ends_within_its_time(self, driver, lms, call):
        """`timeout_s` bounds the whole call; it may have taken effect: unclear."""
        if "stall" not in driver.capabilities:
            pytest.skip("this driver can't stall")
        assert lms.call_timeout_s > 0
        driver.stall()
        began = time.monotonic()
        with pytest.raises(LMSUnavailableError) as caught:
            call(lms, _TIMEOUT_S)
        assert time.monotonic() - began < _TIMEOUT_S + 2
        assert caught.value.unclear


class LMSConformance(CatalogueChecks, RowChecks, OutageChecks):
    """Subclass this and provide the fixture `lms_driver`."""
