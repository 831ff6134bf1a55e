# SPDX-License-Identifier: MIT
"""
The HTTP surface: a WSGI application over one SDK.

`create_app` is all that a host needs; adapters for other frameworks mount `RESOURCES`
over a `Surface`.
"""

from __future__ import annotations

from frappe_enroll_sdk.errors import MissingExtraError


try:
    import jinja2 as _jinja2
    import jsonschema as _jsonschema
    import limits as _limits
    import werkzeug as _werkzeug
except ImportError as error:  # the message is the command that fixes it
    raise MissingExtraError("wsgi", error.name) from error

from ._internal import problems
from ._internal.app import create_app
from ._internal.routing import MOUNT, Area, Resource
from ._internal.surface import RESOURCES, ROUTES, Surface


__all__ = [
    "MOUNT",
    "RESOURCES",
    "ROUTES",
    "Area",
    "Resource",
    "Surface",
    "create_app",
    "problems",
]
del _jinja2, _jsonschema, _limits, _werkzeug
