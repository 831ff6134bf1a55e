# SPDX-License-Identifier: MIT
"""
Dashboard sessions: they end at sign-out, after idling, or when they expire.

The last use and the end of a session are two records in the events store (as for
Idempotency-Key), so that a concurrent use cannot undo the end. Maintenance deletes both
after a day, the longest life of a session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from frappe_enroll_sdk.stores.bounds import SKEW
from frappe_enroll_sdk.stores.queue import REQUEST_KIND

from . import cookies


if TYPE_CHECKING:
    from frappe_enroll_sdk import EnrollSDK

#: Share of the idle time after which a new use of a session is recorded.
_OFTEN = 0.1
_SKEW_S = int(SKEW.total_seconds())


class Sessions:
    """The sessions of one SDK. Thread-safe."""

    def __init__(self, sdk: EnrollSDK) -> None:
        self._sdk = sdk

    def open(self, digest: str) -> str:
        """Open a session for a token's hash; return the cookie's value."""
        settings = self._sdk.settings
        cookie = cookies.Signed(
            digest=digest,
            session=self._sdk.ambient.token_hex(16),
            until_s=int(self._now_s() + settings.sign_in_s),
        )
        self._write(_seen(cookie))
        return cookies.write(cookie, settings.secret_key.value)

    def read(self, value: str | None) -> cookies.Signed | None:
        """Return a cookie's session if it is alive, and record its use."""
        settings, now_s = self._sdk.settings, self._now_s()
        latest_s = int(now_s + settings.sign_in_s) + _SKEW_S
        cookie = cookies.read(value, settings.secret_key.value, int(now_s), latest_s)
        if cookie is None:
            return None
        events = self._sdk.storage.events
        record = events.find(_seen(cookie))
        if record is None or events.find(_ended(cookie)) is not None:
            return None
        idle_s = now_s - float((record.payload or {}).get("at", 0))
        longest_s = settings.sign_in_idle_s
        # Used "in the future": recorded by a clock that ran ahead, so worthless.
        if not -_SKEW_S <= idle_s < longest_s:
            return None
        if idle_s >= longest_s * _OFTEN:
            self._write(_seen(cookie))
        return cookie

    def close(self, cookie: cookies.Signed) -> None:
        """Close a session for good."""
        self._write(_ended(cookie))

    def _write(self, name: str) -> None:
        events, now = self._sdk.storage.events, self._sdk.clock.now()
        payload: dict[str, Any] = {"type": REQUEST_KIND, "at": now.timestamp()}
        events.enqueue(name, REQUEST_KIND, payload, now, now=now)
        claim = events.claim_key(name, "http", now, self._sdk.settings.lease_s)
        if claim is not None:
            events.complete(claim.token or "", claim.seq, now, outcome="session")

    def _now_s(self) -> float:
        return self._sdk.clock.now().timestamp()


def _seen(cookie: cookies.Signed) -> str:
    return f"http:session:{cookie.session}"


def _ended(cookie: cookies.Signed) -> str:
    return f"http:session_ended:{cookie.session}"
