# SPDX-License-Identifier: MIT
"""
Sessions of the dashboard: they end when somebody signs out, idles, or after their time.

When one was seen last, and that one was ended, are two records among the events, where
those of Idempotency-Keys are: whoever is just being seen undoes no end. Maintenance
forgets both after a day, which is as long as a session may last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from frappe_enroll_sdk.stores.bounds import SKEW
from frappe_enroll_sdk.stores.queue import REQUEST_KIND

from . import cookies


if TYPE_CHECKING:
    from frappe_enroll_sdk import EnrollSDK

#: Share of the idle time after which a session is written down as seen again.
_OFTEN = 0.1
_SKEW_S = int(SKEW.total_seconds())


class Sessions:
    """The sessions of one SDK. Thread-safe."""

    def __init__(self, sdk: EnrollSDK) -> None:
        self._sdk = sdk

    def open(self, digest: str) -> str:
        """Begin a session of a token's hash; return the cookie's value."""
        settings = self._sdk.settings
        told = cookies.Signed(
            digest=digest,
            session=self._sdk.ambient.token_hex(16),
            until_s=int(self._now_s() + settings.sign_in_s),
        )
        self._write(_seen(told))
        return cookies.write(told, settings.secret_key.value)

    def read(self, value: str | None) -> cookies.Signed | None:
        """Return the session of a cookie while it lasts, and see it."""
        settings, now_s = self._sdk.settings, self._now_s()
        latest_s = int(now_s + settings.sign_in_s) + _SKEW_S
        told = cookies.read(value, settings.secret_key.value, int(now_s), latest_s)
        if told is None:
            return None
        events = self._sdk.storage.events
        record = events.find(_seen(told))
        if record is None or events.find(_ended(told)) is not None:
            return None
        idle_s = now_s - float((record.payload or {}).get("at", 0))
        longest_s = settings.sign_in_idle_s
        # Seen in what is to come: by a clock that ran ahead, so nobody knows when.
        if not -_SKEW_S <= idle_s < longest_s:
            return None
        if idle_s >= longest_s * _OFTEN:
            self._write(_seen(told))
        return told

    def close(self, told: cookies.Signed) -> None:
        """End a session for good."""
        self._write(_ended(told))

    def _write(self, name: str) -> None:
        events, now = self._sdk.storage.events, self._sdk.clock.now()
        payload: dict[str, Any] = {"type": REQUEST_KIND, "at": now.timestamp()}
        events.enqueue(name, REQUEST_KIND, payload, now, now=now)
        claim = events.claim_key(name, "http", now, self._sdk.settings.lease_s)
        if claim is not None:
            events.complete(claim.token or "", claim.seq, now, outcome="session")

    def _now_s(self) -> float:
        return self._sdk.clock.now().timestamp()


def _seen(told: cookies.Signed) -> str:
    return f"http:session:{told.session}"


def _ended(told: cookies.Signed) -> str:
    return f"http:session_ended:{told.session}"
