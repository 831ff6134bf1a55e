# SPDX-License-Identifier: MIT
"""Reconciliation: the admin API."""

from __future__ import annotations

from werkzeug.wrappers import Response

from ..answers import answer, plain
from ..routing import Call
from .builders import operator, orders_of


def reconcile(call: Call) -> Response:
    """Compare one page of provider, enrollments and LMS; go on by the cursor."""
    fields = call.fields
    report = orders_of(call).reconcile(
        repair=fields.get("repair", False),
        limit=fields.get("limit", 50),
        cursor=fields.get("cursor"),
    )
    return answer(plain(report))


ROUTES = (
    operator(
        "reconcile",
        "reconcile",
        reconcile,
        "Reconciled",
        "Compare one page of provider, enrollments and LMS, and repair.",
        "payments_unavailable",
        "lms_unavailable",
        "throttled",
        body="ReconcileRequest",
    ),
)
