# SPDX-License-Identifier: MIT
"""
What a route is, and a call of it: from one table come routing, access, limits, OpenAPI.

A route without a rule can't be written: `access` has no default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import attrs
from werkzeug.wrappers import Request, Response


if TYPE_CHECKING:
    from frappe_enroll_sdk import EnrollSDK

    from .surface import Surface


#: Where an adapter says under which path the surface is mounted.
MOUNT = "frappe_enroll.mount"
Handler = Callable[["Call"], Response]


class Access(StrEnum):
    """Who gets in."""

    #: Anybody; what is answered tells nothing about anybody.
    PUBLIC = "public"
    #: The learner that holds the enrollment's token.
    LEARNER = "learner"
    #: The payment provider, by its signature on the body.
    PROVIDER = "provider"
    #: The scheduler that holds the cron secret.
    CRON = "cron"
    #: Anybody, from a page of ours: signing in and out.
    SAME_ORIGIN = "same_origin"
    #: Any operator, to look.
    VIEWER = "viewer"
    #: An operator whose role lets them change things.
    OPERATOR = "operator"


class Area(StrEnum):
    """Which part of the surface: a blueprint each in Flask."""

    LEARNER = "learner"
    MACHINE = "machine"
    ADMIN = "admin"
    DASHBOARD = "dashboard"


@attrs.frozen(kw_only=True)
class Operator:
    """
    Who acts on the admin surface.

    Attributes:
        name: Goes into the audit trail.
        role: ``viewer`` or ``operator``.
        ambient: Whether a browser sends the credentials by itself.
    """

    name: str
    role: str
    ambient: bool = False

    @property
    def may_change(self) -> bool:
        """Whether the role lets them change things."""
        return self.role == "operator"


@attrs.frozen(kw_only=True, eq=False)
class Route:
    """
    One row of the table.

    Attributes:
        name: Unique; the endpoint's name for ``url_for``.
        methods: HTTP methods (HEAD comes with GET).
        path: Werkzeug's rule, under the mount.
        handler: Answers a call that was let in.
        access: Who is let in.
        area: Which part of the surface.
        about: One line for people.
        limit: Name of the rate limit, or None.
        body: Name of the schema of the JSON body, or None.
        form: Schemas of the fields that a form of the dashboard must have, or None.
        query: Schemas of the query parameters, by name.
        answers: Schema's name (or a content type) by status.
        codes: Codes of the problems that it may answer, beside the general ones.
        idempotent: Whether it follows ``Idempotency-Key``.
    """

    name: str
    methods: tuple[str, ...]
    path: str
    handler: Handler
    access: Access
    area: Area
    about: str
    limit: str | None = None
    body: str | None = None
    form: Mapping[str, Mapping[str, Any]] | None = None
    query: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    answers: Mapping[int, str] = attrs.field(factory=dict)
    codes: tuple[str, ...] = ()
    idempotent: bool = False


@attrs.frozen(kw_only=True, eq=False)
class Resource:
    """
    One path with its routes by method.

    Attributes:
        name: The endpoint's name: that of its first route.
        path: Werkzeug's rule.
        area: Which part of the surface.
        routes: Routes by method, HEAD included.
    """

    name: str
    path: str
    area: Area
    routes: Mapping[str, Route]

    @property
    def allow(self) -> str:
        """The Allow header."""
        return ", ".join(sorted(self.routes))


@attrs.define(kw_only=True)
class Call:
    """
    One request that was let in, its parts validated.

    Attributes:
        surface: The surface that answers.
        route: The row of the table.
        request: The request.
        arguments: Parts of the path, by name.
        fields: The JSON body or form, validated.
        query: The query parameters, validated and converted.
        who: The operator, on the admin surface.
        key: What stands for the caller's Idempotency-Key, or None.
    """

    surface: Surface
    route: Route
    request: Request
    arguments: Mapping[str, str]
    fields: dict[str, Any] = attrs.field(factory=dict)
    query: dict[str, Any] = attrs.field(factory=dict)
    who: Operator | None = None
    key: str | None = None

    @property
    def sdk(self) -> EnrollSDK:
        """The SDK."""
        return self.surface.sdk

    @property
    def mount(self) -> str:
        """Path under which the surface is mounted, without a slash at its end."""
        told = self.request.environ.get(MOUNT)
        return (self.request.root_path if told is None else str(told)).rstrip("/")

    @property
    def operator(self) -> Operator:
        """The operator of a call that needs one."""
        if self.who is None:
            message = f"{self.route.name} has no access rule that brings an operator"
            raise AssertionError(message)
        return self.who


def resources_of(table: tuple[Route, ...]) -> tuple[Resource, ...]:
    """Return the table by path, in its order."""
    by_path: dict[str, list[Route]] = {}
    for route in table:
        by_path.setdefault(route.path, []).append(route)
    return tuple(
        Resource(
            name=routes[0].name,
            path=path,
            area=routes[0].area,
            routes=_by_method(routes),
        )
        for path, routes in by_path.items()
    )


def _by_method(routes: list[Route]) -> dict[str, Route]:
    found = {method: route for route in routes for method in route.methods}
    if "GET" in found:
        found["HEAD"] = found["GET"]
    return found
