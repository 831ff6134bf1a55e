# SPDX-License-Identifier: MIT
"""The dashboard's page and form for reconciliation."""

from __future__ import annotations

from werkzeug.wrappers import Response

from ..routing import Access, Call
from .builders import form_route, page_route
from .forms import field, number
from .render import Filters, page


#: Rows that one form compares: each costs up to four calls to the backends.
_A_PAGE = 25


def reconcile(call: Call) -> Response:
    """Show the form for reconciliation."""
    return page(
        call,
        "reconcile.html",
        title="Reconcile",
        report=None,
        checked=0,
        filters=Filters(),
    )


def compare(call: Call) -> Response:
    """Compare one page and offer the next; a reload keeps the progress."""
    repair = field(call, "repair") == "yes"
    cursor = field(call, "cursor") or None
    report = call.sdk.admin.reconcile(
        repair=repair, limit=_A_PAGE, cursor=cursor, **call.by
    )
    filters = Filters(repair="yes" if repair else "", reason=field(call, "reason"))
    return page(
        call,
        "reconcile.html",
        title="Reconcile",
        report=report,
        checked=number(call, "checked", 0) + sum(report.checked.values()),
        filters=filters,
    )


ROUTES = (
    page_route(
        "reconcile", "reconcile", reconcile, "Show the form for reconciliation."
    ),
    form_route(
        "reconcile_page",
        "reconcile",
        compare,
        "Compare one page of provider, enrollments and LMS, and repair differences.",
        Access.OPERATOR,
        "payments_unavailable",
        "lms_unavailable",
        "throttled",
        status=200,
    ),
)
