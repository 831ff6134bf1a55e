# SPDX-License-Identifier: MIT
"""Enrollments: the learner's own, and the admin API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from werkzeug.wrappers import Response

from frappe_enroll_sdk.codec import dump
from frappe_enroll_sdk.models import Enrollment
from frappe_enroll_sdk.services.operators.search import Timeline
from frappe_enroll_sdk.spreadsheets import cell

from ..answers import answer, money_json, page_json
from ..codes import seen
from ..orders import VERBS
from ..routing import Access, Area, Call, Handler, Route
from ..schemas.enrollments import FILTERS
from ..streams import csv_answer
from .builders import PAGED, TOKEN_HEADER, operator, orders_of, viewer
from .coupons import coupon_json
from .jobs import job_json


#: What operators see of an enrollment, in this order (in the CSV too).
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
    """``GET /enrollments/<id>``: to the holder of its token."""
    row = call.sdk.enrollments.get_with_token(
        call.arguments["enrollment_id"], call.request.headers.get(TOKEN_HEADER, "")
    )
    return answer(enrollment_json(row))


def cancel(call: Call) -> Response:
    """``POST /enrollments/<id>/cancel``: the learner gives up."""
    row = call.sdk.cancel(
        call.arguments["enrollment_id"], call.request.headers.get(TOKEN_HEADER, "")
    )
    return answer(enrollment_json(row))


def enrollment_json(row: Enrollment) -> dict[str, Any]:
    """Return what the holder of its token learns of an enrollment."""
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
    """Return enrollments by filters that name nobody."""
    page = call.sdk.enrollments.list(**call.query)
    return answer(page_json(seen(call, page), row_json))


def search(call: Call) -> Response:
    """
    Return enrollments by ``q`` (whatever is at hand), or by filters.

    A POST: addresses and codes have no place in URLs, which everybody logs.
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
    """Return enrollments as CSV, streamed page by page."""
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
        told = row_json(row)
        cells = [_plain(told[name]) for name in ENROLLMENT_FIELDS]
        yield [*cells, row.price.currency]


def _plain(value: Any) -> Any:
    """Return a cell; money is its minor units."""
    return cell(value["amount_minor"] if isinstance(value, dict) else value)


def timeline(call: Call) -> Response:
    """Return one enrollment with all that happened to it."""
    found = call.sdk.admin.timeline(call.arguments["enrollment_id"])
    return answer(timeline_json(seen(call, found)))


def _word(verb: str) -> Handler:
    def speak(call: Call) -> Response:
        row = orders_of(call).enrollment(verb, call.arguments["enrollment_id"])
        return answer(row_json(row))

    return speak


def reassign(call: Call) -> Response:
    """Give the right to the course to another learner; answer the new enrollment."""
    row = orders_of(call).reassign(
        call.arguments["enrollment_id"], call.fields["email"]
    )
    return answer(row_json(row))


def retry_enrollment(call: Call) -> Response:
    """Make the sync of an enrollment due now."""
    name = call.arguments["enrollment_id"]
    call.sdk.enrollments.get(name)
    orders_of(call).retry(name)
    return answer({"due": True})


def row_json(row: Enrollment) -> dict[str, Any]:
    """Return an enrollment."""
    told = dump(row)
    return {name: told[name] for name in ENROLLMENT_FIELDS}


def timeline_json(timeline: Timeline) -> dict[str, Any]:
    """Return all that happened to one enrollment."""
    return {
        "enrollment": row_json(timeline.enrollment),
        "moments": [dump(moment) for moment in timeline.moments],
        "coupon": coupon_json(timeline.coupon) if timeline.coupon else None,
        "seat": dump(timeline.seat) if timeline.seat else None,
        "jobs": [job_json(job) for job in timeline.jobs],
        "events": [job_json(event) for event in timeline.events],
    }


_ABOUT = {
    "revoke": "Take the right to the course away.",
    "reinstate": "Give the right to the course back.",
    "accept": "Enroll one that is on hold.",
    "dismiss": "End one that is on hold.",
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
        about="Give an unpaid enrollment up.",
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
        "Search enrollments: by `q` or by filters.",
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
        "Return one enrollment with all that happened to it.",
        "enrollment_not_found",
    ),
    *(
        operator(
            verb,
            f"enrollments/<enrollment_id>/{verb}",
            _word(verb),
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
        "Give the right to the course to another learner.",
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
