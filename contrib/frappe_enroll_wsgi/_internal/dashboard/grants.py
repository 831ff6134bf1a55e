# SPDX-License-Identifier: MIT
"""The dashboard's pages and forms for grants."""

from __future__ import annotations

from collections.abc import Mapping

from werkzeug.wrappers import Response

from frappe_enroll_sdk.errors import NotFoundError
from frappe_enroll_sdk.models import GrantStatus

from ..codes import seen
from ..routing import Access, Call
from ..schemas.parts import PERCENT_TEXT, words
from .builders import CURSOR, REASON, form_route, or_empty, page_route
from .forms import field
from .render import go, list_page, page


#: Prefix of application ids.
_GRANT = "grt_"
_DECIDED = ("transition", "conflict")


def grants(call: Call, outcomes: Mapping[str, str] | None = None) -> Response:
    """Show applications, and the outcome of a bulk decision."""
    return list_page(
        call,
        "grants.html",
        call.sdk.grants.list,
        title="Grants",
        items="grants",
        statuses=list(GrantStatus),
        outcomes=outcomes or {},
    )


def grant(call: Call) -> Response:
    """Show one application and the form to decide it."""
    found = seen(call, call.sdk.grants.get(call.arguments["grant_id"]))
    labels = {one.name: one.label for one in call.sdk.grants.form()}
    return page(call, "grant.html", title=found.email, grant=found, labels=labels)


def decide(call: Call) -> Response:
    """Approve or reject one application."""
    grant_id, verb = call.arguments["grant_id"], field(call, "verb")
    if verb == "approve":
        call.sdk.grants.approve(grant_id, field(call, "percent_off"), **call.by)
    elif verb == "reject":
        call.sdk.grants.reject(grant_id, **call.by)
    else:
        raise NotFoundError
    return go(call, f"/grants/{grant_id}", done=verb)


def approve_many(call: Call) -> Response:
    """Approve the selected applications, each on its own."""
    ids = [name for name in call.fields if name.startswith(_GRANT)]
    percent = field(call, "percent_off")
    return grants(call, call.sdk.grants.approve_many(ids, percent, **call.by))


ROUTES = (
    page_route(
        "grants",
        "grants",
        grants,
        "Show applications for grants.",
        query={"status": or_empty(words(GrantStatus)), **CURSOR},
    ),
    form_route(
        "approve_grants",
        "grants",
        approve_many,
        "Approve the selected applications.",
        status=200,
        fields={"percent_off": PERCENT_TEXT, **REASON},
    ),
    page_route("grant", "grants/<grant_id>", grant, "Show one application."),
    form_route(
        "decide_grant",
        "grants/<grant_id>",
        decide,
        "Approve or reject an application.",
        Access.OPERATOR,
        *_DECIDED,
        fields={
            "verb": words(("approve", "reject")),
            "percent_off": PERCENT_TEXT,
            **REASON,
        },
    ),
)
