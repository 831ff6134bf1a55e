# SPDX-License-Identifier: MIT
"""Route builders and helpers of the admin API."""

from __future__ import annotations

from typing import Any

from ..business_orders import BusinessOrders
from ..routing import Access, Area, Call, Handler, Route
from ..schemas.parts import text


TOKEN_HEADER = "Enrollment-Token"  # noqa: S105  a name
_LIMIT = {"type": "integer", "minimum": 1, "maximum": 200}
PAGED = {"limit": _LIMIT, "cursor": text(500)}


def orders_of(call: Call) -> BusinessOrders:
    """Return what the caller may order."""
    return BusinessOrders(call.sdk, call.operator, call.fields["reason"])


def viewer(
    name: str,
    path: str,
    handler: Handler,
    schema: str,
    about: str,
    *codes: str,
    query: dict[str, Any] | None = None,
    body: str | None = None,
) -> Route:
    """Return a row of the table for whoever may look; with a body it is a POST."""
    return Route(
        name=f"api_{name}",
        methods=("POST",) if body else ("GET",),
        body=body,
        path=f"/admin/api/{path}",
        handler=handler,
        access=Access.VIEWER,
        area=Area.ADMIN,
        about=about,
        answers={200: schema},
        query=query or {},
        codes=codes,
    )


def operator(
    name: str,
    path: str,
    handler: Handler,
    schema: str,
    about: str,
    *codes: str,
    body: str = "Reason",
    status: int = 200,
) -> Route:
    """Return a row of the table for operators."""
    return Route(
        name=f"api_{name}",
        methods=("POST",),
        path=f"/admin/api/{path}",
        handler=handler,
        access=Access.OPERATOR,
        area=Area.ADMIN,
        about=about,
        body=body,
        answers={status: schema},
        codes=codes,
    )
