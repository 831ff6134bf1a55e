# SPDX-License-Identifier: MIT
"""Grants: applications and the admin API."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Response

from frappe_enroll_sdk.codec import shown
from frappe_enroll_sdk.models import Grant, GrantStatus

from ..answers import answer, page_json
from ..codes import seen
from ..routing import Access, Area, Call, Route
from ..schemas.parts import text, words
from .builders import PAGED, operator, viewer, with_moments


_QUERY = {"status": words(GrantStatus), "course_id": text()}
GRANT_FIELDS = (
    *("id", "email", "full_name", "course_id", "answers", "status", "code"),
    *("percent_off", "expires_at", "actor", "reason", "created_at", "updated_at"),
)


def form(call: Call) -> Response:
    """``GET /grants/form``: the fields that plugins declare."""
    return answer({"fields": [shown(field) for field in call.sdk.grants.form()]})


def apply(call: Call) -> Response:
    """
    ``POST /grants``: receive an application.

    The answer is always the same: it does not reveal whether the learner has applied
    before or has a grant.
    """
    call.sdk.grants.apply(**call.fields)
    return answer({"received": True}, 202)


def grants(call: Call) -> Response:
    """List applications, newest first."""
    page = call.sdk.grants.list(**call.query)
    return answer(page_json(seen(call, page), grant_json))


def grant(call: Call) -> Response:
    """Return one application."""
    found = call.sdk.grants.get(call.arguments["grant_id"])
    return answer(grant_json(seen(call, found)))


def approve(call: Call) -> Response:
    """Approve an application."""
    fields = with_moments(call.fields, "expires_at")
    done = call.sdk.grants.approve(
        call.arguments["grant_id"],
        str(fields["percent_off"]),
        expires_at=fields.get("expires_at"),
        **call.by,
    )
    return answer(grant_json(done))


def approve_many(call: Call) -> Response:
    """Approve several applications, each on its own."""
    outcomes = call.sdk.grants.approve_many(
        call.fields["grant_ids"], str(call.fields["percent_off"]), **call.by
    )
    items = []
    for grant_id, outcome in outcomes.items():
        failed = outcome.startswith("error: ")
        code = None if failed else outcome
        error = outcome.removeprefix("error: ") if failed else None
        items.append({"grant_id": grant_id, "code": code, "error": error})
    return answer({"items": items})


def reject(call: Call) -> Response:
    """Reject an application."""
    done = call.sdk.grants.reject(call.arguments["grant_id"], **call.by)
    return answer(grant_json(done))


def grant_json(grant: Grant) -> dict[str, Any]:
    """Return an application as JSON."""
    values = shown(grant)
    return {name: values[name] for name in GRANT_FIELDS}


ROUTES = (
    Route(
        name="apply",
        methods=("POST",),
        path="/grants",
        handler=apply,
        access=Access.PUBLIC,
        area=Area.LEARNER,
        about="Apply for a grant.",
        limit="grant",
        body="GrantRequest",
        answers={202: "Applied"},
        codes=(
            "course_not_found",
            "conflict",
            "vetoed",
            "plugin_failed",
            "lms_unavailable",
            "throttled",
        ),
    ),
    Route(
        name="grant_form",
        methods=("GET",),
        path="/grants/form",
        handler=form,
        access=Access.PUBLIC,
        area=Area.LEARNER,
        about="Return the fields of the application form.",
        answers={200: "GrantForm"},
        codes=("plugin_failed",),
    ),
    viewer(
        "grants",
        "grants",
        grants,
        "GrantPage",
        "List applications for grants, newest first.",
        query={**_QUERY, **PAGED},
    ),
    viewer("grant", "grants/<grant_id>", grant, "Grant", "Return one application."),
    operator(
        "approve_grants",
        "grants/approve",
        approve_many,
        "Approved",
        "Approve several applications, each on its own.",
        body="ApproveManyRequest",
    ),
    operator(
        "approve_grant",
        "grants/<grant_id>/approve",
        approve,
        "Grant",
        "Approve an application and create its coupon.",
        "transition",
        "conflict",
        body="ApproveRequest",
    ),
    operator(
        "reject_grant",
        "grants/<grant_id>/reject",
        reject,
        "Grant",
        "Reject an application.",
        "transition",
        "conflict",
    ),
)
