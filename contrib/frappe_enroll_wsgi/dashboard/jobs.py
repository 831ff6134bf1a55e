# SPDX-License-Identifier: MIT
"""The pages and forms of jobs."""

from __future__ import annotations

from werkzeug.wrappers import Response

from frappe_enroll_sdk.codec import dump
from frappe_enroll_sdk.errors import NotFoundError
from frappe_enroll_sdk.models import JobState

from ..routing import Call
from ..schemas.jobs import STATE_QUERY
from ..schemas.parts import text, words
from .builders import CURSOR, change, either, look
from .forms import field, number, orders_of
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
    """Show one job with its tries."""
    found = call.sdk.storage.jobs.find(call.arguments["key"])
    if found is None:
        raise NotFoundError
    payload = dump(found.payload) if call.operator.may_change else None
    return page(call, "job.html", title=found.key, job=found, payload=payload)


def job_order(call: Call) -> Response:
    """Retry a job, or end it."""
    key, verb = call.arguments["key"], field(call, "verb")
    if verb == "retry":
        orders_of(call).retry(key)
    elif verb == "bury":
        orders_of(call).bury(key)
    else:
        raise NotFoundError
    return go(call, f"/jobs/{key}", done=verb)


def requeue(call: Call) -> Response:
    """Make dead jobs due, in bulk."""
    limit = number(call, "limit", 100)
    orders_of(call).requeue(limit, None)
    return go(call, "/jobs", done="requeue", state="due")


ROUTES = (
    look(
        "jobs",
        "jobs",
        jobs,
        "Show jobs.",
        query={"state": either(STATE_QUERY), "kind": either(text()), **CURSOR},
    ),
    look("job", "jobs/<path:key>", job, "Show one job."),
    change("requeue", "jobs/requeue", requeue, "Make dead jobs due."),
    change(
        "job_order",
        "jobs/<path:key>/order",
        job_order,
        "Retry a job, or end it.",
        fields={"verb": words(("retry", "bury")), "reason": text(500)},
    ),
)
