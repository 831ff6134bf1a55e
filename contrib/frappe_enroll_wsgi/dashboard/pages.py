# SPDX-License-Identifier: MIT
"""The pages to look at."""

from __future__ import annotations

import mimetypes
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

from frappe_enroll_sdk.codec import shown
from frappe_enroll_sdk.errors import NotFoundError
from frappe_enroll_sdk.models import Enrollment, JobState, LMSStatus, Page, Status
from frappe_enroll_sdk.settings.http import limits_uri
from frappe_enroll_sdk.settings.text import describe

from ..codes import coupon_page, seen
from ..handlers.orders import BACKENDS
from .numbers import numbers_of
from .render import LIMIT, Asked, asked_of, list_page, page


if TYPE_CHECKING:
    from collections.abc import Sequence

    from frappe_enroll_sdk.services.coupons.files import Imported

    from ..call import Call

_STATIC = frozenset({"dashboard.css", "dashboard.js", "icon.svg"})
_KEPT_S = 3600


def home(call: Call) -> Response:
    """Show how things stand."""
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


def enrollments(call: Call) -> Response:
    """Show enrollments by filters."""
    query = asked_of(call)
    return _listed(call, call.sdk.enrollments.list(**query, limit=LIMIT), query)


def search(call: Call) -> Response:
    """Show what a search finds: a POST, as addresses have no place in URLs."""
    fields = {name: str(value).strip() for name, value in call.fields.items()}
    wanted, cursor = fields.get("q", ""), fields.get("cursor") or None
    if not wanted:
        return _listed(call, call.sdk.enrollments.list(limit=LIMIT), {})
    found = call.sdk.admin.search(wanted, limit=LIMIT, cursor=cursor)
    return _listed(call, found, {"q": wanted})


def _listed(call: Call, found: Page[Enrollment], asked: dict[str, Any]) -> Response:
    return page(
        call,
        "enrollments.html",
        title="Learners",
        rows=seen(call, found).items,
        more=found.next_cursor,
        asked=Asked(asked),
        statuses=list(Status),
        lms_statuses=list(LMSStatus),
    )


def enrollment(call: Call) -> Response:
    """Show what happened to one enrollment."""
    found = seen(call, call.sdk.admin.timeline(call.arguments["enrollment_id"]))
    row = found.enrollment
    dead = [job for job in found.jobs if job.state is JobState.DEAD]
    return page(
        call,
        "enrollment.html",
        title=row.email,
        timeline=found,
        row=row,
        dead=dead,
        verbs=_verbs(row),
        lms_url=call.sdk.settings.frappe_lms_url.rstrip("/"),
    )


def _verbs(row: Enrollment) -> tuple[str, ...]:
    """Return the operators' words that fit where a row stands."""
    status = row.status
    if status is Status.ON_HOLD:
        return ("accept", "dismiss")
    if status in {Status.CONFIRMED, Status.ENROLLED}:
        return ("revoke",)
    gone = status is not Status.REVOKED or row.moved_to is not None
    return () if gone else ("reinstate",)


def quarantine(call: Call) -> Response:
    """Show the payments that wait for an operator."""
    return list_page(
        call,
        "quarantine.html",
        call.sdk.admin.quarantine,
        title="Quarantine",
        items="items",
    )


def jobs(call: Call) -> Response:
    """Show jobs by state."""
    return list_page(
        call,
        "jobs.html",
        call.sdk.admin.jobs,
        title="Jobs",
        items="jobs",
        states=[s for s in JobState if s not in _OF_EVENTS],
    )


_OF_EVENTS = {JobState.QUARANTINED, JobState.IGNORED}


def job(call: Call) -> Response:
    """Show one job with its tries."""
    found = call.sdk.storage.jobs.find(call.arguments["key"])
    if found is None:
        raise NotFoundError
    payload = shown(found.payload) if call.operator.may_change else None
    return page(call, "job.html", title=found.key, job=found, payload=payload)


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
    payload = shown(found.payload) if call.operator.may_change else None
    rows = call.sdk.admin.search(found.key).items if found.deliveries else ()
    return page(
        call, "event.html", title=found.key, job=found, payload=payload, rows=rows
    )


def coupons(
    call: Call,
    made: str = "",
    codes: Sequence[str] = (),
    report: Imported | None = None,
) -> Response:
    """Show coupons, forms for new ones, and what a form that was sent has made."""
    return list_page(
        call,
        "coupons.html",
        partial(coupon_page, call),
        title="Coupons",
        items="coupons",
        status=201 if made or codes else 200,
        made=made,
        codes=codes,
        report=report,
    )


def reconcile(call: Call) -> Response:
    """Show the form that compares the three sides."""
    return page(
        call, "reconcile.html", title="Reconcile", report=None, checked=0, asked=Asked()
    )


def audit(call: Call) -> Response:
    """Show what operators did."""
    return list_page(
        call,
        "audit.html",
        call.sdk.admin.audit,
        title="Audit trail",
        items="entries",
    )


def system(call: Call) -> Response:
    """Check settings, backends, plugins and workers."""
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
        in_memory=not limits_uri(call.sdk.settings),
    )


def sign_in(call: Call) -> Response:
    """Show the form to sign in."""
    if not call.surface.gate.is_on:
        raise NotFoundError
    can = bool(call.sdk.settings.secret_key)
    return page(call, "sign_in.html", title="Sign in", problem="", can_sign_in=can)


def static(call: Call) -> Response:
    """Return a style sheet, the script, or the icon."""
    name = call.arguments["name"]
    if name not in _STATIC:
        raise NotFoundError
    file = resources.files(__package__) / "static" / name
    kind = mimetypes.guess_type(name)[0] or "text/plain"
    response = Response(file.read_bytes(), content_type=f"{kind}; charset=utf-8")
    response.headers["Cache-Control"] = f"public, max-age={_KEPT_S}"
    return response
