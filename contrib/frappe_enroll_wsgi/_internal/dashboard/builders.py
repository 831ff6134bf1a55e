# SPDX-License-Identifier: MIT
"""Route builders for the dashboard."""

from __future__ import annotations

from typing import Any

from ..routing import Access, Area, Handler, Route
from ..schemas.parts import text


_HTML = "text/html"
_DONE: dict[str, Any] = {"done": {"type": "string", "maxLength": 40}}
REASON = {"reason": text(500)}


def or_empty(schema: dict[str, Any]) -> dict[str, Any]:
    """Allow the empty string, which forms send for "any"."""
    empty = {"type": "string", "maxLength": 0}
    return {"anyOf": [schema, empty]}


CURSOR: dict[str, Any] = {"cursor": or_empty(text(500))}


def page_route(
    name: str,
    path: str,
    handler: Handler,
    about: str,
    access: Access = Access.VIEWER,
    *codes: str,
    query: dict[str, Any] | None = None,
    kind: str = _HTML,
) -> Route:
    """Return the route of a page."""
    return Route(
        name=f"dashboard_{name}",
        methods=("GET",),
        path=f"/admin/{path}",
        handler=handler,
        access=access,
        area=Area.DASHBOARD,
        about=about,
        answers={200: kind, 303: ""},
        query={**(query or {}), **_DONE},
        codes=codes,
    )


def form_route(
    name: str,
    path: str,
    handler: Handler,
    about: str,
    access: Access = Access.OPERATOR,
    *codes: str,
    fields: dict[str, Any] | None = None,
    status: int = 303,
) -> Route:
    """Return the route of a form."""
    return Route(
        name=f"dashboard_{name}",
        methods=("POST",),
        path=f"/admin/{path}",
        handler=handler,
        access=access,
        area=Area.DASHBOARD,
        about=about,
        form={"reason": text(500)} if fields is None else fields,
        answers={status: "" if status == 303 else _HTML},  # noqa: PLR2004  a redirect
        codes=codes,
    )
