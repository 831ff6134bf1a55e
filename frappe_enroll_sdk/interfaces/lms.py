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
    """An optional extension of `LMS` for one that may record what was paid."""

    @property
    def sells(self) -> bool:
        """Whether to call `enroll` instead of `insert_enrollment`."""
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
        Do what `LMS.insert_enrollment` does, and record the sale in the LMS.

        Leave a sale that is already recorded unchanged.
        """
        ...

    @property
    def keeps_books(self) -> bool:
        """Whether to call `mark_sale` (False where it does not exist)."""
        ...

    def mark_sale(
        self, sale: Sale, *, received: bool, timeout_s: float | None = None
    ) -> None:
        """
        Record whether a sale is still valid; ignore one that is not recorded.

        Idempotent.
        """
        ...


@runtime_checkable
class HoldingLMS(Protocol):
    """An optional extension of `LMS` for one where other documents use an enrolment."""

    def find_holds(
        self, learner: str, course_id: str, *, timeout_s: float | None = None
    ) -> tuple[str, ...]:
        """
        Return what uses the enrolment, in words for an operator; () = nothing.

        For instance a certificate, or a batch or program that includes the course:
        while there is one, we do not remove our row.
        """
        ...


@runtime_checkable
class LMS(Protocol):
    """
    A learning management system: primitive verbs only.

    Serialising, look up → insert → read back → heal and the decision to retry live in
    the core. `timeout_s` is the total deadline of one call (None = `call_timeout_s`).

    Errors: `BackendRejectedError` (this call is refused for good; the message says why
    and what to do), `BackendRefusedError` (401, 403, a redirect, a page that is not the
    LMS's), `ThrottledError`, `LMSUnavailableError` (with `unclear` when the call may
    have taken effect), `CourseNotFoundError`.
    """

    @property
    def call_timeout_s(self) -> float:
        """The most seconds that one call may take."""
        ...

    def ping(self, *, timeout_s: float | None = None) -> None:
        """Make an authorised read of enrolments; raise an error if it fails."""
        ...

    def whoami(self, *, timeout_s: float | None = None) -> str:
        """
        Return the user our key belongs to, as rows name it in `modified_by`.

        Called rarely; a backend may cache the answer.
        """
        ...

    def get_course(self, course_id: str, *, timeout_s: float | None = None) -> Course:
        """Return the course, in the LMS's own spelling."""
        ...

    def list_courses(
        self, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Course]:
        """Return the catalogue in order of name."""
        ...

    def find_user(
        self, email: str, *, timeout_s: float | None = None
    ) -> Learner | None:
        """Return the user, in the LMS's own spelling, or None."""
        ...

    def create_user(
        self, email: str, full_name: str | None, *, timeout_s: float | None = None
    ) -> Learner:
        """Create the user, or return the existing one."""
        ...

    def find_enrollments(
        self, learner: str, course_id: str, *, timeout_s: float | None = None
    ) -> tuple[LMSEnrollment, ...]:
        """Return all rows of this learner and course, oldest first."""
        ...

    def list_enrollments(
        self,
        *,
        since: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[LMSEnrollment]:
        """
        Return all rows of the site in order of name.

        With `since`, only those created since then; where the LMS gives no time zone,
        rows up to a day older may be included. `Page.unreadable` names the rows that
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
        """Insert a row, whatever exists already; return what the LMS answered."""
        ...

    def delete_enrollment(self, name: str, *, timeout_s: float | None = None) -> bool:
        """Delete a row; False when there was none."""
        ...

    def close(self) -> None:
        """Close all connections; the next use opens them again."""
        ...
