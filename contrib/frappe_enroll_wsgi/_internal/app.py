# SPDX-License-Identifier: MIT
"""The WSGI application: it routes requests and answers errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from frappe_enroll_sdk import EnrollSDK
from frappe_enroll_sdk.errors import EnrollError

from . import problems
from .routing import Resource
from .surface import RESOURCES, Surface


if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def create_app(sdk: EnrollSDK) -> WSGIApplication:
    """
    Return a WSGI application for an SDK.

    Mount it at the root or under any prefix (it respects SCRIPT_NAME). Thread-safe;
    after a fork each process opens its own connections.
    """
    return _App(Surface(sdk))


def url_map() -> Map:
    """Return the URL map of all resources; the surface refuses wrong methods."""
    return Map(
        [Rule(found.path, endpoint=found) for found in RESOURCES],
        strict_slashes=False,
        redirect_defaults=False,
        merge_slashes=False,
    )


class _App:
    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._map = url_map()

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        request = Request(self._surface.proxies.apply(environ))
        resource: Resource | None = None
        try:
            resource, arguments = self._map.bind_to_environ(request.environ).match()
            response = self._answer(resource, request, arguments)
        except HTTPException as error:
            response = problems.of_http(error)
        response = self._surface.finish(resource, request, response)
        return response(environ, start_response)

    def _answer(
        self, resource: Resource, request: Request, arguments: Mapping[str, str]
    ) -> Response:
        try:
            return self._surface.answer(resource, request, arguments)
        except EnrollError as error:
            return problems.of_error(error)
        except HTTPException as error:
            return problems.of_http(error)
        except Exception as error:  # noqa: BLE001  the last line of defence
            return problems.of_unknown(error)
