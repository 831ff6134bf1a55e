# SPDX-License-Identifier: MIT
"""Applying for a grant, by the host's front end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from frappe_enroll_sdk.codec import shown

from ..answers import answer
from ..routes import Access, Area, Route


if TYPE_CHECKING:
    from ..call import Call


def form(call: Call) -> Response:
    """``GET /grants/form``: the fields that plugins declare."""
    return answer({"fields": [shown(field) for field in call.sdk.grants.form()]})


def apply(call: Call) -> Response:
    """
    ``POST /grants``: take an application.

    One answer for all: whether somebody has applied before, or has a grant, is nobody
    else's business.
    """
    call.sdk.grants.apply(**call.fields)
    return answer({"received": True}, 202)


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
        about="Tell the fields of the form that applies for a grant.",
        answers={200: "GrantForm"},
        codes=("plugin_failed",),
    ),
)
