# SPDX-License-Identifier: MIT
"""
Mask coupon codes for viewers: a code is worth money, and a viewer may only look.

Records are masked, not texts, so that pages, JSON and CSV agree. A cursor contains a
code, so it is sealed for viewers.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import singledispatch
from typing import TYPE_CHECKING, Any, TypeVar, cast

import attrs

from frappe_enroll_sdk.errors import ValidationError
from frappe_enroll_sdk.models import AuditEntry, Coupon, Enrollment, Grant, Page, Seat
from frappe_enroll_sdk.services.operators.search import Timeline


if TYPE_CHECKING:
    from frappe_enroll_sdk import Settings

    from .routing import Call

T = TypeVar("T")
_NONCE = 8


def seen(call: Call, record: T) -> T:
    """Return a record or page as the caller's role may see it."""
    if call.operator.may_change:
        return record
    return cast("T", _masked(record))


def masked(code: str) -> str:
    """Return enough of a code to tell it from others."""
    return f"{code[: len(code) // 4]}…"


@singledispatch
def _masked(record: Any) -> Any:
    return record


@_masked.register
def _(record: Page) -> Any:  # type: ignore[type-arg]  # registered by its class alone
    return attrs.evolve(record, items=tuple(map(_masked, record.items)))


@_masked.register
def _(record: Coupon) -> Any:
    return attrs.evolve(record, code=masked(record.code))


@_masked.register
def _(record: Seat) -> Any:
    return attrs.evolve(record, code=masked(record.code))


@_masked.register
def _(record: Enrollment) -> Any:
    code = record.coupon_code
    return attrs.evolve(record, coupon_code=masked(code)) if code else record


@_masked.register
def _(record: Grant) -> Any:
    return attrs.evolve(record, code=masked(record.code)) if record.code else record


@_masked.register
def _(record: AuditEntry) -> Any:
    # For actions on one coupon, the subject is its code.
    if not record.action.endswith("_coupon"):
        return record
    return attrs.evolve(record, subject=masked(record.subject))


@_masked.register
def _(record: Timeline) -> Any:
    return attrs.evolve(
        record,
        enrollment=_masked(record.enrollment),
        heir=_masked(record.heir),
        coupon=_masked(record.coupon),
        seat=_masked(record.seat),
    )


def coupon_page(call: Call, **query: Any) -> Page[Coupon]:
    """Return a page of coupons, masked (with its cursor) for viewers."""
    if call.operator.may_change:
        return call.sdk.coupons.list(**query)
    key = _key_of(call.sdk.settings)
    if query.get("cursor"):
        query["cursor"] = _opened(str(query["cursor"]), key)
    found = call.sdk.coupons.list(**query)
    after = found.next_cursor and _sealed(found.next_cursor, key)
    lost = tuple(map(_masked_name, found.unreadable))
    return seen(call, attrs.evolve(found, next_cursor=after, unreadable=lost))


def _masked_name(words: str) -> str:
    """Mask the code that an entry of `Page.unreadable` begins with."""
    code, _, why = words.partition(": ")
    return f"{masked(code)}: {why}"


def _key_of(settings: Settings) -> bytes:
    """Return a key derived from the secrets in the settings."""
    secrets = (settings.secret_key, settings.stripe_secret_key, *settings.admin_tokens)
    words = ["frappe-enroll cursor", *(secret.value for secret in secrets)]
    return hashlib.sha256("\x1f".join(words).encode()).digest()


def _sealed(cursor: str, key: bytes) -> str:
    nonce = hashlib.sha256(key + cursor.encode()).digest()[:_NONCE]
    return urlsafe_b64encode(nonce + _pad(cursor.encode(), key + nonce)).decode()


def _opened(cursor: str, key: bytes) -> str:
    try:
        raw = urlsafe_b64decode(cursor.encode())
        text = _pad(raw[_NONCE:], key + raw[:_NONCE]).decode()
    except ValueError as error:
        raise ValidationError("cursor: is not valid", field="cursor") from error
    if _sealed(text, key) != cursor:
        raise ValidationError("cursor: is not valid", field="cursor")
    return text


def _pad(text: bytes, seed: bytes) -> bytes:
    pad = hashlib.shake_256(seed).digest(len(text))
    return bytes(a ^ b for a, b in zip(text, pad, strict=True))
