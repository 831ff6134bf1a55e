# SPDX-License-Identifier: MIT
"""
What a backend has to keep, as pytest suites for plugin authors.

Subclass one and give it its one fixture::

    from frappe_enroll_sdk.testing.conformance import StorageConformance


    class TestMyStorage(StorageConformance):
        @pytest.fixture
        def storage_factory(self, tmp_path):
            return functools.partial(MyStorage, str(tmp_path / "store"))

A backend with faster verbs of its own (a class derived from `Coupons`) runs the suite
twice, the second time with ``Plain(factory)``.

`PaymentsConformance` wants the fixture `payments_driver`, a `PaymentsDriver`, and
`LMSConformance` the fixture `lms_driver`, an `LMSDriver`.
"""

from __future__ import annotations

import importlib
from typing import Any


_MODULES = {
    "LMSConformance": "lms",
    "LMSDriver": "lms",
    "PaymentsConformance": "payments",
    "PaymentsDriver": "payments_driver",
    "Plain": "lossy",
    "StorageConformance": "storage",
}

__all__ = [
    "LMSConformance",
    "LMSDriver",
    "PaymentsConformance",
    "PaymentsDriver",
    "Plain",
    "StorageConformance",
]


def __getattr__(name: str) -> Any:
    """Import the suite that is asked for (the racers' processes want none)."""
    if name not in _MODULES:
        raise AttributeError(name)
    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
