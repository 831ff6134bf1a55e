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
#: Seconds that the provider and the LMS have to answer.
_PING_S = 2.0


class Readiness:
    """A cached `ping`. Thread-safe: one thread asks, the others tell what was known."""

    def __init__(self, sdk: EnrollSDK) -> None:
        self._sdk = sdk
        self._lock = threading.Lock()
        self._at = float("-inf")
        self._health: Mapping[str, str] = {}

    def checks(self) -> dict[str, str]:
        """Return "ok", "down" (the store) or "degraded" for each backend."""
        if self._sdk.ambient.monotonic() - self._at > _KEPT_S:
            self._ask()
        health = self._health
        return {
            name: "ok" if state == "ok" else "down" if name == "storage" else "degraded"
            for name, state in health.items()
        }

    def _ask(self) -> None:
        # A provider that hangs holds one thread; only the first answer is waited for.
        if not self._lock.acquire(blocking=not self._health):
            return
        try:
            if self._sdk.ambient.monotonic() - self._at > _KEPT_S:
                self._health = self._sdk.ping(timeout_s=_PING_S)
                self._at = self._sdk.ambient.monotonic()
        finally:
            self._lock.release()
