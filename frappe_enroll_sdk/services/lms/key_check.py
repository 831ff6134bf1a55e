# SPDX-License-Identifier: MIT
"""
Whether our LMS key may make enrolments, and sees what it makes.

A key of the role Batch Evaluator or LMS Student can insert enrolments, and its look-up
answers an empty list without an error: whoever looks before inserting would insert
again each time. Such a key may not read courses either, and does not see a row that we
know to be there.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ...errors import BackendRejectedError, BlindKeyError, CourseNotFoundError
from ...models import LMSStatus, Status


if TYPE_CHECKING:
    from ..context import Context

#: Number of known rows to look for, as one may have been removed by hand.
_MAX_KNOWN = 3


def check_key(context: Context) -> None:
    """
    Verify that the key can read courses, insert, and see a row that we know, if any.

    Writes nothing: the insert names a course that can't exist.

    Raises:
        BlindKeyError: It sees none of the known rows.
        BackendRefusedError: It may not read what we need.
        LMSUnavailableError: The LMS is down.
    """
    context.lms.list_courses(limit=1)
    _check_insert(context)
    known = context.storage.enrollments.list(
        status=Status.ENROLLED, lms_status=LMSStatus.SYNCED, limit=_MAX_KNOWN
    ).items
    seen = [context.lms.find_enrollments(row.learner, row.course_id) for row in known]
    if known and not any(seen):
        raise BlindKeyError(
            "the LMS key sees none of the enrolments that it has created: "
            "give the API user the role Moderator"
        )


def _check_insert(context: Context) -> None:
    """Try an insert that Frappe refuses, but only after checking our permissions."""
    lms, mark = context.lms, context.ambient.token_hex(8)
    nobody, nothing = "nobody@check.invalid", f"no-such-course-{mark}"
    with suppress(BackendRejectedError, CourseNotFoundError):
        lms.delete_enrollment(lms.insert_enrollment(nobody, nothing).name)
