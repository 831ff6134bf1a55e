# SPDX-License-Identifier: MIT
"""
The surface: one pipeline for every request, whatever framework mounts it.

Access → limit by address → body and query → idempotency → handler.
It raises errors; an adapter (WSGI, Flask) turns them into answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.wrappers import Request, Response

from . import api, bodies, cors, dashboard, validation
from .access import AccessRules
from .dashboard.guard import guarded
from .guesses import Guesses
from .headers import finish
from .idempotency import Idempotency
from .proxies import Proxies
from .ratelimits import Limits, Window
from .readiness import Readiness
from .routing import Area, Call, Resource, Route, resources_of


if TYPE_CHECKING:
    from frappe_enroll_sdk import EnrollSDK

#: All routes.
ROUTES = (*api.ROUTES, *dashboard.ROUTES)
RESOURCES = resources_of(ROUTES)
_WINDOW = "frappe_enroll.window"
_FORM = {"application/x-www-form-urlencoded", "multipart/form-data"}


class Surface:
    """
    What the routes of one SDK share. Thread-safe and fork-safe.

    Attributes:
        sdk: The SDK.
        routes: All routes.
        access: The access rules.
        proxies: The trusted proxies.
        limits: The rate limits.
        readiness: The cached health.
    """

    def __init__(self, sdk: EnrollSDK) -> None:
        self.sdk, self.routes = sdk, ROUTES
        self.proxies = Proxies.from_settings(sdk.settings)
        self.limits = Limits(sdk.settings)
        sdk.at_close(self.limits.close)
        self.access = AccessRules(sdk, Guesses(self.limits, self.proxies))
        self.readiness = Readiness(sdk)
        self._idempotency = Idempotency(sdk)

    def answer(
        self, resource: Resource, request: Request, arguments: Mapping[str, str]
    ) -> Response:
        """
        Answer a request for a resource.

        Raises:
            EnrollError: The request was refused or failed.
            HTTPException: One of Werkzeug's (405, 411, 413).
        """
        with self.sdk.serving():
            return self._answer(resource, request, arguments)

    def _answer(
        self, resource: Resource, request: Request, arguments: Mapping[str, str]
    ) -> Response:
        self.proxies.warn_once(request.environ)
        if request.method == "OPTIONS" and resource.area is Area.LEARNER:
            preflight = cors.preflight(
                self.sdk.settings.cors_origins, request, resource
            )
            if preflight is not None:
                return preflight
        route = resource.routes.get(request.method)
        if route is None:
            raise MethodNotAllowed(valid_methods=sorted(resource.routes))
        call = Call(surface=self, route=route, request=request, arguments=arguments)
        if route.area is Area.DASHBOARD:
            return guarded(call, self._run)
        return self._run(call)

    def finish(
        self, resource: Resource | None, request: Request, response: Response
    ) -> Response:
        """Add the headers that every answer has, successful or not."""
        window = request.environ.get(_WINDOW)
        if isinstance(window, Window):
            response.headers.extend(window.headers())
        if resource is not None and resource.area is Area.LEARNER:
            cors.allow(self.sdk.settings.cors_origins, request, response)
        # Browsers ignore it over plain HTTP.
        hsts_s = self.sdk.settings.hsts_s if self.access.is_secure(request) else 0
        return finish(response, hsts_s)

    def _run(self, call: Call) -> Response:
        route, request = call.route, call.request
        call.who = self.access.admit(route, request)
        if route.limit is not None:
            for client in self.proxies.clients(request.environ):
                self._note(request, self.limits.hit_address(route.limit, client))
        bodies.bound(request, route, self.sdk.settings.body_limit)
        call.query = validation.query_of(request, route)
        call.fields = self._fields(route, request)
        key = request.headers.get("Idempotency-Key")
        if not route.idempotent or key is None:
            return route.handler(call)
        return self._idempotency.run(
            route,
            key,
            call.fields,
            lambda inner: route.handler(attrs.evolve(call, key=inner)),
        )

    def _note(self, request: Request, window: Window | None) -> None:
        """Keep the tighter window for the answer's headers."""
        known = request.environ.get(_WINDOW)
        if window and (not isinstance(known, Window) or window.left < known.left):
            request.environ[_WINDOW] = window

    def _fields(self, route: Route, request: Request) -> dict[str, Any]:
        if route.body is not None:
            return validation.json_body(request, route)
        if route.form is not None and request.mimetype in _FORM:
            return dict(request.form.items())
        return {}
