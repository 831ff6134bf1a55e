# SPDX-License-Identifier: MIT
"""The backends' health, asked at most every few seconds, by one caller at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from frappe_enroll_sdk import EnrollSDK

#: Seconds for which an answer is reused.
_KEPT_S = 5.0
#: Seconds that the provider and the LMS have to answer.
_PING_S = 2.0
#: Seconds that a backend has to answer in, until its last answer says nothing more.
_PATIENCE_S = 5.0
#: Seconds after which whoever asks is taken for dead (a fork takes no threads along).
_LOST_S = 60.0
UNKNOWN = "unknown"
_BACKENDS = ("storage", "payments", "lms")


class Readiness:
    """
    A cached `ping` of each backend. Thread-safe.

    Whoever comes when an answer is old asks anew; everybody else has the last one at
    once, so that a backend that hangs holds one request up, and no more.
    """

    def __init__(self, sdk: EnrollSDK) -> None:
        self._asked = {name: _Asked(sdk, name) for name in _BACKENDS}

    def checks(self) -> dict[str, str]:
        """Return "ok", "down" (the store), "degraded" or "unknown" by backend."""
        return {name: _told(name, one.state()) for name, one in self._asked.items()}


def _told(name: str, state: str) -> str:
    if state in {"ok", UNKNOWN}:
        return state
    return "down" if name == "storage" else "degraded"


class _Asked:
    """One backend."""

    def __init__(self, sdk: EnrollSDK, name: str) -> None:
        self._sdk, self._name = sdk, name
        self._lock = threading.Lock()
        self._state, self._at = UNKNOWN, float("-inf")
        self._since: float | None = None

    def state(self) -> str:
        """Return what the backend said last; ask it, unless somebody does."""
        with self._lock:
            now = self._sdk.ambient.monotonic()
            asked_s = None if self._since is None else now - self._since
            if asked_s is not None and asked_s < _LOST_S:
                return self._state if asked_s < _PATIENCE_S else UNKNOWN
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
