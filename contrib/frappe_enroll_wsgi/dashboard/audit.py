# SPDX-License-Identifier: MIT
"""The audit trail."""

from __future__ import annotations

from werkzeug.wrappers import Response

from ..routing import Call
from ..schemas.parts import text
from .builders import CURSOR, either, look
from .render import list_page


def audit(call: Call) -> Response:
    """Show what operators did."""
    return list_page(
        call,
        "audit.html",
        call.sdk.admin.audit,
        title="Audit trail",
        items="entries",
    )


ROUTES = (
    look(
        "audit",
        "audit",
        audit,
        "Show what operators did.",
        query={"subject": either(text(255)), **CURSOR},
    ),
)
