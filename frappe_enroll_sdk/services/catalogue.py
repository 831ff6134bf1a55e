# SPDX-License-Identifier: MIT
"""Courses and their prices: from the host's hook or the LMS, cached, never invented."""

from __future__ import annotations

from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING

from ..errors import (
    ConfigurationError,
    CourseNotFoundError,
    EnrollError,
    TransientError,
)
from ..links import course_link
from ..models import Course, Page


if TYPE_CHECKING:
    from .context import Context

#: Seconds that looking up only a URL may take.
_URL_TIMEOUT_S = 3.0
#: Most courses in the cache.
_MAX_COURSES = 2000
#: Most catalogue pages in the cache.
_MAX_PAGES = 100


class Catalogue:
    """
    A cache of courses. Thread-safe.

    A fresh entry (`course_ttl_s`) saves the call; while the LMS is down, an older one
    is used up to `course_stale_s`.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = Lock()
        self._entries: dict[str, tuple[datetime, Course]] = {}
        self._pages: dict[tuple[int, str | None], tuple[datetime, Page[Course]]] = {}

    def get(self, course_id: str, *, timeout_s: float | None = None) -> Course:
        """
        Return the course, in the LMS's own spelling.

        Raises:
            CourseNotFoundError: There is none, or it is not published.
            LMSUnavailableError: The LMS is down and there is no usable entry.
        """
        settings, now = self._context.settings, self._context.now()
        key = course_id.lower()
        with self._lock:
            entry = self._entries.get(key)
        age = (now - entry[0]).total_seconds() if entry else None
        # Below 0: the clock was set back, so its age is unknown.
        if entry and age is not None and 0 <= age <= settings.course_ttl_s:
            return entry[1]
        try:
            course = self._fetch(course_id, timeout_s)
        except (TransientError, ConfigurationError):
            if entry and age is not None and 0 <= age <= settings.course_stale_s:
                return entry[1]
            raise
        self._remember(key, now, course)
        return course

    def url_of(self, course_id: str) -> str:
        """
        Return where a course's learners are sent; "" = unknown.

        The URL given by the LMS or the host's `get_course`, however old; without one,
        the course's page in Frappe.
        """
        with self._lock:
            entry = self._entries.get(course_id.lower())
        url = entry[1].url if entry else self._fetch_url(course_id)
        return url or course_link(self._context.settings.frappe_lms_url, course_id)

    def _fetch_url(self, course_id: str) -> str | None:
        try:
            return self.get(course_id, timeout_s=_URL_TIMEOUT_S).url
        except EnrollError:
            # Unpublished, or the LMS is down: the learner still has the course.
            return None

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Course]:
        """
        Return the LMS's published courses in order of name, for a host's own pages.

        While the LMS is down, a page requested before is returned from the cache, up to
        `course_stale_s`.

        Raises:
            LMSUnavailableError: The LMS is down and there is no usable page.
        """
        settings, now = self._context.settings, self._context.now()
        key = (limit, cursor)
        with self._lock:
            known = self._pages.get(key)
        age_s = (now - known[0]).total_seconds() if known else None
        if known and age_s is not None and 0 <= age_s <= settings.course_ttl_s:
            return known[1]
        try:
            page = self._context.lms.list_courses(limit=limit, cursor=cursor)
        except (TransientError, ConfigurationError):
            if known and age_s is not None and 0 <= age_s <= settings.course_stale_s:
                return known[1]
            raise
        with self._lock:
            if len(self._pages) >= _MAX_PAGES:
                self._pages.clear()
            self._pages[key] = (now, page)
        return page

    def _fetch(self, course_id: str, timeout_s: float | None) -> Course:
        course = self._context.plugins.get_course(course_id)
        if course is None:
            course = self._context.lms.get_course(course_id, timeout_s=timeout_s)
        if not course.published:
            raise CourseNotFoundError(field="course_id")
        return course

    def _remember(self, key: str, now: datetime, course: Course) -> None:
        with self._lock:
            if len(self._entries) >= _MAX_COURSES:
                self._entries.clear()
            self._entries[key] = (now, course)
