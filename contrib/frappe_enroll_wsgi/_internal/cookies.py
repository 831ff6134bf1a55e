# SPDX-License-Identifier: MIT
"""The dashboard's cookie: token hash, session, expiry and signature."""

from __future__ import annotations

import hashlib
import hmac

import attrs


NAME = "frappe_enroll_admin"
#: Browsers accept this prefix only over HTTPS, from this host and for all paths.
HOST_NAME = f"__Host-{NAME}"
_LABEL = b"frappe-enroll dashboard cookie v2:"


@attrs.frozen(kw_only=True)
class Signed:
    """
    The content of a cookie.

    Attributes:
        digest: Hash of the token that signed in.
        session: The random id of the session.
        until_s: When it expires, in seconds since the epoch.
    """

    digest: str
    session: str
    until_s: int


def write(cookie: Signed, key: str) -> str:
    """Return the value of a cookie."""
    text = f"{cookie.until_s}.{cookie.session}.{cookie.digest}"
    return f"{text}.{_sign(text, key)}"


def read(value: str | None, key: str, now_s: int, latest_s: int) -> Signed | None:
    """
    Return the content of a cookie; None if it is forged or expired or no key is set.

    A cookie that is valid beyond `latest_s` was written by a clock that ran ahead; it
    counts as expired.
    """
    text, _, signature = (value or "").rpartition(".")
    if not key or not hmac.compare_digest(
        signature.encode(), _sign(text, key).encode()
    ):
        return None
    until, session, digest = text.split(".")
    cookie = Signed(digest=digest, session=session, until_s=int(until))
    return cookie if now_s < cookie.until_s <= latest_s else None


def _sign(text: str, key: str) -> str:
    return hmac.new(key.encode(), _LABEL + text.encode(), hashlib.sha256).hexdigest()
