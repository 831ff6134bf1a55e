# SPDX-License-Identifier: MIT
"""
An example plugin: tell a CRM of every enrollment, exactly once.

The CRM is a SQLite table here; any system that takes an idempotency key will do.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from frappe_enroll_sdk import hookimpl
from frappe_enroll_sdk.outcomes import Done, JobContext, Outcome, Retry


if TYPE_CHECKING:
    from frappe_enroll_sdk.models import Enrollment

logger = logging.getLogger(__name__)


@hookimpl
def on_enrolled(enrollment: Enrollment) -> None:
    """Log it: told at most once, so nothing important hangs on it."""
    logger.info("enrolled", extra={"enrollment_id": enrollment.id})


@hookimpl
def register_jobs(register: Callable[..., Any]) -> None:
    """One job for each enrollment that is enrolled."""
    register("crm.export", export, on=("enrolled",))


def export(context: JobContext) -> Outcome:
    """
    Write the contact; a worker that dies here makes it run again.

    The job's key is the same in every try: the second write of a contact changes
    nothing.
    """
    row = context.enrollment
    try:
        with sqlite3.connect(os.environ["ENROLL_CRM_DATABASE"], timeout=10) as crm:
            crm.execute(
                "CREATE TABLE IF NOT EXISTS contacts "
                "(key TEXT PRIMARY KEY, enrollment TEXT, course TEXT, tries INTEGER)"
            )
            crm.execute(
                "INSERT INTO contacts VALUES (?, ?, ?, 1) "
                "ON CONFLICT (key) DO UPDATE SET tries = tries + 1",
                (context.job.key, row.id, row.course_id),
            )
        crm.close()
    except sqlite3.OperationalError as error:
        return Retry(cause=f"the CRM can't be written: {error}")
    return Done("exported")
