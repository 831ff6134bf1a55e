# SPDX-License-Identifier: MIT
"""Payment events: the provider's webhook, and the admin API."""

from __future__ import annotations

from werkzeug.wrappers import Response

from ..answers import answer, page_json, plain
from ..routing import Access, Area, Call, Route
from ..schemas.jobs import STATE_QUERY
from .builders import PAGED, operator, orders_of, viewer
from .jobs import full_job_json, job_json, one_job


#: Events that one request lists: each that was missed costs some calls.
_MOST_PULLED = 1000


def webhook(call: Call) -> Response:
    """``POST /webhooks/<provider>``: 2xx = stored durably, and will take effect."""
    body = call.request.get_data()
    headers = dict(call.request.headers.items())
    result = call.sdk.handle_webhook(body, headers, call.arguments["provider"])
    return answer({"outcome": result.outcome, "event_id": result.event_id})


def events(call: Call) -> Response:
    """Return payment events."""
    page = call.sdk.admin.events(**call.query)
    return answer(page_json(page, job_json))


def event(call: Call) -> Response:
    """Return one payment event."""
    return one_job(call, call.sdk.storage.events.find(call.arguments["event_id"]))


def replay(call: Call) -> Response:
    """Give a stored event its effect again; nothing doubles."""
    event = orders_of(call).replay(
        call.arguments["event_id"], notify=call.fields.get("notify", True)
    )
    return answer(full_job_json(event, payload=True))


def pull(call: Call) -> Response:
    """Feed the events that the provider has and we missed; may be repeated."""
    fields = call.fields
    pulled = orders_of(call).pull(
        fields["since"],
        notify=fields.get("notify", True),
        limit=fields.get("limit", _MOST_PULLED),
    )
    return answer(plain(pulled))


ROUTES = (
    Route(
        name="webhook",
        methods=("POST",),
        path="/webhooks/<provider>",
        handler=webhook,
        access=Access.PROVIDER,
        area=Area.MACHINE,
        about="Take a signed payment event.",
        answers={200: "Webhook"},
        codes=("signature", "payload", "configuration"),
    ),
    viewer(
        "events",
        "events",
        events,
        "JobPage",
        "Return payment events.",
        query={"state": STATE_QUERY, **PAGED},
    ),
    viewer(
        "event",
        "events/<event_id>",
        event,
        "Job",
        "Return one payment event; its payload to operators only.",
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
)
