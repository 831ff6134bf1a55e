# SPDX-License-Identifier: MIT
"""The dashboard's overview, system page and static files."""

from __future__ import annotations

import mimetypes
from importlib import resources

from werkzeug.wrappers import Response

from frappe_enroll_sdk.errors import NotFoundError
from frappe_enroll_sdk.models import JobState, Status
from frappe_enroll_sdk.services.jobs.breaker import BACKENDS
from frappe_enroll_sdk.settings.text import describe

from ..routing import Access, Call
from .builders import form_route, page_route
from .numbers import numbers_of
from .render import go, page


_STATIC = frozenset({"dashboard.css", "dashboard.js", "icon.svg"})
_KEPT_S = 3600


def home(call: Call) -> Response:
    """Show the overview."""
    stats = call.sdk.admin.stats()
    return page(
        call,
        "home.html",
        title="Overview",
        stats=stats,
        numbers=numbers_of(call.sdk),
        dead=stats.jobs.counts[JobState.DEAD] + stats.events.counts[JobState.DEAD],
        owed=stats.enrollments.counts[Status.CONFIRMED],
    )


def system(call: Call) -> Response:
    """Show the state of backends, plugins, workers and settings."""
    stats = call.sdk.admin.stats()
    return page(
        call,
        "system.html",
        title="System",
        checks=call.surface.readiness.checks(),
        gates={name: stats.gates.get(name, True) for name in BACKENDS},
        plugins=call.sdk.plugins.infos,
        missing=call.sdk.plugins.missing_required,
        settings=describe(call.sdk.settings),
        workers=call.sdk.storage.workers.list(limit=20),
        in_memory=not call.sdk.settings.limits_uri,
    )


def static(call: Call) -> Response:
    """Return a static file."""
    name = call.arguments["name"]
    if name not in _STATIC:
        raise NotFoundError
    file = resources.files(__package__) / "static" / name
    kind = mimetypes.guess_type(name)[0] or "text/plain"
    response = Response(file.read_bytes(), content_type=f"{kind}; charset=utf-8")
    response.headers["Cache-Control"] = f"public, max-age={_KEPT_S}"
    return response


def probe(call: Call) -> Response:
    """Ping a backend now."""
    call.sdk.admin.probe(call.arguments["backend"], **call.by)
    return go(call, "/system", done="probe")


ROUTES = (
    page_route("home", "", home, "Show the overview."),
    page_route(
        "system",
        "system",
        system,
        "Show the state of backends, plugins, workers and settings.",
    ),
    form_route(
        "probe",
        "system/<backend>/probe",
        probe,
        "Ping a backend now and update its gate.",
    ),
    page_route(
        "static",
        "static/<name>",
        static,
        "Return a static file.",
        Access.PUBLIC,
        kind="text/css",
    ),
)
