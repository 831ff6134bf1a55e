# SPDX-License-Identifier: MIT
"""
Verifying a webhook on its raw bytes (Stripe, "Verify webhook signatures manually").

stripe-python's own check accepts time stamps from the future and lets malformed input
escape as UnicodeDecodeError, TypeError or AttributeError; here everything that is not
a signed event is a `SignatureError` or a `PayloadError`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from frappe_enroll_sdk.errors import (
    ConfigurationError,
    PayloadError,
    SignatureError,
)
from frappe_enroll_sdk.models import PaymentEvent

from .records import event_of


HEADER = "stripe-signature"
#: Seconds by which a delivery's timestamp may differ from now, in either direction.
TOLERANCE_S = 300
_MOST_HEADER = 4096


def parse_event(
    body: bytes,
    headers: Mapping[str, str],
    secrets: Iterable[str],
    now: datetime,
    deployment: str = "",
) -> PaymentEvent:
    """Verify and read a delivery; see `PaymentGateway.parse_event`."""
    active = [secret for secret in secrets if secret.strip()]
    if not active:
        raise ConfigurationError(
            "STRIPE_WEBHOOK_SECRET: is not set", field="STRIPE_WEBHOOK_SECRET"
        )
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise PayloadError("the raw body must be bytes", field="body")
    raw = bytes(body)
    _verify(raw, _header(headers), active, now)
    return event_of(_json(raw), deployment)


def _header(headers: Mapping[str, str]) -> str:
    for name, value in headers.items():
        if str(name).lower() == HEADER and isinstance(value, str):
            return value
    raise SignatureError("Stripe-Signature: is missing", field="Stripe-Signature")


def _verify(raw: bytes, header: str, secrets: list[str], now: datetime) -> None:
    stamp, signatures = _parts(header)
    if abs(now.timestamp() - stamp) > TOLERANCE_S:
        raise SignatureError(
            f"Stripe-Signature: the timestamp is more than {TOLERANCE_S} s away",
            field="Stripe-Signature",
        )
    signed = str(stamp).encode() + b"." + raw
    matches = False
    for secret in secrets:
        wanted = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        for signature in signatures:
            # Compare every pair: which one matches must not show in the timing.
            matches |= hmac.compare_digest(wanted.encode(), signature.encode())
    if not matches:
        raise SignatureError(
            "Stripe-Signature: does not match", field="Stripe-Signature"
        )


def _parts(header: str) -> tuple[int, list[str]]:
    """Return the timestamp and the v1 signatures in a header."""
    malformed = SignatureError("Stripe-Signature: malformed", field="Stripe-Signature")
    if not header.isascii() or len(header) > _MOST_HEADER:
        raise malformed
    pairs = [part.strip().partition("=") for part in header.split(",")]
    stamps = [value for name, _, value in pairs if name == "t"]
    signatures = [value for name, _, value in pairs if name == "v1" and value]
    plain = len(stamps) == 1 and stamps[0].isdecimal() and len(stamps[0]) <= 12  # noqa: PLR2004
    if not plain or not signatures or stamps[0] != str(int(stamps[0])):
        raise malformed
    return int(stamps[0]), signatures


def _json(raw: bytes) -> Any:
    try:
        return json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse
        )
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise PayloadError("the body is not JSON", field="body") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a repeated key, which two parsers could read as different events."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is repeated")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
