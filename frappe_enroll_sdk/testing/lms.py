# SPDX-License-Identifier: MIT
"""`FakeLMS`: an LMS in memory that keeps Frappe's habits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from threading import RLock
from typing import Any, TypeVar

from ..clock import Clock, SystemClock
from ..errors import (
    BackendRejectedError,
    CourseNotFoundError,
    LMSUnavailableError,
)
from ..models import Course, Learner, LMSEnrollment, Page
from ..money import Money
from .faults import Deadlines, FailNext
from .pages import page_of


T = TypeVar("T")


class FakeLMS:
    """
    `LMS` in memory. Thread-safe.

    Attributes:
        call_timeout_s: See `LMS`.
        duplicates: "accepted" (Frappe 15: a second row) or "refused".
        faults: Plan failures of verbs here; "after" = the call took effect.
        deadlines: Applies the effects of slow calls after their callers have given up.
        is_down: Whether every verb fails.
        blind: Whether look-ups find nothing (a key without read permission).
        before_insert: Called before each insert, if set (to stage a race).
        user: The key's user.
        holds: What uses a row, by (learner, course): certificates, batches.
    """

    call_timeout_s = 15.0

    def __init__(
        self, *, duplicates: str = "accepted", clock: Clock | None = None
    ) -> None:
        self.user = "api@example.com"
        self.duplicates = duplicates
        self.faults = FailNext()
        self._clock = clock or SystemClock()
        self.deadlines = Deadlines(self._clock, self.faults, LMSUnavailableError)
        self.is_down = False
        self.blind = False
        self.before_insert: Callable[[], None] | None = None
        self.courses: dict[str, Course] = {}
        self.users: dict[str, Learner] = {}
        self.rows: dict[str, LMSEnrollment] = {}
        self.holds: dict[tuple[str, str], tuple[str, ...]] = {}
        self.inserts = 0
        self._lock = RLock()
        self._count = 0

    def add_course(self, name: str, price: Money | None = None, **more: object) -> None:
        """Add a course to the catalogue."""
        title = str(more.get("title", name.title()))
        published = bool(more.get("published", True))
        self.courses[name.lower()] = Course(
            id=name, title=title, price=price, published=published
        )

    def add_row(self, learner: str, course_id: str, **more: object) -> LMSEnrollment:
        """Add a row that is not ours."""
        with self._lock:
            self._count += 1
            stamp = f"{self._clock.now():%Y-%m-%d %H:%M:%S}.{self._count:06d}"
            fields: dict[str, Any] = {
                "creation": stamp,
                "modified": stamp,
                "modified_by": "admin@example.com",
            }
            row = LMSEnrollment(
                name=f"row{self._count:07d}",
                learner=learner,
                course_id=course_id,
                **fields | more,
            )
            self.rows[row.name] = row
            return row

    def rows_of(self, learner: str, course_id: str) -> tuple[LMSEnrollment, ...]:
        """Return a learner's rows in a course, oldest first (faults do not apply)."""
        with self._lock:
            found = [
                row
                for row in self.rows.values()
                if (row.learner.lower(), row.course_id.lower())
                == (learner.lower(), course_id.lower())
            ]
        return tuple(sorted(found, key=lambda row: (row.creation, row.name)))

    def _enter(self, verb: str) -> None:
        self.deadlines.catch_up()
        if self.is_down:
            raise LMSUnavailableError("the LMS is down", unclear=True)
        self.faults.check(verb)

    def ping(self, *, timeout_s: float | None = None) -> None:
        """See `LMS.ping`."""
        self._enter("ping")

    def whoami(self, *, timeout_s: float | None = None) -> str:
        """See `LMS.whoami`."""
        self._enter("whoami")
        return self.user

    def get_course(self, course_id: str, *, timeout_s: float | None = None) -> Course:
        """See `LMS.get_course`."""
        self._enter("get_course")
        course = self.courses.get(course_id.lower())
        if course is None or not course.published:
            raise CourseNotFoundError(field="course_id")
        return course

    def list_courses(
        self, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Course]:
        """See `LMS.list_courses`."""
        self._enter("list_courses")
        shown = [course for course in self.courses.values() if course.published]
        return page_of(shown, lambda course: (course.id,), limit, cursor)

    def find_user(
        self, email: str, *, timeout_s: float | None = None
    ) -> Learner | None:
        """See `LMS.find_user`."""
        self._enter("find_user")
        return self.users.get(email.strip().lower())

    def create_user(
        self, email: str, full_name: str | None, *, timeout_s: float | None = None
    ) -> Learner:
        """See `LMS.create_user`."""
        self._enter("create_user")
        name = email.strip().lower()

        def create() -> Learner:
            with self._lock:
                user = Learner(name=name, email=name, full_name=full_name)
                return self.users.setdefault(name, user)

        user = self._call("create_user", timeout_s, create)
        self.faults.check("create_user", after=True)
        return user

    def _call(self, verb: str, timeout_s: float | None, effect: Callable[[], T]) -> T:
        return self.deadlines.call(verb, timeout_s or self.call_timeout_s, effect)

    def find_enrollments(
        self, learner: str, course_id: str, *, timeout_s: float | None = None
    ) -> tuple[LMSEnrollment, ...]:
        """See `LMS.find_enrollments`."""
        self._enter("find_enrollments")
        return () if self.blind else self.rows_of(learner, course_id)

    def list_enrollments(
        self,
        *,
        since: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[LMSEnrollment]:
        """See `LMS.list_enrollments`."""
        self._enter("list_enrollments")
        stamp = "" if since is None else f"{since:%Y-%m-%d %H:%M:%S}"
        with self._lock:
            rows = [row for row in self.rows.values() if row.creation >= stamp]
        rows = [] if self.blind else rows
        return page_of(rows, lambda row: (row.name,), limit, cursor)

    def find_holds(
        self, learner: str, course_id: str, *, timeout_s: float | None = None
    ) -> tuple[str, ...]:
        """See `HoldingLMS.find_holds`."""
        self._enter("find_holds")
        return self.holds.get((learner, course_id), ())

    def insert_enrollment(
        self,
        learner: str,
        course_id: str,
        *,
        progress: float | None = None,
        timeout_s: float | None = None,
    ) -> LMSEnrollment:
        """See `LMS.insert_enrollment`."""
        self._enter("insert_enrollment")
        if self.before_insert is not None:
            self.before_insert()

        def insert() -> LMSEnrollment:
            return self._insert(learner, course_id, progress or 0.0)

        row = self._call("insert_enrollment", timeout_s, insert)
        self.faults.check("insert_enrollment", after=True)
        return row

    def _insert(self, learner: str, course_id: str, progress: float) -> LMSEnrollment:
        course = self.courses.get(course_id.lower())
        if course is None:
            raise BackendRejectedError(f"course {course_id} is not in the LMS")
        with self._lock:
            if self.duplicates == "refused" and self.rows_of(learner, course_id):
                raise BackendRejectedError("Student is already enrolled")
            self.inserts += 1
            return self.add_row(
                learner.lower(), course.id, progress=progress, modified_by=self.user
            )

    def delete_enrollment(self, name: str, *, timeout_s: float | None = None) -> bool:
        """See `LMS.delete_enrollment`."""
        self._enter("delete_enrollment")

        def delete() -> bool:
            with self._lock:
                return self.rows.pop(name, None) is not None

        gone = self._call("delete_enrollment", timeout_s, delete)
        self.faults.check("delete_enrollment", after=True)
        return gone

    def close(self) -> None:
        """Do nothing: there is nothing to close."""
