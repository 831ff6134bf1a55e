# SPDX-License-Identifier: MIT
"""Health, metrics, statistics, settings and backends."""

from __future__ import annotations

from datetime import timedelta

from werkzeug.wrappers import Response

from frappe_enroll_sdk.errors import NotFoundError
from frappe_enroll_sdk.services.jobs.breaker import BACKENDS
from frappe_enroll_sdk.settings.text import describe

from .. import openapi
from ..answers import answer, plain
from ..routing import Access, Area, Call, Route
from .builders import operator, viewer


def healthz(_call: Call) -> Response:
    """``GET /healthz``: the process is up; no I/O."""
    return answer({"status": "ok"})


def readyz(call: Call) -> Response:
    """``GET /readyz``: 503 only while the store is down (cached)."""
    checks = call.surface.readiness.checks()
    if call.surface.proxies.is_untrusted(call.request.environ):
        checks["proxy"] = "untrusted"
    ready = checks.get("storage") == "ok"
    body = {"status": "ok" if ready else "unavailable", "checks": checks}
    return answer(body, 200 if ready else 503)


def metrics(call: Call) -> Response:
    """``GET /metrics``: if the host has given the SDK readable metrics."""
    render = getattr(call.sdk.metrics, "render", None)
    if render is None:
        raise NotFoundError
    kind, body = render()
    return Response(body, content_type=kind)


def description(call: Call) -> Response:
    """``GET /openapi.json``: the description of this surface."""
    body, etag = openapi.served(call.surface.routes, call.mount)
    response = Response(body, content_type="application/json")
    response.set_etag(etag)
    response.headers["Cache-Control"] = "no-cache"
    return response.make_conditional(call.request)


def stats(call: Call) -> Response:
    """Return the queue's statistics."""
    return answer(plain(call.sdk.admin.stats()))


def plugins(call: Call) -> Response:
    """Return the installed plugins and their status."""
    return answer({"items": [plain(i) for i in call.sdk.plugins.infos]})


def config(call: Call) -> Response:
    """Return the settings and their sources, with secrets masked."""
    names = ("variable", "value", "source", "meaning")
    rows = describe(call.sdk.settings)
    return answer({"items": [dict(zip(names, row, strict=True)) for row in rows]})


def breaker(call: Call) -> Response:
    """Return whether each backend's gate is open."""
    gates = call.sdk.storage.gates
    items = [{"backend": name, "open": gates.is_open(name)} for name in BACKENDS]
    return answer({"items": items})


def retention(call: Call) -> Response:
    """Clear the payloads of old events and delete old finished jobs now."""
    fields = call.fields
    events, jobs = call.sdk.admin.prune(
        events_older_than=timedelta(days=fields.get("events_days", 30)),
        jobs_older_than=timedelta(days=fields.get("jobs_days", 7)),
        **call.by,
    )
    return answer({"events": events, "jobs": jobs})


def probe(call: Call) -> Response:
    """Ping a backend now and update its gate."""
    backend = call.arguments["backend"]
    works = call.sdk.admin.probe(backend, **call.by)
    return answer({"backend": backend, "open": works})


ROUTES = (
    Route(
        name="healthz",
        methods=("GET",),
        path="/healthz",
        handler=healthz,
        access=Access.PUBLIC,
        area=Area.MACHINE,
        about="Report that the process is up, without I/O.",
        answers={200: "Alive"},
    ),
    Route(
        name="readyz",
        methods=("GET",),
        path="/readyz",
        handler=readyz,
        access=Access.PUBLIC,
        area=Area.MACHINE,
        about="Report whether the service works; 503 while the store is down.",
        answers={200: "Ready", 503: "Ready"},
    ),
    Route(
        name="metrics",
        methods=("GET",),
        path="/metrics",
        handler=metrics,
        access=Access.VIEWER,
        area=Area.MACHINE,
        about="Return metrics for Prometheus, if the host has any.",
        answers={200: "text/plain"},
    ),
    Route(
        name="openapi",
        methods=("GET",),
        path="/openapi.json",
        handler=description,
        access=Access.PUBLIC,
        area=Area.MACHINE,
        about="Return this description.",
        answers={200: "OpenAPI", 304: ""},
    ),
    viewer("stats", "stats", stats, "Stats", "Return the queue's statistics."),
    viewer("plugins", "plugins", plugins, "Items", "Return the installed plugins."),
    viewer(
        "config", "config", config, "Items", "Return the settings, with secrets masked."
    ),
    viewer(
        "breaker",
        "breaker",
        breaker,
        "Items",
        "Return whether each backend's gate is open.",
    ),
    operator(
        "retention",
        "retention",
        retention,
        "Pruned",
        "Clear old payloads and delete old finished jobs now.",
        body="RetentionRequest",
    ),
    operator(
        "probe",
        "breaker/<backend>/probe",
        probe,
        "Gate",
        "Ping a backend now and update its gate.",
    ),
)
