# SPDX-License-Identifier: MIT
"""The quarantine of unmatched payments in the admin API."""

from __future__ import annotations

from werkzeug.wrappers import Response

from ..answers import answer, page_json, plain
from ..routing import Call
from .builders import PAGED, operator, viewer
from .enrollments import row_json


def listed(call: Call) -> Response:
    """List held enrollments and events that match no enrollment."""
    page = call.sdk.admin.quarantine(**call.query)
    return answer(page_json(page, plain))


def accept(call: Call) -> Response:
    """Accept the payment: the payer gets the course."""
    row = call.sdk.admin.accept(
        call.arguments["name"],
        enrollment_id=call.fields.get("enrollment_id"),
        **call.by,
    )
    return answer(row_json(row))


def dismiss(call: Call) -> Response:
    """Dismiss the payment for good; this refunds nothing."""
    name = call.arguments["name"]
    return answer({"id": name, "state": call.sdk.admin.dismiss(name, **call.by)})


_CODES = ("not_found", "transition", "conflict", "payments_unavailable")
ROUTES = (
    viewer(
        "quarantine",
        "quarantine",
        listed,
        "QuarantinePage",
        "List the payments that wait for an operator, with the reason for each.",
        query=PAGED,
    ),
    operator(
        "quarantine_accept",
        "quarantine/<name>/accept",
        accept,
        "AdminEnrollment",
        "Accept the payment of a held enrollment or of an event.",
        "enrollment_not_found",
        *_CODES,
        body="AcceptRequest",
    ),
    operator(
        "quarantine_dismiss",
        "quarantine/<name>/dismiss",
        dismiss,
        "Dismissed",
        "Dismiss a held enrollment or an event for good.",
        *_CODES,
    ),
)
