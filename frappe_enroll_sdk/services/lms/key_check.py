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

#: Known rows that are looked for: one may have been removed by hand.
_MAX_KNOWN = 3


def check_key(context: Context) -> None:
    """
    Prove that the key reads courses, may insert, and sees a row that we know, if any.

    Nothing is written: what is inserted names a course that can't be there.

    Raises:
        BlindKeyError: It sees none of the rows that are known.
        BackendRefusedError: It may not read what it has to.
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
            "the LMS key sees none of the enrolments that it has made: "
            "give the API user the role Moderator"
        )


def _check_insert(context: Context) -> None:
    """Insert what Frappe refuses after it has looked at our rights, and not before."""
    lms, mark = context.lms, context.ambient.token_hex(8)
    nobody, nothing = "nobody@check.invalid", f"no-such-course-{mark}"
    with suppress(BackendRejectedError, CourseNotFoundError):
        lms.delete_enrollment(lms.insert_enrollment(nobody, nothing).name)
