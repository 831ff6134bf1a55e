# SPDX-License-Identifier: MIT
"""The WSGI callable: the table of routes, and what every answer carries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from frappe_enroll_sdk import EnrollSDK
from frappe_enroll_sdk.errors import EnrollError

from . import handlers, problems


if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def create_app(sdk: EnrollSDK) -> WSGIApplication:
    """
    Return a WSGI application over an SDK.

    Mount it at the root or under any prefix (SCRIPT_NAME is respected).
    """
    return _App(sdk)


class _App:
    """Thread-safe; after a fork each process opens its own connections."""

    def __init__(self, sdk: EnrollSDK) -> None:
        self._sdk = sdk
        self._map = Map(
            [
                Rule(path, methods=methods, endpoint=handler)
                for methods, path, handler in _table()
            ],
            strict_slashes=False,
            redirect_defaults=False,
        )

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        request = Request(environ)
        request.max_content_length = self._sdk.settings.body_limit
        response = self._answer(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        try:
            handler, arguments = self._map.bind_to_environ(request.environ).match()
            response: Response = handler(self._sdk, request, **arguments)
        except EnrollError as error:
            return problems.of_error(error)
        except HTTPException as error:
            return problems.of_http(error)
        except Exception as error:  # noqa: BLE001  the last line of defence
            return problems.of_unknown(error)
        return response


def _table() -> list[tuple[list[str], str, Any]]:
    return [
        (["POST"], "/checkout", handlers.checkout),
        (["POST"], "/coupons/preview", handlers.preview),
        (["GET"], "/enrollments/<enrollment_id>", handlers.enrollment),
        (["POST"], "/enrollments/<enrollment_id>/cancel", handlers.cancel),
        (["POST"], "/webhooks/<provider>", handlers.webhook),
        (["GET", "POST"], "/cron/run", handlers.cron),
        (["GET"], "/return", handlers.come_back),
        (["GET"], "/healthz", handlers.healthz),
        (["GET"], "/readyz", handlers.Readiness()),
    ]
