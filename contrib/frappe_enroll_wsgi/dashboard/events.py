# SPDX-License-Identifier: MIT
"""The pages and forms of payment events."""

from __future__ import annotations

from werkzeug.wrappers import Response

from frappe_enroll_sdk.codec import dump
from frappe_enroll_sdk.errors import NotFoundError
from frappe_enroll_sdk.models import JobState

from ..routing import Access, Call
from ..schemas.jobs import STATE_QUERY
from .builders import CURSOR, change, either, look
from .forms import field, orders_of
from .render import go, list_page, page


def events(call: Call) -> Response:
    """Show payment events."""
    return list_page(
        call,
        "events.html",
        call.sdk.admin.events,
        title="Payment events",
        items="events",
        states=list(JobState),
    )


def event(call: Call) -> Response:
    """Show one payment event; its payload to operators only."""
    found = call.sdk.storage.events.find(call.arguments["event_id"])
    if found is None:
        raise NotFoundError
    payload = dump(found.payload) if call.operator.may_change else None
    rows = call.sdk.admin.search(found.key).items if found.deliveries else ()
    return page(
        call, "event.html", title=found.key, job=found, payload=payload, rows=rows
    )


def replay(call: Call) -> Response:
    """Give an event its effect again."""
    event_id = call.arguments["event_id"]
    orders_of(call).replay(event_id, notify=field(call, "notify") != "no")
    return go(call, f"/events/{event_id}", done="replay")


ROUTES = (
    look(
        "events",
        "events",
        events,
        "Show payment events.",
        query={"state": either(STATE_QUERY), **CURSOR},
    ),
    look("event", "events/<event_id>", event, "Show one payment event."),
    change(
        "replay",
        "events/<event_id>/replay",
        replay,
        "Give a stored event its effect again.",
        Access.OPERATOR,
        "conflict",
    ),
)
