# SPDX-License-Identifier: MIT
"""Arguments of callers: normalised, or refused with the field's name."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from ..errors import ValidationError


# What a mail server accepts is wider; what a learner has is narrower. Letters outside
# ASCII are refused: look-alikes would let one person pass for another.
_EMAIL = re.compile(
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+"
)
_CODE = re.compile(r"[A-Z0-9][A-Z0-9._-]{2,63}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MOST_TEXT = 140
_MOST_URL = 2000
_MOST_KEY = 255


def text(value: object, field: str, *, most: int = _MOST_TEXT) -> str:
    """Return trimmed text of 1 to `most` characters without control characters."""
    if not isinstance(value, str):
        raise ValidationError(f"{field}: must be text", field=field)
    value = value.strip()
    if not value or len(value) > most or _CONTROL.search(value):
        raise ValidationError(
            f"{field}: must be 1 to {most} printable characters", field=field
        )
    return value


def optional_text(value: Any, field: str, *, most: int = _MOST_TEXT) -> str | None:
    """Return trimmed text, or None for None and blank text."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    return text(value, field, most=most)


def email(value: Any, field: str = "email") -> str:
    """Return an address trimmed and lower-cased."""
    typed = text(value, field, most=_MOST_TEXT)
    address = typed.lower()
    # Before the case: the Kelvin sign, for one, has a small letter in ASCII.
    if not typed.isascii() or not _EMAIL.fullmatch(address) or ".." in address:
        raise ValidationError(f"{field}: is not an e-mail address", field=field)
    return address


def code(value: Any, field: str = "coupon_code") -> str:
    """Return a coupon code trimmed and upper-cased."""
    typed = text(value, field, most=64)
    if not typed.isascii() or not _CODE.fullmatch(typed.upper()):
        raise ValidationError(f"{field}: is not a coupon code", field=field)
    return typed.upper()


def url(value: Any, field: str) -> str | None:
    """Return an absolute http(s) URL, or None."""
    address = optional_text(value, field, most=_MOST_URL)
    if address is None:
        return None
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise ValidationError(f"{field}: is not a URL", field=field) from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValidationError(f"{field}: must be an absolute http(s) URL", field=field)
    return address


def key(value: Any, field: str = "idempotency_key") -> str | None:
    """Return an idempotency key, or None."""
    return optional_text(value, field, most=_MOST_KEY)
