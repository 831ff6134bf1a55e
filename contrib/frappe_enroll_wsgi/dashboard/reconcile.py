# SPDX-License-Identifier: MIT
"""Reconciliation, a page at a time."""

from __future__ import annotations

from werkzeug.wrappers import Response

from ..routing import Access, Call
from .builders import change, look
from .forms import field, number, orders_of
from .render import Asked, page


#: Rows that one press compares: each costs up to four calls to the backends.
_A_PAGE = 25


def reconcile(call: Call) -> Response:
    """Show the form that compares the three sides."""
    return page(
        call, "reconcile.html", title="Reconcile", report=None, checked=0, asked=Asked()
    )


def compare(call: Call) -> Response:
    """Compare one page, and offer the next: progress that a reload can't lose."""
    repair = field(call, "repair") == "yes"
    report = orders_of(call).reconcile(
        repair=repair, limit=_A_PAGE, cursor=field(call, "cursor") or None
    )
    asked = Asked(repair="yes" if repair else "", reason=field(call, "reason"))
    return page(
        call,
        "reconcile.html",
        title="Reconcile",
        report=report,
        checked=number(call, "checked", 0) + sum(report.checked.values()),
        asked=asked,
    )


ROUTES = (
    look("reconcile", "reconcile", reconcile, "Show the form to reconcile."),
    change(
        "reconcile_page",
        "reconcile",
        compare,
        "Compare one page of provider, enrollments and LMS, and repair.",
        Access.OPERATOR,
        "payments_unavailable",
        "lms_unavailable",
        "throttled",
        status=200,
    ),
)
