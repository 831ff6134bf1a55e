# SPDX-License-Identifier: MIT
"""The dashboard's page and form for the quarantine."""

from __future__ import annotations

from werkzeug.wrappers import Response

from ..routing import Access, Call
from ..schemas.parts import text, words
from .builders import CURSOR, form_route, page_route
from .forms import field
from .render import go, list_page


def quarantine(call: Call) -> Response:
    """Show the payments that wait for an operator."""
    return list_page(
        call,
        "quarantine.html",
        call.sdk.admin.quarantine,
        title="Quarantine",
        items="items",
    )


def decide(call: Call) -> Response:
    """Accept or dismiss a quarantined payment."""
    name = call.arguments["name"]
    if field(call, "verb") == "dismiss":
        call.sdk.admin.dismiss(name, **call.by)
        return go(call, "/quarantine", done="dismiss")
    chosen = field(call, "enrollment_id") or None
    row = call.sdk.admin.accept(name, enrollment_id=chosen, **call.by)
    return go(call, f"/enrollments/{row.id}", done="accept")


ROUTES = (
    page_route(
        "quarantine",
        "quarantine",
        quarantine,
        "Show the payments that wait for an operator.",
        query=CURSOR,
    ),
    form_route(
        "quarantine_order",
        "quarantine/<name>",
        decide,
        "Accept or dismiss a quarantined payment.",
        Access.OPERATOR,
        "enrollment_not_found",
        "transition",
        "conflict",
        "payments_unavailable",
        fields={"verb": words(("accept", "dismiss")), "reason": text(500)},
    ),
)
