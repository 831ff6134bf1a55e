# SPDX-License-Identifier: MIT
"""The dashboard's pages and forms for jobs."""

from __future__ import annotations

from werkzeug.wrappers import Response

from frappe_enroll_sdk.codec import shown
from frappe_enroll_sdk.errors import NotFoundError
from frappe_enroll_sdk.models import JobState

from ..routing import Call
from ..schemas.jobs import STATE_QUERY
from ..schemas.parts import text, words
from .builders import CURSOR, form_route, or_empty, page_route
from .forms import field, number
from .render import go, list_page, page


def jobs(call: Call) -> Response:
    """Show jobs by state."""
    return list_page(
        call,
        "jobs.html",
        call.sdk.admin.jobs,
        title="Jobs",
        items="jobs",
        states=[s for s in JobState if s not in _OF_EVENTS],
    )


_OF_EVENTS = {JobState.QUARANTINED, JobState.IGNORED}


def job(call: Call) -> Response:
    """Show one job with its failed attempts."""
    found = call.sdk.storage.jobs.find(call.arguments["key"])
    if found is None:
        raise NotFoundError
    payload = shown(found.payload) if call.operator.may_change else None
    return page(call, "job.html", title=found.key, job=found, payload=payload)


def act(call: Call) -> Response:
    """Retry a job or give it up."""
    key, verb = call.arguments["key"], field(call, "verb")
    if verb == "retry":
        call.sdk.admin.retry(key, **call.by)
    elif verb == "bury":
        call.sdk.admin.bury(key, **call.by)
    else:
        raise NotFoundError
    return go(call, f"/jobs/{key}", done=verb)


def requeue(call: Call) -> Response:
    """Make many dead jobs due."""
    limit = number(call, "limit", 100)
    call.sdk.admin.requeue(limit, **call.by)
    return go(call, "/jobs", done="requeue", state="due")


ROUTES = (
    page_route(
        "jobs",
        "jobs",
        jobs,
        "Show jobs.",
        query={"state": or_empty(STATE_QUERY), "kind": or_empty(text()), **CURSOR},
    ),
    page_route("job", "jobs/<path:key>", job, "Show one job."),
    form_route("requeue", "jobs/requeue", requeue, "Make dead jobs due."),
    form_route(
        "job_order",
        "jobs/<path:key>/order",
        act,
        "Retry a job or give it up.",
        fields={"verb": words(("retry", "bury")), "reason": text(500)},
    ),
)
