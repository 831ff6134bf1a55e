# SPDX-License-Identifier: MIT
"""The audit trail in the admin API."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Response

from frappe_enroll_sdk.codec import shown
from frappe_enroll_sdk.models import AuditEntry

from ..answers import answer, page_json
from ..codes import seen
from ..routing import Call
from ..schemas.parts import text
from .builders import PAGED, viewer


def audit(call: Call) -> Response:
    """Return what operators did, newest first."""
    page = call.sdk.admin.audit(**call.query)
    return answer(page_json(seen(call, page), audit_json))


def audit_json(entry: AuditEntry) -> dict[str, Any]:
    """Return an audit entry as JSON."""
    return dict(shown(entry))


ROUTES = (
    viewer(
        "audit",
        "audit",
        audit,
        "AuditPage",
        "Return what operators did, newest first.",
        query={"subject": text(255), **PAGED},
    ),
)
