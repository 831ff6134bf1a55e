# SPDX-License-Identifier: MIT
"""What machines ask for: the payment provider, a scheduler, a load balancer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from werkzeug.wrappers import Response

from frappe_enroll_sdk.errors import NotFoundError

from .. import openapi
from ..answers import answer
from ..routes import Access, Area, Route


if TYPE_CHECKING:
    from ..call import Call

#: Seconds of one cron pass at the most (serverless hosts cut off at ten and more).
_CRON_S = 8.0


def webhook(call: Call) -> Response:
    """``POST /webhooks/<provider>``: 2xx = stored durably, and will take effect."""
    body = call.request.get_data()
    headers = dict(call.request.headers.items())
    result = call.sdk.handle_webhook(body, headers, call.arguments["provider"])
    return answer({"outcome": result.outcome, "event_id": result.event_id})


def cron(call: Call) -> Response:
    """``GET|POST /cron/run``: one bounded pass over what is due."""
    return answer(attrs.asdict(call.sdk.run_jobs(limit=200, time_budget_s=_CRON_S)))


def healthz(_call: Call) -> Response:
    """``GET /healthz``: the process is up; no I/O."""
    return answer({"status": "ok"})


def readyz(call: Call) -> Response:
    """``GET /readyz``: 503 only when the store is down; the answer is cached."""
    checks = call.surface.readiness.checks()
    if call.surface.proxies.is_unheard(call.request.environ):
        checks["proxy"] = "untrusted"
    ready = checks.get("storage") == "ok"
    body = {"status": "ok" if ready else "unavailable", "checks": checks}
    return answer(body, 200 if ready else 503)


def metrics(call: Call) -> Response:
    """``GET /metrics``: where the host has given the SDK metrics that can be read."""
    render = getattr(call.sdk.metrics, "render", None)
    if render is None:
        raise NotFoundError
    kind, body = render()
    return Response(body, content_type=kind)


def describe(call: Call) -> Response:
    """``GET /openapi.json``: the description of this very surface."""
    return answer(openapi.document(call.mount))


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
    Route(
        name="cron",
        methods=("GET", "POST"),
        path="/cron/run",
        handler=cron,
        access=Access.CRON,
        area=Area.MACHINE,
        about="Work through what is due, for some seconds.",
        answers={200: "Pass"},
        codes=("unauthorized",),
    ),
    Route(
        name="healthz",
        methods=("GET",),
        path="/healthz",
        handler=healthz,
        access=Access.PUBLIC,
        area=Area.MACHINE,
        about="Tell that the process is up; nothing is asked.",
        answers={200: "Alive"},
    ),
    Route(
        name="readyz",
        methods=("GET",),
        path="/readyz",
        handler=readyz,
        access=Access.PUBLIC,
        area=Area.MACHINE,
        about="Tell whether the service works; 503 when the store is down.",
        answers={200: "Ready", 503: "Ready"},
    ),
    Route(
        name="metrics",
        methods=("GET",),
        path="/metrics",
        handler=metrics,
        access=Access.VIEWER,
        area=Area.MACHINE,
        about="Return the measurements for Prometheus, where the host has metrics.",
        answers={200: "text/plain"},
    ),
    Route(
        name="openapi",
        methods=("GET",),
        path="/openapi.json",
        handler=describe,
        access=Access.PUBLIC,
        area=Area.MACHINE,
        about="Return this description.",
        answers={200: "OpenAPI"},
    ),
)
