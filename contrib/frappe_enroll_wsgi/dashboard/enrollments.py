# SPDX-License-Identifier: MIT
"""The pages and forms of enrollments."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Response

from frappe_enroll_sdk.models import Enrollment, JobState, LMSStatus, Page, Status

from ..codes import seen
from ..orders import VERBS
from ..routing import Access, Call
from ..schemas.enrollments import FILTERS
from ..schemas.parts import text, words
from .builders import CURSOR, change, either, look
from .forms import field, orders_of
from .render import LIMIT, Asked, asked_of, go, page


def enrollments(call: Call) -> Response:
    """Show enrollments by filters."""
    query = asked_of(call)
    return _listed(call, call.sdk.enrollments.list(**query, limit=LIMIT), query)


def search(call: Call) -> Response:
    """Show what a search finds: a POST, as addresses have no place in URLs."""
    fields = {name: str(value).strip() for name, value in call.fields.items()}
    wanted, cursor = fields.get("q", ""), fields.get("cursor") or None
    if not wanted:
        return _listed(call, call.sdk.enrollments.list(limit=LIMIT), {})
    found = call.sdk.admin.search(wanted, limit=LIMIT, cursor=cursor)
    return _listed(call, found, {"q": wanted})


def _listed(call: Call, found: Page[Enrollment], asked: dict[str, Any]) -> Response:
    return page(
        call,
        "enrollments.html",
        title="Learners",
        rows=seen(call, found).items,
        more=found.next_cursor,
        asked=Asked(asked),
        statuses=list(Status),
        lms_statuses=list(LMSStatus),
    )


def enrollment(call: Call) -> Response:
    """Show what happened to one enrollment."""
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
    """Return the operators' words that fit where a row stands."""
    status = row.status
    if status is Status.ON_HOLD:
        return ("accept", "dismiss")
    if status in {Status.CONFIRMED, Status.ENROLLED}:
        return ("revoke",)
    gone = status is not Status.REVOKED or row.moved_to is not None
    return () if gone else ("reinstate",)


def order(call: Call) -> Response:
    """Speak a word on an enrollment, or make its sync due."""
    name, verb = call.arguments["enrollment_id"], field(call, "verb")
    if verb == "retry":
        orders_of(call).retry(name)
    else:
        orders_of(call).enrollment(verb, name)
    return go(call, f"/enrollments/{name}", done=verb)


ROUTES = (
    look(
        "enrollments",
        "enrollments",
        enrollments,
        "Show enrollments, newest first.",
        query={**{name: either(s) for name, s in FILTERS.items()}, **CURSOR},
    ),
    change(
        "search",
        "enrollments",
        search,
        "Search enrollments.",
        Access.VIEWER,
        status=200,
        fields={},
    ),
    look(
        "enrollment",
        "enrollments/<enrollment_id>",
        enrollment,
        "Show what happened to one enrollment.",
        Access.VIEWER,
        "enrollment_not_found",
    ),
    change(
        "order",
        "enrollments/<enrollment_id>/order",
        order,
        "Speak an operator's word on an enrollment.",
        Access.OPERATOR,
        "enrollment_not_found",
        "transition",
        "conflict",
        "payments_unavailable",
        fields={"verb": words((*VERBS, "retry")), "reason": text(500)},
    ),
)
