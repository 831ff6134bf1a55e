# SPDX-License-Identifier: MIT
"""Jobs: the admin API, and the cron pass."""

from __future__ import annotations

from typing import Any

import attrs
from werkzeug.wrappers import Response

from frappe_enroll_sdk.codec import dump
from frappe_enroll_sdk.errors import NotFoundError
from frappe_enroll_sdk.models import Job

from ..answers import answer, page_json
from ..routing import Access, Area, Call, Route
from ..schemas.jobs import STATE_QUERY
from ..schemas.parts import text
from .builders import PAGED, operator, orders_of, viewer


#: Seconds of one cron pass at the most (serverless hosts cut off at ten and more).
_CRON_S = 8.0
JOB_FIELDS = (
    "key",
    "kind",
    "state",
    "outcome",
    "tries",
    "due_at",
    "deliveries",
    "owner",
    "errors",
    "created_at",
    "updated_at",
)


def cron(call: Call) -> Response:
    """``GET|POST /cron/run``: one bounded pass over what is due."""
    return answer(attrs.asdict(call.sdk.run_jobs(limit=200, time_budget_s=_CRON_S)))


def jobs(call: Call) -> Response:
    """Return jobs."""
    page = call.sdk.admin.jobs(**call.query)
    return answer(page_json(page, job_json))


def job(call: Call) -> Response:
    """Return one job."""
    return one_job(call, call.sdk.storage.jobs.find(call.arguments["key"]))


def one_job(call: Call, found: Job | None) -> Response:
    """Return a job or event, its payload to operators only."""
    if found is None:
        raise NotFoundError
    return answer(full_job_json(found, payload=call.operator.may_change))


def retry_job(call: Call) -> Response:
    """Make one job due now."""
    key = call.arguments["key"]
    if call.sdk.storage.jobs.find(key) is None:
        raise NotFoundError
    orders_of(call).retry(key)
    return answer({"due": True})


def bury_job(call: Call) -> Response:
    """End a job that waits as dead."""
    orders_of(call).bury(call.arguments["key"])
    return answer({"due": False})


def requeue(call: Call) -> Response:
    """Make dead jobs due now, oldest first."""
    fields = call.fields
    count = orders_of(call).requeue(fields.get("limit", 100), fields.get("kind"))
    return answer({"requeued": count})


def job_json(job: Job) -> dict[str, Any]:
    """Return a job or event, without its payload."""
    told = dump(job)
    kind = (job.payload or {}).get("type") if job.deliveries else None
    return {name: told[name] for name in JOB_FIELDS} | {"type": kind}


def full_job_json(job: Job, *, payload: bool) -> dict[str, Any]:
    """Return a job or event; its payload is for operators only."""
    return job_json(job) | {"payload": dump(job.payload) if payload else None}


ROUTES = (
    Route(
        name="cron",
        methods=("GET", "POST"),
        path="/cron/run",
        handler=cron,
        access=Access.CRON,
        area=Area.MACHINE,
        about="Work through what is due, for some seconds.",
        answers={200: "Pass"},
        codes=("unauthorized",),
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
    operator(
        "retry_job",
        "jobs/<path:key>/retry",
        retry_job,
        "Due",
        "Make one job due now.",
    ),
    operator(
        "bury_job",
        "jobs/<path:key>/bury",
        bury_job,
        "Due",
        "End a job that waits as dead.",
    ),
    operator(
        "requeue",
        "jobs/requeue",
        requeue,
        "Requeued",
        "Make dead jobs due now, oldest first.",
        body="RequeueRequest",
    ),
)
