# SPDX-License-Identifier: MIT
"""The quarantine."""

from __future__ import annotations

from werkzeug.wrappers import Response

from ..routing import Access, Call
from ..schemas.parts import text, words
from .builders import CURSOR, change, look
from .forms import field, orders_of
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
    """Accept what is quarantined, or put it aside."""
    name, orders = call.arguments["name"], orders_of(call)
    if field(call, "verb") == "dismiss":
        orders.dismiss(name)
        return go(call, "/quarantine", done="dismiss")
    row = orders.accept(name, field(call, "enrollment_id") or None)
    return go(call, f"/enrollments/{row.id}", done="accept")


ROUTES = (
    look(
        "quarantine",
        "quarantine",
        quarantine,
        "Show the payments that wait for an operator.",
        query=CURSOR,
    ),
    change(
        "quarantine_order",
        "quarantine/<name>",
        decide,
        "Accept what is quarantined, or put it aside.",
        Access.OPERATOR,
        "enrollment_not_found",
        "transition",
        "conflict",
        "payments_unavailable",
        fields={"verb": words(("accept", "dismiss")), "reason": text(500)},
    ),
)
