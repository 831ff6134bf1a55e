# SPDX-License-Identifier: MIT
"""The dashboard's cookie: which token, which session, until when, and a signature."""

from __future__ import annotations

import hashlib
import hmac

import attrs


NAME = "frappe_enroll_admin"
#: What a browser takes from this very host only, over HTTPS only, for all of its paths.
HOST_NAME = f"__Host-{NAME}"
_LABEL = b"frappe-enroll dashboard cookie v2:"


@attrs.frozen(kw_only=True)
class Signed:
    """
    What a cookie says.

    Attributes:
        digest: Hash of the token that signed in.
        session: The session's own random name.
        until_s: When it is over, in seconds.
    """

    digest: str
    session: str
    until_s: int


def write(told: Signed, key: str) -> str:
    """Return the value of a cookie."""
    text = f"{told.until_s}.{told.session}.{told.digest}"
    return f"{text}.{_sign(text, key)}"


def read(value: str | None, key: str, now_s: int, latest_s: int) -> Signed | None:
    """
    Return what a cookie says; None when it is forged, over, or there is no key.

    One that is good for longer than until `latest_s` was written by a clock that ran
    ahead, and is as one that is over.
    """
    text, _, signature = (value or "").rpartition(".")
    if not key or not hmac.compare_digest(
        signature.encode(), _sign(text, key).encode()
    ):
        return None
    until, session, digest = text.split(".")
    told = Signed(digest=digest, session=session, until_s=int(until))
    return told if now_s < told.until_s <= latest_s else None


def _sign(text: str, key: str) -> str:
    return hmac.new(key.encode(), _LABEL + text.encode(), hashlib.sha256).hexdigest()
