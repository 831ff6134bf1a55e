# SPDX-License-Identifier: MIT
"""
The surface as three blueprints: for learners, machines and operators.

The host's `before_request` functions, error handlers, `url_for` and test client work as
with its own views. Errors are raised as `EnrollError`, so that a host may handle them;
the others become problem+json.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Request, Response, current_app, got_request_exception
from flask import request as current_request
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.wrappers import Response as AnyResponse

from frappe_enroll_sdk.errors import EnrollError
from frappe_enroll_wsgi import MOUNT, RESOURCES, Area, Resource, Surface, problems


LEARNER_BLUEPRINT = "frappe_enroll"
MACHINE_BLUEPRINT = "frappe_enroll_machine"
ADMIN_BLUEPRINT = "frappe_enroll_admin"

_NAMES = {
    Area.LEARNER: LEARNER_BLUEPRINT,
    Area.MACHINE: MACHINE_BLUEPRINT,
    Area.ADMIN: ADMIN_BLUEPRINT,
    Area.DASHBOARD: ADMIN_BLUEPRINT,
}
#: All methods: the surface itself refuses the wrong ones.
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
_RESOURCE = "frappe_enroll.resource"


def blueprints_of(surface: Surface, prefix: str) -> tuple[Blueprint, ...]:
    """Return the three blueprints of a surface mounted under a prefix."""
    found = {name: _blueprint(name, surface) for name in dict.fromkeys(_NAMES.values())}
    for resource in RESOURCES:
        _add(found[_NAMES[resource.area]], resource, _view(surface, resource, prefix))
    if prefix:
        # Under our own prefix, we also answer unknown paths.
        for rule in ("/", "/<path:rest>"):
            _rule(found[MACHINE_BLUEPRINT], rule, "unknown", _unknown)
    return tuple(found.values())


def _blueprint(name: str, surface: Surface) -> Blueprint:
    blueprint = Blueprint(name, __name__)

    @blueprint.after_request
    def finish(response: Response) -> AnyResponse:
        resource = current_request.environ.get(_RESOURCE)
        return surface.finish(resource, current_request, response)

    return blueprint


def _add(blueprint: Blueprint, resource: Resource, view: Callable[..., Any]) -> None:
    _rule(blueprint, resource.path, resource.name, view)


def _rule(
    blueprint: Blueprint, path: str, endpoint: str, view: Callable[..., Any]
) -> None:
    blueprint.add_url_rule(
        path,
        endpoint,
        view,
        methods=_METHODS,
        provide_automatic_options=False,
        strict_slashes=False,
        merge_slashes=False,
    )


def _view(
    surface: Surface, resource: Resource, prefix: str
) -> Callable[..., AnyResponse]:
    def view(**arguments: str) -> AnyResponse:
        request: Request = current_request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001  Werkzeug's name for it
        request.environ[_RESOURCE] = resource
        request.environ[MOUNT] = request.root_path.rstrip("/") + prefix
        try:
            return surface.answer(resource, request, arguments)
        except EnrollError:
            raise
        except HTTPException as error:
            return problems.of_http(error)
        except Exception as error:
            if current_app.testing or current_app.debug:
                raise
            sender = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001  the same
            got_request_exception.send(sender, exception=error)
            return problems.of_unknown(error)

    return view


def _unknown(rest: str = "") -> AnyResponse:  # noqa: ARG001  the rule's
    return problems.of_http(NotFound())
