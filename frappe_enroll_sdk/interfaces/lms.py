# SPDX-License-Identifier: MIT
"""The learning management system."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, runtime_checkable

from ..models import (
    Course,
    Learner,
    LMSEnrollment,
    Page,
    Sale,
)


@runtime_checkable
class SellingLMS(Protocol):
    """What an `LMS` has besides where it may want to know what was paid."""

    @property
    def sells(self) -> bool:
        """Whether `enroll` is to be called in the place of `insert_enrollment`."""
        ...

    def enroll(
        self,
        learner: str,
        course_id: str,
        sale: Sale,
        *,
        progress: float | None = None,
        timeout_s: float | None = None,
    ) -> LMSEnrollment:
        """
        Do what `LMS.insert_enrollment` does, and leave the sale in the LMS's books.

        A sale that is in the books already is left as it is.
        """
        ...

    @property
    def keeps_books(self) -> bool:
        """Whether `mark_sale` is to be called (where it is there: else False)."""
        ...

    def mark_sale(
        self, sale: Sale, *, received: bool, timeout_s: float | None = None
    ) -> None:
        """
        Let the books say whether a sale stands; one that is not in them is left out.

        Repeating it changes nothing.
        """
        ...


@runtime_checkable
class HoldingLMS(Protocol):
    """What an `LMS` has besides where other documents hang on an enrolment."""

    def find_holds(
        self, learner: str, course_id: str, *, timeout_s: float | None = None
    ) -> tuple[str, ...]:
        """
        Return what hangs on the enrolment, in words for an operator; () = nothing.

        A certificate, a batch or a program that holds the course: while there is one, a
        row of ours is not removed.
        """
        ...


@runtime_checkable
class LMS(Protocol):
    """
    A learning management system: primitive verbs only.

    Serialising, look up → insert → read back → heal and the decision to retry live in
    the core. `timeout_s` bounds one call in all (None = `call_timeout_s`).

    Errors: `BackendRejectedError` (this call is refused for good; the message says why
    and what to do), `BackendRefusedError` (401, 403, a redirect, a page that is not the
    LMS's), `ThrottledError`, `LMSUnavailableError` (with `unclear` when the call may
    have taken effect), `CourseNotFoundError`.
    """

    @property
    def call_timeout_s(self) -> float:
        """Seconds that one call may take at the most."""
        ...

    def ping(self, *, timeout_s: float | None = None) -> None:
        """Make an authorised read of enrolments; raise what is wrong."""
        ...

    def whoami(self, *, timeout_s: float | None = None) -> str:
        """
        Return the user whose key we have, as rows name it in `modified_by`.

        It is asked rarely; a backend may keep the answer.
        """
        ...

    def get_course(self, course_id: str, *, timeout_s: float | None = None) -> Course:
        """Return the course under the LMS's own spelling."""
        ...

    def list_courses(
        self, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Course]:
        """Return the catalogue, by name."""
        ...

    def find_user(
        self, email: str, *, timeout_s: float | None = None
    ) -> Learner | None:
        """Return the user under the LMS's own spelling, or None."""
        ...

    def create_user(
        self, email: str, full_name: str | None, *, timeout_s: float | None = None
    ) -> Learner:
        """Create the user; one that exists already is returned."""
        ...

    def find_enrollments(
        self, learner: str, course_id: str, *, timeout_s: float | None = None
    ) -> tuple[LMSEnrollment, ...]:
        """Return all rows of learner and course, oldest first."""
        ...

    def list_enrollments(
        self,
        *,
        since: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[LMSEnrollment]:
        """
        Return all rows of the site, by name.

        With `since`, those that were made since; where the LMS tells no zone, some that
        are up to a day older may be among them. `Page.unreadable` names the rows that
        can't be read.
        """
        ...

    def insert_enrollment(
        self,
        learner: str,
        course_id: str,
        *,
        progress: float | None = None,
        timeout_s: float | None = None,
    ) -> LMSEnrollment:
        """Insert a row, whatever is there; return what the LMS answered."""
        ...

    def delete_enrollment(self, name: str, *, timeout_s: float | None = None) -> bool:
        """Delete a row; False when there was none."""
        ...

    def close(self) -> None:
        """Close what is open; the next use opens it again."""
        ...
