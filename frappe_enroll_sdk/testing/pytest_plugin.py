# SPDX-License-Identifier: MIT
"""
Fixtures for hosts and plugin authors; everything is imported when first used.

``enroll_fakes``: a clock, a store, a payment provider and an LMS in memory.
``enroll_sdk``: an `EnrollSDK` over them.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest


if TYPE_CHECKING:
    from frappe_enroll_sdk import EnrollSDK

# Lets failing asserts in the suites show their values, like those in tests.
pytest.register_assert_rewrite("frappe_enroll_sdk.testing.conformance")


@pytest.fixture
def enroll_fakes() -> SimpleNamespace:
    """A `FakeClock`, `MemoryStorage`, `FakePayments` and `FakeLMS`, named by role."""
    from frappe_enroll_sdk.clock import FakeClock  # noqa: PLC0415  lazy, see above

    from .lms import FakeLMS  # noqa: PLC0415
    from .memory import MemoryStorage  # noqa: PLC0415
    from .payments import FakePayments  # noqa: PLC0415

    clock = FakeClock()
    return SimpleNamespace(
        clock=clock,
        storage=MemoryStorage(clock),
        payments=FakePayments(clock),
        lms=FakeLMS(clock=clock),
    )


@pytest.fixture
def enroll_sdk(enroll_fakes: Any) -> Iterator[EnrollSDK]:
    """An SDK that uses `enroll_fakes`, without installed plugins."""
    from frappe_enroll_sdk import EnrollSDK, Settings  # noqa: PLC0415  lazy

    settings = Settings(public_url="http://127.0.0.1:5000")
    with EnrollSDK(settings, **vars(enroll_fakes), discover=False) as sdk:
        yield sdk
