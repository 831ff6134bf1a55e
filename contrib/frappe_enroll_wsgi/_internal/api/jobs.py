# SPDX-License-Identifier: MIT
"""Jobs: the cron pass and the admin API."""

from __future__ import annotations

from typing import Any

import attrs
from werkzeug.wrappers import Response

from frappe_enroll_sdk.codec import shown
from frappe_enroll_sdk.errors import NotFoundError
from frappe_enroll_sdk.models import Job

from ..answers import answer, page_json
from ..routing import Access, Area, Call, Route
from ..schemas.jobs import STATE_QUERY
from ..schemas.parts import text
from .builders import PAGED, operator, viewer


#: Most seconds of one cron pass (serverless hosts stop requests after ten or more).
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
    """``GET|POST /cron/run``: run due jobs for a few seconds."""
    return answer(attrs.asdict(call.sdk.run_jobs(limit=200, time_budget_s=_CRON_S)))


def jobs(call: Call) -> Response:
    """Return jobs."""
    page = call.sdk.admin.jobs(**call.query)
    return answer(page_json(page, job_json))


def job(call: Call) -> Response:
    """Return one job."""
    return one_job(call, call.sdk.storage.jobs.find(call.arguments["key"]))


def one_job(call: Call, found: Job | None) -> Response:
    """Return a job or event; only operators see its payload."""
    if found is None:
        raise NotFoundError
    return answer(full_job_json(found, payload=call.operator.may_change))


def retry_job(call: Call) -> Response:
    """Make one job due now."""
    key = call.arguments["key"]
    if call.sdk.storage.jobs.find(key) is None:
        raise NotFoundError
    call.sdk.admin.retry(key, **call.by)
    return answer({"due": True})


def bury_job(call: Call) -> Response:
    """Give up a waiting job: it becomes dead."""
    call.sdk.admin.bury(call.arguments["key"], **call.by)
    return answer({"due": False})


def requeue(call: Call) -> Response:
    """Make dead jobs due now, oldest first."""
    fields = call.fields
    count = call.sdk.admin.requeue(
        fields.get("limit", 100), kind=fields.get("kind"), **call.by
    )
    return answer({"requeued": count})


def job_json(job: Job) -> dict[str, Any]:
    """Return a job or event as JSON, without its payload."""
    values = shown(job)
    kind = (job.payload or {}).get("type") if job.deliveries else None
    return {name: values[name] for name in JOB_FIELDS} | {"type": kind}


def full_job_json(job: Job, *, payload: bool) -> dict[str, Any]:
    """Return a job or event as JSON, with its payload if the caller may see it."""
    return job_json(job) | {"payload": shown(job.payload) if payload else None}


ROUTES = (
    Route(
        name="cron",
        methods=("GET", "POST"),
        path="/cron/run",
        handler=cron,
        access=Access.CRON,
        area=Area.MACHINE,
        about="Run due jobs for a few seconds.",
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
        "Give up a waiting job: it becomes dead.",
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
