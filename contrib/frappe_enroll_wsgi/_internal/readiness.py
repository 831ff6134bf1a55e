# SPDX-License-Identifier: MIT
"""The cached health of the backends."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from frappe_enroll_sdk import EnrollSDK

#: Seconds for which a result is reused.
_KEPT_S = 5.0
#: Time-out of a ping of the provider or the LMS, in seconds.
_PING_S = 2.0
#: Seconds that a ping may take before the last result becomes unknown.
_PATIENCE_S = 5.0
#: Seconds after which a pinging thread is presumed dead (a fork kills threads).
_LOST_S = 60.0
UNKNOWN = "unknown"
_BACKENDS = ("storage", "payments", "lms")


class Readiness:
    """
    A cached `ping` of each backend. Thread-safe.

    The first caller after a result is outdated pings again; all others get the last
    result at once, so a hanging backend delays one request only.
    """

    def __init__(self, sdk: EnrollSDK) -> None:
        self._backends = {name: _Backend(sdk, name) for name in _BACKENDS}

    def checks(self) -> dict[str, str]:
        """Return "ok", "down" (the store), "degraded" or "unknown" by backend."""
        return {
            name: _check_of(name, one.state()) for name, one in self._backends.items()
        }


def _check_of(name: str, state: str) -> str:
    if state in {"ok", UNKNOWN}:
        return state
    return "down" if name == "storage" else "degraded"


class _Backend:
    """One backend."""

    def __init__(self, sdk: EnrollSDK, name: str) -> None:
        self._sdk, self._name = sdk, name
        self._lock = threading.Lock()
        self._state, self._at = UNKNOWN, float("-inf")
        self._since: float | None = None

    def state(self) -> str:
        """Return the last result; ping first if it is outdated and nobody else does."""
        with self._lock:
            now = self._sdk.ambient.monotonic()
            waiting_s = None if self._since is None else now - self._since
            if waiting_s is not None and waiting_s < _LOST_S:
                return self._state if waiting_s < _PATIENCE_S else UNKNOWN
            if now - self._at <= _KEPT_S:
                return self._state
            self._since = now
        state = UNKNOWN
        try:
            state = self._sdk.ping(self._name, timeout_s=_PING_S)[self._name]
        finally:
            with self._lock:
                self._state, self._at = state, self._sdk.ambient.monotonic()
                self._since = None
        return state
