# SPDX-License-Identifier: MIT
"""
What in the LMS hangs on a learner's enrolment in a course.

Since LMS 2.61 certificates are documents of their own and no field of the enrolment,
and a batch or a program takes over a row that is there. None of these keeps Frappe
from deleting the row: whoever deletes has to look.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from frappe_enroll_sdk.errors import LMSUnavailableError

from .fence import RefusedStatusError


_NOT_FOUND = 404
#: Most documents of one kind that are read.
_MOST = 500


def holds_of(session: Any, url: str, learner: str, course_id: str) -> Iterator[str]:
    """Yield what uses the enrolment, in words, such as ``certificate abc123``."""
    mine, course = ["member", "=", learner], ["course", "=", course_id]
    for row in list_rows(session, url, "LMS Certificate", [mine, course]):
        yield f"certificate {row.get('name')}"
    of_course = [["Batch Course", "course", "=", course_id]]
    batches = [
        row.get("name") for row in list_rows(session, url, "LMS Batch", of_course)
    ]
    if batches:
        joined = [mine, ["batch", "in", batches]]
        for row in list_rows(session, url, "LMS Batch Enrollment", joined, "batch"):
            yield f"batch {row.get('batch')}"
    yield from _programs(session, url, mine, course)


def _programs(
    session: Any, url: str, mine: list[str], course: list[str]
) -> Iterator[str]:
    parent = "LMS Program"
    rows = list_rows(
        session, url, "LMS Program Course", [course], "parent", parent=parent
    )
    names = [row.get("parent") for row in rows]
    if not names:
        return
    wanted = [mine, ["parent", "in", names]]
    doctype = "LMS Program Member"
    for row in list_rows(session, url, doctype, wanted, "parent", parent=parent):
        yield f"program {row.get('parent')}"


def list_rows(
    session: Any,
    url: str,
    doctype: str,
    filters: list[Any],
    field: str = "name",
    *,
    parent: str | None = None,
) -> list[Mapping[str, Any]]:
    """
    Return documents; none if the LMS is too old to have the doctype.

    `parent` names the parent doctype of a child table's rows.
    """
    params = {
        "filters": json.dumps(filters),
        "fields": json.dumps([field]),
        "limit_page_length": _MOST,
    }
    if parent is not None:
        params["parent"] = parent
    try:
        response = session.get(f"{url}/api/resource/{quote(doctype)}", params=params)
    except RefusedStatusError as error:
        if error.status == _NOT_FOUND:
            return []
        raise
    rows = json.loads(response.content).get("data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise LMSUnavailableError("the LMS answered 200 with unexpected data")
    return rows
