# SPDX-License-Identifier: MIT
"""Route builders and helpers of the admin API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frappe_enroll_sdk.services import validate

from ..routing import Access, Area, Handler, Route
from ..schemas.parts import LIMIT, text


TOKEN_HEADER = "Enrollment-Token"  # noqa: S105  a name
PAGED = {"limit": LIMIT, "cursor": text(500)}


def with_moments(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return fields with moments for the texts of these names."""
    told = {n: validate.moment_of(fields[n], n) for n in names if fields.get(n)}
    return {**fields, **told}


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
