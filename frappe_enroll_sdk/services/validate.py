# SPDX-License-Identifier: MIT
"""Arguments of callers: normalised, or refused with the field's name."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from .. import urls
from ..clock import to_milliseconds
from ..errors import ValidationError


# Mail servers accept more; real addresses of learners need less. Letters outside ASCII
# are refused: look-alikes would let one person pass for another.
_EMAIL = re.compile(
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+"
)
_CODE = re.compile(r"[A-Z0-9][A-Z0-9._-]{2,63}")
# Controls, line separators, and halves of surrogate pairs (JSON may spell them, and no
# store can write them).
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MAX_TEXT = 140
#: Most characters of an operator's reason.
MAX_REASON = 500
_MAX_URL = 2000
_MAX_KEY = 255
#: The largest integer that every JSON parser and every store can hold.
MAX_WHOLE = 2**53 - 1
#: A hundred years.
_MAX_SECONDS = 3_155_760_000
#: Most rows on one page.
_MAX_ROWS = 10_000

_Choice = TypeVar("_Choice", bound=StrEnum)


def text(value: object, field: str, *, most: int = _MAX_TEXT) -> str:
    """Return trimmed text of 1 to `most` characters without control characters."""
    if not isinstance(value, str):
        raise ValidationError(f"{field}: must be text", field=field)
    value = value.strip()
    if not value or len(value) > most or _CONTROL.search(value):
        raise ValidationError(
            f"{field}: must be 1 to {most} printable characters", field=field
        )
    return value


def words(actor: object, reason: object) -> tuple[str, str]:
    """Return an operator's name, and the reason (at most 500 characters)."""
    return text(actor, "actor"), text(reason, "reason", most=MAX_REASON)


def optional_text(value: Any, field: str, *, most: int = _MAX_TEXT) -> str | None:
    """Return trimmed text, or None for None or blank text."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    return text(value, field, most=most)


def email(value: Any, field: str = "email") -> str:
    """
    Return an address, trimmed and lower-cased.

    Follows Frappe's pattern, too (RFC 5322, dot-atom): dots only between other
    characters, as otherwise the account could not be created after the payment.
    """
    address = stored_email(value, field)
    local = address.partition("@")[0]
    if local.startswith(".") or local.endswith(".") or ".." in local:
        raise ValidationError(f"{field}: is not an e-mail address", field=field)
    return address


def stored_email(value: Any, field: str = "email") -> str:
    """Return an address that may be in the store, accepted by an earlier rule."""
    typed = text(value, field, most=_MAX_TEXT)
    address = typed.lower()
    # Check before lower-casing: the Kelvin sign, for one, becomes an ASCII letter.
    if not typed.isascii() or not _EMAIL.fullmatch(address):
        raise ValidationError(f"{field}: is not an e-mail address", field=field)
    return address


def code(value: Any, field: str = "coupon_code") -> str:
    """Return a coupon code, trimmed and upper-cased."""
    typed = text(value, field, most=64)
    if not typed.isascii() or not _CODE.fullmatch(typed.upper()):
        raise ValidationError(f"{field}: is not a coupon code", field=field)
    return typed.upper()


def url(value: Any, field: str) -> str | None:
    """Return an absolute http(s) URL, normalised, or None."""
    address = optional_text(value, field, most=_MAX_URL)
    if address is None:
        return None
    try:
        return str(urls.parse(address))
    except ValueError as error:
        raise ValidationError(f"{field}: {error}", field=field) from error


def key(value: Any, field: str = "idempotency_key") -> str | None:
    """Return an idempotency key, or None."""
    return optional_text(value, field, most=_MAX_KEY)


def optional_choice(kind: type[_Choice], value: Any, field: str) -> _Choice | None:
    """Return one of the values of an enumeration, or None."""
    if value is None:
        return None
    try:
        return kind(value)
    except ValueError as error:
        words = f"{field}: must be one of {', '.join(kind)}"
        raise ValidationError(words, field=field) from error


def whole(value: Any, field: str, *, most: int = _MAX_ROWS, least: int = 1) -> int:
    """Return an integer between `least` and `most`."""
    if type(value) is not int or not least <= value <= most:
        raise ValidationError(
            f"{field}: must be a whole number from {least} to {most}", field=field
        )
    return value


def paging(limit: Any, cursor: Any) -> dict[str, Any]:
    """Return a page's arguments: how many rows, and after which."""
    if cursor is not None and not isinstance(cursor, str):
        raise ValidationError("cursor: is not one of ours", field="cursor")
    return {"limit": whole(limit, "limit"), "cursor": cursor}


def span(value: Any, field: str, *, least: timedelta, most: timedelta) -> timedelta:
    """Return a duration within bounds."""
    if not isinstance(value, timedelta) or not least <= value <= most:
        raise ValidationError(
            f"{field}: must be {least.days} to {most.days} days", field=field
        )
    return value


def seconds(value: Any, field: str) -> float:
    """Return a number of seconds, 0 or more."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value <= _MAX_SECONDS:
        raise ValidationError(f"{field}: must be seconds, 0 or more", field=field)
    return float(value)


def moment(value: object, field: str) -> datetime:
    """Return a moment as the stores keep it: UTC, in milliseconds."""
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise ValidationError(
            f"{field}: must be a moment with a time zone", field=field
        )
    try:
        # The last day west of Greenwich is beyond what a datetime can represent.
        return to_milliseconds(value)
    except OverflowError as error:
        raise ValidationError(f"{field}: is out of range", field=field) from error


def moment_of(text: str, field: str) -> datetime:
    """Parse a moment from ISO text with a time zone."""
    try:
        value = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise ValidationError(f"{field}: is not a moment", field=field) from error
    return moment(value, field)
