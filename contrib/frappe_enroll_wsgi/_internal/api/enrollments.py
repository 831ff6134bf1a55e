# SPDX-License-Identifier: MIT
"""Enrollments: the learner's own and the admin API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from werkzeug.wrappers import Response

from frappe_enroll_sdk.codec import shown
from frappe_enroll_sdk.models import Enrollment
from frappe_enroll_sdk.services.operators.search import Timeline
from frappe_enroll_sdk.spreadsheets import cell

from ..answers import answer, money_json, page_json
from ..codes import seen
from ..routing import Access, Area, Call, Handler, Route
from ..schemas.enrollments import FILTERS, VERBS
from ..streams import csv_answer
from .builders import PAGED, TOKEN_HEADER, operator, viewer
from .coupons import coupon_json
from .jobs import job_json


#: Fields of an enrollment that operators see, in this order (in the CSV too).
ENROLLMENT_FIELDS = (
    "id",
    "email",
    "full_name",
    "learner",
    "course_id",
    "course_title",
    "kind",
    "status",
    "lms_status",
    "reason",
    "override",
    "price",
    "discount",
    "amount",
    "refunded_minor",
    "coupon_code",
    "affiliate",
    "session_id",
    "payment_id",
    "lms_enrollment_id",
    "due_at",
    "tries",
    "version",
    "created_at",
    "updated_at",
)
_EXPORT_PAGE = 200


def enrollment(call: Call) -> Response:
    """``GET /enrollments/<id>``: one enrollment, for the holder of its token."""
    row = call.sdk.enrollments.get_with_token(
        call.arguments["enrollment_id"], call.request.headers.get(TOKEN_HEADER, "")
    )
    return answer(enrollment_json(row))


def cancel(call: Call) -> Response:
    """``POST /enrollments/<id>/cancel``: cancel an unpaid enrollment."""
    row = call.sdk.cancel(
        call.arguments["enrollment_id"], call.request.headers.get(TOKEN_HEADER, "")
    )
    return answer(enrollment_json(row))


def enrollment_json(row: Enrollment) -> dict[str, Any]:
    """Return an enrollment as its learner sees it."""
    return {
        "id": row.id,
        "course_id": row.course_id,
        "kind": str(row.kind),
        "status": str(row.status),
        "lms_status": str(row.lms_status),
        "price": money_json(row.price),
        "discount": money_json(row.discount),
        "amount": money_json(row.amount),
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }


def enrollments(call: Call) -> Response:
    """List enrollments by filters that identify nobody."""
    page = call.sdk.enrollments.list(**call.query)
    return answer(page_json(seen(call, page), row_json))


def search(call: Call) -> Response:
    """
    Search enrollments by ``q`` (an address, code or id) or by filters.

    A POST, because URLs are logged and must hold no addresses or codes.
    """
    fields = dict(call.fields)
    wanted = fields.pop("q", None)
    if wanted is not None:
        paging = {name: fields[name] for name in PAGED if name in fields}
        page = call.sdk.admin.search(wanted, **paging)
    else:
        if "coupon_code" in fields:
            fields["coupon_code"] = fields["coupon_code"].upper()
        page = call.sdk.enrollments.list(**fields)
    return answer(page_json(seen(call, page), row_json))


def export(call: Call) -> Response:
    """Stream enrollments as CSV, page by page."""
    return csv_answer("enrollments", _table(_rows(call)))


def _rows(call: Call) -> Iterator[Enrollment]:
    cursor: str | None = None
    while True:
        page = call.sdk.enrollments.list(
            **call.query, limit=_EXPORT_PAGE, cursor=cursor
        )
        yield from seen(call, page).items
        cursor = page.next_cursor
        if cursor is None:
            return


def _table(rows: Iterator[Enrollment]) -> Iterator[list[str]]:
    yield [*ENROLLMENT_FIELDS, "currency"]
    for row in rows:
        values = row_json(row)
        cells = [_plain(values[name]) for name in ENROLLMENT_FIELDS]
        yield [*cells, row.price.currency]


def _plain(value: Any) -> Any:
    """Return a cell; money becomes its minor units."""
    return cell(value["amount_minor"] if isinstance(value, dict) else value)


def timeline(call: Call) -> Response:
    """Return one enrollment with its whole history."""
    found = call.sdk.admin.timeline(call.arguments["enrollment_id"])
    return answer(timeline_json(seen(call, found)))


def _action(verb: str) -> Handler:
    def act(call: Call) -> Response:
        act = getattr(call.sdk.enrollments, verb)
        row = act(call.arguments["enrollment_id"], **call.by)
        return answer(row_json(row))

    return act


def reassign(call: Call) -> Response:
    """Move the enrollment to another learner; return the new enrollment."""
    row = call.sdk.enrollments.reassign(
        call.arguments["enrollment_id"], call.fields["email"], **call.by
    )
    return answer(row_json(row))


def retry_enrollment(call: Call) -> Response:
    """Make the sync of an enrollment due now."""
    name = call.arguments["enrollment_id"]
    call.sdk.enrollments.get(name)
    call.sdk.admin.retry(name, **call.by)
    return answer({"due": True})


def row_json(row: Enrollment) -> dict[str, Any]:
    """Return an enrollment as JSON, as operators see it."""
    values = shown(row)
    return {name: values[name] for name in ENROLLMENT_FIELDS}


def timeline_json(timeline: Timeline) -> dict[str, Any]:
    """Return a timeline as JSON."""
    return {
        "enrollment": row_json(timeline.enrollment),
        "moments": [shown(moment) for moment in timeline.moments],
        "coupon": coupon_json(timeline.coupon) if timeline.coupon else None,
        "seat": shown(timeline.seat) if timeline.seat else None,
        "jobs": [job_json(job) for job in timeline.jobs],
        "events": [job_json(event) for event in timeline.events],
    }


_ABOUT = {
    "revoke": "Revoke the right to the course.",
    "reinstate": "Restore the right to the course.",
    "accept": "Accept the payment of an enrollment that is on hold.",
    "dismiss": "Dismiss an enrollment that is on hold.",
}
ROUTES = (
    Route(
        name="enrollment",
        methods=("GET",),
        path="/enrollments/<enrollment_id>",
        handler=enrollment,
        access=Access.LEARNER,
        area=Area.LEARNER,
        about="Show an enrollment to the holder of its token.",
        answers={200: "Enrollment"},
        codes=("token",),
    ),
    Route(
        name="cancel",
        methods=("POST",),
        path="/enrollments/<enrollment_id>/cancel",
        handler=cancel,
        access=Access.LEARNER,
        area=Area.LEARNER,
        about="Cancel an unpaid enrollment.",
        limit="cancel",
        answers={200: "Enrollment"},
        codes=("token", "conflict", "payments_unavailable"),
    ),
    viewer(
        "enrollments",
        "enrollments",
        enrollments,
        "EnrollmentPage",
        "Return enrollments, newest first.",
        query={**FILTERS, **PAGED},
    ),
    viewer(
        "search",
        "enrollments/search",
        search,
        "EnrollmentPage",
        "Search enrollments by `q` or by filters.",
        body="SearchRequest",
    ),
    viewer(
        "export",
        "enrollments.csv",
        export,
        "text/csv",
        "Export enrollments as CSV.",
        query=FILTERS,
    ),
    viewer(
        "enrollment",
        "enrollments/<enrollment_id>",
        timeline,
        "Timeline",
        "Return one enrollment with its whole history.",
        "enrollment_not_found",
    ),
    *(
        operator(
            verb,
            f"enrollments/<enrollment_id>/{verb}",
            _action(verb),
            "AdminEnrollment",
            _ABOUT[verb],
            "enrollment_not_found",
            "transition",
            "conflict",
            "payments_unavailable",
        )
        for verb in VERBS
    ),
    operator(
        "reassign",
        "enrollments/<enrollment_id>/reassign",
        reassign,
        "AdminEnrollment",
        "Move the enrollment to another learner.",
        "enrollment_not_found",
        "already_enrolled",
        "transition",
        "conflict",
        "payments_unavailable",
        body="ReassignRequest",
    ),
    operator(
        "retry_enrollment",
        "enrollments/<enrollment_id>/retry",
        retry_enrollment,
        "Due",
        "Make the sync of an enrollment due now.",
        "enrollment_not_found",
    ),
)
