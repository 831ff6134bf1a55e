# SPDX-License-Identifier: MIT
"""The backends' health, asked at most every few seconds."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from frappe_enroll_sdk import EnrollSDK

#: Seconds for which an answer is reused.
_KEPT_S = 5.0


class Readiness:
    """A cached `ping`. Thread-safe: one thread asks, the others wait for its answer."""

    def __init__(self, sdk: EnrollSDK) -> None:
        self._sdk = sdk
        self._lock = threading.Lock()
        self._at = float("-inf")
        self._health: Mapping[str, str] = {}

    def checks(self) -> dict[str, str]:
        """Return "ok", "down" (the store) or "degraded" for each backend."""
        with self._lock:
            if self._sdk.ambient.monotonic() - self._at > _KEPT_S:
                self._health, self._at = self._sdk.ping(), self._sdk.ambient.monotonic()
            health = self._health
        return {
            name: "ok" if state == "ok" else "down" if name == "storage" else "degraded"
            for name, state in health.items()
        }
