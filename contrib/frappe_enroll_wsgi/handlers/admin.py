# SPDX-License-Identifier: MIT
"""The admin API, to look: numbers, lists, searches, one thing with all its past."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

from frappe_enroll_sdk.errors import NotFoundError
from frappe_enroll_sdk.models import Enrollment, Job
from frappe_enroll_sdk.settings.text import describe
from frappe_enroll_sdk.spreadsheets import cell

from ..answers import answer
from ..codes import coupon_page, seen
from ..routes import Access, Area, Handler, Route
from ..schema_parts import text
from ..schemas import LMS_STATUS_QUERY, STATE_QUERY, STATUS_QUERY
from ..streams import csv_answer
from . import admin_records as records
from .orders import BACKENDS


if TYPE_CHECKING:
    from ..call import Call

_EXPORT_PAGE = 200
_LIMIT = {"type": "integer", "minimum": 1, "maximum": 200}
PAGED = {"limit": _LIMIT, "cursor": text(500)}
#: Filters that may stand in a URL: they name nobody.
FILTERS = {
    "course_id": text(),
    "status": STATUS_QUERY,
    "lms_status": LMS_STATUS_QUERY,
}


def stats(call: Call) -> Response:
    """Return the queue's numbers."""
    return answer(records.plain(call.sdk.admin.stats()))


def enrollments(call: Call) -> Response:
    """Return enrollments by filters that name nobody."""
    page = call.sdk.enrollments.list(**call.query)
    return answer(records.page_json(seen(call, page), records.row_json))


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
    return answer(records.page_json(seen(call, page), records.row_json))


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
    yield [*records.ENROLLMENT_FIELDS, "currency"]
    for row in rows:
        told = records.row_json(row)
        cells = [_plain(told[name]) for name in records.ENROLLMENT_FIELDS]
        yield [*cells, row.price.currency]


def _plain(value: Any) -> Any:
    """Return a cell; money is its minor units."""
    return cell(value["amount_minor"] if isinstance(value, dict) else value)


def timeline(call: Call) -> Response:
    """Return one enrollment with all that happened to it."""
    found = call.sdk.admin.timeline(call.arguments["enrollment_id"])
    return answer(records.timeline_json(seen(call, found)))


def jobs(call: Call) -> Response:
    """Return jobs."""
    page = call.sdk.admin.jobs(**call.query)
    return answer(records.page_json(page, records.job_json))


def job(call: Call) -> Response:
    """Return one job."""
    return _one(call, call.sdk.storage.jobs.find(call.arguments["key"]))


def events(call: Call) -> Response:
    """Return payment events."""
    page = call.sdk.admin.events(**call.query)
    return answer(records.page_json(page, records.job_json))


def event(call: Call) -> Response:
    """Return one payment event."""
    return _one(call, call.sdk.storage.events.find(call.arguments["event_id"]))


def _one(call: Call, found: Job | None) -> Response:
    if found is None:
        raise NotFoundError
    return answer(records.full_job_json(found, payload=call.operator.may_change))


def coupons(call: Call) -> Response:
    """Return coupons, by code."""
    page = coupon_page(call, **call.query)
    return answer(records.page_json(page, records.coupon_json))


def coupon(call: Call) -> Response:
    """Return one coupon with its counts; a POST, as its code is worth money."""
    found = call.sdk.coupons.get(call.fields["code"])
    return answer(records.coupon_json(seen(call, found)))


def audit(call: Call) -> Response:
    """Return what operators did, newest first."""
    page = call.sdk.admin.audit(**call.query)
    return answer(records.page_json(seen(call, page), records.audit_json))


def plugins(call: Call) -> Response:
    """Return the installed plugins and what became of them."""
    return answer({"items": [records.plain(i) for i in call.sdk.plugins.infos]})


def config(call: Call) -> Response:
    """Return the settings with their sources, secrets masked."""
    names = ("variable", "value", "source", "meaning")
    rows = describe(call.sdk.settings)
    return answer({"items": [dict(zip(names, row, strict=True)) for row in rows]})


def breaker(call: Call) -> Response:
    """Return whether each backend's gate lets work through."""
    gates = call.sdk.storage.gates
    items = [{"backend": name, "open": gates.is_open(name)} for name in BACKENDS]
    return answer({"items": items})


def viewer(
    name: str,
    path: str,
    handler: Handler,
    schema: str,
    about: str,
    *codes: str,
    query: dict[str, Any] | None = None,
    body: str | None = None,
) -> Route:
    """Return a row of the table for whoever may look; with a body it is a POST."""
    return Route(
        name=f"api_{name}",
        methods=("POST",) if body else ("GET",),
        body=body,
        path=f"/admin/api/{path}",
        handler=handler,
        access=Access.VIEWER,
        area=Area.ADMIN,
        about=about,
        answers={200: schema},
        query=query or {},
        codes=codes,
    )


ROUTES = (
    viewer("stats", "stats", stats, "Stats", "Return the queue's numbers."),
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
    viewer(
        "jobs",
        "jobs",
        jobs,
        "JobPage",
        "Return jobs.",
        query={"state": STATE_QUERY, "kind": text(), **PAGED},
    ),
    viewer("job", "jobs/<path:key>", job, "Job", "Return one job."),
    viewer(
        "events",
        "events",
        events,
        "JobPage",
        "Return payment events.",
        query={"state": STATE_QUERY, **PAGED},
    ),
    viewer(
        "event",
        "events/<event_id>",
        event,
        "Job",
        "Return one payment event; its payload to operators only.",
    ),
    viewer(
        "coupons",
        "coupons",
        coupons,
        "CouponPage",
        "Return coupons, by code.",
        query={"course_id": text(), **PAGED},
    ),
    viewer(
        "coupon",
        "coupons/find",
        coupon,
        "Coupon",
        "Return one coupon.",
        body="CodeRequest",
    ),
    viewer(
        "audit",
        "audit",
        audit,
        "AuditPage",
        "Return what operators did, newest first.",
        query={"subject": text(255), **PAGED},
    ),
    viewer("plugins", "plugins", plugins, "Items", "Return the installed plugins."),
    viewer("config", "config", config, "Items", "Return the settings, masked."),
    viewer("breaker", "breaker", breaker, "Items", "Return each backend's gate."),
)
