# SPDX-License-Identifier: MIT
"""The pages and forms of grants."""

from __future__ import annotations

from collections.abc import Mapping

from werkzeug.wrappers import Response

from frappe_enroll_sdk.errors import NotFoundError
from frappe_enroll_sdk.models import GrantStatus

from ..codes import seen
from ..routing import Access, Call
from ..schemas.parts import words
from .builders import CURSOR, PERCENT, REASON, change, either, look
from .forms import field, orders_of
from .render import go, list_page, page


#: What the ids of applications begin with.
_GRANT = "grt_"
_DECIDED = ("transition", "conflict")


def grants(call: Call, outcomes: Mapping[str, str] | None = None) -> Response:
    """Show applications; and what became of those that were just decided."""
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
    """Show one application, and the form that decides it."""
    found = seen(call, call.sdk.grants.get(call.arguments["grant_id"]))
    labels = {one.name: one.label for one in call.sdk.grants.form()}
    return page(call, "grant.html", title=found.email, grant=found, labels=labels)


def decide(call: Call) -> Response:
    """Approve or reject one application."""
    grant_id, verb = call.arguments["grant_id"], field(call, "verb")
    orders = orders_of(call)
    if verb == "approve":
        orders.approve(grant_id, field(call, "percent_off"))
    elif verb == "reject":
        orders.reject(grant_id)
    else:
        raise NotFoundError
    return go(call, f"/grants/{grant_id}", done=verb)


def approve_many(call: Call) -> Response:
    """Approve the applications that are ticked, each by itself."""
    ids = [name for name in call.fields if name.startswith(_GRANT)]
    return grants(call, orders_of(call).approve_many(ids, field(call, "percent_off")))


ROUTES = (
    look(
        "grants",
        "grants",
        grants,
        "Show applications for grants.",
        query={"status": either(words(GrantStatus)), **CURSOR},
    ),
    change(
        "approve_grants",
        "grants",
        approve_many,
        "Approve the applications that are ticked.",
        status=200,
        fields={"percent_off": PERCENT, **REASON},
    ),
    look("grant", "grants/<grant_id>", grant, "Show one application."),
    change(
        "decide_grant",
        "grants/<grant_id>",
        decide,
        "Approve or reject an application.",
        Access.OPERATOR,
        *_DECIDED,
        fields={
            "verb": words(("approve", "reject")),
            "percent_off": PERCENT,
            **REASON,
        },
    ),
)
