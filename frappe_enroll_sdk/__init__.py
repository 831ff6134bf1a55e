# SPDX-License-Identifier: MIT
"""
Turns a grant coupon or a payment into a Frappe LMS enrollment, exactly once.

A plugin takes `hookimpl` and `errors` from here, which cost little; what only a host
needs is loaded when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import errors
from .hookspecs import hookimpl


if TYPE_CHECKING:
    from . import testing
    from .models import Course
    from .money import Money
    from .sdk import EnrollSDK
    from .settings import Settings

    __version__: str

__all__ = [
    "Course",
    "EnrollSDK",
    "Money",
    "Settings",
    "__version__",
    "errors",
    "hookimpl",
    "testing",
]

_LATER = {
    "Course": ".models",
    "EnrollSDK": ".sdk",
    "Money": ".money",
    "Settings": ".settings",
}


def __getattr__(name: str) -> Any:
    """Import public names on first use (PEP 562)."""
    if name == "__version__":
        return import_module("importlib.metadata").version("frappe-enroll-sdk")
    if name == "testing":
        return import_module(".testing", __name__)
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name], __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
