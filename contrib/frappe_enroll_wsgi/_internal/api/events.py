# SPDX-License-Identifier: MIT
"""Payment events: the provider's webhook and the admin API."""

from __future__ import annotations

from werkzeug.wrappers import Response

from ..answers import answer, page_json, plain
from ..routing import Access, Area, Call, Route
from ..schemas.jobs import STATE_QUERY
from .builders import PAGED, operator, viewer, with_moments
from .jobs import full_job_json, job_json, one_job


#: Most events that one request lists: each missed one costs several calls.
_MAX_PULLED = 1000


def webhook(call: Call) -> Response:
    """``POST /webhooks/<provider>``: 2xx once the event is stored durably."""
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
    """Replay a stored event (safe to repeat)."""
    notify = call.fields.get("notify", True)
    event = call.sdk.admin.replay_event(
        call.arguments["event_id"], notify=notify, **call.by
    )
    return answer(full_job_json(event, payload=True))


def pull(call: Call) -> Response:
    """Fetch the events that we missed from the provider (safe to repeat)."""
    fields = with_moments(call.fields, "since")
    pulled = call.sdk.admin.pull_events(
        fields["since"],
        notify=fields.get("notify", True),
        limit=fields.get("limit", _MAX_PULLED),
        **call.by,
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
        about="Receive a signed payment event.",
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
        "Return one payment event; only operators see its payload.",
    ),
    operator(
        "replay",
        "events/<event_id>/replay",
        replay,
        "Job",
        "Replay a stored event.",
        "conflict",
        body="ReplayRequest",
    ),
    operator(
        "pull",
        "events/pull",
        pull,
        "Pulled",
        "Fetch the events that we missed from the provider.",
        "payments_unavailable",
        body="PullRequest",
    ),
)
