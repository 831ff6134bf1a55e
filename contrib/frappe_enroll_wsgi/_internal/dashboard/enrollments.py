# SPDX-License-Identifier: MIT
"""The dashboard's pages and forms for enrollments."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Response

from frappe_enroll_sdk.errors import NotFoundError
from frappe_enroll_sdk.models import Enrollment, JobState, LMSStatus, Page, Status

from ..codes import seen
from ..routing import Access, Call
from ..schemas.enrollments import FILTERS, VERBS
from ..schemas.parts import text, words
from .builders import CURSOR, form_route, or_empty, page_route
from .forms import field
from .render import LIMIT, Filters, filters_of, go, page


def enrollments(call: Call) -> Response:
    """Show enrollments, filtered."""
    query = filters_of(call)
    return _listed(call, call.sdk.enrollments.list(**query, limit=LIMIT), query)


def search(call: Call) -> Response:
    """Show search results (a POST keeps addresses out of URLs)."""
    fields = {name: str(value).strip() for name, value in call.fields.items()}
    wanted, cursor = fields.get("q", ""), fields.get("cursor") or None
    if not wanted:
        return _listed(call, call.sdk.enrollments.list(limit=LIMIT), {})
    found = call.sdk.admin.search(wanted, limit=LIMIT, cursor=cursor)
    return _listed(call, found, {"q": wanted})


def _listed(call: Call, found: Page[Enrollment], filters: dict[str, Any]) -> Response:
    return page(
        call,
        "enrollments.html",
        title="Learners",
        rows=seen(call, found).items,
        more=found.next_cursor,
        unreadable=found.unreadable,
        filters=Filters(filters),
        statuses=list(Status),
        lms_statuses=list(LMSStatus),
    )


def enrollment(call: Call) -> Response:
    """Show one enrollment with its history."""
    found = seen(call, call.sdk.admin.timeline(call.arguments["enrollment_id"]))
    row = found.enrollment
    dead = [job for job in found.jobs if job.state is JobState.DEAD]
    return page(
        call,
        "enrollment.html",
        title=row.email,
        timeline=found,
        row=row,
        dead=dead,
        verbs=_verbs(row),
        lms_url=call.sdk.settings.frappe_lms_url.rstrip("/"),
    )


def _verbs(row: Enrollment) -> tuple[str, ...]:
    """Return the actions that an enrollment's status allows."""
    status = row.status
    if status is Status.ON_HOLD:
        return ("accept", "dismiss")
    if status in {Status.CONFIRMED, Status.ENROLLED}:
        return ("revoke",)
    gone = status is not Status.REVOKED or row.moved_to is not None
    return () if gone else ("reinstate",)


def act(call: Call) -> Response:
    """Carry out an action on an enrollment, or make its sync due."""
    name, verb = call.arguments["enrollment_id"], field(call, "verb")
    if verb == "retry":
        call.sdk.admin.retry(name, **call.by)
    elif verb in VERBS:
        getattr(call.sdk.enrollments, verb)(name, **call.by)
    else:
        raise NotFoundError
    return go(call, f"/enrollments/{name}", done=verb)


ROUTES = (
    page_route(
        "enrollments",
        "enrollments",
        enrollments,
        "Show enrollments, newest first.",
        query={**{name: or_empty(s) for name, s in FILTERS.items()}, **CURSOR},
    ),
    form_route(
        "search",
        "enrollments",
        search,
        "Search enrollments.",
        Access.VIEWER,
        status=200,
        fields={},
    ),
    page_route(
        "enrollment",
        "enrollments/<enrollment_id>",
        enrollment,
        "Show one enrollment with its history.",
        Access.VIEWER,
        "enrollment_not_found",
    ),
    form_route(
        "order",
        "enrollments/<enrollment_id>/order",
        act,
        "Carry out an operator's action on an enrollment.",
        Access.OPERATOR,
        "enrollment_not_found",
        "transition",
        "conflict",
        "payments_unavailable",
        fields={"verb": words((*VERBS, "retry")), "reason": text(500)},
    ),
)
