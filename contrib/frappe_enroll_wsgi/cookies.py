# SPDX-License-Identifier: MIT
"""The dashboard's cookie: which token signed in, until when, and a signature."""

from __future__ import annotations

import hashlib
import hmac


NAME = "frappe_enroll_admin"
_LABEL = b"frappe-enroll dashboard cookie v1:"


def write(digest: str, until_s: int, key: str) -> str:
    """Return the value for the hash of a token, good until a moment in seconds."""
    text = f"{until_s}.{digest}"
    return f"{text}.{_sign(text, key)}"


def read(value: str | None, key: str, now_s: int, latest_s: int) -> str | None:
    """
    Return the token's hash; None when it is forged, over, or there is no key.

    One that is good for longer than until `latest_s` was written by a clock that ran
    ahead, and is as one that is over.
    """
    text, _, signature = (value or "").rpartition(".")
    until, _, digest = text.partition(".")
    if not key or not hmac.compare_digest(
        signature.encode(), _sign(text, key).encode()
    ):
        return None
    return digest if now_s < int(until) <= latest_s else None


def _sign(text: str, key: str) -> str:
    return hmac.new(key.encode(), _LABEL + text.encode(), hashlib.sha256).hexdigest()
