# SPDX-License-Identifier: MIT
"""
For hosts and plugin authors: fakes of the three backends, faults, conformance suites.

The fakes are imported from here, faults from ``testing.faults``, and the suites from
``testing.conformance`` (which needs pytest).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from ..clock import FakeClock
    from .lms import FakeLMS
    from .memory import MemoryStorage
    from .payments import FakePayments

__all__ = ["FakeClock", "FakeLMS", "FakePayments", "MemoryStorage"]

_MODULES = {
    "FakeClock": "frappe_enroll_sdk.clock",
    "FakeLMS": ".lms",
    "FakePayments": ".payments",
    "MemoryStorage": ".memory",
}


def __getattr__(name: str) -> Any:
    """Import the fake that is asked for (a pytest run of any host loads this)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
