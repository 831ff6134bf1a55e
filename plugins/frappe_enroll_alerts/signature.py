# SPDX-License-Identifier: MIT
"""
The signature of a post: ``Enroll-Signature: t=<seconds>,v1=<hex>[,v1=<hex>]``.

Each v1 is the HMAC-SHA256 of ``<seconds>.<body>`` under one secret; while secrets are
rotated there is one for each. A receiver takes a post if one fits a secret of its own
and the time is near.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable


__all__ = ("sign", "verify")


HEADER = "Enroll-Signature"
#: Seconds by which a post's time may differ from the receiver's.
TOLERANCE_S = 300


def sign(body: bytes, secrets: Iterable[str], at_s: int) -> str:
    """
    Return the header of a post.

    Args:
        body: The post's bytes as sent.
        secrets: One or more.
        at_s: Unix time of the post in seconds.
    """
    marks = [f"v1={_mac(body, secret, at_s)}" for secret in secrets]
    return ",".join([f"t={at_s}", *marks])


def verify(
    body: bytes,
    header: str,
    secrets: Iterable[str],
    *,
    now_s: float,
    tolerance_s: float = TOLERANCE_S,
) -> bool:
    """
    Tell whether a post is ours, unchanged and recent; for receivers in Python.

    Args:
        body: The post's bytes as received.
        header: The value of ``Enroll-Signature``.
        secrets: The secrets that the receiver accepts.
        now_s: The receiver's Unix time in seconds.
        tolerance_s: Most seconds between the two times.
    """
    pairs = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    marks = [value for name, _, value in pairs if name == "v1"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdecimal()):
        return False
    at_s = int(times[0][:20])
    if abs(now_s - at_s) > tolerance_s:
        return False
    fitting = [
        hmac.compare_digest(mark.encode(), _mac(body, secret, at_s).encode())
        for secret in secrets
        for mark in marks
    ]
    return any(fitting)


def _mac(body: bytes, secret: str, at_s: int) -> str:
    text = b"%d.%s" % (at_s, body)
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
