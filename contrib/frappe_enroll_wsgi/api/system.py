# SPDX-License-Identifier: MIT
"""Health, metrics, description and settings, for machines and operators."""

from __future__ import annotations

from werkzeug.wrappers import Response

from frappe_enroll_sdk.errors import NotFoundError
from frappe_enroll_sdk.settings.text import describe

from ..answers import answer, plain
from ..openapi import document
from ..orders import BACKENDS
from ..routing import Access, Area, Call, Route
from .builders import operator, orders_of, viewer


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


def description(call: Call) -> Response:
    """``GET /openapi.json``: the description of this very surface."""
    return answer(document(call.mount))


def stats(call: Call) -> Response:
    """Return the queue's numbers."""
    return answer(plain(call.sdk.admin.stats()))


def plugins(call: Call) -> Response:
    """Return the installed plugins and what became of them."""
    return answer({"items": [plain(i) for i in call.sdk.plugins.infos]})


def config(call: Call) -> Response:
    """Return the settings with their sources, secrets masked."""
    names = ("variable", "value", "source", "meaning")
    rows = describe(call.sdk.settings)
    return answer({"items": [dict(zip(names, row, strict=True)) for row in rows]})


def breaker(call: Call) -> Response:
    """Return whether each backend's gate lets work through."""
    gates = call.sdk.storage.gates
    items = [{"backend": name, "open": gates.is_open(name)} for name in BACKENDS]
    return answer({"items": items})


def retention(call: Call) -> Response:
    """Null old events' payloads and drop old done jobs, now."""
    fields = call.fields
    events, jobs = orders_of(call).prune(
        fields.get("events_days", 30), fields.get("jobs_days", 7)
    )
    return answer({"events": events, "jobs": jobs})


def probe(call: Call) -> Response:
    """Ask a backend now and tell its gate."""
    backend = call.arguments["backend"]
    works = orders_of(call).probe(backend)
    return answer({"backend": backend, "open": works})


ROUTES = (
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
        handler=description,
        access=Access.PUBLIC,
        area=Area.MACHINE,
        about="Return this description.",
        answers={200: "OpenAPI"},
    ),
    viewer("stats", "stats", stats, "Stats", "Return the queue's numbers."),
    viewer("plugins", "plugins", plugins, "Items", "Return the installed plugins."),
    viewer("config", "config", config, "Items", "Return the settings, masked."),
    viewer("breaker", "breaker", breaker, "Items", "Return each backend's gate."),
    operator(
        "retention",
        "retention",
        retention,
        "Pruned",
        "Null old payloads and drop old done jobs, now.",
        body="RetentionRequest",
    ),
    operator(
        "probe",
        "breaker/<backend>/probe",
        probe,
        "Gate",
        "Ask a backend now and tell its gate.",
    ),
)
