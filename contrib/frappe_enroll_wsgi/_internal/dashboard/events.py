# SPDX-License-Identifier: MIT
"""The dashboard's pages and forms for payment events."""

from __future__ import annotations

from werkzeug.wrappers import Response

from frappe_enroll_sdk.codec import shown
from frappe_enroll_sdk.errors import NotFoundError
from frappe_enroll_sdk.models import JobState

from ..routing import Access, Call
from ..schemas.jobs import STATE_QUERY
from .builders import CURSOR, form_route, or_empty, page_route
from .forms import field
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
    """Show one payment event; only operators see its payload."""
    found = call.sdk.storage.events.find(call.arguments["event_id"])
    if found is None:
        raise NotFoundError
    payload = shown(found.payload) if call.operator.may_change else None
    rows = call.sdk.admin.search(found.key).items if found.deliveries else ()
    return page(
        call, "event.html", title=found.key, job=found, payload=payload, rows=rows
    )


def replay(call: Call) -> Response:
    """Replay an event."""
    event_id = call.arguments["event_id"]
    notify = field(call, "notify") != "no"
    call.sdk.admin.replay_event(event_id, notify=notify, **call.by)
    return go(call, f"/events/{event_id}", done="replay")


ROUTES = (
    page_route(
        "events",
        "events",
        events,
        "Show payment events.",
        query={"state": or_empty(STATE_QUERY), **CURSOR},
    ),
    page_route("event", "events/<event_id>", event, "Show one payment event."),
    form_route(
        "replay",
        "events/<event_id>/replay",
        replay,
        "Replay a stored event.",
        Access.OPERATOR,
        "conflict",
    ),
)
