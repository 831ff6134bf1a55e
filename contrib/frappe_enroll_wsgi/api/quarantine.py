# SPDX-License-Identifier: MIT
"""The quarantine: payments that fit no order, and the two ways out."""

from __future__ import annotations

from werkzeug.wrappers import Response

from ..answers import answer, page_json, plain
from ..routing import Call
from .builders import PAGED, operator, orders_of, viewer
from .enrollments import row_json


def listed(call: Call) -> Response:
    """Return what waits: enrollments that are held, and events that name none."""
    page = call.sdk.admin.quarantine(**call.query)
    return answer(page_json(page, plain))


def accept(call: Call) -> Response:
    """Let the payer have the course."""
    row = orders_of(call).accept(
        call.arguments["name"], call.fields.get("enrollment_id")
    )
    return answer(row_json(row))


def dismiss(call: Call) -> Response:
    """Put it aside for good; no money is given back by it."""
    name = call.arguments["name"]
    return answer({"id": name, "state": orders_of(call).dismiss(name)})


_CODES = ("not_found", "transition", "conflict", "payments_unavailable")
ROUTES = (
    viewer(
        "quarantine",
        "quarantine",
        listed,
        "QuarantinePage",
        "Return the payments that wait for an operator, each with its reason.",
        query=PAGED,
    ),
    operator(
        "quarantine_accept",
        "quarantine/<name>/accept",
        accept,
        "AdminEnrollment",
        "Let the payer of a held enrollment, or of an event, have the course.",
        "enrollment_not_found",
        *_CODES,
        body="AcceptRequest",
    ),
    operator(
        "quarantine_dismiss",
        "quarantine/<name>/dismiss",
        dismiss,
        "Dismissed",
        "Put a held enrollment, or an event, aside for good.",
        *_CODES,
    ),
)
