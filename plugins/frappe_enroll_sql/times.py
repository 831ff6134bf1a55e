# SPDX-License-Identifier: MIT
"""Moments as integer milliseconds, records as JSON text."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from frappe_enroll_sdk.codec import dump, load


T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_ms(moment: datetime) -> int:
    """Return whole milliseconds since 1970."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def maybe_ms(moment: datetime | None) -> int | None:
    """Return milliseconds, or None."""
    return None if moment is None else to_ms(moment)


def to_moment(ms: int) -> datetime:
    """Return the moment of whole milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=ms)


def maybe_moment(ms: int | None) -> datetime | None:
    """Return a moment, or None."""
    return None if ms is None else to_moment(ms)


def to_doc(record: Any) -> str:
    """Return a record as JSON text."""
    return json.dumps(dump(record), separators=(",", ":"), ensure_ascii=False)


def of_doc(kind: type[T], doc: str) -> T:
    """
    Return the record of a JSON text.

    Raises:
        ValueError: It is not JSON.
        ValidationError: It is JSON, but not of this kind.
    """
    return load(kind, json.loads(doc))
