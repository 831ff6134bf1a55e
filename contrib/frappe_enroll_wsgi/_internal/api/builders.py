# SPDX-License-Identifier: MIT
"""Route builders and helpers of the admin API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frappe_enroll_sdk.services import validate

from ..routing import Access, Area, Handler, Route
from ..schemas.parts import LIMIT, text


TOKEN_HEADER = "Enrollment-Token"  # noqa: S105  a header's name
PAGED = {"limit": LIMIT, "cursor": text(500)}


def with_moments(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return the fields with those of these names read as moments."""
    moments = {n: validate.moment_of(fields[n], n) for n in names if fields.get(n)}
    return {**fields, **moments}


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
    """Return a route for viewers: a POST if it has a body, else a GET."""
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
    """Return a route for operators."""
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
