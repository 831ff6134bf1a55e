# SPDX-License-Identifier: MIT
"""The admin API, to change things: operators only, each with a reason, audited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from frappe_enroll_sdk.errors import NotFoundError

from ..answers import answer
from ..routes import Access, Area, Handler, Route
from . import admin_records as records
from .orders import VERBS, Orders


if TYPE_CHECKING:
    from ..call import Call


#: Events that one request lists: each that was missed costs some calls.
_MOST_PULLED = 1000


def orders_of(call: Call) -> Orders:
    """Return what the caller may order."""
    return Orders(call.sdk, call.operator, call.fields["reason"])


def _word(verb: str) -> Handler:
    def speak(call: Call) -> Response:
        row = orders_of(call).enrollment(verb, call.arguments["enrollment_id"])
        return answer(records.row_json(row))

    return speak


def reassign(call: Call) -> Response:
    """Give the right to the course to another learner; answer the new enrollment."""
    row = orders_of(call).reassign(
        call.arguments["enrollment_id"], call.fields["email"]
    )
    return answer(records.row_json(row))


def retry_enrollment(call: Call) -> Response:
    """Make the sync of an enrollment due now."""
    name = call.arguments["enrollment_id"]
    call.sdk.enrollments.get(name)
    orders_of(call).retry(name)
    return answer({"due": True})


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


def replay(call: Call) -> Response:
    """Give a stored event its effect again; nothing doubles."""
    event = orders_of(call).replay(
        call.arguments["event_id"], notify=call.fields.get("notify", True)
    )
    return answer(records.full_job_json(event, payload=True))


def pull(call: Call) -> Response:
    """Feed the events that the provider has and we missed; may be repeated."""
    fields = call.fields
    pulled = orders_of(call).pull(
        fields["since"],
        notify=fields.get("notify", True),
        limit=fields.get("limit", _MOST_PULLED),
    )
    return answer(records.plain(pulled))


def create_coupon(call: Call) -> Response:
    """Create a coupon."""
    terms = dict(call.fields)
    terms.pop("reason")
    made = orders_of(call).create_coupon(terms)
    return answer(records.coupon_json(made), 201)


def disable_coupon(call: Call) -> Response:
    """Disable a coupon; seats that are taken stay."""
    done = orders_of(call).disable_coupon(call.fields["code"])
    return answer(records.coupon_json(done))


def retention(call: Call) -> Response:
    """Null old events' payloads and drop old done jobs, now."""
    fields = call.fields
    events, jobs = orders_of(call).prune(
        fields.get("events_days", 30), fields.get("jobs_days", 7)
    )
    return answer({"events": events, "jobs": jobs})


def reconcile(call: Call) -> Response:
    """Compare one page of provider, enrollments and LMS; go on by the cursor."""
    fields = call.fields
    report = orders_of(call).reconcile(
        repair=fields.get("repair", False),
        limit=fields.get("limit", 50),
        cursor=fields.get("cursor"),
    )
    return answer(records.plain(report))


def probe(call: Call) -> Response:
    """Ask a backend now and tell its gate."""
    backend = call.arguments["backend"]
    works = orders_of(call).probe(backend)
    return answer({"backend": backend, "open": works})


def operator(
    name: str,
    path: str,
    handler: Handler,
    schema: str,
    about: str,
    *codes: str,
    body: str = "Reason",
    status: int = 200,
) -> Route:
    """Return a row of the table for operators."""
    return Route(
        name=f"api_{name}",
        methods=("POST",),
        path=f"/admin/api/{path}",
        handler=handler,
        access=Access.OPERATOR,
        area=Area.ADMIN,
        about=about,
        body=body,
        answers={status: schema},
        codes=codes,
    )


_ABOUT = {
    "revoke": "Take the right to the course away.",
    "reinstate": "Give the right to the course back.",
    "accept": "Enroll one that is on hold.",
    "dismiss": "End one that is on hold.",
}
ROUTES = (
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
    operator(
        "replay",
        "events/<event_id>/replay",
        replay,
        "Job",
        "Give a stored event its effect again.",
        "conflict",
        body="ReplayRequest",
    ),
    operator(
        "pull",
        "events/pull",
        pull,
        "Pulled",
        "Feed the events that the provider has and we missed.",
        "payments_unavailable",
        body="PullRequest",
    ),
    operator(
        "create_coupon",
        "coupons",
        create_coupon,
        "Coupon",
        "Create a coupon.",
        "code_taken",
        "course_not_found",
        "lms_unavailable",
        "throttled",
        body="CouponRequest",
        status=201,
    ),
    operator(
        "disable_coupon",
        "coupons/disable",
        disable_coupon,
        "Coupon",
        "Disable a coupon.",
        body="DisableRequest",
    ),
    operator(
        "retention",
        "retention",
        retention,
        "Pruned",
        "Null old payloads and drop old done jobs, now.",
        body="RetentionRequest",
    ),
    operator(
        "reconcile",
        "reconcile",
        reconcile,
        "Reconciled",
        "Compare one page of provider, enrollments and LMS, and repair.",
        "payments_unavailable",
        "lms_unavailable",
        "throttled",
        body="ReconcileRequest",
    ),
    operator(
        "probe",
        "breaker/<backend>/probe",
        probe,
        "Gate",
        "Ask a backend now and tell its gate.",
    ),
)
