# SPDX-License-Identifier: MIT
"""Reconciliation in the admin API."""

from __future__ import annotations

from werkzeug.wrappers import Response

from ..answers import answer, plain
from ..routing import Call
from .builders import operator


def reconcile(call: Call) -> Response:
    """Compare one page of provider, enrollments and LMS."""
    fields = call.fields
    report = call.sdk.admin.reconcile(
        repair=fields.get("repair", False),
        limit=fields.get("limit", 50),
        cursor=fields.get("cursor"),
        **call.by,
    )
    return answer(plain(report))


ROUTES = (
    operator(
        "reconcile",
        "reconcile",
        reconcile,
        "Reconciled",
        "Compare one page of provider, enrollments and LMS, and repair differences.",
        "payments_unavailable",
        "lms_unavailable",
        "throttled",
        body="ReconcileRequest",
    ),
)
