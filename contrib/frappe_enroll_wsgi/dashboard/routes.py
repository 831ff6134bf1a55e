# SPDX-License-Identifier: MIT
"""The dashboard's rows of the table."""

from __future__ import annotations

from typing import Any

from ..handlers.admin import FILTERS
from ..handlers.orders import VERBS
from ..routes import Access, Area, Handler, Route
from ..schema_parts import CODE, text, words
from ..schemas import STATE_QUERY
from . import forms, pages


_HTML = "text/html"
_PERCENT: dict[str, Any] = {"type": "string", "pattern": "^[1-9][0-9]?$"}
_CODE: dict[str, Any] = {"type": "string", "pattern": CODE}
_DONE: dict[str, Any] = {"done": {"type": "string", "maxLength": 40}}


def _any(schema: dict[str, Any]) -> dict[str, Any]:
    """Let an empty field of a form mean "any"."""
    empty = {"type": "string", "maxLength": 0}
    return {"anyOf": [schema, empty]}


_CURSOR: dict[str, Any] = {"cursor": _any(text(500))}


def look(
    name: str,
    path: str,
    handler: Handler,
    about: str,
    access: Access = Access.VIEWER,
    *codes: str,
    query: dict[str, Any] | None = None,
    kind: str = _HTML,
) -> Route:
    """Return a row for a page."""
    return Route(
        name=f"dashboard_{name}",
        methods=("GET",),
        path=f"/admin/{path}",
        handler=handler,
        access=access,
        area=Area.DASHBOARD,
        about=about,
        answers={200: kind, 303: ""},
        query={**(query or {}), **_DONE},
        codes=codes,
    )


def change(
    name: str,
    path: str,
    handler: Handler,
    about: str,
    access: Access = Access.OPERATOR,
    *codes: str,
    fields: dict[str, Any] | None = None,
    limit: str | None = None,
    status: int = 303,
) -> Route:
    """Return a row for a form."""
    return Route(
        name=f"dashboard_{name}",
        methods=("POST",),
        path=f"/admin/{path}",
        handler=handler,
        access=access,
        area=Area.DASHBOARD,
        about=about,
        form={"reason": text(500)} if fields is None else fields,
        answers={status: "" if status == 303 else _HTML},  # noqa: PLR2004  a redirect
        codes=codes,
        limit=limit,
    )


ROUTES = (
    look("home", "", pages.home, "Show how things stand."),
    look(
        "enrollments",
        "enrollments",
        pages.enrollments,
        "Show enrollments, newest first.",
        query={**{name: _any(s) for name, s in FILTERS.items()}, **_CURSOR},
    ),
    change(
        "search",
        "enrollments",
        pages.search,
        "Search enrollments.",
        Access.VIEWER,
        status=200,
        fields={},
    ),
    look(
        "enrollment",
        "enrollments/<enrollment_id>",
        pages.enrollment,
        "Show what happened to one enrollment.",
        Access.VIEWER,
        "enrollment_not_found",
    ),
    change(
        "order",
        "enrollments/<enrollment_id>/order",
        forms.order,
        "Speak an operator's word on an enrollment.",
        Access.OPERATOR,
        "enrollment_not_found",
        "transition",
        "conflict",
        "payments_unavailable",
        fields={"verb": words((*VERBS, "retry")), "reason": text(500)},
    ),
    look(
        "jobs",
        "jobs",
        pages.jobs,
        "Show jobs.",
        query={"state": _any(STATE_QUERY), "kind": _any(text()), **_CURSOR},
    ),
    look("job", "jobs/<path:key>", pages.job, "Show one job."),
    change("requeue", "jobs/requeue", forms.requeue, "Make dead jobs due."),
    change(
        "job_order",
        "jobs/<path:key>/order",
        forms.job_order,
        "Retry a job, or end it.",
        fields={"verb": words(("retry", "bury")), "reason": text(500)},
    ),
    look(
        "events",
        "events",
        pages.events,
        "Show payment events.",
        query={"state": _any(STATE_QUERY), **_CURSOR},
    ),
    look("event", "events/<event_id>", pages.event, "Show one payment event."),
    change(
        "replay",
        "events/<event_id>/replay",
        forms.replay,
        "Give a stored event its effect again.",
        Access.OPERATOR,
        "conflict",
    ),
    look(
        "quarantine",
        "quarantine",
        pages.quarantine,
        "Show the payments that wait for an operator.",
        query=_CURSOR,
    ),
    change(
        "quarantine_order",
        "quarantine/<name>",
        forms.quarantine,
        "Accept what is quarantined, or put it aside.",
        Access.OPERATOR,
        "enrollment_not_found",
        "transition",
        "conflict",
        "payments_unavailable",
        fields={"verb": words(("accept", "dismiss")), "reason": text(500)},
    ),
    look(
        "coupons",
        "coupons",
        pages.coupons,
        "Show coupons.",
        query={
            "course_id": _any(text()),
            **_CURSOR,
        },
    ),
    change(
        "create_coupon",
        "coupons",
        forms.create_coupon,
        "Create a coupon.",
        Access.OPERATOR,
        "course_not_found",
        "lms_unavailable",
        "throttled",
        status=201,
        fields={"percent_off": _PERCENT, "reason": text(500)},
    ),
    change(
        "disable_coupon",
        "coupons/disable",
        forms.disable_coupon,
        "Disable a coupon.",
        fields={"code": _CODE, "reason": text(500)},
    ),
    look("reconcile", "reconcile", pages.reconcile, "Show the form to reconcile."),
    change(
        "reconcile_page",
        "reconcile",
        forms.reconcile,
        "Compare one page of provider, enrollments and LMS, and repair.",
        Access.OPERATOR,
        "payments_unavailable",
        "lms_unavailable",
        "throttled",
        status=200,
    ),
    look(
        "audit",
        "audit",
        pages.audit,
        "Show what operators did.",
        query={"subject": _any(text(255)), **_CURSOR},
    ),
    look("system", "system", pages.system, "Check settings, backends and workers."),
    change(
        "probe",
        "system/<backend>/probe",
        forms.probe,
        "Ask a backend now and tell its gate.",
    ),
    look(
        "sign_in_form",
        "sign-in",
        pages.sign_in,
        "Show the form to sign in.",
        Access.PUBLIC,
        "not_found",
    ),
    change(
        "sign_in",
        "sign-in",
        forms.sign_in,
        "Exchange a token for a cookie.",
        Access.SAME_ORIGIN,
        "not_found",
        "unauthorized",
        "cross_site",
        limit="sign_in",
        fields={"token": text(200)},
    ),
    change(
        "sign_out",
        "sign-out",
        forms.sign_out,
        "Take the cookie back.",
        Access.SAME_ORIGIN,
        "not_found",
        "cross_site",
        fields={},
    ),
    look(
        "static",
        "static/<name>",
        pages.static,
        "Return a style sheet, the script, or the icon.",
        Access.PUBLIC,
        kind="text/css",
    ),
)
