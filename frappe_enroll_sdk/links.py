# SPDX-License-Identifier: MIT
"""Links to where learners go: a name is free text, and no part of a URL as it is."""

from __future__ import annotations

from urllib.parse import quote


__all__ = ("course_link",)


def course_link(lms_url: str, course_id: str) -> str:
    """Return the link to a course's page in Frappe LMS; "" if there is no LMS."""
    base = lms_url.rstrip("/")
    return f"{base}/lms/courses/{quote(course_id, safe='')}" if base else ""
