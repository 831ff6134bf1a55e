# SPDX-License-Identifier: MIT
"""The dashboard's page for the audit trail."""

from __future__ import annotations

from werkzeug.wrappers import Response

from ..routing import Call
from ..schemas.parts import text
from .builders import CURSOR, or_empty, page_route
from .render import list_page


def audit(call: Call) -> Response:
    """Show the audit trail."""
    return list_page(
        call,
        "audit.html",
        call.sdk.admin.audit,
        title="Audit trail",
        items="entries",
    )


ROUTES = (
    page_route(
        "audit",
        "audit",
        audit,
        "Show the audit trail.",
        query={"subject": or_empty(text(255)), **CURSOR},
    ),
)
