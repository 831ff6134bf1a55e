# SPDX-License-Identifier: MIT
"""
Routes and calls: URL map, access, limits and OpenAPI all come from one table of routes.

A route cannot lack an access rule: `access` has no default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

import attrs
from werkzeug.wrappers import Request, Response


if TYPE_CHECKING:
    from frappe_enroll_sdk import EnrollSDK

    from .proxies import Proxies
    from .ratelimits import Limits
    from .readiness import Readiness


#: Key of the WSGI environment in which an adapter puts the path of the mount.
MOUNT = "frappe_enroll.mount"
Handler = Callable[["Call"], Response]


class Access(StrEnum):
    """Who may call a route."""

    #: Anybody: the answers reveal nothing about anybody.
    PUBLIC = "public"
    #: The learner who holds the enrollment's token.
    LEARNER = "learner"
    #: The payment provider, identified by its signature on the body.
    PROVIDER = "provider"
    #: A scheduler that knows the cron secret.
    CRON = "cron"
    #: Anybody, from one of our pages: signing in and out.
    SAME_ORIGIN = "same_origin"
    #: Any operator; read-only.
    VIEWER = "viewer"
    #: An operator whose role allows changes.
    OPERATOR = "operator"


class Area(StrEnum):
    """The part of the surface that a route belongs to."""

    LEARNER = "learner"
    MACHINE = "machine"
    ADMIN = "admin"
    DASHBOARD = "dashboard"


@attrs.frozen(kw_only=True)
class Operator:
    """
    Somebody who is signed in to the admin surface.

    Attributes:
        name: Name in the audit trail.
        role: ``viewer`` or ``operator``.
        ambient: Whether a browser sends the credentials on its own.
    """

    name: str
    role: str
    ambient: bool = False

    @property
    def may_change(self) -> bool:
        """Whether the role allows changes."""
        return self.role == "operator"


class By(TypedDict):
    """Who changes something, and why: arguments of every verb that does."""

    actor: str
    reason: str


@attrs.frozen(kw_only=True, eq=False)
class Route:
    """
    One route.

    Attributes:
        name: Unique; the endpoint's name for ``url_for``.
        methods: HTTP methods (GET includes HEAD).
        path: Werkzeug's rule, under the mount.
        handler: Answers an admitted call.
        access: Who may call it.
        area: Part of the surface.
        about: One-line summary.
        limit: Name of the rate limit, or None.
        body: Name of the schema of the JSON body, or None.
        form: Schemas of the required fields of a dashboard form, or None.
        query: Schemas of the query parameters, by name.
        answers: Schema's name (or a content type) by status.
        codes: Problem codes that it may return, besides the general ones.
        idempotent: Whether it honours ``Idempotency-Key``.
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
        name: Name of the endpoint: that of its first route.
        path: Werkzeug's rule.
        area: Part of the surface.
        routes: Routes by method, including HEAD.
    """

    name: str
    path: str
    area: Area
    routes: Mapping[str, Route]

    @property
    def allow(self) -> str:
        """The Allow header."""
        return ", ".join(sorted(self.routes))


class SignIn(Protocol):
    """The access rules, as far as the dashboard's sign-in page needs them."""

    @property
    def is_on(self) -> bool:
        """Whether there is an admin surface."""

    def is_secure(self, request: Request) -> bool:
        """Return whether browsers use HTTPS."""

    def cookie_name(self, request: Request) -> str:
        """Return the name of the session cookie."""

    def sign_in(self, token: str, request: Request) -> str:
        """Open a session for a token and return the cookie's value."""

    def sign_out(self, request: Request) -> None:
        """Close the session of a request."""


class Shared(Protocol):
    """The surface, as far as handlers need it."""

    @property
    def sdk(self) -> EnrollSDK:
        """The SDK."""

    @property
    def routes(self) -> tuple[Route, ...]:
        """All routes."""

    @property
    def access(self) -> SignIn:
        """The access rules."""

    @property
    def proxies(self) -> Proxies:
        """The trusted proxies."""

    @property
    def limits(self) -> Limits:
        """The rate limits."""

    @property
    def readiness(self) -> Readiness:
        """The cached health of the backends."""


@attrs.define(kw_only=True)
class Call:
    """
    An admitted request with its validated parts.

    Attributes:
        surface: The surface that answers.
        route: The route.
        request: The request.
        arguments: Path parameters by name.
        fields: The JSON body or form, validated.
        query: The query parameters, validated and converted.
        who: The operator, on the admin surface.
        key: The inner idempotency key, or None.
    """

    surface: Shared
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
        """Path of the mount, without a trailing slash."""
        mount = self.request.environ.get(MOUNT)
        return (self.request.root_path if mount is None else str(mount)).rstrip("/")

    @property
    def operator(self) -> Operator:
        """The operator; the route must require one."""
        if self.who is None:
            message = f"{self.route.name} has no access rule that brings an operator"
            raise AssertionError(message)
        return self.who

    @property
    def by(self) -> By:
        """Who acts, and why."""
        reason = self.fields.get("reason", "")
        return {"actor": self.operator.name, "reason": str(reason)}


def resources_of(table: tuple[Route, ...]) -> tuple[Resource, ...]:
    """Group routes by path, in order."""
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
