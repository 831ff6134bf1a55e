# SPDX-License-Identifier: MIT
"""
Records to plain JSON data and back.

Moments become ISO 8601 text in UTC with milliseconds, decimals become text, enums
their value, money ``{"amount_minor": …, "currency": …, "exponent": …}``.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import ValidationError
from .money import Money


if TYPE_CHECKING:
    from cattrs import Converter


__all__ = (
    "cursor_of",
    "dump",
    "load",
    "moment_of",
    "parts_of",
    "require_text",
    "shown",
    "text_of",
)


T = TypeVar("T")

#: The last millisecond that a datetime can represent.
_LAST_MS = 253_402_300_799_999


def text_of(moment: datetime) -> str:
    """Return a moment as ISO text."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds")


def moment_of(text: str) -> datetime:
    """Parse a moment from ISO text."""
    return datetime.fromisoformat(text).astimezone(UTC)


@cache
def _converter() -> Converter:
    # Importing cattrs is slow, so it waits for the first record.
    from cattrs import Converter  # noqa: PLC0415
    from cattrs.gen import make_dict_unstructure_fn, override  # noqa: PLC0415

    from .models import Job  # noqa: PLC0415  the domain needs no codec to be imported

    converter = Converter(detailed_validation=False)
    converter.register_unstructure_hook(datetime, text_of)
    converter.register_structure_hook(datetime, lambda value, _: moment_of(value))
    converter.register_unstructure_hook(Decimal, str)
    converter.register_structure_hook(Decimal, lambda value, _: Decimal(value))
    # JSON data within a record is kept unchanged.
    converter.register_structure_hook_func(
        lambda kind: kind == Mapping[str, Any],
        lambda value, _: dict(value),
    )
    # Only the claim knows it.
    shown = make_dict_unstructure_fn(Job, converter, was_due_at=override(omit=True))
    converter.register_unstructure_hook(Job, shown)
    return converter


def dump(record: Any) -> Any:
    """Return a record as plain JSON data."""
    return _converter().unstructure(record)


@cache
def _shower() -> Converter:
    converter = _converter().copy()
    from cattrs.gen import make_dict_unstructure_fn, override  # noqa: PLC0415

    from .models import Totals  # noqa: PLC0415  the domain needs no codec

    # Fields that only a store needs.
    for kind in (Money, Totals):
        plain = make_dict_unstructure_fn(kind, converter, exponent=override(omit=True))
        converter.register_unstructure_hook(kind, plain)
    return converter


def shown(record: Any) -> Any:
    """Return a record as JSON for callers: money as amount and currency."""
    return _shower().unstructure(record)


def load(kind: type[T], data: Any) -> T:
    """
    Return the record that `dump` turned into data; fields may be missing, not wrong.

    Raises:
        ValidationError: The data is not of this kind.
    """
    try:
        return _converter().structure(data, kind)
    except Exception as error:
        raise ValidationError(
            f"not a {kind.__name__}: {type(error).__name__}", field=kind.__name__
        ) from error


def require_text(**fields: Any) -> None:
    """
    Refuse anything but text (for instance an operator such as ``{"$gt": ""}``).

    Raises:
        ValidationError: Names the field.
    """
    for name, value in fields.items():
        if value is not None and not isinstance(value, str):
            raise ValidationError(f"{name}: must be text", field=name)


#: Sorts after every character in our codes, addresses and names.
AFTER_ALL = "\x7f"


def cursor_of(*parts: str | int) -> str:
    """Return an opaque cursor that continues after a row with these sort keys."""
    return urlsafe_b64encode(json.dumps(parts).encode()).decode()


def _is_key(part: Any, kind: type) -> bool:
    """Tell whether a store can compare this with its sort keys."""
    fits = type(part) is kind
    if fits and kind is int:
        # A moment in milliseconds, or a position in a chain.
        fits = 0 <= part <= _LAST_MS
    if fits and kind is str:
        # JSON can hold half of a surrogate pair; no store can.
        fits = part == part.encode(errors="ignore").decode()
    return fits


def parts_of(cursor: str | None, kinds: tuple[type, ...]) -> list[Any] | None:
    """
    Return the sort keys of a cursor, or None for None.

    Raises:
        ValidationError: It is not one of our cursors.
    """
    if cursor is None:
        return None
    try:
        parts = json.loads(urlsafe_b64decode(cursor.encode()))
    except (ValueError, AttributeError, RecursionError) as error:
        raise ValidationError("cursor: is not one of ours", field="cursor") from error
    fits = isinstance(parts, list) and len(parts) == len(kinds)
    if not fits or not all(map(_is_key, parts, kinds)):
        raise ValidationError("cursor: is not one of ours", field="cursor")
    return list(parts)
